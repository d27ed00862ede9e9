//! What callers see: values, errors with names, memory, circles.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error as _,
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{Scope, Scopes, freshness::Lifetime};
use crate::{
    Error, ErrorClass, ManualClock, Redactor, RemoteError, ScopeConfig, Secret, SecretName,
    SecretProvider,
    provider::{VALUE_BYTES_MAX, double::write_private},
};

#[tokio::test]
async fn errors_name_scope_and_key_and_never_the_value() {
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in [("open", "cnry-open"), ("tiny", "cn"), ("good", "cnry-good")] {
        write_private(&dir.path().join(key), value);
    }
    fs::set_permissions(dir.path().join("open"), fs::Permissions::from_mode(0o644)).unwrap();
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

#[tokio::test]
async fn a_value_has_the_length_of_a_secret_wherever_it_comes_from_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let fields = [("path", "v.age"), ("key_file", "key")];
    let fields = fields
        .map(|(name, file)| (name.to_owned(), dir.path().join(file).to_str().unwrap().to_owned()));
    let vault = ScopeConfig::from_fields("vault", fields.into()).unwrap();
    let scopes = BTreeMap::from([("local".parse().unwrap(), vault)]);
    let redactor = Redactor::default();
    let scopes = Scopes::new(&scopes, redactor.clone());
    let reference = "{{secrets/local/key}}".parse().unwrap();
    for (value, wanted) in
        [("cnr".to_owned(), "too short"), ("x".repeat(VALUE_BYTES_MAX + 1), "larger than 128 KiB")]
    {
        let error = scopes.put(&reference, &Secret::new(value.clone())).await.unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(redactor.scrub(&value), value, "nothing was registered");
    }
    let large: &str = "x".repeat(VALUE_BYTES_MAX + 1).leak();
    let bench = bench([Ok(Some(large))]);
    let error = bench.value().await.unwrap_err();
    assert!(error.to_string().contains("larger than 128 KiB"), "{error}");
}

#[tokio::test]
async fn a_setting_may_be_short_and_a_short_one_is_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in [("flag", "true"), ("count", "6"), ("level", "info"), ("url", "cnry-url")] {
        write_private(&dir.path().join(key), value);
    }
    let config = ScopeConfig::File { dir: dir.path().to_owned() };
    let redactor = Redactor::default();
    let scopes =
        Scopes::new(&BTreeMap::from([("local".parse().unwrap(), config)]), redactor.clone());
    for (key, value, shown) in [
        ("flag", "true", "true"),
        ("count", "6", "6"),
        ("level", "info", "info"),
        ("url", "cnry-url", "[redacted]"),
    ] {
        let reference = format!("{{{{secrets/local/{key}}}}}").parse().unwrap();
        assert_eq!(scopes.resolve_setting(&reference).await.unwrap().expose(), value);
        assert_eq!(redactor.scrub(value), shown);
    }
    let absent = scopes.resolve_setting(&"{{secrets/local/absent}}".parse().unwrap()).await;
    assert!(matches!(absent, Err(Error::Missing { .. })), "{absent:?}");
}

#[tokio::test]
async fn a_setting_is_remembered_and_is_no_secret_for_all_that() {
    let bench = bench([Ok(Some("yes")), Ok(Some("cnry-better"))]);
    for _ in 0..2 {
        let setting = bench.scope.resolve_setting(&bench.key).await.unwrap();
        assert_eq!(setting.expose(), "yes");
    }
    bench.assert_asked(1);
    let error = bench.value().await.unwrap_err();
    assert!(error.to_string().contains("too short to be a secret"), "{error}");
    assert_eq!(bench.value().await.unwrap(), "cnry-better", "seen at once");
}

/// A service that answers what the test says, and counts how often it is asked.
#[derive(Debug)]
struct Service {
    name: SecretName,
    answers: Mutex<VecDeque<Result<Option<&'static str>, Error>>>,
    asked: AtomicUsize,
    /// How many answers it may give; the test lets them go.
    gate: Semaphore,
}

#[async_trait::async_trait]
impl SecretProvider for Service {
    fn scope(&self) -> &SecretName {
        &self.name
    }

