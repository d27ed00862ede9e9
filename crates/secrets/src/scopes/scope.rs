//! One scope: its provider, and what is remembered of the provider's answers.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Mutex as AsyncMutex;

use super::freshness::{Age, Freshness, INVALIDATE_MIN_AGE, Lifetime};
use crate::{
    Clock, Error, ErrorClass, Redactor, Secret, SecretName, SecretProvider,
    provider::VALUE_BYTES_MAX,
};

/// Values shorter than this are refused: they are no secret, and scrubbing them would tear holes
/// into every text.
const VALUE_BYTES_MIN: usize = 4;

/// A setting that is shorter than this, such as `true` or `info`, is a word of every log.
const SETTING_SCRUBBED_BYTES_MIN: usize = 8;

/// Most keys that are remembered, the limit of a Databricks scope. Further ones are read each time.
const KEYS_REMEMBERED_MAX: usize = 1000;

/// One scope of the table.
pub(crate) struct Scope {
    provider: Arc<dyn SecretProvider>,
    lifetime: Lifetime,
    pins: BTreeMap<SecretName, String>,
    /// Whether the provider signs in with a secret of another scope.
    signs_in: bool,
    redactor: Redactor,
    clock: Arc<dyn Clock>,
    slots: Mutex<BTreeMap<SecretName, Arc<Slot>>>,
}

/// What is remembered of one key. Its lock is held while the provider is asked, so that many
/// callers make one request.
#[derive(Default)]
struct Slot {
    state: AsyncMutex<State>,
    /// How many requests have ended; lets those who waited for one share its failure.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    value: Option<(Secret, Age)>,
    failure: Option<Error>,
}

impl Scope {
    pub(crate) fn new(
        provider: Arc<dyn SecretProvider>,
        lifetime: Lifetime,
        pins: BTreeMap<SecretName, String>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let slots = Mutex::default();
        Self { provider, lifetime, pins, signs_in: false, redactor, clock, slots }
    }

    /// Says that the provider signs in with a secret of another scope.
    pub(super) fn signing_in(mut self, signs_in: bool) -> Self {
        self.signs_in = signs_in;
        self
    }

    /// Returns the value of `key`; the redactor knows it before the caller.
    pub(crate) async fn resolve(&self, key: &SecretName) -> Result<Secret, Error> {
        let value = self.value(key).await?;
        self.check_value(key, &value, VALUE_BYTES_MIN)?;
        self.redactor.register(&value);
        Ok(value)
    }

    /// Returns the value of `key` for a setting, which may be of any length.
    pub(super) async fn resolve_setting(&self, key: &SecretName) -> Result<Secret, Error> {
        let value = self.value(key).await?;
        self.check_value(key, &value, 0)?;
        if SETTING_SCRUBBED_BYTES_MIN <= value.expose().len() {
            self.redactor.register(&value);
        }
        Ok(value)
    }

    /// Returns the value that is remembered, or reads it.
    async fn value(&self, key: &SecretName) -> Result<Secret, Error> {
        let slot = if self.lifetime.ttl.is_zero() { None } else { self.slot(key) };
        let Some(slot) = slot else { return self.read(key).await };

        let seen = slot.ended.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let now = self.clock.elapsed();
        let freshness = state.value.as_ref().map(|(_, age)| self.lifetime.judge(*age, now));
        match (freshness, &state.value) {
            (Some(Freshness::Fresh), Some((value, _))) => return Ok(value.clone()),
            (Some(Freshness::Gone), _) => state.value = None,
            _ => {}
        }
        // Somebody asked while this caller waited, and failed: the answer would be the same.
        if seen != slot.ended.load(Ordering::Acquire)
            && let Some(error) = &state.failure
        {
            return Err(error.clone());
        }
        let result = self.read(key).await;
        let result = self.remember(&mut state, key, result);
        slot.ended.fetch_add(1, Ordering::Release);
        result
    }

