//! The lake's tables for people and their tools: HTTP, console and metrics, PostgreSQL.
//!
//! Everything here only reads. A server is given a [`lake::Reader`]; one answer sees one version
//! of every table. Both servers refuse to be reachable from other machines: see [`http::bind`].

pub mod error;
pub mod http;
mod metrics;
pub mod postgres;
pub mod powerbi;
mod threads;

pub use error::Error;
