//! The crate's public API against real files and a real socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions themselves")]

mod kafka;
mod landing;
mod shared;
mod source;
mod topic;
mod vendor;
