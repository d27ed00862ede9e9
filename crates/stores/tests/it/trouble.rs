//! What is wrong with a store is said, with a way out and without a key.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use model::ErrorKind;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};
use stores::{
    Durability, Error, FixedOptions, Options, Trouble, Unresolved, gcs_double::GcsDouble,
    probe_create_only, store_kind,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::services::{AZURITE_KEY, SystemClock, azure_endpoint, minio_options, open, s3_endpoint};

/// A key that is nobody's, to be found nowhere.
const CANARY: &str = "cnry-6f1c0a7be2d94f53a1d0";

/// Probes a store that must refuse, and checks what it says.
pub(crate) async fn check(address: &str, options: &[(&str, &str)], trouble: Trouble) {
    let store = open(address, options).await.store;
    let error = probe_create_only(&store).await.expect_err(address);
    assert_eq!(error.trouble(), Some(trouble), "{address}: {error:?}");
    assert_eq!(error.kind(), trouble.kind(), "{address}");
    let listed = store.list_with_delimiter(None).await.expect_err(address);
    let at = Path::from("some/object");
    for outcome in [store.get(&at).await.map(drop), store.head(&at).await.map(drop)] {
        let error = outcome.expect_err(address);
        // Nobody may conclude that an object, or all of them, are not there.
        let is_missing = matches!(error, object_store::Error::NotFound { .. });
        assert!(!is_missing, "{address}: {error:?}");
    }
    assert_eq!(store_kind(&listed), trouble.kind(), "{address}: {listed}");
    for shown in [format!("{error:?}"), format!("{listed:?} {listed}"), format!("{store:?}")] {
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(!shown.contains("marketlake-minio-test"), "{shown}");
    }
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains(trouble.remedy()), "{cause}");
}

fn with<'a>(
    mut options: Vec<(&'a str, &'a str)>,
    changed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    options.retain(|(name, _)| changed.iter().all(|(other, _)| name != other));
    options.extend_from_slice(changed);
    options
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn minio_says_which_part_is_wrong() {
    let endpoint = s3_endpoint();
    let right = || minio_options(&endpoint);
    check("s3://no-such-bucket", &right(), Trouble::NoSuchBucket).await;
    let key = with(right(), &[("access_key_id", CANARY)]);
    check("s3://marketlake", &key, Trouble::WrongKey).await;
    let secret = with(right(), &[("secret_access_key", CANARY)]);
    check("s3://marketlake", &secret, Trouble::WrongKey).await;
    let tls = endpoint.replace("http://", "https://");
    check("s3://marketlake", &with(right(), &[("endpoint", &tls)]), Trouble::NotTls).await;
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn azurite_says_which_part_is_wrong() {
    let endpoint = azure_endpoint();
    let right = |key| {
        vec![
            ("endpoint", endpoint.as_str()),
            ("account_name", "devstoreaccount1"),
            ("account_key", key),
        ]
    };
    check("az://no-such-container", &right(AZURITE_KEY), Trouble::NoSuchBucket).await;
    let wrong = "Y25yeS02ZjFjMGE3YmUyZDk0ZjUzYTFkMA==";
    check("az://marketlake", &right(wrong), Trouble::WrongKey).await;
    let sas = format!("sv=2024-11-04&sp=rwdl&sr=c&sig={CANARY}");
    let sas = [
        ("endpoint", endpoint.as_str()),
        ("account_name", "devstoreaccount1"),
        ("sas_token", sas.as_str()),
    ];
    check("az://marketlake", &sas, Trouble::WrongKey).await;
}

#[tokio::test]
async fn a_double_of_gcs_says_that_there_is_no_bucket() {
    let double =
        GcsDouble::start("127.0.0.1:0", "marketlake", Arc::new(SystemClock)).await.expect("a port");
    let options = [("base_url", double.url()), ("skip_signature", "true")];
    check("gs://no-such-bucket", &options, Trouble::NoSuchBucket).await;
}

#[tokio::test]
async fn a_store_that_does_not_know_conditions_is_refused_for_good() {
    let answer = "HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 42\r\n\r\n\
                  <Error><Code>NotImplemented</Code></Error>";
    let endpoint = server(answer).await;
    let store = open("s3://b", &minio_options(&endpoint)).await.store;
    let error = probe_create_only(&store).await.expect_err("it cannot arbitrate");
    assert!(matches!(error, Error::NotCreateOnly { .. }), "{error:?}");
}

/// A server that gives the same answer to every request.
async fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                if socket.read(&mut head).await.is_ok() {
                    drop(socket.write_all(answer.as_bytes()).await);
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let answer = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 48\r\n\r\n\
                  <Error><Code>RequestTimeTooSkewed</Code></Error>";
    let endpoint = server(answer).await;
    check("s3://b", &minio_options(&endpoint), Trouble::ClockSkew).await;
}

#[tokio::test]
async fn nobody_there_is_a_passing_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    check("s3://b", &minio_options(&endpoint), Trouble::Unreachable).await;
}

