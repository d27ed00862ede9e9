//! Arrow columns → rows of the PostgreSQL protocol, in text or binary, without a copy per row.

use std::{fmt::Write as _, sync::Arc};

use bytes::{BufMut as _, BytesMut};
use chrono::{DateTime, NaiveDate};
use lake::datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch,
        StringArray,
    },
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
        Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
    },
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};

use super::types::{Column, EPOCH_DAYS, EPOCH_MICROS, PgType};

mod copy;
mod list;
mod number;
mod numeric;

pub(super) use copy::CopyWriter;

#[cfg(test)]
pub(super) use numeric::write_binary as write_numeric;

/// One column of a `RecordBatch`, in the one Arrow type its PostgreSQL type is encoded from.
enum Cells {
    Bool(BooleanArray),
    Int2(PrimitiveArray<Int16Type>),
    Int4(PrimitiveArray<Int32Type>),
    Int8(PrimitiveArray<Int64Type>),
    Float4(PrimitiveArray<Float32Type>),
    Float8(PrimitiveArray<Float64Type>),
    Numeric(PrimitiveArray<Decimal128Type>, i8),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>, bool),
    Bytea(BinaryArray),
    Text(StringArray),
    List(list::Lists),
}

/// A `RecordBatch` that is being sent, row by row.
pub(super) struct Rows {
    cells: Vec<Cells>,
    len: usize,
    next: usize,
}

