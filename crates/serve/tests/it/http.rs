//! The HTTP server over small tables in memory, on a port of its own.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod client;
mod connect;
mod fixture;
mod guard;
mod login;
mod query;
mod schema;
mod stream;
mod tls;
