//! What stands behind a scope.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Clock, Credential, Error, Redactor, ScopeConfig, Secret, SecretName};

mod aws_secrets_manager;
mod azure_key_vault;
#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod double;
pub(crate) mod env;
mod file;
mod hashicorp_vault;
mod listing;
mod owned_file;
pub(crate) mod vault;

use aws_secrets_manager::AwsSecretsManager;
use azure_key_vault::AzureKeyVault;
use env::EnvProvider;
use file::FileProvider;
use hashicorp_vault::HashicorpVault;
use vault::VaultProvider;

/// Largest value accepted, the limit of Databricks secret scopes.
pub const VALUE_BYTES_MAX: usize = 128 * 1024;

impl ScopeConfig {
    /// Creates what stands behind the scope `name`; nothing is read and nobody is asked yet.
    /// `credentials` holds the secrets of [`references`](Self::references), in their order.
    pub(crate) fn provider(
        &self,
        name: SecretName,
        credentials: Vec<Credential>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Arc<dyn SecretProvider> {
        match self {
            Self::Env { prefix } => Arc::new(EnvProvider::new(name, prefix.clone())),
            Self::File { dir } => Arc::new(FileProvider::new(name, dir.clone())),
            Self::Vault(config) => Arc::new(VaultProvider::new(name, config, credentials, clock)),
            Self::AzureKeyVault(config) => {
                Arc::new(AzureKeyVault::new(name, config.clone(), credentials, redactor, clock))
            }
            Self::AwsSecretsManager(config) => {
                Arc::new(AwsSecretsManager::new(name, config.clone(), credentials, redactor, clock))
            }
            Self::HashicorpVault(config) => {
                Arc::new(HashicorpVault::new(name, config.clone(), credentials, redactor, clock))
            }
        }
    }
}

/// A place that keeps secrets.
///
/// A provider keeps no copy of a value, so that a rotated one is seen by the next call; what is
/// remembered, and for how long, is decided in one place, [`Scopes`](crate::Scopes).
#[async_trait]
pub trait SecretProvider: std::fmt::Debug + Send + Sync {
    /// Returns the name of the scope, for messages.
    fn scope(&self) -> &SecretName;

    /// Returns the value of `key`, or `None` when the provider has no such key.
    ///
    /// # Errors
    /// The provider cannot be asked, or the value must not be used (not text, readable by other
    /// users). Whether it has the length of a secret is for [`Scopes`](crate::Scopes) to judge.
    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error>;

    /// Returns the value that `key` had as `version`, in the provider's own notation, or `None`
    /// when there is no such key or version.
    ///
    /// # Errors
    /// As for [`get`](Self::get), or the provider keeps no versions.
    async fn get_version(&self, key: &SecretName, version: &str) -> Result<Option<Secret>, Error> {
        let _ = version;
        Err(self.unusable(key, "this provider keeps no versions; remove the key from `pins`"))
    }

    /// Returns the keys of the scope, sorted; values are not read.
    ///
    /// # Errors
    /// The provider cannot be asked.
    async fn keys(&self) -> Result<Vec<String>, Error>;

    /// Sets `key` to `value`, for readers from now on.
    ///
    /// # Errors
    /// The provider is read-only, or cannot be written.
    async fn put(&self, key: &SecretName, value: &Secret) -> Result<(), Error> {
        let _ = value;
        Err(self.read_only(key))
    }

    /// Removes `key`; says whether it was there.
    ///
    /// # Errors
    /// The provider is read-only, or cannot be written.
    async fn delete(&self, key: &SecretName) -> Result<bool, Error> {
        Err(self.read_only(key))
    }

    /// Says in one line where `key` is looked up and how an operator sets it. Never the value.
    fn remedy(&self, key: &SecretName) -> String;

    /// Returns the error of a provider that is never written through marketlake.
    fn read_only(&self, key: &SecretName) -> Error {
        Error::ReadOnly {
            scope: self.scope().to_string(),
            reason: format!("marketlake never writes there; {}", self.remedy(key)),
        }
    }

    /// Returns the error of a value that is there and must not be used.
    fn unusable(&self, key: &SecretName, reason: &str) -> Error {
        Error::Unusable {
            scope: self.scope().to_string(),
            key: key.to_string(),
            reason: reason.to_owned(),
        }
    }
}
