//! The properties of a connection: which an operator may set, and which we set ourselves.

mod token;

use std::{error::Error as StdError, fmt, time::Duration};

use async_trait::async_trait;
use model::ErrorKind;
use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError, types::RDKafkaConfRes};
use zeroize::Zeroizing;

use super::{KafkaTopicConfig, failure::KafkaFailure};

/// A property's name and value. Many values are secrets.
pub type Property = (String, Zeroizing<String>);

/// Why there are no properties. The text must not hold a secret.
#[derive(Debug)]
pub struct PropertiesError {
    /// `Transient` when the secret scope is out of reach for now, else `Config`.
    pub kind: ErrorKind,
    /// What the secret scope said.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// librdkafka's properties of the connection: `security.protocol`, `sasl.*`, `ssl.*` and the like.
///
/// Asked again whenever a client is made, and a client is made anew when its login is refused; so
/// a rotated secret is used without a restart. `Debug` must not show values.
#[async_trait]
pub trait ConnectionProperties: fmt::Debug + Send + Sync {
    /// Returns the properties as they are now; each must pass [`check_property`].
    ///
    /// # Errors
    /// A secret could not be read.
    async fn current(&self) -> Result<Vec<Property>, PropertiesError>;
}

/// No properties: a plain connection without login.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProperties;

#[async_trait]
impl ConnectionProperties for NoProperties {
    async fn current(&self) -> Result<Vec<Property>, PropertiesError> {
        Ok(Vec::new())
    }
}

/// Properties that nobody may set, and why: the promise of the topic rests on ours.
const OURS: [(&[&str], &str); 10] = [
    (&["bootstrap.servers", "metadata.broker.list", "group.id"], "it has a setting of its own"),
    (
        &[
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "enable.gapless.guarantee",
            "transactional.id",
            "delivery.report.only.error",
            "max.in.flight",
            "max.in.flight.requests.per.connection",
            "message.send.max.retries",
            "retries",
        ],
        "a page counts only when an idempotent producer has every acknowledgement",
    ),
    (
        &["partitioner", "sticky.partitioning.linger.ms"],
        "the key decides the partition, the same way for every topic",
    ),
    (
        &[
            "auto.offset.reset",
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
            "isolation.level",
            "check.crcs",
            "enable.partition.eof",
            "offset.store.method",
            "group.protocol",
            "group.remote.assignor",
            "partition.assignment.strategy",
        ],
        "the landing chain alone says what comes next, and nothing may be skipped in silence",
    ),
    (
        &["allow.auto.create.topics"],
        "topics are created with the configured partitions and retention",
    ),
    (
        &[
            "message.max.bytes",
            "batch.num.messages",
            "queue.buffering.max.messages",
            "queue.buffering.max.kbytes",
            "queued.min.messages",
            "queued.max.messages.kbytes",
            "fetch.message.max.bytes",
            "max.partition.fetch.bytes",
            "fetch.max.bytes",
            "receive.message.max.bytes",
        ],
        "it bounds the memory that is used",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms", "compression.type", "compression.codec"],
        "it has a setting of its own",
    ),
    (
        &["debug", "log.queue", "log_level", "statistics.interval.ms"],
        "the client's log may show secrets",
    ),
    (
        &["plugin.library.paths", "test.mock.num.brokers", "test.mock.broker.rtt"],
        "a connection is no place to load code or doubles",
    ),
    (
        &["enable.sasl.oauthbearer.unsecure.jwt"],
        "nobody signs such tokens: a cluster that takes them lets everybody in",
    ),
];

/// The ways to log in that are built in.
const MECHANISMS: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER";

/// Checks a property that an operator wants to set. References to secrets may stand for values.
///
/// # Errors
/// Why it may not be set, or cannot be; the text never holds the value.
pub fn check_property(name: &str, value: &str) -> Result<(), String> {
    if let Some((_, reason)) = OURS.iter().find(|(names, _)| names.contains(&name)) {
        return Err(format!("`{name}` may not be set: {reason}"));
    }
    if let ("sasl.mechanism" | "sasl.mechanisms", "GSSAPI") = (name, value) {
        return Err(format!("`{name}` may not be `{value}`: this program has {MECHANISMS}"));
    }
    token::check(name, value)?;
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(format!("librdkafka knows no property `{name}`"))
        }
        // Whatever the secret is, it is not what stands here.
        Err(_) if !value.contains("{{") => {
            Err(format!("the value of `{name}` is none that librdkafka accepts"))
        }
        Err(_) => Ok(()),
        // What librdkafka made of it: it reads `0` and `F` as `false`, too.
        Ok(made) => {
            let is_off = |off: &(&str, &str)| {
                off.0 == name && made.get(name).is_ok_and(|taken| taken == off.1)
            };
            match UNSAFE.iter().find(|off| is_off(off)) {
                None => Ok(()),
                Some((_, off)) => Err(format!(
                    "`{name}` may not be `{off}`: anybody could pose as the broker; name its authority in `ssl.ca.location`"
                )),
            }
        }
    }
}

