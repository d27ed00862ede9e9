//! The suite over a local vault, and what happens to a file that others touch.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use age::{secrecy::ExposeSecret, x25519};
use async_trait::async_trait;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::{
    VaultProvider,
    sealed::{Opener, VaultError},
};
use crate::{
    Credential, Error, ErrorClass, ManualClock, Secret, SecretName, SecretProvider, VaultConfig,
    VaultKey,
    provider::{
        contract::{ProviderFixture, everything_of, provider_contract},
        double::{bench::Rotating, write_private},
    },
};

/// Cheap enough for tests: 1 MiB of work.
const WORK_FACTOR: u8 = 10;

const PASSPHRASE: &str = "cnry-open-sesame";

struct Fixture {
    provider: VaultProvider,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn with_passphrase(path: PathBuf, passphrase: &str) -> VaultProvider {
    let scope: SecretName = "local".parse().unwrap();
    let reference = "{{secrets/env/passphrase}}".parse().unwrap();
    let config = VaultConfig { path, key: VaultKey::Passphrase(reference) };
    let value = Secret::new(passphrase.to_owned());
    let credential = Credential::fixed(scope.clone(), "passphrase", value);
    let clock = Arc::new(ManualClock::default());
    VaultProvider::new(scope, &config, vec![credential], clock).with_work_factor(WORK_FACTOR)
}

fn with_key_file(path: PathBuf, key_file: PathBuf) -> VaultProvider {
    let config = VaultConfig { path, key: VaultKey::File(key_file) };
    let clock = Arc::new(ManualClock::default());
    VaultProvider::new("local".parse().unwrap(), &config, Vec::new(), clock)
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.age");
    Fixture { provider: with_passphrase(path.clone(), PASSPHRASE), path, _folder: folder }
}

fn key(name: &str) -> SecretName {
    name.parse().unwrap()
}

fn secret(value: &str) -> Secret {
    Secret::new(value.to_owned())
}

#[async_trait]
impl ProviderFixture for Fixture {
    fn provider(&self) -> &dyn SecretProvider {
        &self.provider
    }

    async fn put(&self, name: &str, value: &str) -> Option<String> {
        // Another process writes; this one sees it.
        let other = with_passphrase(self.path.clone(), PASSPHRASE);
        other.put(&key(name), &secret(value)).await.unwrap();
        None
    }

    async fn remove(&self, name: &str) {
        let other = with_passphrase(self.path.clone(), PASSPHRASE);
        assert!(other.delete(&key(name)).await.unwrap());
    }

    fn is_writable(&self) -> bool {
        true
    }
}

#[track_caller]
fn check(result: Result<Option<Secret>, Error>, wanted: &str, class: ErrorClass) {
    let error = result.expect_err(wanted);
    let text = everything_of(&error);
    assert!(text.contains(wanted), "`{wanted}` is not in: {text}");
    assert!(!text.contains("cnry"), "{text}");
    assert_eq!(error.class(), class, "{text}");
}

#[tokio::test]
async fn a_vault_with_a_passphrase_keeps_the_contract() {
    provider_contract(&fixture()).await;
}

#[tokio::test]
async fn a_vault_with_a_key_file_holds_what_was_put_and_opens_for_no_other_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["key", "other-key"] {
        let identity = x25519::Identity::generate().to_string();
        let text = format!("# made by age-keygen\n{}\n", identity.expose_secret());
        write_private(&path(name), &text);
    }
    let vault = with_key_file(path("v.age"), path("key"));
    vault.put(&key("a"), &secret("cnry-a")).await.unwrap();
    let again = with_key_file(path("v.age"), path("key"));
    assert_eq!(again.get(&key("a")).await.unwrap().unwrap().expose(), "cnry-a");

    let other = with_key_file(path("v.age"), path("other-key"));
    check(other.get(&key("a")).await, "the key file does not open it", ErrorClass::Permission);
    assert!(other.put(&key("b"), &secret("cnry-b")).await.is_err(), "nothing is overwritten");
    let none = with_key_file(path("v.age"), path("none"));
    check(none.get(&key("a")).await, "does not exist; make one", ErrorClass::Config);
    write_private(&path("empty"), "# nothing\n");
    let empty = with_key_file(path("v.age"), path("empty"));
    check(empty.get(&key("a")).await, "holds no line AGE-SECRET-KEY", ErrorClass::Config);
    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o640)).unwrap();
    let open = with_key_file(path("v.age"), path("key"));
    check(open.get(&key("a")).await, "is open to other users", ErrorClass::Config);
}

/// A vault whose passphrase is remembered for `ttl`.
fn with_rotating(path: PathBuf, passphrase: &Rotating, ttl: Duration) -> VaultProvider {
    let reference = "{{secrets/env/passphrase}}".parse().unwrap();
    let config = VaultConfig { path, key: VaultKey::Passphrase(reference) };
    let clock = Arc::new(ManualClock::default());
    let credential = passphrase.credential("passphrase", ttl, &clock);
    let vault = VaultProvider::new("local".parse().unwrap(), &config, vec![credential], clock);
    vault.with_work_factor(WORK_FACTOR)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_at_a_start_open_the_vault_once() {
    let fixture = fixture();
    fixture.provider.put(&key("a"), &secret("cnry-a")).await.unwrap();
    let passphrase = Rotating::new(PASSPHRASE);
    let vault = Arc::new(with_rotating(fixture.path.clone(), &passphrase, Duration::ZERO));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move { vault.get(&key("a")).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().unwrap().expose(), "cnry-a");
    }
    assert_eq!(passphrase.reads(), 1, "each opening reads the passphrase");
}

