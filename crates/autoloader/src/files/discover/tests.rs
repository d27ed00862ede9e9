//! What discovery finds, row by row, over a store that counts its pages and a queue in memory.

mod hints;
mod listing;
pub(in crate::files) mod queue;
mod store;
mod window;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use model::hint::Hints;
use object_store::{ObjectMeta, path::Path};

use super::{Discoverer, Looked, Source};
use crate::{
    files::{
        options::{Discovery, Overwrites},
        plan::{Action, FORMAT, FileOutcome, FilePlan, Found, Outcome, PlannedFile, SetAside},
        seen::Seen,
        source_file::SourceFile,
    },
    target::BatchId,
};
use store::Pages;

pub(in crate::files) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time")
}

pub(in crate::files) fn discovery() -> Discovery {
    Discovery { age_min: Duration::ZERO, ..Discovery::default() }
}

/// An object written at second 1, whose tag is its size.
pub(in crate::files) fn meta(path: &str, size: u64) -> ObjectMeta {
    ObjectMeta {
        location: Path::parse(path).expect("a path"),
        last_modified: at(1),
        size,
        e_tag: Some(size.to_string()),
        version: None,
    }
}

pub(in crate::files) fn plan(files: impl IntoIterator<Item = SourceFile>, batch: u64) -> FilePlan {
    let planned =
        |file| PlannedFile { file, action: Action::Append, found: Found::Listing, failures: 0 };
    FilePlan {
        format: FORMAT,
        release: "0".to_owned(),
        stream: "s".to_owned(),
        batch: BatchId(batch),
        planned_at: at(100),
        found_at: None,
        files: files.into_iter().map(planned).collect(),
    }
}

/// A stream that has loaded files of ten bytes at these paths.
pub(in crate::files) fn seen<P: AsRef<str>>(paths: &[P]) -> Seen {
    let mut seen = Seen::default();
    let plan = plan(paths.iter().map(|path| meta(path.as_ref(), 10).into()), 0);
    seen.settle(&plan, &outcome(0, []));
    seen
}

/// The outcome of a batch in which these files were set aside, and the others loaded.
fn outcome<const N: usize>(batch: u64, files: [(String, FileOutcome); N]) -> Outcome {
    Outcome {
        format: FORMAT,
        batch: BatchId(batch),
        decided_at: at(101),
        schema_version: Some(1),
        files: files.into(),
        rows: None,
        quarantine: None,
    }
}

/// Plans files as batch `batch`.
pub(in crate::files) fn take(
    seen: &mut Seen,
    files: impl IntoIterator<Item = SourceFile>,
    batch: u64,
) {
    seen.plan(&plan(files, batch));
}

/// Notes that a file of batch `batch` was set aside.
fn set_aside(seen: &mut Seen, file: SourceFile, batch: u64, why: SetAside) {
    let path = file.path.clone();
    let found = FileOutcome { set_aside: Some(why), ..FileOutcome::default() };
    seen.settle(&plan([file], batch), &outcome(batch, [(path, found)]));
}

fn source(store: &Arc<Pages>) -> Source {
    let store: Arc<dyn object_store::ObjectStore> = Arc::<Pages>::clone(store);
    Source { store, prefix: None, is_local: false, names: Arc::new(|_| true) }
}

fn discoverer(store: &Arc<Pages>, discovery: Discovery) -> Discoverer {
    Discoverer::new(source(store), discovery, Overwrites::Ignore, Vec::new(), None)
}

fn with_hints(store: &Arc<Pages>, discovery: Discovery, hints: impl Hints + 'static) -> Discoverer {
    Discoverer::new(source(store), discovery, Overwrites::Ignore, vec![Box::new(hints)], None)
}

fn paths(looked: &Looked) -> Vec<&str> {
    looked.candidates.iter().map(|candidate| candidate.file.path.as_str()).collect()
}