    /// Keeps a new value; falls back on the last one when there is no answer about the secret.
    fn remember(
        &self,
        state: &mut State,
        key: &SecretName,
        result: Result<Secret, Error>,
    ) -> Result<Secret, Error> {
        let now = self.clock.elapsed();
        match result {
            Ok(value) => {
                let age = Age { read_at: now, failed_at: None, is_refused: false };
                state.value = Some((value.clone(), age));
                state.failure = None;
                Ok(value)
            }
            Err(error) => {
                state.failure = Some(error.clone());
                match &mut state.value {
                    // An outage, a redirect, a bootstrap file that is being rewritten.
                    Some((value, age)) if !error.is_answer() => {
                        age.failed_at = Some(now);
                        self.warn(key, &error, now.saturating_sub(age.read_at));
                        Ok(value.clone())
                    }
                    // Forbidden or deleted is an answer: the last value must not outlive it.
                    _ => {
                        state.value = None;
                        Err(error)
                    }
                }
            }
        }
    }

    fn warn(&self, key: &SecretName, error: &Error, age: Duration) {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(
            scope = %self.provider.scope(),
            key = %key,
            age_seconds = age.as_secs(),
            error = %error,
            cause,
            "using the last value of a secret that cannot be read again for now"
        );
    }

    /// Sets the value of `key`; the redactor knows it before the provider.
    pub(super) async fn put(&self, key: &SecretName, value: &Secret) -> Result<(), Error> {
        self.check_value(key, value, VALUE_BYTES_MIN)?;
        self.redactor.register(value);
        let result = self.ask(|| self.provider.put(key, value)).await;
        self.forget(key);
        result
    }

    /// Removes `key`; says whether it was there.
    pub(super) async fn delete(&self, key: &SecretName) -> Result<bool, Error> {
        let result = self.ask(|| self.provider.delete(key)).await;
        self.forget(key);
        result
    }

    /// Returns the keys of the scope, sorted.
    pub(crate) async fn keys(&self) -> Result<Vec<String>, Error> {
        self.ask(|| self.provider.keys()).await
    }

    async fn read(&self, key: &SecretName) -> Result<Secret, Error> {
        self.ask(|| self.read_once(key)).await
    }

    /// Asks the provider. One that was refused has given up the credential it signed in with;
    /// should that have been rotated, the second attempt has the new one.
    async fn ask<T, F, Fut>(&self, ask: F) -> Result<T, Error>
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = Result<T, Error>> + Send,
    {
        match ask().await {
            Err(error) if self.signs_in && error.class() == ErrorClass::Permission => ask().await,
            result => result,
        }
    }

    async fn read_once(&self, key: &SecretName) -> Result<Secret, Error> {
        let found = match self.pins.get(key) {
            Some(version) => self.provider.get_version(key, version).await?,
            None => self.provider.get(key).await?,
        };
        found.ok_or_else(|| Error::Missing {
            scope: self.provider.scope().to_string(),
            key: key.to_string(),
            remedy: self.provider.remedy(key),
        })
    }

    /// Refuses a value of a length that it must not have, and forgets it, so that a better one is
    /// seen at once.
    fn check_value(&self, key: &SecretName, value: &Secret, bytes_min: usize) -> Result<(), Error> {
        let bytes = value.expose().len();
        let reason = if VALUE_BYTES_MAX < bytes {
            "the value is larger than 128 KiB".to_owned()
        } else if bytes < bytes_min {
            format!(
                "the value has fewer than {bytes_min} bytes, too short to be a secret; {}",
                self.provider.remedy(key)
            )
        } else {
            return Ok(());
        };
        self.forget(key);
        Err(self.provider.unusable(key, &reason))
    }

    /// Says that the value was refused by whom it was shown to: the next use reads it again.
    pub(crate) async fn invalidate(&self, key: &SecretName) {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let Some(slot) = slot else { return };
        let mut state = slot.state.lock().await;
        let now = self.clock.elapsed();
        if let Some((_, age)) = &mut state.value
            && INVALIDATE_MIN_AGE <= now.saturating_sub(age.read_at)
        {
            age.is_refused = true;
        }
    }

    /// Forgets what is remembered of `key`.
    fn forget(&self, key: &SecretName) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn slot(&self, key: &SecretName) -> Option<Arc<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(key) && KEYS_REMEMBERED_MAX <= slots.len() {
            return None;
        }
        Some(Arc::clone(slots.entry(key.clone()).or_default()))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("provider", &self.provider)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
