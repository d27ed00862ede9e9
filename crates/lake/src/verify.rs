//! Proves the promise anew: from landing objects to gold, derived again and compared row by row.
//!
//! Nothing the pipeline says of itself is believed but one thing: which version of its source a
//! table claims to hold. Landing objects are checked against their hashes and decoded again; every
//! table is derived again from its source at the version it claims, with the pure functions of the
//! stage that wrote it, and both must have the same rows. What a stage has not claimed yet is
//! pending, so a pipeline at work can be verified, too.

mod derived;
mod landed;
mod pinned;
mod rows;

use std::{collections::BTreeMap, fmt, sync::Arc};

use model::Dataset;
use object_store::ObjectStore;
use serde::Serialize;

use self::pinned::PinnedLake;
use crate::{Error, Location, Semantics};

/// What is verified.
#[derive(Clone, Debug)]
pub struct VerifyScope {
    /// The refine stage's generation.
    pub refine_generation: u32,
    /// Each dataset's topic.
    pub topics: Vec<VerifyTopic>,
    /// How the refine stage was told to read intraday rows.
    pub semantics: Semantics,
    /// Days to show, as `yyyymmdd` UTC; what lies outside is checked as well but not listed.
    pub days: Option<(i32, i32)>,
}

/// A dataset's topic.
#[derive(Clone, Debug)]
pub struct VerifyTopic {
    /// The dataset.
    pub dataset: Dataset,
    /// The topic's name.
    pub topic: String,
    /// The generation that is landed now; older ones are verified as well.
    pub generation: u32,
    /// The offset after the last record of each partition, read before the landing zone is.
    pub ends: Vec<u64>,
}

/// A page of a completed fetch, as the poller recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPage {
    /// The dataset.
    pub dataset: Dataset,
    /// The fetch.
    pub fetch_id: u64,
    /// The page within the fetch.
    pub page: u32,
    /// Rows the page had.
    pub rows: u64,
    /// Whether the topic may have lost it before it landed; then it was fetched again since.
    pub may_be_lost: bool,
}

/// The counts of one dataset and day: `landed = bronze + corrupt`, and
/// `bronze = new + restated + unchanged + superseded + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DatasetDay {
    /// Rows of completed fetches.
    pub fetched: u64,
    /// Lines in landing objects; more than `fetched` when a page was fetched again after a crash.
    pub landed: u64,
    /// Rows in bronze that the loader could read.
    pub bronze: u64,
    /// Lines in bronze that it could not.
    pub corrupt: u64,
    /// First rows of their key.
    pub new: u64,
    /// Rows that changed a known value.
    pub restated: u64,
    /// Rows that said what was known.
    pub unchanged: u64,
    /// Rows fetched before the latest known one.
    pub superseded: u64,
    /// Rows in quarantine.
    pub rejected: u64,
}

/// Something that is not as promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The dataset.
    pub dataset: Dataset,
    /// What was found, where.
    pub problem: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.dataset, self.problem)
    }
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Counts by dataset and day (`yyyymmdd` UTC, 0 when a row has no date).
    pub days: BTreeMap<Dataset, BTreeMap<i32, DatasetDay>>,
    /// The first hundred things that are not as promised.
    pub breaches: Vec<Breach>,
    /// What could not be compared yet because a stage is still at work.
    pub pending: Vec<Breach>,
    /// What a topic lost before it landed, and the poller was told to fetch again.
    pub lost: Vec<Breach>,
}

/// What was just looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked<'a> {
    /// A table, or a topic's landing zone.
    pub at: &'a str,
    /// Rows that were read.
    pub rows: u64,
}

/// Messages kept of one kind: a broken chain can breach every row after it, and a hundred of them
/// tell the story.
const MESSAGES_MAX: usize = 100;

/// A verification under way.
struct Findings<'a> {
    found: Verification,
    observe: &'a mut (dyn FnMut(Looked<'_>) + Send),
}

impl Findings<'_> {
    fn looked(&mut self, at: &str, rows: u64) {
        (self.observe)(Looked { at, rows });
    }

    fn day(&mut self, dataset: Dataset, day: i32) -> &mut DatasetDay {
        self.found.days.entry(dataset).or_default().entry(day).or_default()
    }

    fn breach(&mut self, dataset: Dataset, problem: String) {
        note(&mut self.found.breaches, dataset, problem);
    }

    fn lost(&mut self, dataset: Dataset, problem: String) {
        note(&mut self.found.lost, dataset, problem);
    }

    fn pending(&mut self, dataset: Dataset, problem: String) {
        note(&mut self.found.pending, dataset, problem);
    }
}

fn note(messages: &mut Vec<Breach>, dataset: Dataset, problem: String) {
    if messages.len() < MESSAGES_MAX {
        messages.push(Breach { dataset, problem });
    }
}

/// Verifies everything from the landing zone to gold; `observe` is told how it goes on.
///
/// # Errors
/// Something could not be read. What is wrong but readable is a breach, not an error.
pub async fn verify(
    landing: Arc<dyn ObjectStore>,
    location: &Location,
    scope: &VerifyScope,
    fetched: &[FetchedPage],
    observe: &mut (dyn FnMut(Looked<'_>) + Send),
) -> Result<Verification, Error> {
    let mut findings = Findings { found: Verification::default(), observe };
    // Before the landing zone: what lands meanwhile is then only ever too new, never missing.
    let mut lake = PinnedLake::open(location).await?;
    for topic in &scope.topics {
        let chains = landed::walk(&landing, topic, &mut findings).await?;
        landed::compare_fetched(topic, fetched, &chains, &mut findings);
        landed::compare_bronze(topic.dataset, &mut lake, chains, &mut findings).await?;
    }
    derived::compare(&mut lake, scope, &mut findings).await?;
    let mut verification = findings.found;
    if let Some((from, to)) = scope.days {
        for days in verification.days.values_mut() {
            days.retain(|day, _| (from..=to).contains(day));
        }
    }
    Ok(verification)
}
