//! What a Kafka cluster can refuse, said in words that tell an operator what to do.

use std::time::Duration;

use model::ErrorKind;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::Error;

/// The words of a library or of a token endpoint that are kept. What matters comes first.
const SAID_MAX: usize = 400;

/// Why a Kafka cluster did not do what was asked. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum KafkaFailure {
    /// The cluster does not know us.
    #[error(
        "the cluster refused the login: `{said}`; check `sasl.mechanism` and the user with its password, or which issuer, audience and claims the cluster wants of a token"
    )]
    Login {
        /// The client library's words.
        said: String,
    },
    /// Nobody gives us a token that the cluster would take us by.
    #[error("no token to log in with: `{said}`; {remedy}")]
    Token {
        /// The words of the token endpoint, or of who tried to reach it.
        said: String,
        /// What an operator can do about it.
        remedy: &'static str,
    },
    /// No secure connection came about.
    #[error("no secure connection: `{said}`; {remedy}")]
    Tls {
        /// The client library's words.
        said: String,
        /// What an operator can do about it.
        remedy: &'static str,
    },
    /// The cluster knows us, but does not allow this.
    #[error("the cluster does not allow it: `{said}`; grant {needed}")]
    NotAllowed {
        /// The broker's words.
        said: String,
        /// The right that is missing.
        needed: &'static str,
    },
    /// Nobody answered in time.
    #[error("no answer within {} s: `{said}`{}", waited.as_secs_f32(), hint(said))]
    Unreachable {
        /// How long we waited.
        waited: Duration,
        /// The client library's last words, or what was waited for.
        said: String,
    },
    /// A property of the connection is not accepted.
    #[error("the property `{name}` cannot be used: {problem}")]
    Property {
        /// Its name; its value may be a secret.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The secrets of the connection could not be read.
    #[error("reading the properties of the connection")]
    Secrets {
        /// Whether the secret scope may answer later.
        kind: ErrorKind,
        /// What the secret scope said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cluster refused, and a setting of the topic is why.
    #[error("the cluster refused it: `{said}`; {remedy}")]
    Refused {
        /// The broker's words.
        said: String,
        /// What an operator can do about it.
        remedy: &'static str,
    },
    /// What the cluster holds is damaged: a checksum or a compressed batch does not hold.
    #[error(
        "partition {partition} holds damaged bytes from offset {offset} on: `{said}`; let a replica that is sound lead it, or give the damaged batch up: delete the records before the next one (`kafka-delete-records`) and set `landing.on_gap = \"record\"`"
    )]
    Damaged {
        /// The partition.
        partition: u32,
        /// The first record that cannot be read; everything before it was.
        offset: u64,
        /// What does not hold.
        said: String,
    },
    /// Something passing: a leader on the move, a client that has to be made anew.
    #[error("the cluster could not do it now: `{said}`")]
    Passing {
        /// The broker's or the client library's words.
        said: String,
    },
}

impl KafkaFailure {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Secrets { kind, .. } => *kind,
            Self::Unreachable { .. } | Self::Passing { .. } => ErrorKind::Transient,
            Self::Damaged { .. } => ErrorKind::Data,
            Self::Login { .. }
            | Self::Token { .. }
            | Self::Tls { .. }
            | Self::NotAllowed { .. }
            | Self::Property { .. }
            | Self::Refused { .. } => ErrorKind::Config,
        }
    }

    /// Returns whether a client with newly read secrets may succeed.
    pub(crate) const fn may_be_old_secrets(&self) -> bool {
        matches!(self, Self::Login { .. } | Self::Token { .. } | Self::Tls { .. })
    }
}

/// Returns what refused a connection for good, if it was not only lost.
///
/// In TLS 1.3 a broker refuses a client's certificate after the handshake: the library takes that
/// for a lost connection. A handshake that is cut off stays one: brokers that stop do it, too.
/// A token that did not come may come later, and the one before may still be good; unless whoever
/// issues them says no.
pub(super) fn refusal(code: RDKafkaErrorCode, said: &str) -> Option<RDKafkaErrorCode> {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication if is_about_token(said) => token_remedy(said).map(|_| code),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL => Some(code),
        Code::BrokerTransportFailure if said.contains("SSL alert number") => Some(Code::SSL),
        _ => None,
    }
}

