//! silver.bar → gold.bar_1m … bar_1d: the touched trading dates, and in them the touched bars.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, Date32Array, Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray,
    },
    error::ArrowError,
    record_batch::RecordBatch,
};
use chrono::NaiveDate;
use model::{
    BarInterval,
    decimal::{PRICE, VOLUME},
    session::Session,
};
use serde_json::Value;

use super::resample::{GoldBar, Instrument, base_series, resample};
use crate::{
    Error,
    rows::days_since_epoch,
    schema::table_def,
    silver::{bar::Day, series::Micros},
    table::{Change, Table},
};

/// The bars of one trading date in one table, by instrument and start.
pub(crate) type DateBars = BTreeMap<Instrument, BTreeMap<Micros, GoldBar>>;

/// A trading date whose bars may have changed.
#[derive(Debug)]
pub(crate) struct Touched<'a> {
    pub day: &'a Day,
    /// The instruments that changed; `None` when that is not known: all may have.
    pub instruments: Option<&'a BTreeSet<Instrument>>,
}

/// What the last commits left in one gold table, as far as it is known without reading it.
#[derive(Debug)]
pub(crate) struct Published {
    pub interval: BarInterval,
    dates: BTreeMap<NaiveDate, DateBars>,
    /// The table's version after our last commit; another version means others have written.
    version: Option<u64>,
}

/// Dates whose published bars are remembered, so that new minutes are appended and not rewritten.
const DATES_KEPT_MAX: usize = 2;

impl Published {
    pub(crate) const fn new(interval: BarInterval) -> Self {
        Self { interval, dates: BTreeMap::new(), version: None }
    }

    /// Returns the name of the gold table.
    pub(crate) fn table(&self) -> String {
        format!("bar_{}", self.interval)
    }

    /// Forgets what is published unless the table still is where our last commit left it.
    pub(crate) fn check(&mut self, gold: &Table) {
        if self.version != Some(gold.version()) {
            self.clear();
        }
    }

    /// Forgets what is published; the next change rewrites its dates whole.
    pub(crate) fn clear(&mut self) {
        self.dates.clear();
        self.version = None;
    }

    /// Prepares the change that brings `gold` to the state of the touched dates, and returns with
    /// it the bars to remember once it is committed.
    ///
    /// New bars are appended. A date in which a published bar changed is replaced whole: its files
    /// are removed and its bars written anew, in the same commit. [`Self::check`] comes first.
    pub(crate) async fn prepare(
        &self,
        gold: &Table,
        dates: &BTreeMap<NaiveDate, Touched<'_>>,
    ) -> Result<(Change, BTreeMap<NaiveDate, DateBars>), Error> {
        let mut change = Change::default();
        let (mut rows, mut changed) = (Vec::new(), BTreeMap::new());
        let mut replaced: u64 = 0;
        for (&date, touched) in dates {
            let Some(session) = Session::on(date) else {
                continue;
            };
            let before = self.dates.get(&date);
            let instruments = touched.instruments.filter(|_| before.is_some());
            let after = date_bars(&session, touched.day, self.interval, instruments);
            match before.and_then(|before| only_added(before, &after)) {
                Some(added) => rows.extend(to_rows(date, &added)?),
                None => {
                    change
                        .removes
                        .extend(gold.partition_removes("session_date", &date.to_string()));
                    let untouched = before
                        .into_iter()
                        .flatten()
                        .filter(|(instrument, _)| !after.contains_key(instrument));
                    rows.extend(to_rows(date, &flat(untouched.chain(&after)))?);
                    replaced += 1;
                }
            }
            changed.insert(date, after);
        }
        change.metrics = vec![("marketlake.dates_replaced".to_owned(), Value::from(replaced))];
        change.adds = gold.write_files(&rows).await?;
        Ok((change, changed))
    }

    /// Remembers what a commit left in the table.
    pub(crate) fn committed(&mut self, version: u64, changed: BTreeMap<NaiveDate, DateBars>) {
        self.version = Some(version);
        for (date, bars) in changed {
            self.dates.entry(date).or_default().extend(bars);
        }
        let excess = self.dates.len().saturating_sub(DATES_KEPT_MAX);
        let old: BTreeSet<NaiveDate> = self.dates.keys().take(excess).copied().collect();
        self.dates.retain(|date, _| !old.contains(date));
    }
}

