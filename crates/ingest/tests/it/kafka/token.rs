//! Logins by token: librdkafka asks a token endpoint for them, the broker checks them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ingest::{
    Error,
    topic::{TopicReader, TopicWriter, kafka::KafkaFailure},
};
use model::ErrorKind;
use tokio::net::{TcpListener, TcpStream};

use super::{
    Fixed, check_complete, config,
    login::{check_works, hasty, refused, tls_file},
    numbered, open_with, read_all, service, unique,
};

const CLIENT: &str = "marketlake";
const SECRET: &str = "marketlake-oauth-test";

type Properties = Vec<(&'static str, String)>;

fn servers() -> String {
    service("MARKETLAKE_TEST_KAFKA_OAUTH")
}

fn by_token(client: &str, secret: &str, scope: &str) -> Properties {
    vec![
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", tls_file("ca.pem")),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.oauthbearer.method", "oidc".to_owned()),
        ("sasl.oauthbearer.client.id", client.to_owned()),
        ("sasl.oauthbearer.client.secret", secret.to_owned()),
        ("sasl.oauthbearer.scope", scope.to_owned()),
        (
            "sasl.oauthbearer.token.endpoint.url",
            format!("{}/token", service("MARKETLAKE_TEST_OAUTH")),
        ),
        ("https.ca.location", tls_file("ca.pem")),
    ]
}

fn replaced(mut properties: Properties, name: &str, value: String) -> Properties {
    let property = properties.iter_mut().find(|property| property.0 == name);
    property.expect("it is among them").1 = value;
    properties
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn logs_in() {
    let mut properties = by_token(CLIENT, SECRET, "kafka");
    properties.push(("sasl.oauthbearer.extensions", "logicalCluster=one".to_owned()));
    check_works(servers(), properties).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_wrong_secret_is_refused_by_the_issuer() {
    let failure = refused(&servers(), by_token(CLIENT, "not the secret", "kafka")).await;
    let KafkaFailure::Token { said, remedy } = &failure else { panic!("{failure:?}") };
    assert!(said.contains("invalid_client"), "{failure}");
    assert!(remedy.contains("sasl.oauthbearer.client.id"), "{failure}");
    assert!(!failure.to_string().contains("not the secret"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_token_that_the_broker_does_not_take_is_refused() {
    for scope in ["for-another", "signed-by-another"] {
        let failure = refused(&servers(), by_token(CLIENT, SECRET, scope)).await;
        assert!(matches!(failure, KafkaFailure::Login { .. }), "{scope}: {failure:?}");
        assert!(failure.to_string().contains("audience"), "{scope}: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn the_subject_of_a_token_needs_rights() {
    let failure = refused(&servers(), by_token("stranger", SECRET, "kafka")).await;
    assert!(matches!(failure, KafkaFailure::NotAllowed { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_token_endpoint_of_an_unknown_authority_is_refused() {
    let properties = by_token(CLIENT, SECRET, "kafka");
    let properties = replaced(properties, "https.ca.location", tls_file("other-ca.pem"));
    let failure = refused(&servers(), properties).await;
    let KafkaFailure::Token { remedy, .. } = &failure else { panic!("{failure:?}") };
    assert!(remedy.contains("https.ca.location"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_token_endpoint_in_the_clear_is_refused() {
    const URL: &str = "sasl.oauthbearer.token.endpoint.url";
    let properties = by_token(CLIENT, SECRET, "kafka");
    let properties = replaced(properties, URL, "http://issuer.test/token".to_owned());
    let failure = refused(&servers(), properties).await;
    assert!(matches!(&failure, KafkaFailure::Property { name, .. } if name == URL), "{failure:?}");
}

/// Returns how many tokens were issued for `scope`.
async fn issued(client: &reqwest::Client, scope: &str) -> u32 {
    let answer = client.get(format!("{}/issued", service("MARKETLAKE_TEST_OAUTH"))).send().await;
    let text = answer.expect("an answer").text().await.expect("text");
    let counts: BTreeMap<String, u32> = serde_json::from_str(&text).expect("counts by scope");
    counts.get(scope).copied().unwrap_or(0)
}

/// The broker puts out whoever stays for longer than its token lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn work_goes_on_while_tokens_expire() {
    let scope = format!("lasting-5s-{}", unique());
    let authority = std::fs::read(tls_file("ca.pem")).expect("the authority");
    let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
    let client =
        reqwest::Client::builder().tls_certs_only([authority]).build().expect("an HTTP client");
    let name = unique();
    let topic = open_with(config(&servers()), Arc::new(Fixed(by_token(CLIENT, SECRET, &scope))));
    let mut next = 0;
    // Two clients read, one writes, one creates the topic: the first token of each of those that
    // stay was replaced twice, and has expired.
    while issued(&client, &scope).await < 10 {
        topic.append(&name, numbered(next..next + 1)).await.expect("appends");
        next += 1;
        // Nobody appends: it ends when its time is over, with the connection in use.
        topic.wait(&name, &[u64::MAX; 3], Duration::from_millis(500)).await.expect("waits");
        topic.end_offset(&name, 0).await.expect("an end");
        assert!(next < 200, "tokens are not replaced");
    }
    check_complete(&read_all(topic.as_ref(), &name).await, 0..next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs scripts/services start"]
async fn a_token_endpoint_that_is_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let properties = replaced(
        by_token(CLIENT, SECRET, "kafka"),
        "sasl.oauthbearer.token.endpoint.url",
        format!("https://localhost:{}/token", address.port()),
    );
    let mut config = hasty(&servers());
    config.request_timeout = Duration::from_secs(2);
    let topic = open_with(config, Arc::new(Fixed(properties)));
    let name = unique();
    let error = topic.check(&name).await.expect_err("nobody issues tokens");
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    let Error::Kafka { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("OAUTHBEARER token"), "it says what is missing: {source}");

    let listener = TcpListener::bind(address).await.expect("the port is still free");
    let issuer = service("MARKETLAKE_TEST_OAUTH").replace("https://", "");
    let forward = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&issuer).await.expect("the issuer");
            tokio::spawn(async move {
                let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    // The library asks again after ten seconds.
    let mut tries = 0;
    while let Err(error) = topic.check(&name).await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
        tries += 1;
        assert!(tries < 30, "it comes back: {error:?}");
    }
    topic.append(&name, numbered(0..3)).await.expect("appends");
    check_complete(&read_all(topic.as_ref(), &name).await, 0..3);
    forward.abort();
}
