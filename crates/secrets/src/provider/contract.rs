//! What every `SecretProvider` must do; each provider runs it from its own tests.

use std::error::Error as _;

use async_trait::async_trait;

use crate::{Error, ErrorClass, Secret, SecretName, SecretProvider};

/// A provider together with the means to change what it keeps.
#[async_trait]
pub(crate) trait ProviderFixture: Sync {
    /// The provider under test.
    fn provider(&self) -> &dyn SecretProvider;

    /// Sets `key` to `value` where the provider looks; returns the version that made, where the
    /// provider has versions.
    async fn put(&self, key: &str, value: &str) -> Option<String>;

    /// Removes `key`.
    async fn remove(&self, key: &str);

    /// Whether the provider itself can write.
    fn is_writable(&self) -> bool {
        false
    }
}

/// What a service can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It knows us and says no.
    Forbidden,
    /// It asks to be left alone for a second.
    Throttled,
    /// It is down.
    Unavailable,
    /// It does not answer.
    Slow,
    /// It ends the connection.
    Cut,
    /// It points elsewhere.
    Redirected,
    /// It sends more than any answer has.
    TooLarge,
    /// It sends something else.
    Garbage,
}

/// A service that does wrong on demand.
pub(crate) trait FaultyFixture: ProviderFixture {
    /// Lets the next answers go wrong.
    fn fail(&self, fault: Fault, times: usize);

    /// Lets all answers be right again.
    fn recover(&self);
}

/// Returns everything that an error prints, as people and as programmers see it.
#[must_use]
pub(crate) fn everything_of(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs the suite. The fixture starts without the keys `access-key` and `other-key`, and ends so.
///
/// # Panics
/// The provider breaks the contract.
pub(crate) async fn provider_contract(fixture: &dyn ProviderFixture) {
    let provider = fixture.provider();
    let key: SecretName = "access-key".parse().expect("a valid name");
    let get = async || {
        let secret = provider.get(&key).await.expect("the provider answers");
        secret.map(|secret| secret.expose().to_owned())
    };
    let is_listed = async || {
        let keys = provider.keys().await.expect("keys");
        assert!(keys.is_sorted(), "keys are sorted");
        keys.iter().any(|listed| listed == "access-key")
    };

    assert_eq!(get().await, None, "a key that was never set is missing, not an error");
    assert!(!is_listed().await, "nothing to list yet");

    let first = fixture.put("access-key", "cnry-first").await;
    assert_eq!(get().await.as_deref(), Some("cnry-first"), "the value that was set");
    assert!(is_listed().await, "the key is listed");

    fixture.put("access-key", "cnry-second").await;
    assert_eq!(get().await.as_deref(), Some("cnry-second"), "a rotated value is seen at once");
    versions(provider, &key, first).await;

    let odd = " p\u{e4}ss w\u{f6}rd\t=\"{}\" ";
    fixture.put("access-key", odd).await;
    assert_eq!(get().await.as_deref(), Some(odd), "nothing is trimmed or quoted");

    let remedy = provider.remedy(&key);
    assert!(!remedy.contains("cnry") && !remedy.contains("w\u{f6}rd"), "a remedy has no value");
    assert!(!format!("{provider:?}").contains("w\u{f6}rd"), "debug output has no value");

    fixture.remove("access-key").await;
    assert_eq!(get().await, None, "a removed key is missing");

    writing(fixture).await;

    for invalid in ["", ".", "..", "a/b", "../etc/passwd", "a b", "a\0b"] {
        assert!(invalid.parse::<SecretName>().is_err(), "{invalid:?} is no key name");
    }
}

/// An old version stays what it was, and an unknown one is missing.
async fn versions(provider: &dyn SecretProvider, key: &SecretName, first: Option<String>) {
    let Some(first) = first else {
        let error = provider.get_version(key, "1").await.expect_err("no versions are kept");
        assert_eq!(error.class(), ErrorClass::Config, "{error}");
        return;
    };
    let found = provider.get_version(key, &first).await.expect("the provider answers");
    assert_eq!(found.as_ref().map(Secret::expose), Some("cnry-first"), "version {first}");
    let unknown: String = first
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { '9' } else { character })
        .collect();
    let found = provider.get_version(key, &unknown).await;
    assert!(matches!(found, Ok(None)), "version {unknown} was never made: {found:?}");
    for invalid in ["../x", "a b", ""] {
        if let Ok(found) = provider.get_version(key, invalid).await {
            assert!(found.is_none(), "{invalid:?} is no version");
        }
    }
}