/// What becomes of a row.
pub(super) enum Layout<'a> {
    /// A `DataRow`, with each value in the format of its column.
    Rows(&'a [Column]),
    /// A `CopyData`.
    Copy(&'a mut CopyWriter),
    /// Nothing: it is passed by.
    Skip,
}

impl Rows {
    pub(super) fn new(records: &RecordBatch, types: &[PgType]) -> Result<Self, ArrowError> {
        let cells = records
            .columns()
            .iter()
            .zip(types)
            .map(|(array, pg_type)| Cells::new(array, *pg_type))
            .collect::<Result<_, ArrowError>>()?;
        Ok(Self { cells, len: records.num_rows(), next: 0 })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.next >= self.len
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Writes one value as text; `false`, and nothing, for a null or a column there is not.
    pub(super) fn write_text_at(&self, row: usize, column: usize, out: &mut BytesMut) -> bool {
        let Some(cells) = self.cells.get(column).filter(|cells| !cells.is_null(row)) else {
            return false;
        };
        cells.write_text(row, out);
        true
    }

    /// Writes the next row. Call only while there is one.
    pub(super) fn write_next(&mut self, layout: &mut Layout<'_>, out: &mut BytesMut) {
        let row = self.next;
        self.next += 1;
        match layout {
            Layout::Rows(columns) => self.write_data_row(row, columns, out),
            Layout::Copy(writer) => writer.write_row(&self.cells, row, out),
            Layout::Skip => (),
        }
    }

    fn write_data_row(&self, row: usize, columns: &[Column], out: &mut BytesMut) {
        out.put_u8(b'D');
        let start = out.len();
        out.put_i32(0);
        put_count(self.cells.len(), out);
        for (cells, column) in self.cells.iter().zip(columns) {
            cells.write_with_length(row, column.binary, out);
        }
        patch_length(out, start, 0);
    }
}

/// The number of values in a row; the gate allows far fewer than fit.
fn put_count(count: usize, out: &mut BytesMut) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

/// Writes the number of bytes after `at` (less `skipped`) into the four bytes at `at`.
fn patch_length(out: &mut BytesMut, at: usize, skipped: usize) {
    let length = i32::try_from(out.len() - at - skipped).unwrap_or(i32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

impl Cells {
    fn new(array: &ArrayRef, pg_type: PgType) -> Result<Self, ArrowError> {
        let wanted = match pg_type {
            // The scale of the data rules; the declared one may stem from before coercion.
            PgType::Numeric(_) => match array.data_type() {
                DataType::Decimal128(..) => array.data_type().clone(),
                _ => pg_type.arrow(),
            },
            PgType::Text | PgType::Name | PgType::Char => return Ok(Self::Text(texts(array)?)),
            PgType::Array(item) => return Ok(Self::List(list::Lists::new(array, *item, true)?)),
            PgType::Vector(item) => return Ok(Self::List(list::Lists::new(array, *item, false)?)),
            _ => pg_type.arrow(),
        };
        let array =
            if *array.data_type() == wanted { Arc::clone(array) } else { cast(array, &wanted)? };
        Ok(match pg_type {
            PgType::Bool => Self::Bool(array.as_boolean().clone()),
            PgType::Int2 => Self::Int2(array.as_primitive().clone()),
            PgType::Int4 | PgType::Oid => Self::Int4(array.as_primitive().clone()),
            PgType::Int8 => Self::Int8(array.as_primitive().clone()),
            PgType::Float4 => Self::Float4(array.as_primitive().clone()),
            PgType::Float8 => Self::Float8(array.as_primitive().clone()),
            PgType::Date => Self::Date(array.as_primitive().clone()),
            PgType::Time => Self::Time(array.as_primitive().clone()),
            PgType::Timestamp => Self::Timestamp(array.as_primitive().clone(), false),
            PgType::TimestampTz => Self::Timestamp(array.as_primitive().clone(), true),
            PgType::Bytea => Self::Bytea(array.as_binary().clone()),
            PgType::Numeric(_) => {
                let scale = match array.data_type() {
                    DataType::Decimal128(_, scale) => *scale,
                    _ => 0,
                };
                Self::Numeric(array.as_primitive().clone(), scale)
            }
            PgType::Text | PgType::Name | PgType::Char | PgType::Array(_) | PgType::Vector(_) => {
                Self::Text(texts(&array)?)
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(array) => array.is_null(row),
            Self::Int2(array) => array.is_null(row),
            Self::Int4(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Float4(array) => array.is_null(row),
            Self::Float8(array) => array.is_null(row),
            Self::Numeric(array, _) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::Timestamp(array, _) => array.is_null(row),
            Self::Bytea(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::List(lists) => lists.is_null(row),
        }
    }

    /// Writes the length of the value before it, or -1 for NULL.
    fn write_with_length(&self, row: usize, binary: bool, out: &mut BytesMut) {
        if self.is_null(row) {
            return out.put_i32(-1);
        }
        let at = out.len();
        out.put_i32(0);
        self.write(row, binary, out);
        patch_length(out, at, 4);
    }

    fn write(&self, row: usize, binary: bool, out: &mut BytesMut) {
        if binary { self.write_binary(row, out) } else { self.write_text(row, out) }
    }

    fn write_binary(&self, row: usize, out: &mut BytesMut) {
        match self {
            Self::Bool(array) => out.put_u8(u8::from(array.value(row))),
            Self::Int2(array) => out.put_i16(array.value(row)),
            Self::Int4(array) => out.put_i32(array.value(row)),
            Self::Int8(array) => out.put_i64(array.value(row)),
            Self::Float4(array) => out.put_f32(array.value(row)),
            Self::Float8(array) => out.put_f64(array.value(row)),
            Self::Numeric(array, scale) => numeric::write_binary(array.value(row), *scale, out),
            Self::Date(array) => out.put_i32(array.value(row).saturating_sub(EPOCH_DAYS)),
            Self::Time(array) => out.put_i64(array.value(row)),
            Self::Timestamp(array, _) => {
                out.put_i64(array.value(row).saturating_sub(EPOCH_MICROS));
            }
            Self::Bytea(array) => out.put_slice(array.value(row)),
            Self::Text(array) => out.put_slice(array.value(row).as_bytes()),
            Self::List(lists) => lists.write_binary(row, out),
        }
    }

    fn write_text(&self, row: usize, out: &mut BytesMut) {
        match self {
            Self::Bool(array) => out.put_u8(if array.value(row) { b't' } else { b'f' }),
            Self::Int2(array) => number::write_integer(i64::from(array.value(row)), out),
            Self::Int4(array) => number::write_integer(i64::from(array.value(row)), out),
            Self::Int8(array) => number::write_integer(array.value(row), out),
            Self::Float4(array) => number::write_float4(array.value(row), out),
            Self::Float8(array) => number::write_float8(array.value(row), out),
            Self::Numeric(array, scale) => numeric::write_text(array.value(row), *scale, out),
            Self::Date(array) => write_date(array.value(row), out),
            Self::Time(array) => write_time_of_day(array.value(row), out),
            Self::Timestamp(array, with_zone) => {
                write_timestamp(array.value(row), *with_zone, out);
            }
            Self::Bytea(array) => {
                out.put_slice(b"\\x");
                for byte in array.value(row) {
                    put(out, format_args!("{byte:02x}"));
                }
            }
            Self::Text(array) => out.put_slice(array.value(row).as_bytes()),
            Self::List(lists) => lists.write_text(row, out),
        }
    }
}

/// Everything as text: strings as they are, lists as `{a,b}`, the rest as Arrow shows it.
fn texts(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        DataType::Null => Ok(StringArray::new_null(array.len())),
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => {
            Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let DataType::List(_) = array.data_type() else {
                let (DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
                    array.data_type()
                else {
                    return Ok(StringArray::new_null(array.len()));
                };
                return texts(&cast(array, &DataType::List(Arc::clone(item)))?);
            };
            let lists = array.as_list::<i32>();
            lists.iter().map(|list| list.map(|items| list::text(&items)).transpose()).collect()
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())?;
            (0..array.len())
                .map(|row| {
                    if array.is_null(row) {
                        Ok(None)
                    } else {
                        formatter.value(row).try_to_string().map(Some)
                    }
                })
                .collect()
        }
    }
}

fn write_date(days: i32, out: &mut BytesMut) {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => put(out, format_args!("{date}")),
        None => put(out, format_args!("infinity")),
    }
}

fn write_timestamp(micros: i64, with_zone: bool, out: &mut BytesMut) {
    let Some(time) = DateTime::from_timestamp_micros(micros) else {
        return put(out, format_args!("infinity"));
    };
    put(out, format_args!("{} ", time.date_naive()));
    write_time_of_day(micros.rem_euclid(86_400 * 1_000_000), out);
    if with_zone {
        out.put_slice(b"+00");
    }
}

/// `09:30:00`, with as many decimals as are not zero.
fn write_time_of_day(micros: i64, out: &mut BytesMut) {
    let seconds = micros / 1_000_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    put(out, format_args!("{hours:02}:{minutes:02}:{:02}", seconds % 60));
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // Writing to a growing buffer cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests;
