//! A small lake with every type that the real one has, and some that it has not.

use std::sync::Arc;

use lake::{
    Reader,
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array,
            Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray,
            TimestampMicrosecondArray, UInt64Array,
        },
        datatypes::{DataType, Field, Schema},
    },
};

/// 2026-03-04 14:30:00 UTC, the opening of a session in New York.
pub(super) const OPEN_MICROS: i64 = 1_772_634_600_000_000;
const OPEN_DAY: i32 = 20_516;

/// Minutes of `gold.bar_1m`.
pub(crate) const BARS: i64 = 390;

pub(crate) fn reader() -> Reader {
    Reader::in_memory(vec![
        ("gold", "bar_1m", bars()),
        ("gold", "quote_latest", quotes()),
        ("silver", "bar", bars().slice(0, 3)),
        ("silver", "bar_1m", bars().slice(0, 1)),
        ("bronze", "intraday", quotes()),
        ("bronze", "every_type", every_type()),
    ])
    .unwrap()
}

fn batch(columns: Vec<(&str, bool, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, nullable, array)| Field::new(*name, array.data_type().clone(), *nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn price(values: impl Iterator<Item = i128>) -> ArrayRef {
    let array = Decimal128Array::from_iter_values(values);
    Arc::new(array.with_precision_and_scale(18, 6).unwrap())
}

/// One symbol, one session, the price rises by a cent a minute.
pub(super) fn bars() -> RecordBatch {
    let minutes = || 0..BARS;
    let length = usize::try_from(BARS).unwrap();
    let at = |shift: i64| {
        let micros = minutes().map(move |minute| OPEN_MICROS + (minute + shift) * 60_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
            as ArrayRef
    };
    let cents =
        |shift: i128| price(minutes().map(move |m| 189_430_000 + (i128::from(m) + shift) * 10_000));
    let volume = minutes().map(|minute| (minute != 1).then_some(i128::from(minute) * 10_000));
    let volume = Decimal128Array::from_iter(volume).with_precision_and_scale(20, 4).unwrap();
    batch(vec![
        ("symbol", false, Arc::new(StringArray::from(vec!["AAPL"; length]))),
        ("mic", false, Arc::new(StringArray::from(vec!["XNAS"; length]))),
        ("ts_start", false, at(0)),
        ("ts_end", false, at(1)),
        ("session_date", false, Arc::new(Date32Array::from(vec![OPEN_DAY; length]))),
        ("open", false, cents(0)),
        ("high", false, cents(2)),
        ("low", false, cents(-1)),
        ("close", false, cents(1)),
        ("volume", true, Arc::new(volume)),
        ("revision", false, Arc::new(Int32Array::from(vec![1; length]))),
    ])
}

fn quotes() -> RecordBatch {
    batch(vec![
        ("symbol", false, Arc::new(StringArray::from(vec!["AAPL", "MSFT"]))),
        ("price", false, price([193_330_000, 402_000_001].into_iter())),
        ("fetch_id", false, Arc::new(Int64Array::from(vec![7, 8]))),
    ])
}

fn every_type() -> RecordBatch {
    let wide = Decimal128Array::from(vec![Some(-12_345_678_901_234_567_890), None]);
    let naive = TimestampMicrosecondArray::from(vec![Some(OPEN_MICROS + 123_000), None]);
    let zoned = TimestampMicrosecondArray::from(vec![Some(OPEN_MICROS), None]);
    let date = Date32Array::from(vec![Some(OPEN_DAY), None]);
    let view = StringViewArray::from(vec![Some("a longer text than twelve bytes"), None]);
    batch(vec![
        ("c_bool", true, Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("c_int2", true, Arc::new(Int16Array::from(vec![Some(-2), None]))),
        ("c_int4", true, Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
        ("c_int8", true, Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("c_uint8", true, Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("c_float8", true, Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("c_numeric", true, Arc::new(wide.with_precision_and_scale(38, 10).unwrap())),
        ("c_text", true, Arc::new(StringArray::from(vec![Some("äöü \\ ' \" ☃"), None]))),
        ("c_view", true, Arc::new(view)),
        ("c_date", true, Arc::new(date)),
        ("c_timestamp", true, Arc::new(naive)),
        ("c_timestamptz", true, Arc::new(zoned.with_timezone("UTC"))),
        ("c_null", true, lake::arrow::array::new_null_array(&DataType::Null, 2)),
    ])
}
