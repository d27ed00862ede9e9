//! The table of scopes: turns a reference into a value and tells the redactor.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    EnvProvider, Error, FileProvider, Redactor, Secret, SecretName, SecretProvider, SecretRef,
};

/// Values shorter than this are refused: they are no secret, and scrubbing them would tear holes
/// into every text.
const VALUE_BYTES_MIN: usize = 4;

/// What stands behind one scope, as the settings say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeConfig {
    /// Environment variables that start with `prefix`.
    Env {
        /// Put before the upper-case key.
        prefix: String,
    },
    /// One file per key.
    File {
        /// The folder.
        dir: PathBuf,
    },
}

impl ScopeConfig {
    /// Returns the provider's name in the settings.
    #[must_use]
    pub const fn provider_name(&self) -> &'static str {
        match self {
            Self::Env { .. } => "env",
            Self::File { .. } => "file",
        }
    }
}

/// All scopes. Clones share their providers and redactor.
#[derive(Clone, Debug)]
pub struct Scopes {
    providers: BTreeMap<SecretName, Arc<dyn SecretProvider>>,
    redactor: Redactor,
}

impl Scopes {
    /// Creates the providers of `scopes`; nothing is read yet.
    #[must_use]
    pub fn new(scopes: &BTreeMap<SecretName, ScopeConfig>, redactor: Redactor) -> Self {
        let providers = scopes.iter().map(|(name, config)| {
            let provider: Arc<dyn SecretProvider> = match config {
                ScopeConfig::Env { prefix } => {
                    Arc::new(EnvProvider::new(name.clone(), prefix.clone()))
                }
                ScopeConfig::File { dir } => Arc::new(FileProvider::new(name.clone(), dir.clone())),
            };
            (name.clone(), provider)
        });
        Self { providers: providers.collect(), redactor }
    }

    /// Adds or replaces a scope, for providers that are built elsewhere.
    pub fn insert(&mut self, scope: SecretName, provider: Arc<dyn SecretProvider>) {
        self.providers.insert(scope, provider);
    }

    /// Returns the value behind `reference` as it is now; the redactor knows it before the caller.
    ///
    /// # Errors
    /// The scope or key does not exist, the provider cannot be asked, or the value is too short to
    /// be a secret.
    pub async fn resolve(&self, reference: &SecretRef) -> Result<Secret, Error> {
        let SecretRef { scope, key } = reference;
        let provider = self.providers.get(scope).ok_or_else(|| Error::UnknownScope {
            scope: scope.to_string(),
            key: key.to_string(),
            known: self.known(),
        })?;
        let secret = provider.get(key).await?.ok_or_else(|| Error::Missing {
            scope: scope.to_string(),
            key: key.to_string(),
            remedy: provider.remedy(key),
        })?;
        if secret.expose().len() < VALUE_BYTES_MIN {
            return Err(Error::Unusable {
                scope: scope.to_string(),
                key: key.to_string(),
                reason: format!(
                    "the value has fewer than {VALUE_BYTES_MIN} bytes, too short to be a secret; \
                     {}",
                    provider.remedy(key)
                ),
            });
        }
        self.redactor.register(&secret);
        Ok(secret)
    }

    /// Returns the scopes and their providers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretName, &dyn SecretProvider)> {
        self.providers.iter().map(|(name, provider)| (name, provider.as_ref()))
    }

    fn known(&self) -> String {
        let names: Vec<String> = self.providers.keys().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, error::Error as _, fs, os::unix::fs::PermissionsExt};

    use super::{ScopeConfig, Scopes};
    use crate::Redactor;

    #[tokio::test]
    async fn errors_name_scope_and_key_and_never_the_value() {
        let dir = tempfile::tempdir().unwrap();
        let put = |key: &str, value: &str, mode| {
            let path = dir.path().join(key);
            fs::write(&path, value).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("open", "cnry-open", 0o644);
        put("tiny", "cn", 0o600);
        put("good", "cnry-good", 0o600);
        let scopes = BTreeMap::from([(
            "local".parse().unwrap(),
            ScopeConfig::File { dir: dir.path().to_owned() },
        )]);
        let redactor = Redactor::default();
        let scopes = Scopes::new(&scopes, redactor.clone());

        for (reference, wanted) in [
            ("{{secrets/vault/key}}", "no such scope"),
            ("{{secrets/local/absent}}", "is not set: write it to the file"),
            ("{{secrets/local/open}}", "chmod 600"),
            ("{{secrets/local/tiny}}", "too short"),
        ] {
            let error = scopes.resolve(&reference.parse().unwrap()).await.unwrap_err();
            let text = format!("{error} {error:?} {:?}", error.source());
            assert!(text.contains(wanted), "{text}");
            assert!(text.contains(reference.split('/').nth(1).unwrap()), "{text}");
            assert!(!text.contains("cnry"), "{text}");
        }

        let secret = scopes.resolve(&"{{secrets/local/good}}".parse().unwrap()).await.unwrap();
        assert_eq!(secret.expose(), "cnry-good");
        assert_eq!(redactor.scrub("key=cnry-good"), "key=[redacted]");
    }
}
