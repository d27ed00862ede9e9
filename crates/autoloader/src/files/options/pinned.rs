//! What holds from a stream's first start on. Auto Loader ignores a later change in silence; here it
//! is refused, with what would have happened and what to do instead.

use std::{collections::BTreeMap, fmt};

use arrow::datatypes::SchemaRef;

use super::{Format, LoadOptions, PartitionColumns};
use crate::files::schema::field_text;

/// An option that is decided once.
struct Pinned {
    name: &'static str,
    /// The value as stored: it has to stay readable, and the same in later releases.
    value: fn(&LoadOptions, &str) -> String,
    /// Whether what was stored may become what is given now.
    may_become: fn(&str, &str) -> bool,
    /// What the change would do, and what to do instead.
    remedy: &'static str,
}

const PINNED: &[Pinned] = &[
    Pinned {
        name: "source",
        value: |_, source| source.trim_end_matches('/').to_owned(),
        may_become: equal,
        remedy: "the files that were seen are those of the first source, so paths of another would \
                 be mixed up with them; load it as a stream of its own",
    },
    Pinned {
        name: "format",
        value: |options, _| options.format.name().to_string(),
        may_become: equal,
        remedy: "columns were inferred from files of the first format; load the others as a stream \
                 of their own",
    },
    Pinned {
        name: "includeExistingFiles",
        value: |options, _| options.discovery.includes_existing.to_string(),
        may_become: equal,
        remedy: "it was decided when the stream first started, and Auto Loader would ignore this; \
                 replay files that were passed over, or undo files that should have been",
    },
    Pinned {
        name: "schema",
        value: |options, _| options.schema.given.as_ref().map(columns).unwrap_or_default(),
        may_become: only_grows,
        remedy: "rows were loaded by the first schema; columns may be added at the end, and nothing \
                 else may change; load into a new table for the rest",
    },
    Pinned {
        name: "partitionColumns",
        value: |options, _| match &options.schema.partition_columns {
            PartitionColumns::Inferred => "(inferred)".to_owned(),
            PartitionColumns::Named(names) => names.join(","),
        },
        may_become: equal,
        remedy: "rows that were loaded lack the values of other levels; load into a new table",
    },
    Pinned {
        name: "rows",
        value: |options, _| match &options.format {
            Format::Json(json) => json.rows.as_deref().unwrap_or_default().join("."),
            _ => String::new(),
        },
        may_become: equal,
        remedy: "rows of another array have other columns; load it as a stream of its own",
    },
    Pinned {
        name: "rescuedDataColumn",
        value: |options, _| options.schema.rescued_column.clone().unwrap_or_default(),
        may_become: equal,
        remedy: "values that were rescued lie under the first name; load into a new table to rename it",
    },
    Pinned {
        name: "metadataColumn",
        value: |options, _| options.schema.metadata_column.clone().unwrap_or_default(),
        may_become: equal,
        remedy: "rows that were loaded tell their file under the first name; without it no file is \
                 replaced, replayed or undone; load into a new table to rename it",
    },
];

/// Returns what the first start decides, for the stream's state.
#[must_use]
pub fn pinned(options: &LoadOptions, source: &str) -> BTreeMap<String, String> {
    PINNED.iter().map(|pin| (pin.name.to_owned(), (pin.value)(options, source))).collect()
}

/// Whether an option is decided by the first start.
pub(super) fn is_pinned(name: &str) -> bool {
    PINNED.iter().any(|pin| pin.name == name)
}

/// Compares what was stored at the first start with what is given now.
///
/// A decision that only one of them has belongs to another release, and is not compared.
///
/// # Errors
/// All options that must not change.
pub fn changed(
    stored: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Result<(), PinnedChanges> {
    let changes: Vec<PinnedChange> = PINNED
        .iter()
        .filter_map(|pin| {
            let (first, now) = (stored.get(pin.name)?, now.get(pin.name)?);
            let change = || PinnedChange {
                option: pin.name,
                first: first.clone(),
                now: now.clone(),
                remedy: pin.remedy,
            };
            (!(pin.may_become)(first, now)).then(change)
        })
        .collect();
    if changes.is_empty() { Ok(()) } else { Err(PinnedChanges(changes)) }
}

/// An option that differs from the first start's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedChange {
    /// The option.
    pub option: &'static str,
    /// What it was.
    pub first: String,
    /// What it is now.
    pub now: String,
    /// What the change would do, and what to do instead.
    pub remedy: &'static str,
}

/// All options that differ from the first start's and must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedChanges(pub Vec<PinnedChange>);

impl fmt::Display for PinnedChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream was first started with other options")?;
        self.0.iter().try_for_each(|PinnedChange { option, first, now, remedy }| {
            write!(f, "\n{option}: it was `{first}` and is `{now}`; {remedy}")
        })
    }
}

impl std::error::Error for PinnedChanges {}

fn equal(first: &str, now: &str) -> bool {
    first == now
}

/// Whether all columns are there still, as they were, and new ones behind them.
fn only_grows(first: &str, now: &str) -> bool {
    first == now
        || (!first.is_empty() && now.strip_prefix(first).is_some_and(|rest| rest.starts_with('\n')))
}

/// Writes columns one a line, so that a longer list begins with the shorter one.
fn columns(schema: &SchemaRef) -> String {
    let columns: Vec<String> = schema.fields().iter().map(|field| field_text(field)).collect();
    columns.join("\n")
}
