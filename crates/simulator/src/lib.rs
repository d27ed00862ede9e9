//! The vendor's double: Marketstack v1 and v2 over HTTP, faithful, seeded, faulty on demand.
//!
//! The one idea: what the vendor serves is a pure function of the settings, the market time and
//! the request. One-minute bars become the running state of a trading day (`tape`), a schedule
//! derived from the seed says when a row appears and changes (`schedule`), and `truth` states
//! what a correct pipeline must hold at that moment. The crate shares no code with `ingest` or
//! `lake`, so that it can judge both.

mod account;
mod actions;
mod config;
mod eod;
mod error;
mod faults;
mod intraday;
mod quirks;
mod reference;
mod reply;
mod request;
mod row;
mod schedule;
mod seed;
mod served;
mod server;
mod tape;
mod truth;
mod vendor;

pub use account::Plan;
pub use config::{ApiVersion, GeneratedSource, Semantics, SimulatorConfig, Source};
pub use error::Error;
pub use faults::{FaultKind, FaultPlan};
pub use quirks::{Quirk, Quirks};
pub use server::Simulator;