/// Derives the bars of one trading date.
fn date_bars(
    session: &Session,
    day: &Day,
    interval: BarInterval,
    instruments: Option<&BTreeSet<Instrument>>,
) -> DateBars {
    base_series(day)
        .into_iter()
        .filter(|(instrument, _)| instruments.is_none_or(|wanted| wanted.contains(instrument)))
        .map(|(instrument, (source, series))| {
            (instrument, resample(session, source, series, interval))
        })
        .collect()
}

/// Derives the rows of one trading date; `None` when it has no session or no bar.
pub(crate) fn date_rows(
    date: NaiveDate,
    day: &Day,
    interval: BarInterval,
) -> Result<Option<RecordBatch>, Error> {
    let Some(session) = Session::on(date) else {
        return Ok(None);
    };
    to_rows(date, &flat(date_bars(&session, day, interval, None).iter()))
}

/// A bar with what it is of.
type Row<'a> = (&'a Instrument, Micros, &'a GoldBar);

fn flat<'a>(
    bars: impl Iterator<Item = (&'a Instrument, &'a BTreeMap<Micros, GoldBar>)>,
) -> Vec<Row<'a>> {
    bars.flat_map(|(instrument, bars)| {
        bars.iter().map(move |(start, bar)| (instrument, *start, bar))
    })
    .collect()
}

/// Returns the bars that `after` has more than `before`; `None` when any other bar changed.
fn only_added<'a>(before: &DateBars, after: &'a DateBars) -> Option<Vec<Row<'a>>> {
    let none = BTreeMap::new();
    let mut added = Vec::new();
    for (instrument, bars) in after {
        let known = before.get(instrument).unwrap_or(&none);
        let mut kept = 0;
        for (start, bar) in bars {
            match known.get(start) {
                None => added.push((instrument, *start, bar)),
                Some(known) if known == bar => kept += 1,
                Some(_) => return None,
            }
        }
        if kept != known.len() {
            return None;
        }
    }
    Some(added)
}

fn to_rows(date: NaiveDate, bars: &[Row<'_>]) -> Result<Option<RecordBatch>, Error> {
    if bars.is_empty() {
        return Ok(None);
    }
    let text = |field: fn(&Instrument) -> &str| -> ArrayRef {
        Arc::new(
            bars.iter().map(|(instrument, ..)| Some(field(instrument))).collect::<StringArray>(),
        )
    };
    let price = |field: fn(&GoldBar) -> i128| -> Result<ArrayRef, ArrowError> {
        let column: Decimal128Array = bars.iter().map(|(.., bar)| Some(field(bar))).collect();
        Ok(Arc::new(column.with_precision_and_scale(PRICE.precision, PRICE.scale)?))
    };
    let time = |times: Vec<Micros>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    };
    let int = |values: Vec<i32>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
    let build = || -> Result<RecordBatch, ArrowError> {
        let volume: Decimal128Array = bars.iter().map(|(.., bar)| bar.bar.volume).collect();
        let columns = vec![
            text(|instrument| &instrument.source),
            text(|instrument| &instrument.symbol),
            text(|instrument| &instrument.mic),
            time(bars.iter().map(|(_, start, _)| *start).collect()),
            time(bars.iter().map(|(.., bar)| bar.ts_end).collect()),
            Arc::new(Date32Array::from(vec![days_since_epoch(date); bars.len()])),
            price(|bar| bar.bar.open)?,
            price(|bar| bar.bar.high)?,
            price(|bar| bar.bar.low)?,
            price(|bar| bar.bar.close)?,
            Arc::new(volume.with_precision_and_scale(VOLUME.precision, VOLUME.scale)?),
            int(bars.iter().map(|(.., bar)| bar.n_source).collect()),
            int(bars.iter().map(|(.., bar)| bar.revision).collect()),
        ];
        RecordBatch::try_new(Arc::clone(&table_def("gold", "bar_1m").schema), columns)
    };
    build().map(Some).map_err(|error| Error::Content {
        table: "gold.bar".to_owned(),
        problem: error.to_string(),
    })
}