#[tokio::test]
async fn a_store_without_conditional_create_is_refused() {
    let options = with(minio_options("http://127.0.0.1:1"), &[("conditional_put", "disabled")]);
    let store = open("s3://b", &options).await.store;
    let error = probe_create_only(&store).await.expect_err("it cannot arbitrate");
    assert!(matches!(error, Error::NotCreateOnly { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("s3://b/"), "{error}");
}

/// Options that somebody changes while the store is open.
#[derive(Debug)]
struct Rotated(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Options for Rotated {
    async fn current(&self) -> Result<BTreeMap<String, String>, Unresolved> {
        Ok(self.0.lock().expect("nobody panics with it").clone())
    }
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_rotated_key_takes_effect_with_the_next_request() {
    let endpoint = s3_endpoint();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let right: BTreeMap<_, _> = minio_options(&endpoint).iter().map(owned).collect();
    let mut wrong = right.clone();
    wrong.insert("secret_access_key".to_owned(), CANARY.to_owned());
    let options = Arc::new(Rotated(Mutex::new(wrong)));
    let shared: Arc<dyn Options> = Arc::clone(&options) as _;
    let opened =
        stores::open("s3://marketlake/rotated", shared, Durability::Process, Arc::new(SystemClock))
            .await
            .expect("opening asks nobody");
    let refused = probe_create_only(&opened.store).await.expect_err("the old key");
    assert_eq!(refused.trouble(), Some(Trouble::WrongKey));
    *options.0.lock().expect("nobody panics with it") = right;
    probe_create_only(&opened.store).await.expect("the new key");
}

/// Options whose secrets can be read at first, and not any more when they are asked for again.
#[derive(Debug)]
struct Sealed {
    values: BTreeMap<String, String>,
    is_asked: AtomicBool,
    kind: ErrorKind,
}

#[async_trait]
impl Options for Sealed {
    async fn current(&self) -> Result<BTreeMap<String, String>, Unresolved> {
        if self.is_asked.swap(true, Ordering::Relaxed) {
            // Words that a store could have said.
            let source = "asking the vault: Connection refused, AccessDenied".into();
            return Err(Unresolved { kind: self.kind, source });
        }
        Ok(self.values.clone())
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_any_more_is_no_answer_of_the_store() {
    let s3 = minio_options("http://127.0.0.1:1");
    let azure = vec![
        ("endpoint", "http://127.0.0.1:1/devstoreaccount1"),
        ("account_name", "devstoreaccount1"),
        ("account_key", AZURITE_KEY),
    ];
    for (kind, trouble) in
        [(ErrorKind::Config, Some(Trouble::NoCredentials)), (ErrorKind::Transient, None)]
    {
        for (address, options) in [("s3://b", &s3), ("az://c", &azure)] {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let values = options.iter().map(owned).collect();
            let sealed = Arc::new(Sealed { values, is_asked: AtomicBool::default(), kind });
            let opened =
                stores::open(address, sealed, Durability::Process, Arc::new(SystemClock)).await;
            let store = opened.expect("the secrets can be read").store;
            let at = Path::from("a");
            let read = store.get(&at).await.map(drop).expect_err("no secrets");
            let written = store.put_opts(&at, "x".into(), PutMode::Create.into()).await;
            for error in [read, written.map(drop).expect_err("no secrets")] {
                assert_eq!(store_kind(&error), kind, "{address}: {error:?}");
                assert_eq!(Trouble::of(&error), trouble, "{address}: {error:?}");
                assert!(error.to_string().contains("asking the vault"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_opening() {
    for (address, options, needle) in [
        ("s3://", vec![], "s3://bucket/prefix"),
        ("s3://user:cnry-6f1c0a7be2d94f53a1d0@b", vec![], "a password has no place"),
        ("s3://cnry-6f1c0a7be2d94f53a1d0@b", vec![], "before `@`"),
        ("https://a.blob.core.windows.net/c?sig=cnry-6f1c0a7be2d94f53a1d0", vec![], "follow `?`"),
        ("s3://b", vec![("acces_key_id", "x")], "`access_key_id`"),
        ("s3://b", vec![("endpoint", "https://u:cnry-6f1c0a7be2d94f53a1d0@h")], "before `@`"),
        ("s3://b", vec![("endpoint", "http://minio.example")], "allow_http"),
        ("s3://b", vec![("ca_file", "/no/such/file")], "/no/such/file"),
        ("s3://b", vec![("access_key_id", CANARY)], "options of `s3://b/`"),
        ("az://c", vec![("account_key", CANARY)], "options of `az://c/`"),
        ("gs://b", vec![("service_account_key", CANARY)], "options of `gs://b/`"),
        ("/tmp/x", vec![("region", "x")], "no options"),
    ] {
        let fixed = Arc::new(FixedOptions::new(options));
        let error = stores::open(address, fixed, Durability::Process, Arc::new(SystemClock))
            .await
            .expect_err(address);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(needle), "{address}: {error}");
        assert!(!format!("{error:?}{error}").contains(CANARY), "{error:?}");
    }
}