    async fn get(&self, _key: &SecretName) -> Result<Option<Secret>, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let answer = self.answers.lock().unwrap().pop_front().expect("an answer is prepared");
        Ok(answer?.map(|value| Secret::new(value.to_owned())))
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn remedy(&self, _key: &SecretName) -> String {
        "write it".to_owned()
    }
}

const TTL: Duration = Duration::from_secs(300);
const STALE_MAX: Duration = Duration::from_secs(1000);

struct Bench {
    service: Arc<Service>,
    clock: Arc<ManualClock>,
    scope: Arc<Scope>,
    key: SecretName,
}

fn bench(answers: impl IntoIterator<Item = Result<Option<&'static str>, Error>>) -> Bench {
    let service = Arc::new(Service {
        name: "remote".parse().unwrap(),
        answers: Mutex::new(answers.into_iter().collect()),
        asked: AtomicUsize::new(0),
        gate: Semaphore::new(100),
    });
    let clock = Arc::new(ManualClock::default());
    let scope = Scope::new(
        Arc::clone(&service) as _,
        Lifetime { ttl: TTL, stale_max: STALE_MAX },
        BTreeMap::new(),
        Redactor::default(),
        Arc::clone(&clock) as _,
    );
    Bench { service, clock, scope: Arc::new(scope), key: "key".parse().unwrap() }
}

impl Bench {
    async fn value(&self) -> Result<String, Error> {
        Ok(self.scope.resolve(&self.key).await?.expose().to_owned())
    }

    #[track_caller]
    fn assert_asked(&self, times: usize) {
        assert_eq!(self.service.asked.load(Ordering::SeqCst), times, "times asked");
    }
}

fn refused(status: u16, class: ErrorClass) -> Error {
    let source = RemoteError::refused(status, "Code", class, "why", None);
    let (scope, action) = ("remote".to_owned(), "reading".to_owned());
    Error::Remote { scope, action, host: "host".to_owned(), source: Box::new(source) }
}

fn down() -> Error {
    refused(503, ErrorClass::Transient)
}

#[tokio::test]
async fn a_rotated_value_is_seen_after_its_ttl() {
    let bench = bench([Ok(Some("cnry-1")), Ok(Some("cnry-2"))]);
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
    bench.clock.advance(TTL - Duration::from_secs(1));
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
    bench.assert_asked(1);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.value().await.unwrap(), "cnry-2");
    bench.assert_asked(2);
}

#[tokio::test]
async fn a_refused_value_is_read_again_at_once_but_not_in_a_loop() {
    let bench = bench([Ok(Some("cnry-1")), Ok(Some("cnry-2"))]);
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
    bench.clock.advance(Duration::from_secs(10));
    bench.scope.invalidate(&bench.key).await;
    assert_eq!(bench.value().await.unwrap(), "cnry-2");
    // The new value is refused, too: it was read a moment ago, and stays.
    bench.scope.invalidate(&bench.key).await;
    assert_eq!(bench.value().await.unwrap(), "cnry-2");
    bench.assert_asked(2);
}

#[tokio::test]
async fn an_outage_is_bridged_with_the_last_value_for_a_bounded_time() {
    let bench = bench([Ok(Some("cnry-1")), Err(down()), Err(down()), Err(down())]);
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
    bench.clock.advance(TTL);
    assert_eq!(bench.value().await.unwrap(), "cnry-1", "the last value");
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
    bench.assert_asked(2);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.value().await.unwrap(), "cnry-1", "asked again after a pause");
    bench.assert_asked(3);
    bench.clock.advance(STALE_MAX);
    let error = bench.value().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "too old to be used");
}

