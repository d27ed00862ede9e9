//! What every evolution mode would do with what was seen, as a table: nobody should have to guess.

use super::{
    evolve::{Change, Evolution, MODES, decide, list_text},
    grow::grow,
    observed::Observed,
    versions::SchemaVersion,
};
use crate::files::options::{EvolutionMode, Format, SchemaOptions};

/// What one mode would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeOutcome {
    /// The mode.
    pub mode: EvolutionMode,
    /// Whether it is the one that the options choose.
    pub is_chosen: bool,
    /// What becomes of the stream.
    pub stream: &'static str,
    /// What becomes of the schema.
    pub schema: String,
    /// What becomes of the values that do not fit the schema as it is.
    pub data: String,
}

/// Returns what each mode would do, in the order of [`MODES`].
#[must_use]
pub fn explain(
    current: &SchemaVersion,
    seen: &Observed,
    format: &Format,
    options: &SchemaOptions,
) -> Vec<ModeOutcome> {
    let outcome = |mode| {
        let is_chosen = options.evolution == mode;
        let options = SchemaOptions { evolution: mode, ..options.clone() };
        let grown = grow(current, seen, format, &options);
        let (stream, schema, left_out) = match decide(current, seen, format, &options) {
            Evolution::Keep => ("goes on", "stays".to_owned(), grown.changes),
            Evolution::New { schema, changes, must_stop } => {
                let stream = if must_stop { "stops once" } else { "goes on" };
                (stream, format!("version {}: {}", schema.version, list_text(&changes)), vec![])
            }
            Evolution::Fail { problem } => {
                let data = "not read".to_owned();
                return ModeOutcome { mode, is_chosen, stream: FAILS, schema: problem, data };
            }
        };
        let data = fate(&left_out, &grown.unfit, options.rescued_column.is_some());
        ModeOutcome { mode, is_chosen, stream, schema, data }
    };
    MODES.into_iter().map(outcome).collect()
}

const FAILS: &str = "fails until mended";

/// Says what becomes of new fields that are not added, and of values that no type holds.
fn fate(left_out: &[Change], unfit: &[String], is_rescuing: bool) -> String {
    let new: Vec<_> = left_out.iter().map(ToString::to_string).collect();
    let parts = match is_rescuing {
        true => vec![("rescued", [&new, unfit].concat())],
        false => vec![("dropped", new), ("bad records", unfit.to_vec())],
    };
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<_> =
        parts.map(|(fate, names)| format!("{fate}: {}", list_text(names))).collect();
    if parts.is_empty() { "all fits".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests;
