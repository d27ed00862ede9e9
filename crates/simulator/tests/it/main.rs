//! The simulated vendor over HTTP, as a client sees it, and its truth against the bars it is made
//! from.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code; clippy's exception covers test functions only, not helpers"
)]

mod faults;
mod harness;
mod protocol;
mod truth;