/// Says what a failed operation means. `said` is the fullest text there is about it; `waited` is
/// how long the operation was given.
pub(super) fn classify(code: RDKafkaErrorCode, said: String, waited: Duration) -> KafkaFailure {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication if is_about_token(&said) => match token_remedy(&said) {
            Some(remedy) => KafkaFailure::Token { said, remedy },
            None => KafkaFailure::Unreachable { waited, said },
        },
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            KafkaFailure::Login { said }
        }
        Code::SSL => {
            let remedy = tls_remedy(&said);
            KafkaFailure::Tls { said, remedy }
        }
        Code::TopicAuthorizationFailed => KafkaFailure::NotAllowed {
            said,
            needed: "`Describe` on the topic, `Write` to append, `Read` to read, `Create` (topic or cluster) where it does not exist yet",
        },
        Code::GroupAuthorizationFailed => {
            KafkaFailure::NotAllowed { said, needed: "`Read` on the group" }
        }
        Code::ClusterAuthorizationFailed => KafkaFailure::NotAllowed {
            said,
            needed: "`Create` on the cluster or the topic, or create the topic by hand",
        },
        Code::InvalidReplicationFactor => KafkaFailure::Refused {
            said,
            remedy: "lower the replication to the number of brokers, or set 0 for the cluster's own",
        },
        Code::InvalidPartitions => {
            KafkaFailure::Refused { said, remedy: "set a number of partitions the cluster allows" }
        }
        Code::PolicyViolation | Code::InvalidConfig => KafkaFailure::Refused {
            said,
            remedy: "ask the cluster's operator for its policy, or create the topic by hand",
        },
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => KafkaFailure::Refused {
            said,
            remedy: "raise the topic's `max.message.bytes`, it is below our limit for a record",
        },
        Code::InvalidRecord | Code::UnsupportedForMessageFormat => {
            KafkaFailure::Refused { said, remedy: "the topic must be an ordinary, uncompacted one" }
        }
        Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::RequestTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve => KafkaFailure::Unreachable { waited, said },
        _ => KafkaFailure::Passing { said },
    }
}

/// Returns whether what arrived is not what was stored, on the way or for good.
pub(super) const fn is_damage(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
            // A batch in a format that there is not.
            | RDKafkaErrorCode::NotImplemented
    )
}

/// Returns whether librdkafka speaks of a token that it did not get, rather than of a login.
fn is_about_token(said: &str) -> bool {
    said.contains("Failed to acquire SASL OAUTHBEARER token")
}

/// Returns the words in one line of bounded length: the answer of a token endpoint may be a page.
pub(super) fn in_short(said: &str) -> String {
    said.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(SAID_MAX).collect()
}

/// Reads the words of the token endpoint or of curl. `None`: it may well work in a moment.
fn token_remedy(said: &str) -> Option<&'static str> {
    const CLIENT: &str = "check `sasl.oauthbearer.client.id` and its secret";
    const REQUEST: &str = "check `sasl.oauthbearer.scope` and `sasl.oauthbearer.grant.type` against what the issuer allows this client";
    const ANSWER: &str = "check that `sasl.oauthbearer.token.endpoint.url` is the issuer's token endpoint, and that it issues JWTs with `sub` and `exp`";
    const AUTHORITY: &str = "check that `https.ca.location` names the authority which signed the token endpoint's certificate, that the certificate is still valid and that it is for the host that was called";
    const PLAIN: &str = "the port of `sasl.oauthbearer.token.endpoint.url` speaks no TLS";
    // The codes of RFC 6749, section 5.2, then librdkafka's and curl's words.
    const REMEDIES: [(&str, &str); 13] = [
        ("invalid_client", CLIENT),
        ("unauthorized_client", CLIENT),
        ("invalid_grant", CLIENT),
        ("invalid_scope", REQUEST),
        ("invalid_request", REQUEST),
        ("unsupported_grant_type", REQUEST),
        ("Expected JSON", ANSWER),
        ("not JSON encoded", ANSWER),
        ("JWT", ANSWER),
        ("wrong version number", PLAIN),
        ("certificate", AUTHORITY),
        ("SSL: no alternative", AUTHORITY),
        ("error setting certificate", AUTHORITY),
    ];
    REMEDIES.iter().find(|(words, _)| said.contains(words)).map(|(_, remedy)| *remedy)
}

/// Returns what a silence may mean that came in the middle of something.
///
/// A broker that stops cuts handshakes off as one does that expects none, so this is no refusal.
fn hint(said: &str) -> &'static str {
    if said.contains("SSL_HANDSHAKE") {
        "; if that is a PLAINTEXT broker listener, name another port or `security.protocol`"
    } else {
        ""
    }
}

/// Reads OpenSSL's and librdkafka's words. Anything they do not say is left to the reader.
fn tls_remedy(said: &str) -> &'static str {
    const CLIENT: &str = "the broker refused our certificate, or wants one: set `ssl.certificate.location` and `ssl.key.location` to one that its authority signed";
    const PLAIN: &str = "the listener speaks no TLS: use the port of its TLS listener";
    // The library says no more about it.
    const BROKER: &str = "check that `ssl.ca.location` names the authority which signed the broker's certificate, that the certificate is still valid and that it is for the host that was called";
    const REMEDIES: [(&str, &str); 7] = [
        ("alert bad certificate", CLIENT),
        ("alert certificate", CLIENT),
        ("alert unknown ca", CLIENT),
        ("certificate required", CLIENT),
        ("PLAINTEXT broker listener", PLAIN),
        ("wrong version number", PLAIN),
        ("certificate", BROKER),
    ];
    let found = REMEDIES.iter().find(|(words, _)| said.contains(words));
    found.map_or("check `security.protocol`, `ssl.ca.location` and the port", |(_, remedy)| remedy)
}

