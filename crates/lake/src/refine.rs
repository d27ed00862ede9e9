//! The refine stage: bronze → silver → gold, one bounded step of each per run.

mod gold;
mod silver;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use model::{BarInterval, Dataset};

use crate::{
    Error, Location, Semantics,
    flow::{Cursor, refine_app},
    gold::{bars::Published, quotes::Quotes, resample::Instrument},
    schema::table_def,
    silver::{
        bar::Bars,
        versioned::{SPECS, Versions},
    },
    table::Table,
};

/// Returns the steps of the stage: source table, target table, and the name of the progress.
pub(crate) fn steps(generation: u32) -> Vec<(String, String, String)> {
    let mut steps = Vec::new();
    let mut step = |source: String, target: &str| {
        let app = refine_app(generation, &source);
        steps.push((source, target.to_owned(), app));
    };
    for dataset in Dataset::ALL {
        step(format!("bronze.{dataset}"), "silver.quarantine");
    }
    step("bronze.intraday".to_owned(), "silver.bar");
    for spec in &SPECS {
        step(format!("bronze.{}", spec.dataset), &format!("silver.{}", spec.table));
    }
    for interval in BarInterval::GOLD {
        step("silver.bar".to_owned(), &format!("gold.bar_{interval}"));
    }
    step("silver.bar".to_owned(), "gold.quote_latest");
    step("silver.eod".to_owned(), "gold.eod");
    steps
}

/// What the refine stage needs to know.
#[derive(Clone, Copy, Debug)]
pub struct RefineConfig {
    /// Counts up when tables were restored or are to be refined anew; names the transactions.
    pub generation: u32,
    /// What an intraday row means.
    pub semantics: Semantics,
}

/// What one run brought forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bronze rows looked at.
    pub rows: u64,
    /// Revisions written to silver.
    pub revisions: u64,
    /// Rows put in quarantine.
    pub rejected: u64,
    /// Versions committed, silver and gold.
    pub commits: u64,
    /// Whether a table does not say yet that its source had nothing more for it: the next run does.
    pub is_unsettled: bool,
}

impl Progress {
    /// Whether anything moved, or is about to.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.rows != 0 || self.commits != 0 || self.is_unsettled
    }
}

/// The refine stage.
#[derive(Debug)]
pub struct Refiner {
    config: RefineConfig,
    bronze: BTreeMap<Dataset, Table>,
    quarantine: Table,
    quarantine_cursors: BTreeMap<Dataset, Cursor>,
    bar: Table,
    bar_cursor: Cursor,
    bars: Bars,
    touched: Option<TouchedBy>,
    versioned: Vec<VersionedStep>,
    gold_bars: Vec<GoldBarStep>,
    quote: Table,
    quote_cursor: Cursor,
    /// The quotes of the quote table at the given version.
    quotes: Option<(u64, Quotes)>,
    gold_eod: Table,
    gold_eod_cursor: Cursor,
}

/// What our last commit to `silver.bar` touched.
#[derive(Debug)]
struct TouchedBy {
    version: u64,
    instruments: BTreeMap<NaiveDate, BTreeSet<Instrument>>,
}

/// A step of keyed rows; see [`Versions`].
#[derive(Debug)]
struct VersionedStep {
    dataset: Dataset,
    table: Table,
    cursor: Cursor,
    versions: Versions,
}

/// A step that fills one gold table of bars.
#[derive(Debug)]
struct GoldBarStep {
    table: Table,
    cursor: Cursor,
    published: Published,
}

