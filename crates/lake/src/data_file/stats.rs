//! Statistics of a data file as the Delta protocol writes them: rows, nulls, and the range of every
//! column that people select rows by.
//!
//! Decimals and floats have no range: JSON would round them, and a reader could skip a file that has
//! the row. What holds others (structs, lists, maps) has no statistics of its own.

use std::{cmp::Ordering, fmt};

use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray},
    compute::{max, min},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type,
        SchemaRef, TimeUnit, TimestampMicrosecondType,
    },
};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::rows::{date_of_days, utc};

/// Longer texts have no minimum and maximum in the log; Delta writers cut at the same length.
const STATS_TEXT_MAX: usize = 32;

/// What a file holds so far.
#[derive(Debug)]
pub(super) struct Stats {
    rows: usize,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: DataType,
    nulls: usize,
    range: Range,
}

/// The least and the greatest value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Range {
    /// There is no value yet.
    Nothing,
    /// Whole numbers, days since 1970, or microseconds since then.
    Numbers(i64, i64),
    Texts(String, String),
    /// It has values, and no range that could be written.
    Unknown,
}

impl Stats {
    pub(super) fn of(schema: &SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| Column {
            name: field.name().clone(),
            kind: field.data_type().clone(),
            nulls: 0,
            range: Range::Nothing,
        });
        Self { rows: 0, columns: columns.collect() }
    }

    /// Takes in rows, column by column in the order of the schema.
    pub(super) fn push(&mut self, columns: &[ArrayRef]) {
        self.rows += columns.first().map_or(0, |column| column.len());
        for (column, array) in self.columns.iter_mut().zip(columns) {
            column.nulls += array.null_count();
            let range = std::mem::replace(&mut column.range, Range::Nothing);
            column.range = range.with(Range::of(array));
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
        for column in self.columns.iter().filter(|column| !column.kind.is_nested()) {
            nulls.insert(column.name.clone(), column.nulls.into());
            if let Some((low, high)) = column.range.shown(&column.kind) {
                least.insert(column.name.clone(), low);
                most.insert(column.name.clone(), high);
            }
        }
        let stats = json!({
            "numRecords": self.rows, "minValues": least, "maxValues": most, "nullCount": nulls,
        });
        stats.fmt(f)
    }
}

impl Range {
    fn of(array: &ArrayRef) -> Self {
        match array.data_type() {
            DataType::Int8 => Self::of_numbers::<Int8Type>(array),
            DataType::Int16 => Self::of_numbers::<Int16Type>(array),
            DataType::Int32 => Self::of_numbers::<Int32Type>(array),
            DataType::Int64 => Self::of_numbers::<Int64Type>(array),
            DataType::Date32 => Self::of_numbers::<Date32Type>(array),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::of_numbers::<TimestampMicrosecondType>(array)
            }
            DataType::Utf8 => match least_and_most(array.as_string()) {
                Some((low, high)) => Self::of_texts(low, high),
                None => Self::Nothing,
            },
            _ if array.null_count() == array.len() => Self::Nothing,
            _ => Self::Unknown,
        }
    }

    fn of_numbers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Self
    where
        i64: From<T::Native>,
    {
        let numbers = array.as_primitive::<T>();
        match min(numbers).zip(max(numbers)) {
            Some((low, high)) => Self::Numbers(low.into(), high.into()),
            None => Self::Nothing,
        }
    }

    fn of_texts(low: &str, high: &str) -> Self {
        if low.len().max(high.len()) <= STATS_TEXT_MAX {
            Self::Texts(low.to_owned(), high.to_owned())
        } else {
            Self::Unknown
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, range) | (range, Self::Nothing) => range,
            (Self::Numbers(low, high), Self::Numbers(lower, higher)) => {
                Self::Numbers(low.min(lower), high.max(higher))
            }
            (Self::Texts(low, high), Self::Texts(lower, higher)) => {
                Self::Texts(low.min(lower), high.max(higher))
            }
            _ => Self::Unknown,
        }
    }

    /// Returns how the log writes it.
    fn shown(&self, kind: &DataType) -> Option<(Value, Value)> {
        match (self, kind) {
            (Self::Nothing | Self::Unknown, _) => None,
            (Self::Texts(low, high), _) => Some((low.as_str().into(), high.as_str().into())),
            (Self::Numbers(low, high), DataType::Date32) => {
                let show =
                    |days: i64| Some(date_of_days(i32::try_from(days).ok()?)?.to_string().into());
                Some((show(*low)?, show(*high)?))
            }
            (Self::Numbers(low, high), DataType::Timestamp(_, zone)) => {
                // The protocol keeps milliseconds: the range is widened to whole ones.
                let show = |millis: i64| {
                    let ts = utc(millis.checked_mul(1000)?)?;
                    let text = ts.to_rfc3339_opts(SecondsFormat::Millis, true);
                    let text = if zone.is_some() { &text } else { text.trim_end_matches('Z') };
                    Some(Value::from(text))
                };
                let up = i64::from(high.rem_euclid(1000).cmp(&0) == Ordering::Greater);
                Some((show(low.div_euclid(1000))?, show(high.div_euclid(1000) + up)?))
            }
            (Self::Numbers(low, high), _) => Some(((*low).into(), (*high).into())),
        }
    }
}

