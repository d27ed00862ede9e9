//! What every `SecretProvider` must do; each provider runs it from its own tests.

use crate::{SecretName, SecretProvider};

/// A provider together with the means to change what it keeps.
pub trait ProviderFixture {
    /// The provider under test.
    fn provider(&self) -> &dyn SecretProvider;

    /// Sets `key` to `value` where the provider looks.
    fn put(&self, key: &str, value: &str);

    /// Removes `key`.
    fn remove(&self, key: &str);
}

/// Runs the suite. The fixture starts empty and ends empty.
///
/// # Panics
/// The provider breaks the contract.
pub async fn provider_contract(fixture: &dyn ProviderFixture) {
    let provider = fixture.provider();
    let key: SecretName = "access-key".parse().expect("a valid name");
    let get = async || {
        let secret = provider.get(&key).await.expect("the provider answers");
        secret.map(|secret| secret.expose().to_owned())
    };

    assert_eq!(get().await, None, "a key that was never set is missing, not an error");
    assert!(provider.keys().await.expect("keys").is_empty(), "nothing to list yet");

    fixture.put("access-key", "cnry-first");
    assert_eq!(get().await.as_deref(), Some("cnry-first"), "the value that was set");
    assert_eq!(provider.keys().await.expect("keys"), ["access-key"], "the key is listed");

    fixture.put("access-key", "cnry-second");
    assert_eq!(get().await.as_deref(), Some("cnry-second"), "a rotated value is seen at once");

    fixture.put("access-key", " päss wörd\t=\"{}\" ");
    assert_eq!(
        get().await.as_deref(),
        Some(" päss wörd\t=\"{}\" "),
        "nothing is trimmed or quoted"
    );

    let remedy = provider.remedy(&key);
    assert!(!remedy.contains("cnry") && !remedy.contains("päss"), "a remedy has no value");
    assert!(!format!("{provider:?}").contains("päss"), "debug output has no value");

    fixture.remove("access-key");
    assert_eq!(get().await, None, "a removed key is missing");

    for invalid in ["", ".", "..", "a/b", "../etc/passwd", "a b", "a\0b"] {
        assert!(invalid.parse::<SecretName>().is_err(), "{invalid:?} is no key name");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        fs,
        os::unix::fs::PermissionsExt,
        path::PathBuf,
        sync::{Arc, Mutex},
    };

    use super::{ProviderFixture, provider_contract};
    use crate::{EnvProvider, Error, FileProvider, SecretName, SecretProvider};

    fn scope() -> SecretName {
        "test".parse().unwrap()
    }

    struct Variables {
        provider: EnvProvider,
        values: Arc<Mutex<BTreeMap<String, String>>>,
    }

    impl ProviderFixture for Variables {
        fn provider(&self) -> &dyn SecretProvider {
            &self.provider
        }

        fn put(&self, key: &str, value: &str) {
            let name = self.provider.variable(&key.parse().unwrap());
            self.values.lock().unwrap().insert(name, value.to_owned());
        }

        fn remove(&self, key: &str) {
            let name = self.provider.variable(&key.parse().unwrap());
            self.values.lock().unwrap().remove(&name);
        }
    }

    #[tokio::test]
    async fn environment_variables_keep_the_contract() {
        let values = Arc::new(Mutex::new(BTreeMap::new()));
        values.lock().unwrap().insert("PATH".to_owned(), "/bin".to_owned());
        let shared = Arc::clone(&values);
        let provider = EnvProvider::over(
            scope(),
            "ML_".to_owned(),
            Arc::new(move || {
                let values = shared.lock().unwrap();
                values.iter().map(|(name, value)| (name.into(), value.into())).collect()
            }),
        );
        assert_eq!(provider.variable(&"access-key".parse().unwrap()), "ML_ACCESS_KEY");
        provider_contract(&Variables { provider, values }).await;
    }

    struct Files {
        provider: FileProvider,
        dir: PathBuf,
    }

    impl ProviderFixture for Files {
        fn provider(&self) -> &dyn SecretProvider {
            &self.provider
        }

        fn put(&self, key: &str, value: &str) {
            let path = self.dir.join(key);
            fs::write(&path, format!("{value}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn remove(&self, key: &str) {
            fs::remove_file(self.dir.join(key)).unwrap();
        }
    }

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let provider = FileProvider::new(scope(), path.clone());
        (dir, Files { provider, dir: path })
    }

    #[tokio::test]
    async fn files_keep_the_contract() {
        let (_dir, fixture) = files();
        provider_contract(&fixture).await;
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        let (dir, fixture) = files();
        fixture.put("shared", "cnry-shared");
        let key = "shared".parse().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let path = dir.path().join("shared");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            let error = fixture.provider.get(&key).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("chmod 600"), "{text}");
            assert!(!text.contains("cnry"), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_no_text_file_is_refused() {
        let (dir, fixture) = files();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fixture.put("binary", "x");
        fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
        fixture.put("large", &"x".repeat(super::super::VALUE_BYTES_MAX + 1));
        fixture.put("limit", &"x".repeat(super::super::VALUE_BYTES_MAX));
        for key in ["folder", "binary", "large"] {
            let error = fixture.provider.get(&key.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, Error::Unusable { .. }), "{key}: {error:?}");
        }
        assert!(fixture.provider.get(&"limit".parse().unwrap()).await.unwrap().is_some());
    }
}
