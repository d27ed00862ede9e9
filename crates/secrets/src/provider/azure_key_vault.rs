//! Secrets from Azure Key Vault, read-only as a scope of Databricks on Key Vault is.
//!
//! Microsoft's own client asks and signs in; the connection is ours, so that there are no
//! redirects, answers are bounded, and the bearer token goes to the vault's own host alone.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions, models::SecretClientGetSecretOptions,
};
use futures::TryStreamExt;
use tokio::sync::Mutex;

mod fault;
mod identity;
mod transport;

use fault::Fault;
use transport::AzureTransport;

use super::listing::Listing;
use crate::{
    AzureConfig, Clock, Credential, Error, ErrorClass, Redactor, RemoteError, Secret, SecretName,
    SecretProvider,
    config::is_version,
    http::Http,
    retry::{Retries, retry},
};

/// Longest name of a secret in Key Vault.
const NAME_BYTES_MAX: usize = 127;

/// Reads one vault.
pub(crate) struct AzureKeyVault {
    scope: SecretName,
    config: AzureConfig,
    client_secret: Option<Credential>,
    redactor: Redactor,
    vault_http: Arc<Http>,
    identity_http: Arc<Http>,
    retries: Retries,
    clock: Arc<dyn Clock>,
    client: Mutex<Option<Client>>,
}

/// A client, and the client secret it was made with.
#[derive(Clone)]
struct Client {
    made_with: Option<Secret>,
    inner: Arc<SecretClient>,
}

impl AzureKeyVault {
    /// Creates a provider; vault and Entra are asked at first use. `credentials` holds the client
    /// secret, or nothing.
    #[must_use]
    pub(crate) fn new(
        scope: SecretName,
        config: AzureConfig,
        credentials: Vec<Credential>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let timeout = config.remote.timeout;
        let ca_file = config.remote.ca_file.clone();
        // Public Entra has a public certificate, whatever stands before the vault.
        let identity_ca = config.authority_host.as_ref().and(ca_file.clone());
        Self {
            scope,
            client_secret: credentials.into_iter().next(),
            redactor,
            vault_http: Arc::new(Http::new(timeout, ca_file)),
            identity_http: Arc::new(Http::new(timeout, identity_ca)),
            retries: Retries::default(),
            clock,
            client: Mutex::new(None),
            config,
        }
    }

    /// Returns the client, made anew when the client secret was rotated.
    async fn client(&self, action: &str) -> Result<Arc<SecretClient>, Error> {
        let secret = match &self.client_secret {
            Some(credential) => Some(credential.get().await?),
            None => None,
        };
        let mut client = self.client.lock().await;
        if let Some(client) = &*client
            && client.made_with.as_ref().map(Secret::expose) == secret.as_ref().map(Secret::expose)
        {
            return Ok(Arc::clone(&client.inner));
        }
        let inner = self
            .connect(secret.as_ref())
            .map(Arc::new)
            .map_err(|source| self.failed(action, source))?;
        *client = Some(Client { made_with: secret, inner: Arc::clone(&inner) });
        Ok(inner)
    }

    fn connect(&self, secret: Option<&Secret>) -> Result<SecretClient, RemoteError> {
        let identity = Arc::new(AzureTransport::anywhere(Arc::clone(&self.identity_http)));
        let credential =
            identity::credential(&self.config, secret, identity, self.redactor.clone())?;
        let http = Arc::clone(&self.vault_http);
        let vault = AzureTransport::only_to(http, self.config.vault_url.origin());
        let options = SecretClientOptions {
            client_options: ClientOptions {
                transport: Some(Transport::new(Arc::new(vault))),
                // Repeated by us, in one place for all services.
                retry: RetryOptions::none(),
                ..ClientOptions::default()
            },
            verify_challenge_resource: Some(self.config.verify_challenge_resource),
            ..SecretClientOptions::default()
        };
        SecretClient::new(self.config.vault_url.as_str(), credential, Some(options))
            .map_err(|error| fault::explain(&error).error)
    }

