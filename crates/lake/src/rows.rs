//! Typed access to the columns of a batch of rows, and the days and months dates are kept as.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, Int64Array,
        StringArray, TimestampMicrosecondArray,
    },
    datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use crate::Error;

/// The columns of a batch, looked up by name once and then read by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    table: &'a str,
    rows: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(table: &'a str, rows: &'a RecordBatch) -> Self {
        Self { table, rows }
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef, Error> {
        self.rows.column_by_name(name).ok_or_else(|| self.wrong(name))
    }

    fn wrong(&self, name: &str) -> Error {
        Error::Content {
            table: self.table.to_owned(),
            problem: format!(
                "column `{name}` is missing or has another type than this release writes"
            ),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a StringArray, Error> {
        self.column(name)?.as_string_opt::<i32>().ok_or_else(|| self.wrong(name))
    }

    pub(crate) fn int(&self, name: &str) -> Result<&'a Int32Array, Error> {
        self.column(name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| self.wrong(name))
    }

    pub(crate) fn long(&self, name: &str) -> Result<&'a Int64Array, Error> {
        self.column(name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| self.wrong(name))
    }

    pub(crate) fn date(&self, name: &str) -> Result<&'a Date32Array, Error> {
        self.column(name)?.as_primitive_opt::<Date32Type>().ok_or_else(|| self.wrong(name))
    }

    pub(crate) fn moment(&self, name: &str) -> Result<&'a TimestampMicrosecondArray, Error> {
        self.column(name)?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| self.wrong(name))
    }

    pub(crate) fn decimal(&self, name: &str) -> Result<&'a Decimal128Array, Error> {
        self.column(name)?.as_primitive_opt::<Decimal128Type>().ok_or_else(|| self.wrong(name))
    }
}

/// Returns the text of a row, or `None` when it is null or empty.
pub(crate) fn non_empty(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row)).filter(|text| !text.is_empty())
}

/// Returns the text of a row, or nothing when it is null.
pub(crate) fn text_or_empty(column: &StringArray, row: usize) -> &str {
    non_empty(column, row).unwrap_or_default()
}

pub(crate) fn decimal_at(column: &Decimal128Array, row: usize) -> Option<i128> {
    (!column.is_null(row)).then(|| column.value(row))
}

pub(crate) fn long_at(column: &Int64Array, row: usize) -> Option<i64> {
    (!column.is_null(row)).then(|| column.value(row))
}

pub(crate) fn moment_at(column: &TimestampMicrosecondArray, row: usize) -> Option<i64> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// Returns the days from 1970-01-01 to `date`, as Arrow counts dates.
pub(crate) fn days_since_epoch(date: NaiveDate) -> i32 {
    date.num_days_from_ce()
        - NaiveDate::from_ymd_opt(1970, 1, 1).map_or(0, |epoch| epoch.num_days_from_ce())
}

/// Returns the date `days` after 1970-01-01.
pub(crate) fn date_of_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(1970, 1, 1)?
        .checked_add_signed(chrono::TimeDelta::days(i64::from(days)))
}

/// Returns the moment `micros` after 1970-01-01 UTC.
pub(crate) fn utc(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// Returns the month of a date as `yyyymm`, the partition of end-of-day tables.
pub(crate) fn month_key(date: NaiveDate) -> i32 {
    date.year() * 100 + i32::try_from(date.month()).unwrap_or_default()
}
