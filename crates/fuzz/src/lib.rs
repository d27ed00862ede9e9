//! What must hold for any bytes at all: inputs that nobody thought of, searched for by coverage.
//!
//! ```text
//! said      an input's first lines as options, the rest as a file
//! decode    files of formats read from front to back: rows do not depend on how bytes were cut
//! parquet   files that are read by ranges: what is damaged is told, and no thread dies of it
//! infer     several files: their order does not matter, and what was inferred is read back
//! options   texts that users write: what was understood is printed so that it means the same
//! plans     files of a stream's state, and lists of other loaders: read back as written
//! landing   lines of a landing object: each is one row
//! ```
//!
//! Each target is a function of bytes that panics where its rule does not hold. `scripts/fuzz` runs
//! them under libFuzzer; the tests run them over the corpus, so that what was found once stays mended.

mod decode;
mod infer;
mod landing;
mod options;
mod parquet;
mod plans;
mod said;

pub use decode::decode;
pub use infer::infer;
pub use landing::landing;
pub use options::options;
pub use parquet::{expect_panics, parquet};
pub use plans::plans;