/// Returns the code of a library error; `Fail` where it has none.
pub(super) fn code_of(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}

/// Returns whether there is no such topic, or no such partition of it.
pub(super) const fn is_unknown(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Says why a client could not be made. The library's own text would hold the property's value.
pub(super) fn client_failure(error: &KafkaError) -> KafkaFailure {
    match error {
        KafkaError::ClientConfig(_, _, name, _) => KafkaFailure::Property {
            name: name.clone(),
            problem: "librdkafka does not know it, or not this value".to_owned(),
        },
        KafkaError::ClientCreation(said) => KafkaFailure::Property {
            name: "security.protocol, sasl.*, ssl.*".to_owned(),
            problem: said.clone(),
        },
        other => KafkaFailure::Passing { said: code_of(other).to_string() },
    }
}

/// What was being done and to which cluster: half of an [`Error::Kafka`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) doing: &'static str,
    pub(super) topic: &'a str,
    pub(super) servers: &'a str,
}

impl Doing<'_> {
    pub(super) fn failed(self, source: KafkaFailure) -> Error {
        Error::Kafka {
            doing: self.doing,
            topic: self.topic.to_owned(),
            servers: self.servers.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: RDKafkaErrorCode, said: &str, kind: ErrorKind, hint: &str) {
        let failure = classify(code, said.to_owned(), Duration::from_secs(9));
        assert_eq!(failure.kind(), kind, "{failure}");
        assert!(failure.to_string().contains(said), "{failure}");
        assert!(failure.to_string().contains(hint), "{failure}");
    }

    #[test]
    fn tells_a_refused_connection_from_a_lost_one() {
        use RDKafkaErrorCode as Code;
        let alert = "Receive failed: sslv3 alert bad certificate: SSL alert number 42";
        let cut = "SSL handshake failed: Disconnected";
        assert_eq!(refusal(Code::Authentication, ""), Some(Code::Authentication));
        assert_eq!(refusal(Code::BrokerTransportFailure, alert), Some(Code::SSL));
        assert_eq!(refusal(Code::BrokerTransportFailure, cut), None);
        assert_eq!(refusal(Code::AllBrokersDown, ""), None);
    }

    #[test]
    fn tells_a_refused_token_from_one_that_may_still_come() {
        use RDKafkaErrorCode as Code;
        let check = |said: &str, hint: Option<&str>| {
            let said = format!("Failed to acquire SASL OAUTHBEARER token: {said}");
            let kind = if hint.is_some() { ErrorKind::Config } else { ErrorKind::Transient };
            check(Code::Authentication, &said, kind, hint.unwrap_or("no answer"));
            assert_eq!(refusal(Code::Authentication, &said).is_some(), hint.is_some(), "{said}");
        };
        check(r#"{"error": "invalid_client"}"#, Some("client.id"));
        check(r#"{"error": "invalid_scope"}"#, Some("oauthbearer.scope"));
        check("SSL certificate problem: self-signed certificate", Some("https.ca.location"));
        check("Response is not JSON encoded: text/html", Some("token.endpoint.url"));
        check("Failed to connect to localhost port 1: Connection refused", None);
        check("Operation timed out after 20000 milliseconds", None);
        check("Server did not provide an error string", None);
    }

    #[test]
    fn keeps_words_in_one_short_line() {
        assert_eq!(in_short("<html>\n\tno"), "<html>  no");
        assert_eq!(in_short(&"é".repeat(1000)).chars().count(), SAID_MAX);
    }

    #[test]
    fn says_what_to_do() {
        use RDKafkaErrorCode as Code;
        check(Code::Authentication, "bad password", ErrorKind::Config, "sasl.mechanism");
        check(Code::SSL, "certificate verify failed", ErrorKind::Config, "ssl.ca.location");
        check(Code::SSL, "tlsv13 alert certificate required", ErrorKind::Config, "wants one");
        check(Code::SSL, "wrong version number", ErrorKind::Config, "speaks no TLS");
        check(Code::TopicAuthorizationFailed, "no", ErrorKind::Config, "`Write` to append");
        check(Code::GroupAuthorizationFailed, "no", ErrorKind::Config, "`Read` on the group");
        check(Code::InvalidReplicationFactor, "3 > 1", ErrorKind::Config, "lower the replication");
        check(Code::AllBrokersDown, "refused", ErrorKind::Transient, "within 9 s");
        check(Code::InvalidMessage, "damaged on its way", ErrorKind::Transient, "now");
        check(Code::NotLeaderForPartition, "moved", ErrorKind::Transient, "now");
    }
}
