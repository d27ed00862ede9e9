//! Proves the promise anew: from landing objects to gold, counted and compared row by row.
//!
//! Nothing the pipeline says of itself is believed. The landing chain is walked and every object's
//! hash checked; bronze is compared with it offset by offset; silver and gold are derived again
//! from bronze with the pure functions and compared with the tables.

mod landed;
mod tables;

use std::{collections::BTreeMap, fmt, sync::Arc};

use model::Dataset;
use object_store::ObjectStore;
use serde::Serialize;

use crate::{Error, Location, Semantics};

/// What is verified.
#[derive(Clone, Debug)]
pub struct VerifyScope {
    /// The landing zone's generation.
    pub generation: u32,
    /// Each dataset with its topic and the topic's partitions.
    pub topics: Vec<(Dataset, String, u32)>,
    /// How the refine stage was told to read intraday rows.
    pub semantics: Semantics,
    /// Days to show, as `yyyymmdd` UTC; what lies outside is checked as well but not listed.
    pub days: Option<(i32, i32)>,
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
    /// Everything that is not as promised.
    pub breaches: Vec<Breach>,
    /// What could not be compared yet because a stage is still at work.
    pub pending: Vec<Breach>,
}

impl Verification {
    fn day(&mut self, dataset: Dataset, day: i32) -> &mut DatasetDay {
        self.days.entry(dataset).or_default().entry(day).or_default()
    }

    fn breach(&mut self, dataset: Dataset, problem: String) {
        // A broken chain can breach every row after it; a hundred of them tell the story.
        if self.breaches.len() < 100 {
            self.breaches.push(Breach { dataset, problem });
        }
    }

    fn pending(&mut self, dataset: Dataset, problem: String) {
        self.pending.push(Breach { dataset, problem });
    }
}

/// Verifies everything from the landing zone to gold.
///
/// # Errors
/// Something could not be read. What is wrong but readable is a breach, not an error.
pub async fn verify(
    landing: Arc<dyn ObjectStore>,
    location: &Location,
    scope: &VerifyScope,
    fetched: &[FetchedPage],
) -> Result<Verification, Error> {
    let mut verification = Verification::default();
    for (dataset, topic, partitions) in &scope.topics {
        // Bronze first: what lands meanwhile is then only ever too new, never missing.
        let bronze = tables::read_bronze(location, *dataset).await?;
        let chain = landed::walk(
            &landing,
            scope.generation,
            topic,
            *partitions,
            *dataset,
            &mut verification,
        )
        .await?;
        landed::compare_fetched(*dataset, fetched, &chain, &mut verification);
        tables::compare_bronze(*dataset, &bronze, &chain, &mut verification)?;
        tables::compare_refined(location, *dataset, &bronze, scope.semantics, &mut verification)
            .await?;
    }
    if let Some((from, to)) = scope.days {
        for days in verification.days.values_mut() {
            days.retain(|day, _| (from..=to).contains(day));
        }
    }
    Ok(verification)
}
