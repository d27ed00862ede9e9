//! The audit: who came in and what they ran, an event each.
//!
//! An event holds no value of a statement and no message, which may quote one: it is kept longer, and
//! read by more people, than what it is about.

use std::{fmt, net::IpAddr};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Keeps events. Called where clients are served, so it must be quick; it does not fail, for what
/// was asked has been done.
pub trait Audit: fmt::Debug + Send + Sync {
    /// Keeps one event.
    fn record(&self, event: &Event);
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When it ended.
    pub ts: DateTime<Utc>,
    /// Through which door, such as `postgres`.
    pub door: &'static str,
    /// Who they said they are; proved, unless a login was refused.
    pub role: String,
    /// Where from.
    pub address: IpAddr,
    /// What the client calls itself.
    pub application: String,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Act {
    /// Tried to come in.
    Login {
        /// Whether the connection is encrypted.
        encrypted: bool,
    },
    /// Ran a statement, or a part of one.
    Statement {
        /// The same for statements that differ in their values only.
        fingerprint: String,
        /// The statement with `?` for its values, cut to a bound. Empty where it could not be read.
        statement: String,
        /// Rows that were sent.
        rows: u64,
        /// How long it took.
        duration_us: u64,
    },
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// As was wished.
    Ok,
    /// The client was told why not.
    Refused {
        /// The SQLSTATE it was told.
        code: &'static str,
    },
    /// The client went away.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let event = Event {
            ts: DateTime::UNIX_EPOCH,
            door: "postgres",
            role: "desk".to_owned(),
            address: IpAddr::from([192, 0, 2, 1]),
            application: "psql".to_owned(),
            act: Act::Login { encrypted: true },
            outcome: Outcome::Refused { code: "28P01" },
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            "{\"ts\":\"1970-01-01T00:00:00Z\",\"door\":\"postgres\",\"role\":\"desk\",\
             \"address\":\"192.0.2.1\",\"application\":\"psql\",\"event\":\"login\",\
             \"encrypted\":true,\"outcome\":\"refused\",\"code\":\"28P01\"}"
        );
    }
}
