//! The HTTP server over small tables in memory, on a port of its own.

mod api;
mod client;
mod fixture;
mod guard;
mod schema;
mod stream;
