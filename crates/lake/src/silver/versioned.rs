//! bronze → silver.eod, corporate_action, instrument: keyed rows whose every change is a revision.
//!
//! Which columns are the key and which are the values is data ([`Spec`]); the comparison works on
//! Arrow's row format, so it is the same for every table.

mod project;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int32Array, UInt32Array},
    compute::take,
    record_batch::RecordBatch,
    row::{OwnedRow, RowConverter, Rows, SortField},
};
use model::Dataset;

use super::{Counts, Outcome, source_row::topic_order};
use crate::{
    Error,
    rows::{Columns, long_at},
    schema::table_def,
    table::Table,
};

pub(crate) use self::project::reasons;

/// A silver table that is fed by one bronze table.
#[derive(Debug)]
pub(crate) struct Spec {
    pub dataset: Dataset,
    pub table: &'static str,
    key: &'static [&'static str],
    values: &'static [&'static str],
    /// The partition column that bounds what has to be known of the table, if it has one.
    partition: Option<&'static str>,
}

const EOD_VALUES: &[&str] = &[
    "open",
    "high",
    "low",
    "close",
    "volume",
    "adj_open",
    "adj_high",
    "adj_low",
    "adj_close",
    "adj_volume",
    "split_factor",
    "dividend",
];
const ACTION_VALUES: &[&str] = &[
    "split_factor",
    "stock_split",
    "dividend",
    "payment_date",
    "record_date",
    "declaration_date",
    "frequency",
];

/// Every step of this kind.
pub(crate) const SPECS: [Spec; 5] = [
    Spec {
        dataset: Dataset::Eod,
        table: "eod",
        key: &["source", "symbol", "mic", "session_date"],
        values: EOD_VALUES,
        partition: Some("session_month"),
    },
    Spec {
        dataset: Dataset::Splits,
        table: "corporate_action",
        key: &["source", "symbol", "action", "ex_date"],
        values: ACTION_VALUES,
        partition: None,
    },
    Spec {
        dataset: Dataset::Dividends,
        table: "corporate_action",
        key: &["source", "symbol", "action", "ex_date"],
        values: ACTION_VALUES,
        partition: None,
    },
    Spec {
        dataset: Dataset::Tickers,
        table: "instrument",
        key: &["source", "symbol"],
        values: &["mic", "name", "exchange"],
        partition: None,
    },
    Spec {
        dataset: Dataset::Exchanges,
        table: "exchange",
        key: &["source", "mic"],
        values: &["name", "acronym", "country", "country_code", "city", "website"],
        partition: None,
    },
];

/// Returns the key of a table of this kind.
pub(crate) fn key(table: &str) -> &'static [&'static str] {
    SPECS.iter().find(|spec| spec.table == table).map_or(&[], |spec| spec.key)
}

/// Months kept in memory after a run: the present one, the last, and one that is being corrected.
const PARTITIONS_KEPT_MAX: usize = 3;

/// The latest revision of a key.
#[derive(Clone, Debug)]
struct Latest {
    values: OwnedRow,
    revision: i32,
    fetch_id: i64,
}

/// The latest revisions of the partitions in use.
#[derive(Debug)]
pub(crate) struct Versions {
    spec: &'static Spec,
    keys: RowConverter,
    values: RowConverter,
    latest: HashMap<OwnedRow, Latest>,
    /// Partition values that `latest` covers; `*` when the table has none.
    loaded: BTreeSet<String>,
}

impl Versions {
    pub(crate) fn new(spec: &'static Spec) -> Result<Self, Error> {
        let converter = |columns: &[&str]| {
            let schema = &table_def("silver", spec.table).schema;
            let fields = columns
                .iter()
                .map(|name| {
                    schema
                        .field_with_name(name)
                        .map(|field| SortField::new(field.data_type().clone()))
                })
                .collect::<Result<Vec<_>, _>>();
            fields.and_then(RowConverter::new).map_err(|error| wrong(spec, &error.to_string()))
        };
        let (keys, values) = (converter(spec.key)?, converter(spec.values)?);
        Ok(Self { spec, keys, values, latest: HashMap::new(), loaded: BTreeSet::new() })
    }

    /// Forgets everything once it covers more partitions than one is likely to need again.
    pub(crate) fn shrink(&mut self) {
        if PARTITIONS_KEPT_MAX < self.loaded.len() {
            self.clear();
        }
    }

    /// Forgets everything, so that it is read from the table again.
    pub(crate) fn clear(&mut self) {
        self.latest.clear();
        self.loaded.clear();
    }

    /// Applies the rows of one bronze version; returns the revisions they cause.
    pub(crate) async fn apply(
        &mut self,
        silver: &Table,
        rows: &RecordBatch,
        counts: &mut Counts,
    ) -> Result<Option<RecordBatch>, Error> {
        self.apply_observed(Some(silver), rows, counts, |_, _| ()).await
    }