/// Returns the least and the greatest text. Most differ in their first eight bytes, or are the same
/// as one of the two: a number tells, and few of them are compared whole.
fn least_and_most(texts: &StringArray) -> Option<(&str, &str)> {
    let (starts, bytes) = (texts.value_offsets(), texts.value_data());
    let mut all = texts.iter().zip(starts).filter_map(|(text, start)| {
        let text = text?;
        let start = usize::try_from(*start).unwrap_or(bytes.len());
        Some(Ordered { head: head(text, bytes.get(start..).unwrap_or_default()), text })
    });
    let first = all.next()?;
    let (mut least, mut most) = (first, first);
    for text in all {
        if text < least {
            least = text;
        } else if most < text {
            most = text;
        }
    }
    Some((least.text, most.text))
}

/// A text that is compared by its head first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ordered<'a> {
    head: u64,
    text: &'a str,
}

impl Ord for Ordered<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| {
            // Where the head is all of both, what one has more are zeros.
            if self.text.len().max(other.text.len()) <= HEAD_BYTES {
                self.text.len().cmp(&other.text.len())
            } else {
                self.text.cmp(other.text)
            }
        })
    }
}

impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Bytes of a text that one number holds.
const HEAD_BYTES: usize = size_of::<u64>();

/// Returns a number that orders texts as their first bytes do; missing bytes are zero. `from_it` are
/// the text's bytes and those behind them, so that the shortest texts are read as one word as well.
#[inline]
fn head(text: &str, from_it: &[u8]) -> u64 {
    let count = text.len().min(HEAD_BYTES);
    match from_it.first_chunk() {
        Some(word) if 0 < count => {
            u64::from_be_bytes(*word) & u64::MAX << (8 * (HEAD_BYTES - count))
        }
        Some(_) => 0,
        None => {
            let mut head = [0; HEAD_BYTES];
            head[..count].copy_from_slice(&text.as_bytes()[..count]);
            u64::from_be_bytes(head)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray},
        datatypes::{Field, Schema},
    };

    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::schema::timestamp;

    proptest! {
        #[test]
        fn texts_have_the_range_that_comparing_all_of_them_gives(
            texts in vec(option::of("[a-c\u{0}é]{0,3}(abcdefgh)?[a-c\u{0}]{0,2}"), 0..20),
            start in 0..20_usize,
        ) {
            let start = start.min(texts.len());
            let array = StringArray::from(texts.clone()).slice(start, texts.len() - start);
            let texts: Vec<&str> = texts[start..].iter().flatten().map(String::as_str).collect();
            let expected = texts.iter().copied().min().zip(texts.iter().copied().max());
            prop_assert_eq!(least_and_most(&array), expected);
        }
    }

    #[test]
    fn statistics_say_what_a_file_holds() {
        let ntz = DataType::Timestamp(TimeUnit::Microsecond, None);
        let schema = Arc::new(Schema::new(vec![
            Field::new("symbol", DataType::Utf8, true),
            Field::new("ts", timestamp(), true),
            Field::new("local", ntz, true),
            Field::new("n", DataType::Int32, true),
            Field::new("none", DataType::Int32, true),
            Field::new("long", DataType::Utf8, true),
            Field::new("price", DataType::Decimal128(38, 10), true),
        ]));
        let ts = TimestampMicrosecondArray::from(vec![Some(1_001), None, Some(-1)]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("B"), Some("A"), None])),
            Arc::new(ts.clone().with_timezone("UTC")),
            Arc::new(ts),
            Arc::new(Int32Array::from(vec![3, -2, 1])),
            Arc::new(Int32Array::from(vec![None, None, None])),
            Arc::new(StringArray::from(vec![
                "x".repeat(STATS_TEXT_MAX + 1),
                "a".into(),
                "b".into(),
            ])),
            Arc::new(Decimal128Array::from(vec![1, 2, 3])),
        ];
        let mut stats = Stats::of(&schema);
        // In two stretches: what is said of all is what both say together.
        for (from, length) in [(0, 1), (1, 2)] {
            let stretch: Vec<ArrayRef> =
                columns.iter().map(|column| column.slice(from, length)).collect();
            stats.push(&stretch);
        }
        let found: Value = serde_json::from_str(&stats.to_string()).expect("JSON");
        let expected = json!({
            "numRecords": 3,
            "minValues": {
                "symbol": "A", "ts": "1969-12-31T23:59:59.999Z",
                "local": "1969-12-31T23:59:59.999", "n": -2,
            },
            "maxValues": {
                "symbol": "B", "ts": "1970-01-01T00:00:00.002Z",
                "local": "1970-01-01T00:00:00.002", "n": 3,
            },
            "nullCount": {
                "symbol": 1, "ts": 1, "local": 1, "n": 0, "none": 3, "long": 0, "price": 0,
            },
        });
        assert_eq!(found, expected);
    }
}
