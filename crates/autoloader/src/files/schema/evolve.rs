//! Whether what was seen makes a new version of the schema: the decision, and nothing but it.
//!
//! | mode | new column | wider value | else |
//! |---|---|---|---|
//! | `addNewColumns` | new version, stop | rescued | rescued |
//! | `addNewColumnsWithTypeWidening` | new version, stop | new version, stop | rescued |
//! | `rescue` | rescued | rescued | rescued |
//! | `failOnNewColumns` | refusal | rescued | rescued |
//! | `none` | dropped, or rescued where asked for | rescued | rescued |
//! | `evolve` | new version, go on | new version, go on | rescued |
//!
//! New columns come last, new members last in their struct, both by name. A field that differs from
//! a column in case only is no new column: it is the column, or is rescued when case counts.

use std::fmt;

use arrow::datatypes::DataType;

use super::{
    ddl::{path_text, type_text},
    grow::{Growth, grow},
    observed::Observed,
    versions::SchemaVersion,
};
use crate::files::options::{EvolutionMode, Format, SchemaOptions};

/// All modes, Auto Loader's first.
pub const MODES: [EvolutionMode; 6] = [
    EvolutionMode::AddNewColumns,
    EvolutionMode::AddNewColumnsWithTypeWidening,
    EvolutionMode::Rescue,
    EvolutionMode::FailOnNewColumns,
    EvolutionMode::None,
    EvolutionMode::Evolve,
];

/// What follows from what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evolution {
    /// The schema stays; what does not fit it is rescued, or dropped.
    Keep,
    /// There is a new version. It has to be kept before anything else is done.
    New {
        /// The version; whoever knows which files made it grow sets its `sample`.
        schema: SchemaVersion,
        /// How it differs from the one before.
        changes: Vec<Change>,
        /// Whether the stream stops, so that somebody sees it and starts it again.
        must_stop: bool,
    },
    /// The stream stops, and stops again until somebody changes something.
    Fail {
        /// What was found, and what can be done.
        problem: String,
    },
}

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A column, or a member of a struct, that was not there.
    Added {
        /// Where.
        path: Vec<String>,
        /// What it holds.
        data_type: DataType,
    },
    /// A column, or something inside it, that holds more than before.
    Widened {
        /// Where.
        path: Vec<String>,
        /// What it held.
        from: DataType,
        /// What it holds.
        to: DataType,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { path, data_type } => {
                write!(out, "{} {}", path_text(path), type_text(data_type))
            }
            Self::Widened { path, from, to } => {
                write!(out, "{} {} → {}", path_text(path), type_text(from), type_text(to))
            }
        }
    }
}

impl Evolution {
    /// Returns what to tell the user when the stream stops; `None` when it does not.
    #[must_use]
    pub fn stop_text(&self) -> Option<String> {
        match self {
            Self::New { schema, changes, must_stop: true } => Some(format!(
                "the files do not fit the schema: {}; version {} of the schema has it, and the next start goes on with that (Auto Loader: UnknownFieldException)",
                list_text(changes),
                schema.version,
            )),
            Self::Fail { problem } => Some(problem.clone()),
            Self::Keep | Self::New { .. } => None,
        }
    }
}

/// Decides what `seen` means for `current` under the mode of `options`.
///
/// `seen` is an object of fields, such as [`crate::files::Decoded::unknown`]: those that are no
/// column, and those whose values did not fit theirs. Fields that do fit change nothing, so more
/// than that may be in it.
#[must_use]
pub fn decide(
    current: &SchemaVersion,
    seen: &Observed,
    format: &Format,
    options: &SchemaOptions,
) -> Evolution {
    let mode = options.evolution;
    if matches!(mode, EvolutionMode::Rescue | EvolutionMode::None) {
        return Evolution::Keep;
    }
    let Growth { columns, changes, .. } = grow(current, seen, format, options);
    if changes.is_empty() {
        return Evolution::Keep;
    }
    let must_stop = mode != EvolutionMode::Evolve;
    if mode == EvolutionMode::FailOnNewColumns {
        return Evolution::Fail {
            problem: format!(
                "the files have columns that the schema does not: {}; add them to `schema` or `schemaHints`, remove the files that have them, or choose another `cloudFiles.schemaEvolutionMode`",
                list_text(&changes)
            ),
        };
    }
    if must_stop && options.given.is_some() {
        return Evolution::Fail {
            problem: format!(
                "the files do not fit the given schema: {}; `{}` cannot change a given schema: leave `schema` out and give what you know as `schemaHints`, or choose `rescue`, `none` or `failOnNewColumns`",
                list_text(&changes),
                mode.as_str(),
            ),
        };
    }
    let schema = SchemaVersion {
        version: current.version.saturating_add(1),
        columns,
        sample: Vec::new(),
        ..current.clone()
    };
    Evolution::New { schema, changes, must_stop }
}

/// Most changes that a message lists; a file of another kind altogether may bring thousands.
const LISTED_MAX: usize = 20;

pub(crate) fn list_text<T: fmt::Display>(items: &[T]) -> String {
    let mut text: Vec<_> = items.iter().take(LISTED_MAX).map(|item| format!("`{item}`")).collect();
    if LISTED_MAX < items.len() {
        text.push(format!("and {} more", items.len() - LISTED_MAX));
    }
    text.join(", ")
}

#[cfg(test)]
pub(super) mod tests;
