//! The buffers that decoded rows are appended to, column by column.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{
        Array as _, ArrayBuilder as _, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder,
        Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Array,
        Int32Builder, Int64Array, Int64Builder, StringArray, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    datatypes::DataType,
};
use model::decimal::DecimalType;

use super::{
    number::Short,
    scan::{self, Shape, Span, Value},
    value,
};
use crate::schema::ColumnKind;

mod nested;
mod typed;

use nested::Nested;
pub(crate) use typed::Rules;

/// Bytes that a value takes at most beside those that its file has for it: a number, two offsets or
/// the marks of a null. A record without a value costs each column as much.
pub(crate) const VALUE_BYTES: usize = 8;

/// Returns how many columns a value is, those inside of structs counted: they have one for each row.
pub(crate) fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => {
            fields.iter().map(|field| leaves(field.data_type())).sum::<usize>() + 1
        }
        _ => 1,
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is in the column; a time or date says its day.
    Kept(Option<i32>),
    /// It is in the column but for fields inside that the column does not have.
    Partly,
    /// It does not fit.
    Misfit,
}

/// One column.
///
/// Landing rows use the kinds of [`ColumnKind`] and [`Self::append`], the files of others every
/// type that a table has and [`Self::append_json`] or [`Self::append_text`].
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Text(StringBuilder),
    Decimal(Decimal128Builder, DecimalType),
    Timestamp(TimestampMicrosecondBuilder),
    LocalTimestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Binary(BinaryBuilder),
    Json(StringBuilder),
    Nested(Box<Nested>),
}

