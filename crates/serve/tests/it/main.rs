//! What the servers answer, asked from outside.

mod authority;
mod flight;
mod http;
mod postgres;
