//! The stores as their users see them: the contract, bad credentials and certificates, broken
//! replies, lost power.
#![expect(clippy::panic, reason = "helpers of tests, outside the test functions themselves")]

mod faults;
mod hints;
mod local;
mod probe;
mod services;
mod stores;
mod tls;
mod trouble;
