//! Who gets in: logins and certificates that are right, and all the ways in which they are not.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ingest::{
    Error,
    topic::{
        KafkaTopicConfig, TopicWriter,
        kafka::{ConnectionProperties, KafkaFailure, PropertiesError, Property},
    },
};
use model::ErrorKind;

use super::{Fixed, check_complete, config, numbered, open_with, read_all, service, unique};

const USER: &str = "marketlake";
const PASSWORD: &str = "marketlake-kafka-test";

pub(super) fn tls_file(name: &str) -> String {
    format!("{}/{name}", service("MARKETLAKE_TEST_TLS"))
}

fn tls(authority: &str) -> Vec<(&'static str, String)> {
    vec![("security.protocol", "SSL".to_owned()), ("ssl.ca.location", tls_file(authority))]
}

fn sasl(mechanism: &str, user: &str, password: &str) -> Vec<(&'static str, String)> {
    vec![
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", tls_file("ca.pem")),
        ("sasl.mechanism", mechanism.to_owned()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", password.to_owned()),
    ]
}

pub(super) async fn check_works(servers: String, properties: Vec<(&'static str, String)>) {
    let name = unique();
    let topic = open_with(config(&servers), Arc::new(Fixed(properties)));
    let partitions = topic.check(&name).await.expect("reaches the cluster");
    assert_eq!(partitions, 0, "there is no such topic yet");
    topic.append(&name, numbered(0..20)).await.expect("appends");
    check_complete(&read_all(topic.as_ref(), &name).await, 0..20);
}

/// Short of patience: a refusal must come long before it runs out.
pub(super) fn hasty(servers: &str) -> KafkaTopicConfig {
    KafkaTopicConfig {
        request_timeout: Duration::from_secs(10),
        delivery_timeout: Duration::from_secs(10),
        ..config(servers)
    }
}

/// Returns why nothing worked; reading and appending must agree on it.
pub(super) async fn refused(
    servers: &str,
    properties: Vec<(&'static str, String)>,
) -> KafkaFailure {
    let topic = open_with(hasty(servers), Arc::new(Fixed(properties)));
    let appended = topic.append("never", numbered(0..3)).await.expect_err("an append is refused");
    let checked = topic.check("never").await.expect_err("the cluster is out of reach");
    assert_eq!(appended.kind(), checked.kind(), "{appended:?} {checked:?}");
    let text = format!("{appended:?}{checked:?}{topic:?}");
    assert!(!text.contains(PASSWORD), "no secret in {text}");
    match checked {
        Error::Kafka { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn logs_in_with_each_mechanism() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let servers = service("MARKETLAKE_TEST_KAFKA_TLS");
        check_works(servers, sasl(mechanism, USER, PASSWORD)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn shows_a_client_certificate() {
    let mut properties = tls("ca.pem");
    properties.push(("ssl.certificate.location", tls_file("client.pem")));
    properties.push(("ssl.key.location", tls_file("client.key")));
    check_works(service("MARKETLAKE_TEST_KAFKA_MTLS"), properties).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_missing_client_certificate_is_refused() {
    let failure = refused(&service("MARKETLAKE_TEST_KAFKA_MTLS"), tls("ca.pem")).await;
    let KafkaFailure::Tls { remedy, .. } = &failure else { panic!("{failure:?}") };
    assert!(remedy.contains("ssl.certificate.location"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_wrong_password_is_refused() {
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        let servers = service("MARKETLAKE_TEST_KAFKA_TLS");
        let failure = refused(&servers, sasl(mechanism, USER, "not the password")).await;
        assert!(matches!(failure, KafkaFailure::Login { .. }), "{failure:?}");
        assert!(!failure.to_string().contains("not the password"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn an_unknown_authority_is_refused() {
    let servers = service("MARKETLAKE_TEST_KAFKA_TLS");
    let mut properties = sasl("SCRAM-SHA-256", USER, PASSWORD);
    properties[1].1 = tls_file("other-ca.pem");
    let failure = refused(&servers, properties).await;
    assert!(matches!(failure, KafkaFailure::Tls { .. }), "{failure:?}");
    assert!(failure.to_string().contains("ssl.ca.location"), "{failure}");
}

/// A server that shows the certificate `name` and is no broker behind it; ends with its value.
struct TlsServer(Child);

impl TlsServer {
    fn start(name: &str) -> (Self, String) {
        // Free a moment ago; nobody else takes ports this fast.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &port.to_string()])
            .args(["-cert", &tls_file(&format!("{name}.pem"))])
            .args(["-key", &tls_file(&format!("{name}.key"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        (Self(child), format!("localhost:{port}"))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The other half of the next two: it is not the server that is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_good_certificate_is_taken_from_the_same_server() {
    let (_server, servers) = TlsServer::start("server");
    let mut config = hasty(&servers);
    config.request_timeout = Duration::from_secs(3);
    let error = open_with(config, Arc::new(Fixed(tls("ca.pem")))).check("x").await;
    let error = error.expect_err("it is no broker");
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_certificate_for_another_host_is_refused() {
    let (_server, servers) = TlsServer::start("wrong-host");
    let failure = refused(&servers, tls("ca.pem")).await;
    assert!(matches!(failure, KafkaFailure::Tls { .. }), "{failure:?}");
    assert!(failure.to_string().contains("host"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn an_expired_certificate_is_refused() {
    let (_server, servers) = TlsServer::start("expired");
    let failure = refused(&servers, tls("ca.pem")).await;
    assert!(matches!(failure, KafkaFailure::Tls { .. }), "{failure:?}");
    assert!(failure.to_string().contains("valid"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_server_without_tls_is_refused() {
    let failure = refused(&service("MARKETLAKE_TEST_KAFKA"), tls("ca.pem")).await;
    // A broker that stops cuts handshakes off as well: it is worth another try, and says why.
    assert_eq!(failure.kind(), ErrorKind::Transient, "{failure:?}");
    assert!(failure.to_string().contains("PLAINTEXT broker listener"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_stranger_is_told_which_right_is_missing() {
    let servers = service("MARKETLAKE_TEST_KAFKA_TLS");
    let failure = refused(&servers, sasl("SCRAM-SHA-256", "stranger", PASSWORD)).await;
    let KafkaFailure::NotAllowed { needed, .. } = &failure else { panic!("{failure:?}") };
    assert!(needed.contains("`Describe`"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_transient_and_says_how_long() {
    // Nothing listens on the port of a listener that is gone.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = config(&format!("127.0.0.1:{port}"));
    config.request_timeout = Duration::from_secs(1);
    let topic = super::open(config);
    let error = topic.check("x").await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    let Error::Kafka { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("within 1 s"), "{source}");
    assert!(source.to_string().contains("onnect"), "the last words are kept: {source}");
}

/// A password that is rotated: wrong the first time it is read.
#[derive(Debug)]
struct Rotated(AtomicUsize);

#[async_trait]
impl ConnectionProperties for Rotated {
    async fn current(&self) -> Result<Vec<Property>, PropertiesError> {
        let is_old = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        let password = if is_old { "before" } else { PASSWORD };
        Fixed(sasl("SCRAM-SHA-512", USER, password)).current().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_rotated_password_is_read_again() {
    let name = unique();
    let properties = Arc::new(Rotated(AtomicUsize::new(0)));
    let servers = service("MARKETLAKE_TEST_KAFKA_TLS");
    let topic = open_with(config(&servers), Arc::clone(&properties) as _);
    topic.append(&name, numbered(0..5)).await.expect("the second password is right");
    assert!(2 <= properties.0.load(Ordering::Relaxed), "it was read again");
}

/// A secret scope that cannot be reached.
#[derive(Debug)]
struct Unreadable;

#[async_trait]
impl ConnectionProperties for Unreadable {
    async fn current(&self) -> Result<Vec<Property>, PropertiesError> {
        Err(PropertiesError { kind: ErrorKind::Transient, source: "the vault is sealed".into() })
    }
}

#[tokio::test]
async fn secrets_that_cannot_be_read_say_so() {
    let topic = open_with(config("127.0.0.1:1"), Arc::new(Unreadable));
    let error = topic.check("x").await.expect_err("there are no secrets");
    assert_eq!(error.kind(), ErrorKind::Transient, "as the secret scope says");
    assert!(format!("{error:?}").contains("the vault is sealed"), "{error:?}");
}
