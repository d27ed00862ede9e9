//! The table of scopes: turns a reference into a value and tells the redactor.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    Clock, Credential, Error, Redactor, ScopeConfig, Secret, SecretName, SecretRef, SystemClock,
};

mod freshness;
mod scope;

pub(crate) use freshness::Lifetime;
pub(crate) use scope::Scope;

/// A scope whose values are read for every use.
const ALWAYS_READ: Lifetime = Lifetime { ttl: Duration::ZERO, stale_max: Duration::ZERO };

/// All scopes. Clones share their providers and what is remembered.
#[derive(Clone, Debug)]
pub struct Scopes {
    scopes: BTreeMap<SecretName, Arc<Scope>>,
}

impl Scopes {
    /// Creates the providers of `scopes`; nothing is read and nobody is asked yet.
    ///
    /// A scope whose own credential leads nowhere, or in a circle, says so when it is used;
    /// [`ScopeConfig::check_all`] says it before.
    #[must_use]
    pub fn new(scopes: &BTreeMap<SecretName, ScopeConfig>, redactor: Redactor) -> Self {
        Self::with_clock(scopes, redactor, Arc::new(SystemClock::default()))
    }

    /// The same over another clock.
    pub(crate) fn with_clock(
        scopes: &BTreeMap<SecretName, ScopeConfig>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut builder =
            Builder { configs: scopes, built: BTreeMap::new(), redactor: &redactor, clock: &clock };
        for name in scopes.keys() {
            builder.build(name, &mut BTreeSet::new());
        }
        Self { scopes: builder.built }
    }

    /// Returns the value behind `reference`; the redactor knows it before the caller.
    ///
    /// A value of a remote service is at most `cache_ttl` old. Many callers make one request.
    /// While there is no answer about the secret (the service is down, the sign-in fails), the last
    /// value is used for up to `stale_max`, with a warning in the log.
    ///
    /// # Errors
    /// The scope or key does not exist, the provider cannot be asked, or the value is too short or
    /// too large to be a secret.
    pub async fn resolve(&self, reference: &SecretRef) -> Result<Secret, Error> {
        self.scope(reference)?.resolve(&reference.key).await
    }

    /// Returns the value behind a `reference` that stands for a setting, such as `true` or `6`:
    /// unlike a secret it may be short, and a short one, being a word of many texts, is not told to
    /// the redactor. It is remembered as secrets are.
    ///
    /// # Errors
    /// The scope or key does not exist, the provider cannot be asked, or the value is too large.
    pub async fn resolve_setting(&self, reference: &SecretRef) -> Result<Secret, Error> {
        self.scope(reference)?.resolve_setting(&reference.key).await
    }

    /// Says that the value behind `reference` was refused (status 401 or 403, a failed login): the
    /// next [`resolve`](Self::resolve) reads it again, so that a rotated secret is used at once.
    pub async fn invalidate(&self, reference: &SecretRef) {
        if let Some(scope) = self.scopes.get(&reference.scope) {
            scope.invalidate(&reference.key).await;
        }
    }

    /// Sets the value behind `reference`; the redactor knows it before the provider.
    ///
    /// # Errors
    /// There is no such scope, it is read-only or cannot be written, or the value is too short or
    /// too large to be a secret.
    pub async fn put(&self, reference: &SecretRef, value: &Secret) -> Result<(), Error> {
        self.scope(reference)?.put(&reference.key, value).await
    }

    /// Removes the value behind `reference`; says whether it was there.
    ///
    /// # Errors
    /// There is no such scope, it is read-only, or it cannot be written.
    pub async fn delete(&self, reference: &SecretRef) -> Result<bool, Error> {
        self.scope(reference)?.delete(&reference.key).await
    }

    /// Returns the scopes, sorted by name, each with what asks for its keys; they come sorted, or
    /// fail when the provider cannot be asked.
    pub fn keys(
        &self,
    ) -> impl Iterator<Item = (&SecretName, impl Future<Output = Result<Vec<String>, Error>>)> {
        self.scopes.iter().map(|(name, scope)| (name, scope.keys()))
    }

    fn scope(&self, reference: &SecretRef) -> Result<&Arc<Scope>, Error> {
        self.scopes
            .get(&reference.scope)
            .ok_or_else(|| unknown_scope(reference, self.scopes.keys()))
    }
}

fn unknown_scope<'names>(
    reference: &SecretRef,
    known: impl Iterator<Item = &'names SecretName>,
) -> Error {
    let names: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    Error::UnknownScope {
        scope: reference.scope.to_string(),
        key: reference.key.to_string(),
        known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
    }
}

/// Builds every scope after those it needs.
struct Builder<'table> {
    configs: &'table BTreeMap<SecretName, ScopeConfig>,
    built: BTreeMap<SecretName, Arc<Scope>>,
    redactor: &'table Redactor,
    clock: &'table Arc<dyn Clock>,
}

impl Builder<'_> {
    /// Returns the scope, built if needed. `open` holds the scopes that wait for this one, so the
    /// depth is bounded by their number.
    fn build(&mut self, name: &SecretName, open: &mut BTreeSet<SecretName>) -> Option<Arc<Scope>> {
        if let Some(scope) = self.built.get(name) {
            return Some(Arc::clone(scope));
        }
        let config = self.configs.get(name)?;
        open.insert(name.clone());
        let credentials = config.references().into_iter().map(|(field, reference)| {
            let origin = if open.contains(&reference.scope) {
                Err(self.cycle(&reference.scope))
            } else {
                self.build(&reference.scope, open)
                    .ok_or_else(|| unknown_scope(reference, self.configs.keys()))
            };
            Credential::of_scope(name.clone(), field, origin, reference.clone())
        });
        let credentials: Vec<Credential> = credentials.collect();
        open.remove(name);
        let scope = Arc::new(self.scope(name, config, credentials));
        self.built.insert(name.clone(), Arc::clone(&scope));
        Some(scope)
    }

    fn cycle(&self, scope: &SecretName) -> Error {
        let circle = ScopeConfig::circle(self.configs, scope).unwrap_or_default();
        let names: Vec<String> = circle.iter().map(|name| format!("`{name}`")).collect();
        Error::Cycle { scope: scope.to_string(), path: names.join(" needs ") }
    }

    fn scope(
        &self,
        name: &SecretName,
        config: &ScopeConfig,
        credentials: Vec<Credential>,
    ) -> Scope {
        let (redactor, clock) = (self.redactor.clone(), Arc::clone(self.clock));
        let provider = config.provider(name.clone(), credentials, redactor, clock);
        let (lifetime, pins) = match config.remote() {
            Some(remote) => (
                Lifetime { ttl: remote.cache_ttl, stale_max: remote.stale_max },
                remote.pins.clone(),
            ),
            None => (ALWAYS_READ, BTreeMap::new()),
        };
        let (redactor, clock) = (self.redactor.clone(), Arc::clone(self.clock));
        Scope::new(provider, lifetime, pins, redactor, clock)
            .signing_in(!config.references().is_empty())
    }
}

#[cfg(test)]
mod tests;
