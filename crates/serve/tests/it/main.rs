//! What the servers answer, asked from outside.

mod flight;
mod http;
mod postgres;
