//! Columns: what values were observed, the types that follow, and how a schema may grow. Pure, but
//! for the store of versions.
//!
//! ```text
//! types      the Arrow types that tables have, as Delta maps them
//! ddl        those types as text, as Spark writes them
//! observed   what values a field held: a lattice, so that order decides nothing
//! observing  JSON and CSV texts ──▶ observations
//! typing     observations ──▶ types, by the rules that the options set
//! partition  what a path spells: `year=2026/`
//! sample     which files a schema is inferred from
//! hints      what the user knows better
//! infer      observations of the sampled files ──▶ the first version
//! widen      which types may become which
//! grow       columns and what did not fit them ──▶ columns that hold it, as far as there are any
//! evolve     a version and what did not fit it ──▶ the next one, or a refusal
//! wish       what the user gives after the first start ──▶ the next version, or a refusal
//! versions   the versions as files, each created once
//! explain    what every mode would do, as a table
//! ```

mod ddl;
mod evolve;
mod explain;
mod grow;
mod hints;
mod infer;
mod observed;
mod observing;
mod partition;
mod sample;
mod types;
mod typing;
mod versions;
mod widen;
mod wish;

pub use ddl::{InvalidDdl, field_text, parse_fields, parse_hints, parse_path, parse_type};
pub use ddl::{path_text, type_text};
pub use evolve::{Change, Evolution, MODES, decide};
pub use explain::{ModeOutcome, explain};
pub use infer::{FileObservation, InferError, fixed_columns, given, infer};
pub use observed::Observed;
pub(crate) use observing::Strings;
pub use observing::{Iso, NESTING_MAX, TimeTexts};
pub use partition::{PartitionValue, partition_values, values_of};
pub use sample::sample;
pub(crate) use types::{folded, is_same_name, map_parts};
pub use types::{list_of, map_of, ntz, timestamp};
pub use typing::{Detail, Times, TypeRules};
pub use versions::{SampledFile, SchemaStore, SchemaVersion};
pub use widen::{common, widened};
pub use wish::wished;
