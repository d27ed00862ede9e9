//! What both servers answer, asked from outside.

mod http;
mod postgres;
