//! From the vendor's REST API to landing objects: the left half of the pipeline.
//!
//! Read in this order: where rows come from ([`source`], [`marketstack`]), what is asked for and
//! when ([`poller`], on the durable [`state`] with the [`quota`] ledger), how pollers of many
//! machines share that work ([`shared`]), where records go ([`topic`]), and how they become
//! immutable objects ([`landing`]).
//!
//! [`retry`] and [`limiter`] hold the two kinds of patience towards the vendor.

mod create_only;
pub mod error;
mod hex;
pub mod landing;
pub mod limiter;
pub mod marketstack;
pub mod poller;
pub mod quota;
pub mod retry;
pub mod shared;
pub mod source;
pub mod state;
pub mod topic;

pub use error::Error;
