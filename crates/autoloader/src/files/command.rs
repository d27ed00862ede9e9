//! What people ask of a stream about files it knows: redrive, replay, undo, import. Pure.
//!
//! Each selects files of the ledger and says what a batch does with them; `Stream::ask` takes it.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use chrono::{DateTime, NaiveDate, Utc};

use super::{
    choice::Candidate,
    plan::{Action, Found, PlannedFile},
    seen::{Known, Seen, Status},
    source_file::{SourceFile, is_same_etag},
};
use crate::target::BatchId;

mod listed;

pub use listed::{BadEntry, Listed, parse_list};

/// Which files of the ledger are meant.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those whose path fits.
    Paths(&'a dyn Fn(&str) -> bool),
    /// Those that were last modified on this day, UTC.
    Day(NaiveDate),
    /// Those that this batch had, and none after it.
    Batch(BatchId),
}

impl std::fmt::Debug for Which<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Paths(_) => f.write_str("Paths"),
            Self::Day(day) => f.debug_tuple("Day").field(day).finish(),
            Self::Batch(batch) => f.debug_tuple("Batch").field(batch).finish(),
        }
    }
}

impl Which<'_> {
    fn fits(&self, known: &Known) -> bool {
        match self {
            Self::All => true,
            Self::Paths(fits) => fits(&known.file.path),
            Self::Day(day) => known.file.modified.date_naive() == *day,
            Self::Batch(batch) => known.batch == *batch,
        }
    }
}

/// Returns the files that failed, to be tried again as what they were to be.
#[must_use]
pub fn redrive(seen: &Seen, which: Which<'_>) -> Vec<PlannedFile> {
    let is_meant = |known: &&Known| {
        let is_passed_over = known.status == Status::Skipped && known.outcome.set_aside.is_some();
        which.fits(known)
            && (matches!(known.status, Status::Failed | Status::Poisoned | Status::Missing)
                || is_passed_over)
    };
    select(seen, is_meant, |known| {
        // Rows of an older version stay where the policy appended.
        if known.action == Action::Append { Action::Append } else { replacing(known) }
    })
}

/// Returns files to be read again as they were planned last, in exchange for their rows. Those that
/// were moved or deleted after loading are not there to be read. One that has rows of other versions,
/// too, is refused by `Stream::ask`: they would go and not come again.
#[must_use]
pub fn replay(seen: &Seen, which: Which<'_>) -> Vec<PlannedFile> {
    let is_meant = |known: &&Known| {
        which.fits(known)
            && known.cleaned.is_none()
            && matches!(known.status, Status::Loaded | Status::Undone | Status::Skipped)
    };
    select(seen, is_meant, replacing)
}

/// Returns files whose rows are to be taken away.
#[must_use]
pub fn undo(seen: &Seen, which: Which<'_>) -> Vec<PlannedFile> {
    let is_meant = |known: &&Known| {
        which.fits(known) && known.status != Status::Planned && known.rows_kept != 0
    };
    select(seen, is_meant, |_| Action::Remove)
}

/// Returns loaded files that fields were rescued from which are columns now, and that were read
/// under columns older than `version`. One that has rows of other versions, too, keeps all of them.
#[must_use]
pub fn backfill(seen: &Seen, version: u64, columns: &SchemaRef) -> Vec<PlannedFile> {
    seen.rows().filter_map(|known| backfilled(known, version, columns)).collect()
}

/// Returns how one file is read again for the columns of `version`, if they ask for it.
pub(super) fn backfilled(known: &Known, version: u64, columns: &SchemaRef) -> Option<PlannedFile> {
    let is_column = |field: &String| is_covered(columns.fields(), field);
    let is_meant = known.status == Status::Loaded
        && known.cleaned.is_none()
        && !has_other_versions(known)
        && known.schema_version < Some(version)
        && known.outcome.rescued_fields.iter().any(is_column);
    is_meant.then(|| PlannedFile {
        file: known.file.clone(),
        action: replacing(known),
        found: Found::Backfill,
        failures: known.failures,
    })
}

