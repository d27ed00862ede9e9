//! The steps that fill gold.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use futures::future::try_join_all;

use super::{
    GoldBarStep, Progress, Refiner, TouchedBy,
    silver::{commit_or_reload, contended, settle},
};
use crate::{
    Error,
    flow::ATTEMPTS_MAX,
    gold::{bars::Touched, eod, quotes},
    silver::bar::Day,
    table::{Change, Table},
};

impl Refiner {
    /// silver.bar → gold.bar_1m … bar_1d, all tables at once.
    pub(super) async fn refine_gold_bars(&mut self, progress: &mut Progress) -> Result<(), Error> {
        let silver_version = self.bar.version();
        let mut dates = BTreeMap::new();
        for step in &mut self.gold_bars {
            if step.table.refresh().await? {
                step.published.clear();
            }
            let from = step.cursor.position(&mut step.table).await?;
            let touched = touched_dates(&self.bar, from).await?;
            dates.insert(step.published.interval, (from, touched));
        }
        let all: BTreeSet<NaiveDate> =
            dates.values().flat_map(|(_, dates)| dates.iter().copied()).collect();
        for date in all {
            self.bars.day(&self.bar, date).await?;
        }
        let days = self.bars.days();
        let known = self.touched.as_ref();
        let steps = self.gold_bars.iter_mut().map(|step| {
            let (from, dates) =
                dates.remove(&step.published.interval).unwrap_or((silver_version, BTreeSet::new()));
            let touched = touched_days(
                days,
                &dates,
                known.filter(|known| from + 1 == known.version && known.version == silver_version),
            );
            refine_one(step, silver_version, touched)
        });
        let commits: Vec<u64> = try_join_all(steps).await?;
        progress.commits += commits.iter().sum::<u64>();
        Ok(())
    }

    /// silver.bar → gold.quote_latest.
    pub(super) async fn refine_quotes(&mut self, progress: &mut Progress) -> Result<(), Error> {
        let silver_version = self.bar.version();
        for _ in 0..ATTEMPTS_MAX {
            self.quote.refresh().await?;
            let from = self.quote_cursor.position(&mut self.quote).await?;
            let dates = touched_dates(&self.bar, from).await?;
            if dates.is_empty() {
                self.quote_cursor.note_seen(&mut self.quote, silver_version).await?;
                progress.commits += settle(&mut self.quote, &self.quote_cursor).await?.unwrap_or(0);
                return Ok(());
            }
            for date in &dates {
                self.bars.day(&self.bar, *date).await?;
            }
            let mut latest = match self.quotes.take() {
                Some((version, quotes)) if version == self.quote.version() => quotes,
                _ => quotes::from_rows(&self.quote.read_all().await?)?,
            };
            let days: BTreeMap<NaiveDate, &Day> = self
                .bars
                .days()
                .iter()
                .filter(|(date, _)| dates.contains(date))
                .map(|(date, day)| (*date, day))
                .collect();
            let is_changed = quotes::update(&mut latest, &days);
            if !is_changed && !self.quote_cursor.note_seen(&mut self.quote, silver_version).await? {
                self.quotes = Some((self.quote.version(), latest));
                return Ok(());
            }
            let change = replacement(&self.quote, quotes::to_rows(&latest)?).await?;
            if let Some(version) =
                commit_or_reload(&mut self.quote, change, &self.quote_cursor.txn(silver_version))
                    .await?
            {
                self.quotes = Some((version, latest));
                progress.commits += 1;
                return Ok(());
            }
        }
        Err(contended(&self.quote))
    }

    /// silver.eod → gold.eod.
    pub(super) async fn refine_gold_eod(&mut self, progress: &mut Progress) -> Result<(), Error> {
        let Some(silver) =
            self.versioned.iter().find(|step| step.table.def.name == "eod").map(|step| &step.table)
        else {
            return Ok(());
        };
        let gold = &mut self.gold_eod;
        for _ in 0..ATTEMPTS_MAX {
            gold.refresh().await?;
            let from = self.gold_eod_cursor.position(gold).await?;
            let months = touched_partitions(silver, "session_month", from).await?;
            if months.is_empty() {
                self.gold_eod_cursor.note_seen(gold, silver.version()).await?;
                progress.commits += settle(gold, &self.gold_eod_cursor).await?.unwrap_or(0);
                return Ok(());
            }
            let change = eod::prepare(silver, gold, &months).await?;
            if commit_or_reload(gold, change, &self.gold_eod_cursor.txn(silver.version()))
                .await?
                .is_some()
            {
                progress.commits += 1;
                return Ok(());
            }
        }
        Err(contended(gold))
    }
}

/// Brings one gold table to `silver_version`; returns the commits made.
async fn refine_one(
    step: &mut GoldBarStep,
    silver_version: u64,
    touched: BTreeMap<NaiveDate, Touched<'_>>,
) -> Result<u64, Error> {
    let GoldBarStep { table, cursor, published } = step;
    for _ in 0..ATTEMPTS_MAX {
        if silver_version <= cursor.position(table).await? {
            return Ok(match settle(table, cursor).await? {
                Some(commits) => commits,
                None => {
                    published.clear();
                    0
                }
            });
        }
        published.check(table);
        let (change, bars) = published.prepare(table, &touched).await?;
        let is_empty = change.adds.is_empty() && change.removes.is_empty();
        if is_empty && !cursor.note_seen(table, silver_version).await? {
            return Ok(0);
        }
        match commit_or_reload(table, change, &cursor.txn(silver_version)).await? {
            Some(version) => {
                published.committed(version, bars);
                return Ok(1);
            }
            None => published.clear(),
        }
    }
    Err(contended(table))
}

/// Pairs the dates with their series, and with the instruments that changed when these are known.
fn touched_days<'a>(
    days: &'a BTreeMap<NaiveDate, Day>,
    dates: &BTreeSet<NaiveDate>,
    known: Option<&'a TouchedBy>,
) -> BTreeMap<NaiveDate, Touched<'a>> {
    days.iter()
        .filter(|(date, _)| dates.contains(date))
        .map(|(date, day)| {
            (
                *date,
                Touched { day, instruments: known.and_then(|known| known.instruments.get(date)) },
            )
        })
        .collect()
}

async fn touched_dates(silver: &Table, from: u64) -> Result<BTreeSet<NaiveDate>, Error> {
    let dates = touched_partitions(silver, "session_date", from).await?;
    Ok(dates.iter().filter_map(|date| date.parse().ok()).collect())
}

/// Returns the partition values that versions after `from` added rows to.
async fn touched_partitions(
    source: &Table,
    column: &str,
    from: u64,
) -> Result<BTreeSet<String>, Error> {
    let mut touched = BTreeSet::new();
    for version in source.files_since(from, source.version()).await? {
        touched.extend(
            version
                .files
                .iter()
                .filter_map(|file| file.partition_values.get(column).cloned().flatten()),
        );
    }
    Ok(touched)
}

/// Returns the change that replaces all rows of a small table.
async fn replacement(table: &Table, rows: RecordBatch) -> Result<Change, Error> {
    Ok(Change {
        adds: table.write_files(&[rows]).await?,
        removes: table.active_files().iter().map(|file| file.remove_action(true)).collect(),
        ..Change::default()
    })
}
