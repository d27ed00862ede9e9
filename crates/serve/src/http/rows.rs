//! Columns of a query's answer, checked once and read without a float.

use chrono::{DateTime, Days, NaiveDate};
use lake::arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, RecordBatch,
        StringArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Int32Type, TimeUnit, TimestampMicrosecondType,
    },
};
use model::decimal::{self, DecimalType};

use super::wire::{Moment, Price, Volume};
use crate::Error;

/// Takes the columns of one `RecordBatch` by name.
///
/// The engine is free to answer with another physical type, such as a string view or a
/// dictionary, so every column is cast to the type that the tables promise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    table: &'a str,
    rows: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub(super) const fn new(table: &'a str, rows: &'a RecordBatch) -> Self {
        Self { table, rows }
    }

    pub(super) fn text(&self, column: &'static str) -> Result<StringArray, Error> {
        let array = self.column(column, &DataType::Utf8)?;
        array.as_string_opt::<i32>().cloned().ok_or_else(|| self.shape(column))
    }

    pub(super) fn integers(&self, column: &'static str) -> Result<Int32Array, Error> {
        let array = self.column(column, &DataType::Int32)?;
        array.as_primitive_opt::<Int32Type>().cloned().ok_or_else(|| self.shape(column))
    }

    pub(super) fn dates(&self, column: &'static str) -> Result<Dates, Error> {
        let array = self.column(column, &DataType::Date32)?;
        let days = array.as_primitive_opt::<Date32Type>().cloned();
        days.map(Dates).ok_or_else(|| self.shape(column))
    }

    pub(super) fn moments(&self, column: &'static str) -> Result<Moments, Error> {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let array = self.column(column, &utc)?;
        let micros = array.as_primitive_opt::<TimestampMicrosecondType>().cloned();
        micros.map(Moments).ok_or_else(|| self.shape(column))
    }

    pub(super) fn prices(&self, column: &'static str) -> Result<Prices, Error> {
        self.decimals(column, decimal::PRICE).map(Prices)
    }

    pub(super) fn volumes(&self, column: &'static str) -> Result<Volumes, Error> {
        self.decimals(column, decimal::VOLUME).map(Volumes)
    }

    fn decimals(
        &self,
        column: &'static str,
        decimal: DecimalType,
    ) -> Result<Decimal128Array, Error> {
        let wanted = DataType::Decimal128(decimal.precision, decimal.scale);
        let array = self.column(column, &wanted)?;
        array.as_primitive_opt::<Decimal128Type>().cloned().ok_or_else(|| self.shape(column))
    }

    fn column(&self, column: &'static str, wanted: &DataType) -> Result<ArrayRef, Error> {
        let array = self.rows.column_by_name(column).ok_or_else(|| self.shape(column))?;
        cast(array, wanted).map_err(|_| self.shape(column))
    }

    /// The error of a value that has to be there and is not.
    pub(super) fn shape(&self, column: &'static str) -> Error {
        Error::Shape { table: self.table.to_owned(), column }
    }
}

/// A column of prices.
#[derive(Debug)]
pub(super) struct Prices(Decimal128Array);

impl Prices {
    pub(super) fn get(&self, row: usize) -> Option<Price> {
        self.0.is_valid(row).then(|| Price(self.0.value(row)))
    }
}

/// A column of volumes.
#[derive(Debug)]
pub(super) struct Volumes(Decimal128Array);

impl Volumes {
    pub(super) fn get(&self, row: usize) -> Option<Volume> {
        self.0.is_valid(row).then(|| Volume(self.0.value(row)))
    }
}

/// A column of moments.
#[derive(Debug)]
pub(super) struct Moments(TimestampMicrosecondArray);

impl Moments {
    pub(super) fn get(&self, row: usize) -> Option<Moment> {
        if self.0.is_null(row) {
            return None;
        }
        DateTime::from_timestamp_micros(self.0.value(row)).map(Moment)
    }
}

/// A column of dates.
#[derive(Debug)]
pub(super) struct Dates(Date32Array);

impl Dates {
    pub(super) fn get(&self, row: usize) -> Option<NaiveDate> {
        if self.0.is_null(row) {
            return None;
        }
        let days = self.0.value(row);
        let distance = Days::new(u64::from(days.unsigned_abs()));
        if days < 0 {
            NaiveDate::default().checked_sub_days(distance)
        } else {
            NaiveDate::default().checked_add_days(distance)
        }
    }
}

/// Returns the text of a row, `None` for null.
pub(super) fn text_at(column: &StringArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}
