//! The lake's tables for people and their tools: HTTP, console and metrics, PostgreSQL, Flight SQL.
//!
//! Everything here only reads. A server is given a [`lake::Reader`]; one answer sees one version
//! of every table. A server refuses to be reachable from other machines unless it has TLS and
//! passwords.

pub mod audit;
pub mod error;
pub mod flight;
pub mod http;
mod kept;
mod metrics;
mod passwords;
pub mod postgres;
pub mod powerbi;
mod strangers;
mod threads;
pub mod tls;

pub use error::Error;
pub use metrics::FlightMeter;