    /// Applies rows as [`Self::apply`] does and tells what each of them meant. Without a table
    /// nothing is known beforehand.
    pub(crate) async fn apply_observed(
        &mut self,
        silver: Option<&Table>,
        rows: &RecordBatch,
        counts: &mut Counts,
        mut observe: impl FnMut(usize, Outcome),
    ) -> Result<Option<RecordBatch>, Error> {
        let reasons = reasons(self.spec.dataset, rows)?;
        let projected = project::project(self.spec.dataset, rows)?;
        if let Some(silver) = silver {
            self.load_for(silver, &projected).await?;
        }
        let (keys, values) = (self.rows_of(&projected, true)?, self.rows_of(&projected, false)?);
        let fetch_ids = Columns::new(self.spec.table, &projected).long("fetch_id")?;
        let (mut picked, mut revisions) = (Vec::new(), Vec::new());
        let bronze = format!("bronze.{}", self.spec.dataset);
        for row in topic_order(&bronze, rows)? {
            if reasons[row].is_some() {
                counts.reject();
                continue;
            }
            let fetch_id = long_at(fetch_ids, row).unwrap_or_default();
            let (outcome, revision) =
                self.compare(keys.row(row).owned(), values.row(row).owned(), fetch_id);
            counts.count(outcome);
            observe(row, outcome);
            if let Some(revision) = revision {
                picked.push(u32::try_from(row).unwrap_or(u32::MAX));
                revisions.push(revision);
            }
        }
        if picked.is_empty() {
            return Ok(None);
        }
        self.take_revisions(&projected, &UInt32Array::from(picked), revisions).map(Some)
    }

    /// Compares one row with the latest of its key; returns the revision it becomes, if any.
    fn compare(
        &mut self,
        key: OwnedRow,
        values: OwnedRow,
        fetch_id: i64,
    ) -> (Outcome, Option<i32>) {
        let (outcome, revision) = match self.latest.get(&key) {
            None => (Outcome::New, 1),
            Some(known) if known.values == values => return (Outcome::Unchanged, None),
            Some(known) if fetch_id < known.fetch_id => return (Outcome::Superseded, None),
            Some(known) => (Outcome::Restated, known.revision + 1),
        };
        self.latest.insert(key, Latest { values, revision, fetch_id });
        (outcome, Some(revision))
    }

    /// Reads what the table already has for the partitions that `rows` touch.
    async fn load_for(&mut self, silver: &Table, rows: &RecordBatch) -> Result<(), Error> {
        let Some(column) = self.spec.partition else {
            if self.loaded.insert("*".to_owned()) {
                let known = silver.read_all().await?;
                self.load(&known)?;
            }
            return Ok(());
        };
        let months = Columns::new(self.spec.table, rows).int(column)?;
        let touched: BTreeSet<i32> = months.iter().flatten().collect();
        for month in touched {
            let value = month.to_string();
            if self.loaded.insert(value.clone()) {
                let known = silver.read_files(&silver.partition_files(column, &value)).await?;
                self.load(&known)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, rows: &[RecordBatch]) -> Result<(), Error> {
        for rows in rows {
            let (keys, values) = (self.rows_of(rows, true)?, self.rows_of(rows, false)?);
            let columns = Columns::new(self.spec.table, rows);
            let (revision, fetch_id) = (columns.int("revision")?, columns.long("fetch_id")?);
            for row in 0..rows.num_rows() {
                let latest = Latest {
                    values: values.row(row).owned(),
                    revision: revision.value(row),
                    fetch_id: long_at(fetch_id, row).unwrap_or_default(),
                };
                let key = keys.row(row).owned();
                if self.latest.get(&key).is_none_or(|known| known.revision < latest.revision) {
                    self.latest.insert(key, latest);
                }
            }
        }
        Ok(())
    }

    fn rows_of(&self, rows: &RecordBatch, is_key: bool) -> Result<Rows, Error> {
        let (names, converter) =
            if is_key { (self.spec.key, &self.keys) } else { (self.spec.values, &self.values) };
        let columns: Vec<ArrayRef> =
            names.iter().filter_map(|name| rows.column_by_name(name).cloned()).collect();
        converter.convert_columns(&columns).map_err(|error| wrong(self.spec, &error.to_string()))
    }

    fn take_revisions(
        &self,
        projected: &RecordBatch,
        picked: &UInt32Array,
        revisions: Vec<i32>,
    ) -> Result<RecordBatch, Error> {
        let schema = Arc::clone(&table_def("silver", self.spec.table).schema);
        let revisions: ArrayRef = Arc::new(Int32Array::from(revisions));
        let columns = schema
            .fields()
            .iter()
            .map(|field| match projected.column_by_name(field.name()) {
                Some(column) => take(column, picked, None),
                None => Ok(Arc::clone(&revisions)),
            })
            .collect::<Result<Vec<_>, _>>();
        columns
            .and_then(|columns| RecordBatch::try_new(schema, columns))
            .map_err(|error| wrong(self.spec, &error.to_string()))
    }
}

fn wrong(spec: &Spec, problem: &str) -> Error {
    Error::Content { table: format!("silver.{}", spec.table), problem: problem.to_owned() }
}