impl Refiner {
    /// Opens every table the stage reads or writes; those that do not exist are created empty.
    ///
    /// # Errors
    /// A table cannot be opened or created.
    pub async fn open(location: &Location, config: RefineConfig) -> Result<Self, Error> {
        let cursor = |source: &str| Cursor::new(refine_app(config.generation, source));
        let open = |layer: &'static str, name: &str| {
            let def = table_def(layer, name);
            Table::open(location, def)
        };
        let mut bronze = BTreeMap::new();
        for dataset in Dataset::ALL {
            bronze.insert(dataset, open("bronze", dataset.as_str()).await?);
        }
        let mut versioned = Vec::new();
        for spec in &SPECS {
            versioned.push(VersionedStep {
                dataset: spec.dataset,
                table: open("silver", spec.table).await?,
                cursor: cursor(&format!("bronze.{}", spec.dataset)),
                versions: Versions::new(spec)?,
            });
        }
        let mut gold_bars = Vec::new();
        for interval in BarInterval::GOLD {
            let published = Published::new(interval);
            let table = open("gold", &published.table()).await?;
            gold_bars.push(GoldBarStep { table, cursor: cursor("silver.bar"), published });
        }
        Ok(Self {
            config,
            bronze,
            quarantine: open("silver", "quarantine").await?,
            quarantine_cursors: Dataset::ALL
                .into_iter()
                .map(|dataset| (dataset, cursor(&format!("bronze.{dataset}"))))
                .collect(),
            bar: open("silver", "bar").await?,
            bar_cursor: cursor("bronze.intraday"),
            bars: Bars::default(),
            touched: None,
            versioned,
            gold_bars,
            quote: open("gold", "quote_latest").await?,
            quote_cursor: cursor("silver.bar"),
            quotes: None,
            gold_eod: open("gold", "eod").await?,
            gold_eod_cursor: cursor("silver.eod"),
        })
    }

    /// Brings every table of silver and gold one bounded step forward.
    ///
    /// Safe to stop at any point and to run in several processes at once: every commit carries the
    /// source version it stands for, checked on the snapshot it is committed on.
    ///
    /// # Errors
    /// A table cannot be read or written. Nothing is half done: the next run looks at the tables
    /// again and goes on from what they say.
    pub async fn run_once(&mut self) -> Result<Progress, Error> {
        let mut progress = Progress::default();
        for table in self.bronze.values_mut() {
            table.refresh().await?;
        }
        let done = self.run_steps(&mut progress).await;
        if done.is_err() {
            self.forget();
        }
        self.bars.shrink();
        done.map(|()| progress)
    }

    async fn run_steps(&mut self, progress: &mut Progress) -> Result<(), Error> {
        for dataset in Dataset::ALL {
            self.refine_quarantine(dataset, progress).await?;
        }
        self.refine_bars(progress).await?;
        for step in 0..self.versioned.len() {
            self.refine_versioned(step, progress).await?;
        }
        self.refine_gold_bars(progress).await?;
        self.refine_quotes(progress).await?;
        self.refine_gold_eod(progress).await?;
        progress.is_unsettled = self.is_unsettled().await?;
        Ok(())
    }

    /// Whether a step has looked at more than its table says.
    async fn is_unsettled(&mut self) -> Result<bool, Error> {
        let quarantine = &mut self.quarantine;
        for cursor in self.quarantine_cursors.values() {
            if cursor.unsettled(quarantine).await?.is_some() {
                return Ok(true);
            }
        }
        let versioned = self.versioned.iter_mut().map(|step| (&step.cursor, &mut step.table));
        let bars = self.gold_bars.iter_mut().map(|step| (&step.cursor, &mut step.table));
        let single = [
            (&self.bar_cursor, &mut self.bar),
            (&self.quote_cursor, &mut self.quote),
            (&self.gold_eod_cursor, &mut self.gold_eod),
        ];
        for (cursor, table) in versioned.chain(bars).chain(single) {
            if cursor.unsettled(table).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets everything that is only remembered, after an error that may have left it ahead of
    /// the tables.
    fn forget(&mut self) {
        self.bars.clear();
        self.touched = None;
        self.quotes = None;
        for step in &mut self.versioned {
            step.versions.clear();
        }
        for step in &mut self.gold_bars {
            step.published.clear();
        }
    }
}
