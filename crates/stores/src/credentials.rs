//! Credentials that follow their options: a rotated key signs the next request.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use object_store::{CredentialProvider, Result};
use tokio::sync::Mutex;

use crate::{
    options::{Options, is_secret_option},
    redact::Secrets,
    service::{Plan, Values},
    trouble::mend,
};

/// A provider of one kind of credential.
pub(crate) type Provider<C> = Arc<dyn CredentialProvider<Credential = C>>;

/// Builds the provider that belongs to a set of options: a fixed key, or one that fetches tokens
/// and keeps them while they are good.
pub(crate) type Issuer<C> = fn(&Plan, &Values) -> Result<Provider<C>>;

/// Asks for the options before every signature, and builds a new provider when they changed.
pub(crate) struct Rotating<C> {
    plan: Plan,
    options: Arc<dyn Options>,
    secrets: Arc<Secrets>,
    issuer: Issuer<C>,
    current: Mutex<Option<(Values, Provider<C>)>>,
}

impl<C> Rotating<C> {
    pub(crate) fn new(
        plan: Plan,
        options: Arc<dyn Options>,
        secrets: Arc<Secrets>,
        issuer: Issuer<C>,
    ) -> Self {
        Self { plan, options, secrets, issuer, current: Mutex::new(None) }
    }
}

impl<C> fmt::Debug for Rotating<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The providers of object_store show their keys.
        f.write_str("Rotating(…)")
    }
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync + 'static> CredentialProvider for Rotating<C> {
    type Credential = C;

    async fn get_credential(&self) -> Result<Arc<C>> {
        let unresolved = |source| object_store::Error::Generic { store: "options", source };
        let values = self.options.current().await.map_err(|error| unresolved(Box::new(error)))?;
        let provider = {
            let mut current = self.current.lock().await;
            match current.as_ref() {
                Some((known, provider)) if *known == values => Arc::clone(provider),
                _ => {
                    learn(&self.secrets, &self.plan, &values);
                    let provider = (self.issuer)(&self.plan, &values)
                        .map_err(|error| mend(error, &self.secrets))?;
                    *current = Some((values, Arc::clone(&provider)));
                    provider
                }
            }
        };
        // Not under the lock: fetching a token takes a round trip, and the provider orders it.
        provider.get_credential().await.map_err(|error| mend(error, &self.secrets))
    }
}

/// Tells the redaction which values are secret.
pub(crate) fn learn(secrets: &Secrets, plan: &Plan, values: &Values) {
    let kind = plan.bucket.kind;
    let secret = values.iter().filter(|(name, _)| is_secret_option(kind, name));
    secrets.learn(secret.map(|(_, value)| value.clone()));
}
