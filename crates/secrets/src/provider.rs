//! What stands behind a scope, and the contract every provider passes.

use async_trait::async_trait;

use crate::{Error, Secret, SecretName};

#[cfg(any(test, feature = "test-util"))]
pub mod contract;
pub mod env;
pub mod file;

/// Largest value accepted, the limit of Databricks secret scopes.
pub const VALUE_BYTES_MAX: usize = 128 * 1024;

/// A place that keeps secrets. Read only: marketlake never writes a secret anywhere.
///
/// A provider keeps no copy, so that a rotated value is seen by the next call.
#[async_trait]
pub trait SecretProvider: std::fmt::Debug + Send + Sync {
    /// Returns the value of `key`, or `None` when the provider has no such key.
    ///
    /// # Errors
    /// The provider cannot be asked, or the value must not be used (too large, not text, readable
    /// by other users).
    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error>;

    /// Returns the keys of the scope, sorted; values are not read.
    ///
    /// # Errors
    /// The provider cannot be asked.
    async fn keys(&self) -> Result<Vec<String>, Error>;

    /// Says in one line where `key` is looked up and how an operator sets it. Never the value.
    fn remedy(&self, key: &SecretName) -> String;
}