/// Returns files that another loader has loaded, to be remembered and not read.
///
/// `found` is what the source has now. Where the list says nothing of a file's version, the one
/// that is there is taken for the one that was loaded; what the list says and the source denies is
/// an overwritten file, and the policy about those decides. A path that is known already is left
/// alone.
#[must_use]
pub fn import(seen: &Seen, found: &[Candidate], listed: &[Listed]) -> Vec<PlannedFile> {
    let found: BTreeMap<&str, &SourceFile> =
        found.iter().map(|candidate| (candidate.file.path.as_str(), &candidate.file)).collect();
    let skip = |listed: &Listed| PlannedFile {
        file: loaded_version(listed, found.get(listed.path.as_str()).copied()),
        action: Action::Skip,
        found: Found::Import,
        failures: 0,
    };
    // The last line about a path counts.
    let by_path: BTreeMap<&str, &Listed> =
        listed.iter().map(|listed| (listed.path.as_str(), listed)).collect();
    by_path.into_values().filter(|listed| seen.get(&listed.path).is_none()).map(skip).collect()
}

/// Returns the version of a file that another loader had.
fn loaded_version(listed: &Listed, found: Option<&SourceFile>) -> SourceFile {
    let agrees = |found: &&SourceFile| {
        listed.size.is_none_or(|size| size == found.size)
            && listed.etag.as_ref().is_none_or(|listed| {
                found.etag.as_ref().is_some_and(|found| is_same_etag(listed, found))
            })
            && listed.modified.is_none_or(|modified| is_same_time(modified, found.modified))
    };
    match found.filter(agrees) {
        Some(found) => found.clone(),
        None => SourceFile {
            path: listed.path.clone(),
            size: listed.size.unwrap_or_default(),
            modified: listed.modified.unwrap_or_default(),
            etag: listed.etag.clone(),
            version: None,
        },
    }
}

/// Whether two times may be one, written to the second and to the microsecond.
fn is_same_time(listed: DateTime<Utc>, found: DateTime<Utc>) -> bool {
    listed == found
        || listed.timestamp() == found.timestamp() && listed.timestamp_subsec_nanos() == 0
        || listed.timestamp_millis() == found.timestamp_millis()
}

/// Returns what is left of a wish, as of now: whoever made it may have known less, and meanwhile the
/// file may have been loaded, or its rows be gone.
#[must_use]
pub fn still_wanted(seen: &Seen, asked: PlannedFile) -> Option<PlannedFile> {
    let Some(known) = seen.get(&asked.file.path) else { return Some(asked) };
    let action = match asked.action {
        // Remembered already.
        Action::Skip => return None,
        Action::Remove if known.rows_kept == 0 => return None,
        Action::Remove => Action::Remove,
        // Loaded already.
        Action::Append if known.status == Status::Loaded => return None,
        Action::Append if known.action == Action::Append => Action::Append,
        // It was one when it was asked for.
        Action::Replace if has_other_versions(known) => return None,
        Action::Append | Action::Replace => replacing(known),
    };
    // A file may have been mended since it failed, or been planned anew since it was asked for.
    let is_newer =
        known.file.was_overwritten_by(&asked.file) && known.file.modified < asked.file.modified;
    let file = if is_newer { asked.file.clone() } else { known.file.clone() };
    Some(PlannedFile { file, action, ..asked })
}

fn select(
    seen: &Seen,
    is_meant: impl Fn(&&Known) -> bool,
    action: impl Fn(&Known) -> Action,
) -> Vec<PlannedFile> {
    let planned = |known: &Known| PlannedFile {
        file: known.file.clone(),
        action: action(known),
        found: Found::Command,
        failures: 0,
    };
    seen.rows().filter(is_meant).map(planned).collect()
}

/// Whether a path has rows of other versions than the one that is known: they were appended, and
/// nobody can read them again.
#[must_use]
pub fn has_other_versions(known: &Known) -> bool {
    let rows = if known.status == Status::Loaded { known.outcome.rows } else { 0 };
    known.action == Action::Append && rows < known.rows_kept
}

/// What reads a file again without its rows being there twice.
const fn replacing(known: &Known) -> Action {
    if known.rows_kept == 0 { Action::Append } else { Action::Replace }
}

/// Whether columns have the field of this dotted path. A name may itself have dots.
fn is_covered(columns: &Fields, path: &str) -> bool {
    columns.iter().any(|field| match path.strip_prefix(field.name().as_str()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| is_inside(field, rest)),
        None => false,
    })
}

fn is_inside(field: &Field, path: &str) -> bool {
    match field.data_type() {
        DataType::Struct(fields) => is_covered(fields, path),
        DataType::List(element) | DataType::LargeList(element) => is_inside(element, path),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
