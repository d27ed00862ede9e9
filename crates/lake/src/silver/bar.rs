//! bronze.intraday → silver.bar: rows become revisions of bars.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::{array::Array, record_batch::RecordBatch};
use chrono::NaiveDate;
use model::BarInterval;

use super::{
    Counts, Outcome, Semantics,
    series::{BarValues, Entry, PriceSource, Series, Served},
    source_row::{SeriesKey, intraday_rows, topic_order},
    write::{BarRows, Revision},
};
use crate::{
    Error,
    gold::resample::Instrument,
    rows::{Columns, decimal_at, long_at, text_or_empty},
    table::Table,
};

/// Trading dates kept in memory after a run: the running one and its neighbours.
///
/// A date of 500 symbols is 195,000 bars of about 250 bytes, 49 MB; an older date that a late row
/// touches is read again from the table.
const DAYS_KEPT_MAX: usize = 2;

/// The series of one trading date.
pub(crate) type Day = HashMap<SeriesKey, Series>;

/// The latest revision of every bar of the trading dates in use.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    days: BTreeMap<NaiveDate, Day>,
    /// Dates in the order of their last use, the latest last.
    used: Vec<NaiveDate>,
}

/// What a range of bronze versions came to.
pub(crate) struct Refined {
    pub revisions: BarRows,
    pub counts: Counts,
    /// The instruments that got revisions, by trading date.
    pub touched: BTreeMap<NaiveDate, BTreeSet<Instrument>>,
}

impl Bars {
    /// Returns the trading dates in memory.
    pub(crate) fn days(&self) -> &BTreeMap<NaiveDate, Day> {
        &self.days
    }

    /// Forgets everything, so that it is read from the table again.
    pub(crate) fn clear(&mut self) {
        self.days.clear();
        self.used.clear();
    }

    /// Forgets one date.
    pub(crate) fn forget(&mut self, date: NaiveDate) {
        self.days.remove(&date);
        self.used.retain(|used| *used != date);
    }

    /// Forgets the dates that were used longest ago.
    pub(crate) fn shrink(&mut self) {
        let excess = self.used.len().saturating_sub(DAYS_KEPT_MAX);
        let old: Vec<NaiveDate> = self.used.drain(..excess).collect();
        for date in old {
            self.days.remove(&date);
        }
    }

    /// Returns a date's series, read from `silver.bar` unless they are in memory.
    pub(crate) async fn day(&mut self, silver: &Table, date: NaiveDate) -> Result<&mut Day, Error> {
        self.used.retain(|used| *used != date);
        self.used.push(date);
        let day = match self.days.remove(&date) {
            Some(day) => day,
            None => {
                let files = silver.partition_files("session_date", &date.to_string());
                load_day(&silver.read_files(&files).await?)?
            }
        };
        Ok(self.days.entry(date).or_insert(day))
    }

    /// Applies the rows of one bronze version and collects the revisions they cause.
    pub(crate) async fn apply(
        &mut self,
        silver: &Table,
        rows: &RecordBatch,
        semantics: Semantics,
        refined: &mut Refined,
    ) -> Result<(), Error> {
        self.apply_observed(Some(silver), rows, semantics, refined, |_, _| ()).await
    }

