//! The vendor's access key as it is now: read again before every unit of work of the poller.
//!
//! A unit of work is one fetch plan, so all requests of one plan carry the same key.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use ingest::marketstack::{AccessKey, AccessKeyError, AccessKeySource};
use model::ErrorKind;
use secrets::{Scopes, Secret, SecretRef};

use crate::failure::Failure;

/// The access key, refreshed from its scope so that a rotated key is used without a restart.
#[derive(Clone)]
pub(crate) struct CurrentKey {
    secret: Arc<RwLock<Secret>>,
    origin: Option<(Scopes, SecretRef)>,
}

impl CurrentKey {
    /// Reads the key from its scope for the first time.
    pub(crate) async fn resolve(scopes: Scopes, reference: SecretRef) -> Result<Self, Failure> {
        let secret = scopes.resolve(&reference).await;
        let secret = secret
            .map_err(|error| Failure::from(error).context("resolving `source.access_key`"))?;
        Ok(Self { secret: Arc::new(RwLock::new(secret)), origin: Some((scopes, reference)) })
    }

    /// Wraps a key that never changes: one of the simulator's, which is no secret.
    pub(crate) fn fixed(key: &str) -> Self {
        Self { secret: Arc::new(RwLock::new(Secret::new(key.to_owned()))), origin: None }
    }

    /// Reads the key again; one that cannot be read leaves the old one in place.
    ///
    /// # Errors
    /// The key cannot be read for now. Always transient, whatever the scope says of it: the key was
    /// there at the start, and a file that is rewritten in place is empty for an instant.
    pub(crate) async fn refresh(&self) -> Result<(), Failure> {
        if let Some((scopes, reference)) = &self.origin {
            let secret = scopes.resolve(reference).await.map_err(|error| {
                Failure::new(ErrorKind::Transient, error)
                    .context("reading `source.access_key` again")
            })?;
            *self.secret.write().unwrap_or_else(PoisonError::into_inner) = secret;
        }
        Ok(())
    }

    /// Reads the key anew after the vendor refused it; returns whether it is another one now, so
    /// that it is worth trying again.
    pub(crate) async fn renew(&self) -> bool {
        let Some((scopes, reference)) = &self.origin else { return false };
        scopes.invalidate(reference).await;
        let Ok(renewed) = scopes.resolve(reference).await else { return false };
        let mut secret = self.secret.write().unwrap_or_else(PoisonError::into_inner);
        let is_another = secret.expose() != renewed.expose();
        *secret = renewed;
        is_another
    }
}

impl fmt::Debug for CurrentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentKey(…)")
    }
}

impl AccessKeySource for CurrentKey {
    fn access_key(&self) -> Result<AccessKey, AccessKeyError> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        Ok(AccessKey::new(secret.expose().to_owned()))
    }
}
