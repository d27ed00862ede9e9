//! Secrets from environment variables: key `marketstack-access-key` with prefix `ML_` is
//! `ML_MARKETSTACK_ACCESS_KEY`.

use std::{ffi::OsString, fmt, sync::Arc};

use async_trait::async_trait;

use crate::{Error, Secret, SecretName, SecretProvider};

/// The variables of a process: all names and values at this moment.
type Variables = Arc<dyn Fn() -> Vec<(OsString, OsString)> + Send + Sync>;

/// Reads one variable per key.
#[derive(Clone)]
pub(crate) struct EnvProvider {
    scope: SecretName,
    prefix: String,
    variables: Variables,
}

impl EnvProvider {
    /// Creates a provider over the variables of this process.
    #[must_use]
    pub(crate) fn new(scope: SecretName, prefix: String) -> Self {
        Self::over(scope, prefix, Arc::new(|| std::env::vars_os().collect()))
    }

    /// Creates a provider over other variables, for tests.
    #[must_use]
    pub(crate) fn over(scope: SecretName, prefix: String, variables: Variables) -> Self {
        Self { scope, prefix, variables }
    }

    /// Returns the variable that holds `key`: upper case, every other character an underscore.
    #[must_use]
    pub(crate) fn variable(&self, key: &SecretName) -> String {
        let upper = key.as_str().chars().map(|character| match character {
            'a'..='z' => character.to_ascii_uppercase(),
            'A'..='Z' | '0'..='9' => character,
            _ => '_',
        });
        self.prefix.chars().chain(upper).collect()
    }
}

impl fmt::Debug for EnvProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvProvider")
            .field("scope", &self.scope)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for EnvProvider {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        let variable = self.variable(key);
        let found = (self.variables)().into_iter().find(|(name, _)| *name == *variable);
        let Some((_, value)) = found else {
            return Ok(None);
        };
        let value = value.into_string().map_err(|_| {
            self.unusable(key, &format!("environment variable `{variable}` is not UTF-8 text"))
        })?;
        Ok(Some(Secret::new(value)))
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let names = (self.variables)().into_iter().filter_map(|(name, _)| name.into_string().ok());
        let mut keys: Vec<String> = names
            .filter_map(|name| name.strip_prefix(&self.prefix).map(str::to_owned))
            .filter(|key| !key.is_empty())
            .map(|key| key.to_ascii_lowercase().replace('_', "-"))
            .collect();
        keys.sort();
        Ok(keys)
    }

    fn remedy(&self, key: &SecretName) -> String {
        format!("set the environment variable `{}`", self.variable(key))
    }
}