impl ColumnBuilder {
    pub(super) fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Decimal(decimal) => Self::Decimal(
                Decimal128Builder::new()
                    .with_data_type(DataType::Decimal128(decimal.precision, decimal.scale)),
                decimal,
            ),
            ColumnKind::Timestamp => Self::Timestamp(timestamps()),
            ColumnKind::Date => Self::Date(Date32Builder::new()),
            ColumnKind::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnKind::Int64 => Self::Int64(Int64Builder::new()),
            ColumnKind::Json => Self::Json(StringBuilder::new()),
        }
    }

    /// Appends a null.
    pub(crate) fn append_null(&mut self) {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.append_null(),
            Self::Decimal(builder, _) => builder.append_null(),
            Self::Timestamp(builder) | Self::LocalTimestamp(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::Nested(nested) => nested.append_null(),
        }
    }

    /// Returns how many values it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.len(),
            Self::Decimal(builder, _) => builder.len(),
            Self::Timestamp(builder) | Self::LocalTimestamp(builder) => builder.len(),
            Self::Date(builder) => builder.len(),
            Self::Bool(builder) => builder.len(),
            Self::Int8(builder) => builder.len(),
            Self::Int16(builder) => builder.len(),
            Self::Int32(builder) => builder.len(),
            Self::Int64(builder) => builder.len(),
            Self::Float32(builder) => builder.len(),
            Self::Float64(builder) => builder.len(),
            Self::Binary(builder) => builder.len(),
            Self::Nested(nested) => nested.len(),
        }
    }

    /// Appends a value of a landing row that is not null, if it fits; else nothing.
    pub(super) fn append(&mut self, value: Value, text: &str, scratch: &mut String) -> Fit {
        let raw = value.span.of(text);
        match self {
            Self::Json(builder) => {
                builder.append_value(raw);
                Fit::Kept(None)
            }
            Self::Text(builder) => match value.shape {
                Shape::Number | Shape::True | Shape::False => {
                    builder.append_value(raw);
                    Fit::Kept(None)
                }
                _ => kept(
                    string(value, text, scratch).map(|inner| builder.append_value(inner)),
                    None,
                ),
            },
            Self::Decimal(builder, kind) => {
                let number = value.short.and_then(|short| short.decimal(*kind)).or_else(|| {
                    let digits = digits(value, text, scratch)?;
                    value::decimal(digits.as_bytes(), *kind)
                });
                kept(number.map(|number| builder.append_value(number)), None)
            }
            Self::Int64(builder) => {
                let number = digits(value, text, scratch);
                let number = number.and_then(|digits| value::int64(digits.as_bytes()));
                kept(number.map(|number| builder.append_value(number)), None)
            }
            Self::Timestamp(builder) => {
                let inner = string(value, text, scratch);
                let micros = inner.and_then(|inner| value::timestamp(inner.as_bytes()));
                kept(micros.map(|micros| builder.append_value(micros)), micros.map(value::day_of))
            }
            Self::Date(builder) => {
                let inner = string(value, text, scratch);
                let day = inner.and_then(|inner| value::date(inner.as_bytes()));
                kept(day.map(|day| builder.append_value(day)), day)
            }
            Self::Bool(builder) => match value.shape {
                Shape::True | Shape::False => {
                    builder.append_value(value.shape == Shape::True);
                    Fit::Kept(None)
                }
                _ => Fit::Misfit,
            },
            // No kind of a landing column.
            _ => Fit::Misfit,
        }
    }

    /// Appends one of the values that most are made of, if it fits at once: text without escapes,
    /// short numbers. Returns whether it did; what it left is for [`Self::append_json`].
    #[inline]
    pub(crate) fn append_plain(&mut self, value: Value, text: &str) -> bool {
        match self {
            Self::Decimal(builder, kind) => {
                let number = value.short.and_then(|short| short.decimal(*kind));
                number.map(|number| builder.append_value(number)).is_some()
            }
            Self::Text(builder) if value.shape == Shape::Plain => {
                let inner = Span { start: value.span.start + 1, end: value.span.end - 1 };
                builder.append_value(inner.of(text));
                true
            }
            Self::Int64(builder) => {
                let number = value.short.and_then(Short::whole);
                number.map(|number| builder.append_value(number)).is_some()
            }
            _ => false,
        }
    }

    /// Appends the value that begins at `at`, if it fits at once: what [`Self::append_plain`] takes,
    /// and moments. Found and read in one go it never becomes a [`Value`], which would cost as much as
    /// reading it. Returns where it ends; what does not fit is scanned again for [`Self::append_json`].
    #[inline]
    pub(crate) fn append_at(&mut self, text: &str, at: usize, rules: &Rules) -> Option<usize> {
        match self {
            Self::Decimal(builder, kind) => {
                let (end, short) = scan::number(text.as_bytes(), at).ok()?;
                builder.append_value(short?.decimal(*kind)?);
                Some(end)
            }
            Self::Int64(builder) => {
                let (end, short) = scan::number(text.as_bytes(), at).ok()?;
                builder.append_value(short?.whole()?);
                Some(end)
            }
            Self::Text(builder) => {
                let inner = scan::plain(text, at)?;
                builder.append_value(inner);
                Some(at + inner.len() + 2)
            }
            Self::Timestamp(builder) => {
                let inner = scan::plain(text, at)?;
                builder.append_value(rules.times.moment(inner)?);
                Some(at + inner.len() + 2)
            }
            _ => None,
        }
    }

    /// Returns about how many bytes the elements of lists and maps take that were appended: few
    /// bytes of a file may be many of them.
    pub(crate) fn elements_bytes(&self) -> usize {
        match self {
            Self::Nested(nested) => nested.elements_bytes(),
            _ => 0,
        }
    }

    /// Returns what was appended, and begins anew; of the usual columns with room for as much again,
    /// for one stretch of rows is about as long as the next.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) | Self::Json(builder) => {
                let texts = builder.finish();
                let bytes = roomy(texts.values().len());
                *builder = StringBuilder::with_capacity(roomy(texts.len()), bytes);
                Arc::new(texts)
            }
            Self::Decimal(builder, _) => {
                let numbers = builder.finish();
                *builder = Decimal128Builder::with_capacity(roomy(numbers.len()))
                    .with_data_type(numbers.data_type().clone());
                Arc::new(numbers)
            }
            Self::Timestamp(builder) | Self::LocalTimestamp(builder) => {
                let moments = builder.finish();
                *builder = TimestampMicrosecondBuilder::with_capacity(roomy(moments.len()))
                    .with_data_type(moments.data_type().clone());
                Arc::new(moments)
            }
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Nested(nested) => nested.finish(),
        }
    }
}

/// Returns room for about as much again. Stretches differ by some rows, and one row too many would
/// copy the whole column.
const fn roomy(length: usize) -> usize {
    length + length / 8
}

