//! The suite over what lies on this machine: variables and files.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;

use super::{ProviderFixture, provider_contract};
use crate::{
    Error, SecretName, SecretProvider,
    provider::{double::write_private, env::EnvProvider, file::FileProvider},
};

fn scope() -> SecretName {
    "test".parse().unwrap()
}

struct Variables {
    provider: EnvProvider,
    values: Arc<Mutex<BTreeMap<String, String>>>,
}

#[async_trait]
impl ProviderFixture for Variables {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        let name = self.provider.variable(&key.parse().unwrap());
        self.values.lock().unwrap().insert(name, value.to_owned());
        None
    }

    async fn remove(&self, key: &str) {
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

#[async_trait]
impl ProviderFixture for Files {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, key: &str, value: &str) -> Option<String> {
        write_private(&self.dir.join(key), &format!("{value}\n"));
        None
    }

    async fn remove(&self, key: &str) {
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
    fixture.put("shared", "cnry-shared").await;
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
    fixture.put("binary", "x").await;
    fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
    fixture.put("large", &"x".repeat(crate::provider::VALUE_BYTES_MAX + 2)).await;
    fixture.put("limit", &"x".repeat(crate::provider::VALUE_BYTES_MAX)).await;
    for key in ["folder", "binary", "large"] {
        let error = fixture.provider.get(&key.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{key}: {error:?}");
    }
    assert!(fixture.provider.get(&"limit".parse().unwrap()).await.unwrap().is_some());
}