#[tokio::test]
async fn a_passphrase_that_was_changed_is_read_again() {
    let fixture = fixture();
    let passphrase = Rotating::new(PASSPHRASE);
    let vault = with_rotating(fixture.path.clone(), &passphrase, Duration::from_secs(3600));
    vault.put(&key("a"), &secret("cnry-a")).await.unwrap();

    fs::remove_file(&fixture.path).unwrap();
    let changed = with_passphrase(fixture.path.clone(), "cnry-close-sesame");
    changed.put(&key("a"), &secret("cnry-again")).await.unwrap();
    passphrase.set("cnry-close-sesame");
    vault.clock.sleep(Duration::from_secs(10)).await;
    check(vault.get(&key("a")).await, "does not open it", ErrorClass::Permission);
    assert_eq!(vault.get(&key("a")).await.unwrap().unwrap().expose(), "cnry-again");
}

#[tokio::test]
async fn the_file_is_private_and_says_nothing() {
    let fixture = fixture();
    fixture.provider.put(&key("the-name"), &secret("cnry-value")).await.unwrap();
    let mode = fs::metadata(&fixture.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&fixture.path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("cnry") && !text.contains("the-name"), "{text}");

    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&fixture.path, fs::Permissions::from_mode(mode)).unwrap();
        let found = fixture.provider.get(&key("the-name")).await;
        check(found, "run `chmod 600` on it", ErrorClass::Config);
    }
}

#[tokio::test]
async fn a_wrong_passphrase_opens_nothing_and_changes_nothing() {
    let fixture = fixture();
    fixture.provider.put(&key("a"), &secret("cnry-a")).await.unwrap();
    let before = fs::read(&fixture.path).unwrap();
    let wrong = with_passphrase(fixture.path.clone(), "cnry-another-one");
    check(wrong.get(&key("a")).await, "the passphrase does not open it", ErrorClass::Permission);
    assert!(wrong.put(&key("b"), &secret("cnry-b")).await.is_err());
    assert_eq!(fs::read(&fixture.path).unwrap(), before);
    let weak = with_passphrase(fixture.path.with_extension("new"), "cnry");
    let refused = weak.put(&key("a"), &secret("cnry-a")).await.map(|()| None);
    check(refused, "too few for a new vault", ErrorClass::Config);
}

#[tokio::test]
async fn a_damaged_file_says_so() {
    let fixture = fixture();
    fixture.provider.put(&key("a"), &secret("cnry-a")).await.unwrap();
    let whole = fs::read(&fixture.path).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bytes in
        [Vec::new(), b"not age at all".to_vec(), whole[..whole.len() / 2].to_vec(), changed]
    {
        fs::write(&fixture.path, &bytes).unwrap();
        let fresh = with_passphrase(fixture.path.clone(), PASSPHRASE);
        check(fresh.get(&key("a")).await, "it is damaged", ErrorClass::Config);
    }
}

#[test]
fn a_file_that_asks_for_hours_of_work_is_refused_at_once() {
    let opener = Opener::Passphrase { passphrase: secret(PASSPHRASE), cost: WORK_FACTOR };
    let sealed = opener.seal(&super::Entries::default()).unwrap();
    let text = String::from_utf8_lossy(&sealed).into_owned();
    let at = text.find(" 10\n").expect("the work factor stands in the header");
    let mut hostile = sealed[..at].to_vec();
    hostile.extend_from_slice(b" 40\n");
    hostile.extend_from_slice(&sealed[at + 4..]);
    let refused = opener.open(&hostile).err();
    assert!(matches!(refused, Some(VaultError::TooCostly { asked: 40 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_meet_lose_no_key() {
    let fixture = fixture();
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let vault = with_passphrase(fixture.path.clone(), PASSPHRASE);
            tokio::spawn(async move {
                let name = key(&format!("key-{number}"));
                // The clock of the tests runs out of patience before the other is done.
                loop {
                    match vault.put(&name, &secret("cnry-value")).await {
                        Ok(()) => return,
                        Err(error) => assert_eq!(error.class(), ErrorClass::Transient, "{error:?}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(fixture.provider.keys().await.unwrap().len(), 8);
}

#[tokio::test]
async fn what_a_dead_writer_left_behind_is_no_hindrance() {
    let fixture = fixture();
    fs::write(super::beside(&fixture.path, ".new"), "half of it").unwrap();
    fs::write(super::beside(&fixture.path, ".lock"), "").unwrap();
    fixture.provider.put(&key("a"), &secret("cnry-a")).await.unwrap();
    assert_eq!(fixture.provider.keys().await.unwrap(), ["a"]);
}

proptest! {
    // Each case measures this machine, as `age` does for passphrases.
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_bytes_make_it_fall(bytes in proptest::collection::vec(0..=255_u8, 0..200)) {
        let opener = Opener::Passphrase { passphrase: secret(PASSPHRASE), cost: WORK_FACTOR };
        prop_assert!(opener.open(&bytes).is_err());
        let mut with_header = b"age-encryption.org/v1\n".to_vec();
        with_header.extend_from_slice(&bytes);
        prop_assert!(opener.open(&with_header).is_err());
    }
}