    async fn value(
        &self,
        key: &SecretName,
        version: Option<&str>,
    ) -> Result<Option<Secret>, Error> {
        let action = format!("reading secret `{key}`");
        self.check_name(key)?;
        let client = self.client(&action).await?;
        let ask = || async {
            let options = SecretClientGetSecretOptions {
                secret_version: version.map(str::to_owned),
                ..SecretClientGetSecretOptions::default()
            };
            let answer = client.get_secret(key.as_str(), Some(options)).await;
            let found = answer.and_then(azure_core::http::Response::into_model);
            Self::judge(found.map_err(|error| fault::explain(&error)))
        };
        let result = retry(self.clock.as_ref(), &self.retries, ask).await;
        let found = match result {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(source) if is_disabled(&source) => {
                let reason = "the secret is disabled in the vault; enable it there";
                return Err(self.unusable(key, reason));
            }
            Err(source) => return Err(self.refused(&action, source).await),
        };
        let value = found.value.ok_or_else(|| self.unusable(key, "the vault sent no value"))?;
        Ok(Some(Secret::new(value)))
    }

    fn judge<T>(result: Result<T, Fault>) -> Result<Option<T>, RemoteError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Fault { is_missing: true, .. }) => Ok(None),
            Err(Fault { error, .. }) => Err(error),
        }
    }

    /// Makes the error of a refusal; a client secret that is not accepted is read again next time.
    async fn refused(&self, action: &str, source: RemoteError) -> Error {
        if source.class() == ErrorClass::Permission
            && let Some(credential) = &self.client_secret
        {
            credential.invalidate().await;
        }
        self.failed(action, source)
    }

    /// Key Vault allows fewer characters than a scope does.
    fn check_name(&self, key: &SecretName) -> Result<(), Error> {
        let is_name = key.as_str().len() <= NAME_BYTES_MAX
            && key.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_name {
            return Ok(());
        }
        Err(self.unusable(
            key,
            "names in Key Vault are 1 to 127 letters, digits and `-`; there can be no such secret",
        ))
    }

    fn failed(&self, action: &str, source: RemoteError) -> Error {
        Error::Remote {
            scope: self.scope.to_string(),
            action: action.to_owned(),
            host: self.config.vault_url.host_str().unwrap_or_default().to_owned(),
            source: Box::new(source),
        }
    }
}

fn is_disabled(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Refused { code, .. } if code == "SecretDisabled")
}

impl fmt::Debug for AzureKeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureKeyVault")
            .field("scope", &self.scope)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for AzureKeyVault {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        self.value(key, None).await
    }

    async fn get_version(&self, key: &SecretName, version: &str) -> Result<Option<Secret>, Error> {
        if !is_version(version) {
            return Err(self.unusable(key, "a version in Key Vault is letters, digits and `-`"));
        }
        self.value(key, Some(version)).await
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let action = "listing the keys";
        let client = self.client(action).await?;
        let ask = || async {
            let listed = async {
                let mut pages = client.list_secret_properties(None)?.into_pages();
                let mut listing = Listing::default();
                while let Some(page) = pages.try_next().await? {
                    let page = page.into_model()?;
                    let names = page.value.into_iter().map(|properties| {
                        // The id is an address that ends in the name.
                        let id = properties.id.unwrap_or_default();
                        id.rsplit('/').next().unwrap_or_default().to_owned()
                    });
                    let has_next = page.next_link.is_some_and(|link| !link.is_empty());
                    if !listing.take(names, has_next) {
                        break;
                    }
                }
                Ok(listing)
            };
            listed.await.map_err(|error: azure_core::Error| fault::explain(&error).error)
        };
        match retry(self.clock.as_ref(), &self.retries, ask).await {
            Ok(listing) => Ok(listing.finish(&self.scope)),
            Err(source) => Err(self.refused(action, source).await),
        }
    }

    fn remedy(&self, key: &SecretName) -> String {
        let host = self.config.vault_url.host_str().unwrap_or_default();
        let vault = host.split('.').next().unwrap_or_default();
        format!("write it with `az keyvault secret set --vault-name {vault} --name {key} --file …`")
    }
}

#[cfg(test)]
mod tests;
