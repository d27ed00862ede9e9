//! The lake's tables for people and their tools: HTTP, console and metrics, PostgreSQL, Flight SQL.
//!
//! Everything here only reads. A server is given a [`lake::Reader`]; one answer sees one version
//! of every table. No server lets other machines reach it in the clear: see [`http::bind`].

pub mod error;
pub mod flight;
pub mod http;
mod metrics;
pub mod postgres;
pub mod powerbi;
mod threads;

pub use error::Error;
pub use metrics::FlightMeter;
