//! The place of a client that is made when first needed, and anew when it cannot go on.

use std::{ops::Deref, sync::Arc};

use tokio::{runtime::Handle, sync::Mutex};

/// Holds a client while it is good.
#[derive(Debug)]
pub(super) struct Slot<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Slot<T> {
    /// Returns the client, and lets `make` make one if there is none.
    pub(super) async fn get<E>(
        &self,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut current = self.0.lock().await;
        if let Some(client) = current.as_ref() {
            return Ok(Arc::clone(client));
        }
        let made = Arc::new(make.await?);
        *current = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Returns the client if there is one.
    pub(super) async fn peek(&self) -> Option<Arc<T>> {
        self.0.lock().await.clone()
    }

    /// Forgets `used`, unless another caller already replaced it.
    pub(super) async fn discard(&self, used: &Arc<T>) {
        let mut current = self.0.lock().await;
        if current.as_ref().is_some_and(|client| Arc::ptr_eq(client, used)) {
            *current = None;
        }
    }
}

/// A client whose end may block: it says goodbye to its brokers. Dropped on a blocking thread.
pub(super) struct Offload<T: Send + 'static>(Option<T>);

impl<T: Send> Offload<T> {
    pub(super) const fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send> Deref for Offload<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Taken by `drop` only.
        self.0.as_ref().expect("there is a client until the end")
    }
}

impl<T: Send> Drop for Offload<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // Without a runtime nobody is held up: it ends here.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(client)));
        }
    }
}