/// Properties without which nobody knows who the broker is, and the values that turn them off.
const UNSAFE: [(&str, &str); 2] = [
    ("enable.ssl.certificate.verification", "false"),
    ("ssl.endpoint.identification.algorithm", "none"),
];

/// Returns whether the value of a property must not be shown, nor stand in a settings file.
#[must_use]
pub fn is_secret_property(name: &str) -> bool {
    ["password", "secret", "passphrase"].iter().any(|sign| name.contains(sign))
        || matches!(name, "ssl.key.pem" | "sasl.oauthbearer.assertion.private.key.pem")
}

/// Which of our clients a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Creates topics.
    Admin,
    /// Appends records.
    Writer,
    /// Reads records of partitions it chose itself.
    Reader,
    /// Is a member of the group; reads nothing.
    Member,
}

/// Content that may wait to be sent, 32 MiB: thirty full records of the usual largest size. A
/// record that does not fit would wait for ever.
pub(super) const QUEUE_KIB_MAX: u32 = 32 * 1024;
/// Content read ahead per partition, 4 MiB: one read of the lander. What it does not take stays
/// with the broker.
const AHEAD_KIB_MAX: u32 = 4 * 1024;
/// How long a broker holds back an empty answer. New records end it at once; a move to another
/// offset has to wait for it.
const FETCH_WAIT: Duration = Duration::from_millis(100);
/// How long the group keeps a member's partitions that was not heard of, unless the operator says
/// otherwise: Kafka's own default before 3.0, which later grew to 45 s to spare groups a rebalance.
/// Two landers at the same partition do no harm, so a short pause after one died is worth more.
const SESSION: Duration = Duration::from_secs(10);

/// Returns the configuration of a client. Ours come last: they win over whatever was given.
///
/// The result holds secrets and may not be shown: its own `Debug` hides only some of them.
pub(super) fn client_config(
    role: Role,
    config: &KafkaTopicConfig,
    properties: &[Property],
) -> Result<ClientConfig, KafkaFailure> {
    let mut client = ClientConfig::new();
    client.set_log_level(RDKafkaLogLevel::Warning);
    client.set("client.id", "marketlake");
    client.set("socket.keepalive.enable", "true");
    // Ten seconds, the library's own limit, would be the longest pause of a restarted broker.
    client.set("reconnect.backoff.max.ms", "2000");
    match role {
        Role::Reader => {
            client.set("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string());
        }
        Role::Member => {
            client.set("session.timeout.ms", SESSION.as_millis().to_string());
        }
        Role::Admin | Role::Writer => (),
    }
    for (name, value) in properties {
        if let Err(problem) = check_property(name, value) {
            return Err(KafkaFailure::Property { name: name.clone(), problem });
        }
        client.set(name, value.as_str());
    }
    require_mechanism(properties)?;
    token::require(properties)?;
    if role != Role::Member {
        // A static member may have one client only.
        client.remove("group.instance.id");
    }
    client.set("bootstrap.servers", &config.bootstrap);
    // A producer would else have the broker make a topic that is gone, with its own settings.
    client.set("allow.auto.create.topics", "false");
    match role {
        Role::Admin => (),
        Role::Writer => set_writer(&mut client, config),
        Role::Reader | Role::Member => set_consumer(&mut client, role, config),
    }
    Ok(client)
}

/// Without a mechanism librdkafka would try Kerberos, which this program does not have.
fn require_mechanism(properties: &[Property]) -> Result<(), KafkaFailure> {
    let has = |wanted: &str| properties.iter().any(|(name, _)| name == wanted);
    let is_sasl = properties.iter().any(|(name, value)| {
        name == "security.protocol" && value.to_ascii_lowercase().starts_with("sasl")
    });
    if is_sasl && !has("sasl.mechanism") && !has("sasl.mechanisms") {
        return Err(KafkaFailure::Property {
            name: "sasl.mechanism".to_owned(),
            problem: format!("it is missing: this program has {MECHANISMS}"),
        });
    }
    Ok(())
}

fn set_writer(client: &mut ClientConfig, config: &KafkaTopicConfig) {
    client.set("enable.idempotence", "true");
    client.set("acks", "all");
    client.set("message.timeout.ms", config.delivery_timeout.as_millis().to_string());
    client.set("delivery.report.only.error", "false");
    client.set("compression.type", config.compression.name());
    client.set("message.max.bytes", config.record_bytes_max.to_string());
    client.set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string());
}

