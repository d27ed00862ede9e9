//! Which running statement a cancel request means.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use pgwire::messages::startup::SecretKey;
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;

/// Every connection that is logged in, by its process number.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    entries: Mutex<HashMap<i32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    secret: Vec<u8>,
    canceled: Arc<Notify>,
}

/// One connection's place in the list; leaves it when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) pid: i32,
    pub(super) secret: SecretKey,
    /// Wakes the statement that is running; without one a cancel request has no effect.
    pub(super) canceled: Arc<Notify>,
    cancels: Arc<Cancels>,
}

impl Cancels {
    /// Gives the connection a number and a secret. Protocol 3.0 has room for four bytes only;
    /// the random number makes a blind guess a matter of 62 bits all the same.
    pub(super) fn register(self: &Arc<Self>, long_secret: bool) -> Registration {
        let secret = if long_secret {
            SecretKey::Bytes(rand::random::<[u8; 32]>().to_vec().into())
        } else {
            SecretKey::I32(rand::random())
        };
        let canceled = Arc::new(Notify::new());
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pid = rand::random::<i32>() & i32::MAX;
        // Ends: there are far fewer connections than numbers.
        while entries.contains_key(&pid) || pid == 0 {
            pid = rand::random::<i32>() & i32::MAX;
        }
        let entry = Entry { secret: secret.to_bytes().to_vec(), canceled: Arc::clone(&canceled) };
        entries.insert(pid, entry);
        Registration { pid, secret, canceled, cancels: Arc::clone(self) }
    }

    /// Cancels what the connection runs. A wrong secret does nothing, and nobody is told.
    pub(super) fn cancel(&self, pid: i32, secret: &SecretKey) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&pid)
            && bool::from(entry.secret.ct_eq(secret.to_bytes().as_ref()))
        {
            entry.canceled.notify_waiters();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.cancels.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&self.pid);
    }
}
