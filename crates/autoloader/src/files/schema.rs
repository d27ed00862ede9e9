//! Columns: what values were observed, the types that follow, and how a schema may grow. Pure.

mod observed;

pub use observed::Observed;