fn set_consumer(client: &mut ClientConfig, role: Role, config: &KafkaTopicConfig) {
    client.set("group.id", &config.group);
    client.set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false");
    client.set("auto.offset.reset", "error");
    client.set("isolation.level", "read_committed");
    client.set("check.crcs", "true");
    if role == Role::Member {
        // Counts each topic by itself. A sticky assignor may leave a member all of the busy topic,
        // and another all of the quiet one.
        client.set("partition.assignment.strategy", "roundrobin");
        return;
    }
    client.set("enable.partition.eof", "true");
    client.set("queued.max.messages.kbytes", AHEAD_KIB_MAX.to_string());
    client.set("fetch.max.bytes", (u64::from(AHEAD_KIB_MAX) * 1024).to_string());
    // A full look-ahead is looked at again this soon, not after the library's second.
    client.set("fetch.queue.backoff.ms", "10");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: Option<&str>) {
        match (check_property(name, value), expected) {
            (Ok(()), None) => (),
            (Err(problem), Some(expected)) => {
                assert!(problem.contains(expected), "{name}: {problem}");
                assert!(problem.contains(name), "{name}: {problem}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn passes_what_belongs_to_the_connection() {
        check("security.protocol", "SASL_SSL", None);
        check("sasl.mechanism", "SCRAM-SHA-512", None);
        check("sasl.password", "{{secrets/market/kafka}}", None);
        check("ssl.ca.location", "/etc/ca.pem", None);
        check("client.rack", "eu-west-1a", None);
        check("session.timeout.ms", "{{secrets/odd/but}}", None);
    }

    /// Fails as well when librdkafka was built without what asks for tokens.
    #[test]
    fn passes_a_login_by_token() {
        const URL: &str = "sasl.oauthbearer.token.endpoint.url";
        check("sasl.mechanism", "OAUTHBEARER", None);
        check("sasl.oauthbearer.method", "oidc", None);
        check("sasl.oauthbearer.client.id", "marketlake", None);
        check("sasl.oauthbearer.client.secret", "{{secrets/market/kafka}}", None);
        check("sasl.oauthbearer.scope", "kafka", None);
        check("sasl.oauthbearer.extensions", "logicalCluster=lkc-1", None);
        check("sasl.oauthbearer.metadata.authentication.type", "azure_imds", None);
        check("sasl.oauthbearer.assertion.private.key.file", "/etc/key.pem", None);
        check("https.ca.location", "/etc/ca.pem", None);
        check(URL, "https://issuer.test/token", None);
        check(URL, "http://localhost:8080/token", None);
        check(URL, "http://[::1]:8080/token", None);
        check(URL, "http://169.254.169.254/metadata/identity/oauth2/token", None);
        check(URL, "{{secrets/market/token-endpoint}}", None);

        check(URL, "http://issuer.test/token", Some("in the clear"));
        check(URL, "http://localhost.issuer.test/token", Some("in the clear"));
        check(URL, "file:///etc/token", Some("in the clear"));
        check(URL, "https://user:secret@issuer.test/token", Some("may not hold a login"));
        check(URL, "issuer.test", Some("is no address"));
        check("sasl.oauthbearer.method", "default", Some("oidc"));
        check("enable.sasl.oauthbearer.unsecure.jwt", "true", Some("everybody"));
    }

    #[test]
    fn knows_secrets() {
        for name in [
            "sasl.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "ssl.key.pem",
            "ssl.key.password",
        ] {
            assert!(is_secret_property(name), "{name}");
        }
        for name in ["sasl.username", "sasl.oauthbearer.client.id", "https.ca.location"] {
            assert!(!is_secret_property(name), "{name}");
        }
    }

    #[test]
    fn refuses_what_the_promise_rests_on() {
        check("acks", "1", Some("acknowledgement"));
        check("enable.idempotence", "false", Some("idempotent"));
        check("enable.auto.commit", "true", Some("chain"));
        check("auto.offset.reset", "earliest", Some("skipped"));
        check("isolation.level", "read_uncommitted", Some("chain"));
        check("check.crcs", "false", Some("chain"));
        check("debug", "all", Some("secrets"));
        for off in ["false", "False", "FALSE", "f", "F", "0"] {
            check("enable.ssl.certificate.verification", off, Some("pose"));
        }
        for off in ["none", "NONE", "None", " none"] {
            check("ssl.endpoint.identification.algorithm", off, Some("pose"));
        }
        check("enable.ssl.certificate.verification", "1", None);
        check("ssl.endpoint.identification.algorithm", "HTTPS", None);
        check("sasl.mechanism", "GSSAPI", Some("SCRAM"));
        check("no.such.property", "1", Some("knows no"));
        check("session.timeout.ms", "soon", Some("accepts"));
    }

    #[test]
    fn every_property_of_ours_is_one() {
        for name in OURS.iter().flat_map(|(names, _)| names.iter()) {
            let mut config = ClientConfig::new();
            config.set(*name, "1");
            let made = config.create_native_config();
            let is_unknown = matches!(
                made,
                Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..))
            );
            assert!(!is_unknown, "librdkafka knows no `{name}`");
        }
    }

    #[test]
    fn our_properties_win_and_a_login_needs_a_mechanism() {
        let config = KafkaTopicConfig::new("localhost:9092");
        let property =
            |name: &str, value: &str| (name.to_owned(), Zeroizing::new(value.to_owned()));
        for role in [Role::Admin, Role::Writer, Role::Reader, Role::Member] {
            let made = client_config(role, &config, &[property("security.protocol", "plaintext")]);
            let made = made.expect("a configuration");
            made.create_native_config().expect("librdkafka takes every property");
            assert_eq!(made.get("bootstrap.servers"), Some("localhost:9092"), "{role:?}");
            assert_eq!(made.get("allow.auto.create.topics"), Some("false"), "{role:?}");
        }
        for (given, session) in
            [(vec![], "10000"), (vec![property("session.timeout.ms", "20000")], "20000")]
        {
            let made = client_config(Role::Member, &config, &given).expect("a configuration");
            assert_eq!(made.get("session.timeout.ms"), Some(session));
        }
        let refused = client_config(Role::Writer, &config, &[property("acks", "0")]);
        assert!(matches!(refused, Err(KafkaFailure::Property { name, .. }) if name == "acks"));
        let refused =
            client_config(Role::Writer, &config, &[property("security.protocol", "SASL_SSL")]);
        assert!(
            matches!(refused, Err(KafkaFailure::Property { name, .. }) if name == "sasl.mechanism")
        );
        let by_token =
            [property("security.protocol", "SASL_SSL"), property("sasl.mechanism", "OAUTHBEARER")];
        let refused = client_config(Role::Writer, &config, &by_token);
        assert!(
            matches!(refused, Err(KafkaFailure::Property { name, .. }) if name == "sasl.oauthbearer.method")
        );
    }
}
