//! Pure types and the contracts that cross crates: no I/O, no async runtime, no clock reading.
//!
//! Read in this order: what a row is about ([`dataset`], [`interval`], [`session`]), the exact
//! numbers it carries ([`decimal`]), how it travels ([`record`], [`envelope`], [`landing`]), and
//! what the crates tell each other about time, failure and progress.
#![warn(missing_docs)]

pub mod clock;
pub mod dataset;
pub mod decimal;
pub mod envelope;
pub mod error_kind;
pub mod hint;
pub mod interval;
pub mod landing;
pub mod record;
pub mod session;
pub mod status;

pub use clock::{Clock, ManualClock};
pub use dataset::Dataset;
pub use error_kind::ErrorKind;
pub use hint::{Hint, HintError, Hints};
pub use interval::BarInterval;