fn kept(appended: Option<()>, day: Option<i32>) -> Fit {
    match appended {
        Some(()) => Fit::Kept(day),
        None => Fit::Misfit,
    }
}

fn timestamps() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// Returns the text of a string value; `None` for other values and for text that is none.
fn string<'a>(value: Value, text: &'a str, scratch: &'a mut String) -> Option<&'a str> {
    let inner = Span { start: value.span.start + 1, end: value.span.end.saturating_sub(1) };
    match value.shape {
        Shape::Plain => Some(inner.of(text)),
        Shape::Escaped => value::unescape(inner.of(text), scratch).then_some(scratch),
        _ => None,
    }
}

/// Returns the text of a number, or of a string that may hold one.
fn digits<'a>(value: Value, text: &'a str, scratch: &'a mut String) -> Option<&'a str> {
    match value.shape {
        Shape::Number => Some(value.span.of(text)),
        _ => string(value, text, scratch),
    }
}

/// The provenance columns that differ from row to row.
#[derive(Debug)]
pub(super) struct Provenance {
    pub offset: Int64Builder,
    pub key: StringBuilder,
    pub source: StringBuilder,
    pub interval: StringBuilder,
    pub fetch_id: Int64Builder,
    pub page: Int32Builder,
    pub row: Int32Builder,
    pub ts_fetched: TimestampMicrosecondBuilder,
    pub line: Int64Builder,
    pub row_crc: Int64Builder,
    pub rescued: StringBuilder,
    pub corrupt_record: StringBuilder,
    pub corrupt_reason: StringBuilder,
    pub date_key: Int32Builder,
}

/// What all rows of an object share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub topic: String,
    pub partition: i32,
    pub file: String,
    pub batch: i64,
}

impl Provenance {
    pub(super) fn new() -> Self {
        Self {
            offset: Int64Builder::new(),
            key: StringBuilder::new(),
            source: StringBuilder::new(),
            interval: StringBuilder::new(),
            fetch_id: Int64Builder::new(),
            page: Int32Builder::new(),
            row: Int32Builder::new(),
            ts_fetched: timestamps(),
            line: Int64Builder::new(),
            row_crc: Int64Builder::new(),
            rescued: StringBuilder::new(),
            corrupt_record: StringBuilder::new(),
            corrupt_reason: StringBuilder::new(),
            date_key: Int32Builder::new(),
        }
    }

    /// Appends nulls to every column that a corrupt line cannot fill.
    pub(super) fn append_headless(&mut self) {
        self.offset.append_null();
        self.key.append_null();
        self.source.append_null();
        self.interval.append_null();
        self.fetch_id.append_null();
        self.page.append_null();
        self.row.append_null();
        self.ts_fetched.append_null();
    }

    /// Appends a member to the rescued object of the current row; `first` opens the object.
    pub(super) fn rescue(&mut self, first: bool, key: &str, value: &str) {
        let opening = if first { '{' } else { ',' };
        write!(self.rescued, "{opening}{key}:{value}").expect("writing to a buffer does not fail");
    }

    /// Closes the rescued object, with the file that the row came from.
    pub(super) fn close_rescued(&mut self, file: &str) {
        // A landing key is made of characters that need no escaping.
        write!(self.rescued, ",\"_file_path\":\"{file}\"}}")
            .expect("writing to a buffer does not fail");
        self.rescued.append_value("");
    }

    pub(super) fn finish(&mut self, shared: &Shared) -> Vec<ArrayRef> {
        let line = self.line.finish();
        let rows = line.len();
        let repeat = |text: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        };
        vec![
            repeat(&shared.topic),
            Arc::new(Int32Array::from_value(shared.partition, rows)),
            Arc::new(self.offset.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.interval.finish()),
            Arc::new(self.fetch_id.finish()),
            Arc::new(self.page.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.ts_fetched.finish()),
            repeat(&shared.file),
            Arc::new(line),
            Arc::new(Int64Array::from_value(shared.batch, rows)),
            Arc::new(self.row_crc.finish()),
            Arc::new(self.rescued.finish()),
            Arc::new(self.corrupt_record.finish()),
            Arc::new(self.corrupt_reason.finish()),
            Arc::new(self.date_key.finish()),
        ]
    }
}