/// A provider writes and says what it did, or refuses with the way to do it elsewhere.
async fn writing(fixture: &dyn ProviderFixture) {
    let provider = fixture.provider();
    let key: SecretName = "other-key".parse().expect("a valid name");
    let value = Secret::new("cnry-written".to_owned());
    if !fixture.is_writable() {
        for error in [
            provider.put(&key, &value).await.expect_err("read-only"),
            provider.delete(&key).await.map(|_| ()).expect_err("read-only"),
        ] {
            let text = everything_of(&error);
            assert!(text.contains("read-only") && text.to_lowercase().contains("other"), "{text}");
            assert!(!text.contains("cnry"), "{text}");
        }
        return;
    }
    assert!(!provider.delete(&key).await.expect("delete"), "there was nothing to delete");
    for value in ["cnry-written", "cnry-over"] {
        provider.put(&key, &Secret::new(value.to_owned())).await.expect("put");
        let found = provider.get(&key).await.expect("get");
        assert_eq!(found.as_ref().map(Secret::expose), Some(value), "what was put is there");
    }
    assert!(provider.delete(&key).await.expect("delete"), "it was there");
    assert!(provider.get(&key).await.expect("get").is_none(), "it is gone");
    let keys = provider.keys().await.expect("keys");
    assert!(!keys.iter().any(|listed| listed == "other-key"), "it is not listed: {keys:?}");
    provider.put(&key, &value).await.expect("a deleted key can be put again");
    assert!(provider.delete(&key).await.expect("delete"), "it was there");
}

/// Runs what a provider on a service must do when the service does wrong.
///
/// # Panics
/// The provider breaks the contract.
pub(crate) async fn fault_contract(fixture: &dyn FaultyFixture) {
    let provider = fixture.provider();
    let key: SecretName = "access-key".parse().expect("a valid name");
    fixture.put("access-key", "cnry-value").await;

    for fault in [Fault::Throttled, Fault::Unavailable, Fault::Slow, Fault::Cut] {
        fixture.fail(fault, 1);
        let found = provider.get(&key).await;
        assert!(matches!(found, Ok(Some(_))), "{fault:?} once is not noticed: {found:?}");
        fixture.recover();
    }
    for (fault, class) in [
        (Fault::Throttled, ErrorClass::Transient),
        (Fault::Unavailable, ErrorClass::Transient),
        (Fault::Slow, ErrorClass::Transient),
        (Fault::Cut, ErrorClass::Transient),
        (Fault::Forbidden, ErrorClass::Permission),
        (Fault::Redirected, ErrorClass::Config),
        (Fault::TooLarge, ErrorClass::Config),
        (Fault::Garbage, ErrorClass::Config),
    ] {
        fixture.fail(fault, usize::MAX);
        let failures = [provider.get(&key).await.map(|_| ()), provider.keys().await.map(|_| ())];
        for failure in failures {
            let error = failure.expect_err("the fault is an error");
            let text = everything_of(&error);
            assert_eq!(error.class(), class, "{fault:?}: {text}");
            assert!(!text.contains("cnry"), "{fault:?}: {text}");
            assert!(!text.contains("://localhost"), "an address may hold more: {fault:?}: {text}");
            assert!(text.contains(provider.scope().as_str()), "{fault:?}: {text}");
        }
        fixture.recover();
        let found = provider.get(&key).await;
        assert!(matches!(found, Ok(Some(_))), "it works again after {fault:?}: {found:?}");
    }
    fixture.remove("access-key").await;
}

#[cfg(test)]
mod tests;
