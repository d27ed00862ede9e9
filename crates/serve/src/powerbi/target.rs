//! What Power BI connects to: checked once, so that no file needs an escape.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// PostgreSQL's own limit for a name.
const DATABASE_BYTES_MAX: usize = 63;

/// The limit of a host name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// A server or database that cannot be written into the files.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidTarget {
    /// The server is not a host and a port.
    #[error("`{text}` is no server; write HOST:PORT, such as `localhost:5439`")]
    Server {
        /// What was given.
        text: String,
    },
    /// The server is an IPv6 address, whose colons Power BI takes for the port's.
    #[error("`{text}` is an IPv6 address, which Power BI's connector cannot reach; write a name")]
    Ipv6 {
        /// What was given.
        text: String,
    },
    /// The database has a name that would need quotes.
    #[error("`{text}` is no name of a database; use letters, digits, `_` and `-`")]
    Database {
        /// What was given.
        text: String,
    },
}

/// Host and port as they are typed into Power BI's server box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(String);

impl Server {
    /// Returns `HOST:PORT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Server {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget::Server { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        if host.contains(':') {
            return Err(InvalidTarget::Ipv6 { text: text.to_owned() });
        }
        let is_host = !host.is_empty()
            && host.len() <= HOST_BYTES_MAX
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        // A sign would pass for a part of the number.
        let is_digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let is_port = is_digits && port.parse::<u16>().is_ok_and(|port| port != 0);
        if !is_host || !is_port {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database(String);

impl Database {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Database {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let is_name = !text.is_empty()
            && text.len() <= DATABASE_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            return Err(InvalidTarget::Database { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where the data is while somebody looks at the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Copied into the report when it is refreshed.
    Import,
    /// Asked of marketlake whenever a visual is drawn.
    DirectQuery,
}

#[cfg(test)]
mod tests {
    use super::{Database, Server};

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for text in ["localhost:5439", "10.0.0.7:1", "bi-gate.example.com:65535", "h_1:5432"] {
            assert_eq!(text.parse::<Server>().unwrap().as_str(), text);
        }
        let long = format!("{}:5439", "a".repeat(254));
        for text in [
            "",
            ":",
            "localhost",
            "localhost:",
            ":5439",
            "localhost:0",
            "localhost:65536",
            "localhost:+1",
            "local host:1",
            "a\"b:1",
            "a;b:1",
            "a\n:1",
            "ü:1",
            &long,
        ] {
            let message = text.parse::<Server>().unwrap_err().to_string();
            assert!(message.contains("HOST:PORT"), "{text:?}: {message}");
        }
        for text in ["[::1]:5439", "::1:5439"] {
            assert!(text.parse::<Server>().unwrap_err().to_string().contains("IPv6"), "{text}");
        }
    }

    #[test]
    fn a_database_is_a_plain_name() {
        for text in ["marketlake", "a-b_9", &"a".repeat(63)] {
            assert_eq!(text.parse::<Database>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "a\"", "a;b", "a#(lf)", "ü", &"a".repeat(64)] {
            assert!(text.parse::<Database>().is_err(), "{text:?}");
        }
    }
}