#[tokio::test]
async fn what_says_nothing_about_the_secret_is_bridged_whoever_has_to_mend_it() {
    let remote = |source| {
        let (scope, action) = ("remote".to_owned(), "reading".to_owned());
        Error::Remote { scope, action, host: "host".to_owned(), source: Box::new(source) }
    };
    let missing = Error::Missing {
        scope: "file".to_owned(),
        key: "token".to_owned(),
        remedy: "write it".to_owned(),
    };
    let being_rewritten =
        Error::Credential { scope: "remote".to_owned(), field: "token", source: Arc::new(missing) };
    for failure in [
        remote(RemoteError::NoCredential { explanation: "none".to_owned() }),
        remote(RemoteError::NotRenewed),
        remote(RemoteError::Redirected { status: 302 }),
        remote(RemoteError::BadReply { what: "with something else" }),
        being_rewritten,
    ] {
        let bench = bench([Ok(Some("cnry-1")), Err(failure.clone()), Ok(Some("cnry-2"))]);
        bench.value().await.unwrap();
        bench.clock.advance(TTL);
        assert_eq!(bench.value().await.unwrap(), "cnry-1", "{failure:?}");
        bench.clock.advance(Duration::from_secs(60));
        assert_eq!(bench.value().await.unwrap(), "cnry-2", "{failure:?}");
    }
}

#[tokio::test]
async fn a_refused_value_is_no_bridge() {
    let bench = bench([Ok(Some("cnry-1")), Err(down())]);
    bench.value().await.unwrap();
    bench.clock.advance(Duration::from_secs(10));
    bench.scope.invalidate(&bench.key).await;
    assert!(bench.value().await.is_err());
}

#[tokio::test]
async fn forbidden_or_deleted_ends_the_last_value() {
    for answer in [Err(refused(403, ErrorClass::Permission)), Ok(None)] {
        let bench = bench([Ok(Some("cnry-1")), answer, Err(down())]);
        bench.value().await.unwrap();
        bench.clock.advance(TTL);
        assert_ne!(bench.value().await.unwrap_err().class(), ErrorClass::Transient);
        assert!(bench.value().await.is_err(), "nothing is left to bridge with");
    }
}

#[tokio::test]
async fn a_scope_whose_credential_was_rotated_tries_once_more() {
    let forbidden = || Err(refused(403, ErrorClass::Permission));
    for (signs_in, asked) in [(true, 2), (false, 1)] {
        let mut bench = bench([forbidden(), Ok(Some("cnry-1"))]);
        let scope = Arc::into_inner(bench.scope).unwrap();
        bench.scope = Arc::new(scope.signing_in(signs_in));
        assert_eq!(bench.value().await.is_ok(), signs_in);
        bench.assert_asked(asked);
    }
}

#[tokio::test]
async fn many_callers_make_one_request_and_share_its_failure() {
    for answer in [Ok(Some("cnry-1")), Err(down())] {
        let is_found = answer.is_ok();
        let bench = Arc::new(bench([answer]));
        bench.service.gate.forget_permits(100);
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { bench.value().await })
            })
            .collect();
        // Every caller has run until it waits.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        bench.service.gate.add_permits(1);
        for caller in callers {
            assert_eq!(caller.await.unwrap().is_ok(), is_found);
        }
        bench.assert_asked(1);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_request_to_the_next() {
    let bench = Arc::new(bench([Ok(Some("cnry-1"))]));
    bench.service.gate.forget_permits(100);
    let first = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.value().await })
    };
    while bench.service.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    bench.service.gate.add_permits(1);
    assert_eq!(bench.value().await.unwrap(), "cnry-1");
}

#[tokio::test]
async fn a_scope_that_waits_for_itself_says_so_and_hangs_nobody() {
    let vault = |reference: &str| {
        let fields = [("path", "a"), ("passphrase", reference)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ScopeConfig::from_fields("vault", fields.into()).unwrap()
    };
    let scopes = BTreeMap::from([
        ("a".parse().unwrap(), vault("{{secrets/b/x}}")),
        ("b".parse().unwrap(), vault("{{secrets/a/x}}")),
        ("lost".parse().unwrap(), vault("{{secrets/nowhere/x}}")),
    ]);
    let scopes = Scopes::new(&scopes, Redactor::default());
    for (reference, wanted) in [
        ("{{secrets/a/x}}", "waits for itself: `a` needs `b` needs `a`"),
        ("{{secrets/b/x}}", "waits for itself"),
        ("{{secrets/lost/x}}", "no such scope"),
    ] {
        let error = scopes.resolve(&reference.parse().unwrap()).await.unwrap_err();
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            chain = format!("{chain}: {error}");
            cause = error.source();
        }
        assert!(chain.contains(wanted), "{chain}");
        assert_eq!(error.class(), ErrorClass::Config);
    }
}