    /// Applies rows as [`Self::apply`] does and tells what each of them meant. Without a table
    /// nothing is known beforehand.
    pub(crate) async fn apply_observed(
        &mut self,
        silver: Option<&Table>,
        rows: &RecordBatch,
        semantics: Semantics,
        refined: &mut Refined,
        mut observe: impl FnMut(usize, Outcome),
    ) -> Result<(), Error> {
        let checked = intraday_rows("bronze.intraday", rows)?;
        let mut revised = Vec::new();
        for index in topic_order("bronze.intraday", rows)? {
            let Some(Ok(row)) = checked.get(index) else {
                refined.counts.reject();
                continue;
            };
            let is_at_hand = self.used.last() == Some(&row.session_date)
                && self.days.contains_key(&row.session_date);
            if let Some(silver) = silver.filter(|_| !is_at_hand) {
                self.day(silver, row.session_date).await?;
            }
            let day = self.days.entry(row.session_date).or_default();
            let series = match day.get_mut(&row.key) {
                Some(series) => series,
                None => day.entry(row.key.clone()).or_default(),
            };
            revised.clear();
            let outcome = series.apply(
                row.ts_start,
                row.served,
                row.origin.fetch_id,
                semantics,
                &mut revised,
            );
            refined.counts.count(outcome);
            observe(index, outcome);
            if !revised.is_empty() {
                let touched = refined.touched.entry(row.session_date).or_default();
                let SeriesKey { source, symbol, mic, .. } = &row.key;
                touched.insert(Instrument {
                    source: source.clone(),
                    symbol: symbol.clone(),
                    mic: mic.clone(),
                });
            }
            for ts_start in &revised {
                if let Some(entry) = series.entries().get(ts_start) {
                    refined.revisions.push(&Revision {
                        key: &row.key,
                        ts_start: *ts_start,
                        entry,
                        cause: row,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Refined {
    pub(crate) fn new() -> Self {
        Self { revisions: BarRows::new(), counts: Counts::default(), touched: BTreeMap::new() }
    }
}

/// Reads the latest revisions of one trading date back from its rows.
pub(crate) fn load_day(rows: &[RecordBatch]) -> Result<Day, Error> {
    let mut day = Day::new();
    for rows in rows {
        load_rows(rows, &mut day)?;
    }
    for series in day.values_mut() {
        series.finish_loading();
    }
    Ok(day)
}

fn load_rows(rows: &RecordBatch, day: &mut Day) -> Result<(), Error> {
    let table = "silver.bar";
    let columns = Columns::new(table, rows);
    let text = |name: &str| columns.text(name);
    let (source, symbol, mic, interval) =
        (text("source")?, text("symbol")?, text("mic")?, text("interval")?);
    let (price_source, semantics) = (text("price_source")?, text("semantics")?);
    let ts_start = columns.moment("ts_start")?;
    let decimal = |name: &str| columns.decimal(name);
    let bar = [decimal("open")?, decimal("high")?, decimal("low")?, decimal("close")?];
    let volume = decimal("volume")?;
    let served = [decimal("served_open")?, decimal("served_high")?, decimal("served_low")?];
    let (served_close, served_price) = (decimal("served_close")?, decimal("served_price")?);
    let served_volume = decimal("served_volume")?;
    let (served_fetch_id, revision) = (columns.long("served_fetch_id")?, columns.int("revision")?);
    for row in 0..rows.num_rows() {
        let interval: BarInterval =
            interval.value(row).parse().map_err(|error| Error::Content {
                table: table.to_owned(),
                problem: format!("{error}; the table was written by another program"),
            })?;
        let key = SeriesKey {
            source: text_or_empty(source, row).to_owned(),
            symbol: text_or_empty(symbol, row).to_owned(),
            mic: text_or_empty(mic, row).to_owned(),
            interval,
        };
        let entry = Entry {
            served: Served {
                open: served[0].value(row),
                high: served[1].value(row),
                low: served[2].value(row),
                close: decimal_at(served_close, row),
                price: decimal_at(served_price, row),
                volume: decimal_at(served_volume, row),
                price_source: PriceSource::parse(price_source.value(row)),
            },
            fetch_id: long_at(served_fetch_id, row).unwrap_or_default(),
            bar: BarValues {
                open: bar[0].value(row),
                high: bar[1].value(row),
                low: bar[2].value(row),
                close: bar[3].value(row),
                volume: decimal_at(volume, row),
            },
            revision: if revision.is_null(row) { 0 } else { revision.value(row) },
            is_bar: semantics.value(row) == "bar",
        };
        day.entry(key).or_default().load(ts_start.value(row), entry);
    }
    Ok(())
}
