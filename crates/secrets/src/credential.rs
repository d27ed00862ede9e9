//! A credential that a scope itself needs, taken from another scope each time it is used.

use std::{fmt, sync::Arc};

use crate::{Error, Secret, SecretName, SecretRef, scopes::Scope};

/// What a provider signs in with.
#[derive(Clone)]
pub(crate) struct Credential {
    /// The scope that needs it, for messages.
    scope: SecretName,
    /// The setting with the reference.
    field: &'static str,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Scope(Arc<Scope>, SecretRef),
    #[cfg(test)]
    Fixed(Secret),
    /// The reference leads nowhere, or in a circle.
    Broken(Arc<Error>),
}

impl Credential {
    pub(crate) fn of_scope(
        scope: SecretName,
        field: &'static str,
        origin: Result<Arc<Scope>, Error>,
        reference: SecretRef,
    ) -> Self {
        let origin = match origin {
            Ok(source) => Origin::Scope(source, reference),
            Err(error) => Origin::Broken(Arc::new(error)),
        };
        Self { scope, field, origin }
    }

    /// Wraps a value that never changes.
    #[cfg(test)]
    pub(crate) fn fixed(scope: SecretName, field: &'static str, value: Secret) -> Self {
        Self { scope, field, origin: Origin::Fixed(value) }
    }

    /// Returns the value as it is now.
    pub(crate) async fn get(&self) -> Result<Secret, Error> {
        let failed = |source: Arc<Error>| Error::Credential {
            scope: self.scope.to_string(),
            field: self.field,
            source,
        };
        match &self.origin {
            #[cfg(test)]
            Origin::Fixed(value) => Ok(value.clone()),
            Origin::Broken(error) => Err(failed(Arc::clone(error))),
            Origin::Scope(scope, reference) => {
                scope.resolve(&reference.key).await.map_err(|error| failed(Arc::new(error)))
            }
        }
    }

    /// Says that the value was refused: the next [`get`](Self::get) reads it again.
    pub(crate) async fn invalidate(&self) {
        if let Origin::Scope(scope, reference) = &self.origin {
            scope.invalidate(&reference.key).await;
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("scope", &self.scope)
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}
