//! Functions that make much out of little, within bounds.
//!
//! The queries' memory pool counts what operators hold, not what one function call returns:
//! `repeat('x', 2147483647)` would take its two gigabytes from the whole process. So each call is
//! measured before it is made.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{Array, ArrayRef, AsArray as _},
    compute::cast,
    datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit},
};
use datafusion::{
    common::DataFusionError,
    functions::{string, unicode},
    functions_nested::{range, repeat, resize},
    logical_expr::{
        ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature, Volatility,
    },
    prelude::SessionContext,
};

/// A text longer than that is no value of a report.
const TEXT_BYTES_MAX: u128 = 1 << 20;

/// A thousand years of days are a third of it.
const ELEMENTS_MAX: u128 = 1_000_000;

/// What one call may return for all of its rows, at most 8192: a quarter of the memory of all
/// queries, and 16 KiB a row.
const CALL_BYTES_MAX: u128 = 128 << 20;

/// What an element of an array takes beside its own bytes: an offset or a view, and an index while
/// it is copied.
const ELEMENT_BYTES: u128 = 24;

/// A function was asked for more than it may return.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result of `{function}` would be larger than {limit}")]
pub struct ResultTooLarge {
    /// The function's name.
    pub function: String,
    /// The bound, such as `1 MiB`.
    pub limit: &'static str,
}

/// Puts the bounded functions in the place of the engine's own.
pub(super) fn register(context: &SessionContext) {
    for function in BOUNDED.iter() {
        context.register_udf(function.clone());
    }
}

static BOUNDED: LazyLock<Vec<ScalarUDF>> = LazyLock::new(|| {
    let functions = [
        (string::repeat(), Growth::Repeat),
        (unicode::lpad(), Growth::Pad),
        (unicode::rpad(), Growth::Pad),
        (repeat::array_repeat_udf(), Growth::ArrayRepeat),
        (resize::array_resize_udf(), Growth::ArrayResize),
        (range::range_udf(), Growth::Series),
        (range::gen_series_udf(), Growth::Series),
    ];
    functions
        .map(|(function, growth)| ScalarUDF::new_from_impl(Bounded::new(function, growth)))
        .into()
});

/// How the size of a result follows from the arguments.
#[derive(Clone, Copy, Debug)]
enum Growth {
    /// `(text, count)`
    Repeat,
    /// `(text, characters[, fill])`
    Pad,
    /// `(element, count)`
    ArrayRepeat,
    /// `(array, elements[, fill])`
    ArrayResize,
    /// `([start,] stop[, step])`
    Series,
}

/// The size of one result.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    elements: u128,
    bytes: u128,
}

impl Size {
    const fn of_text(bytes: u128) -> Self {
        Self { elements: 0, bytes }
    }

    const fn of_array(elements: u128, bytes_each: u128) -> Self {
        Self { elements, bytes: elements.saturating_mul(bytes_each.saturating_add(ELEMENT_BYTES)) }
    }
}

/// One of the engine's functions behind the measure of its result.
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    signature: Signature,
}

impl Bounded {
    fn new(inner: Arc<ScalarUDF>, growth: Growth) -> Self {
        let mut signature = inner.signature().clone();
        // A call with constants must not become a constant itself at planning time, when nobody
        // knows yet for how many rows it will be written down.
        signature.volatility = Volatility::Volatile;
        Self { inner, growth, signature }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<(), DataFusionError> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        // A constant is copied for every row.
        let (rows, copies) =
            if is_constant { (1, args.number_rows.max(1)) } else { (args.number_rows, 1) };
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>, DataFusionError>>()?;
        let too_large = |limit| ResultTooLarge { function: self.inner.name().to_owned(), limit };
        let mut total: u128 = 0;
        for row in 0..rows {
            let size = self.growth.measure(&columns, row)?;
            if size.elements > ELEMENTS_MAX {
                return Err(external(too_large("1,000,000 elements")));
            }
            if size.elements == 0 && size.bytes > TEXT_BYTES_MAX {
                return Err(external(too_large("1 MiB")));
            }
            total = total.saturating_add(size.bytes.saturating_mul(copies as u128));
            if total > CALL_BYTES_MAX {
                return Err(external(too_large("128 MiB for the rows of one batch")));
            }
        }
        Ok(())
    }
}

fn external(error: ResultTooLarge) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl Growth {
    /// Returns the size of the result of one row, or more. Nothing where an argument is NULL.
    fn measure(self, columns: &[ArrayRef], row: usize) -> Result<Size, DataFusionError> {
        if columns.iter().any(|column| column.is_null(row)) && !matches!(self, Self::ArrayRepeat) {
            return Ok(Size::default());
        }
        let count = |index: usize| columns.get(index).map_or(0, |column| count(column, row));
        Ok(match (self, columns) {
            (Self::Repeat, [text, ..]) => Size::of_text(bytes(text, row).saturating_mul(count(1))),
            (Self::Pad, [text, _, fill @ ..]) => {
                let is_ascii = is_ascii(text, row) && fill.iter().all(|fill| is_ascii(fill, row));
                // Four bytes are the longest character of UTF-8.
                Size::of_text(count(1).saturating_mul(if is_ascii { 1 } else { 4 }))
            }
            (Self::ArrayRepeat, [element, ..]) => Size::of_array(count(1), bytes(element, row)),
            (Self::ArrayResize, [array, _, fill @ ..]) => {
                let fill = fill.first().map_or(8, |fill| bytes(fill, row));
                let resized = Size::of_array(count(1), fill);
                Size { bytes: resized.bytes.saturating_add(bytes(array, row)), ..resized }
            }
            (Self::Series, columns) => Size::of_array(series_length(columns, row)?, 8),
            _ => Size::default(),
        })
    }
}

/// The integer in `row`, none or a negative one being zero.
fn count(column: &ArrayRef, row: usize) -> u128 {
    let value = match column.as_primitive_opt::<Int64Type>() {
        Some(array) if array.is_valid(row) => array.value(row),
        _ => 0,
    };
    u128::try_from(value).unwrap_or(0)
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

fn is_ascii(column: &ArrayRef, row: usize) -> bool {
    text(column, row).is_none_or(str::is_ascii)
}

/// The bytes of the value in `row`, or more.
fn bytes(column: &ArrayRef, row: usize) -> u128 {
    if let Some(text) = text(column, row) {
        return text.len() as u128;
    }
    let value = match column.as_list_opt::<i32>() {
        Some(lists) => lists.value(row),
        None => column.slice(row, 1),
    };
    value.to_data().get_slice_memory_size().map_or(u128::MAX, |bytes| bytes as u128)
}

/// How many values `range` and `generate_series` would return, or more: a month counts as its
/// shortest, 28 days, and a day as 23 hours.
fn series_length(columns: &[ArrayRef], row: usize) -> Result<u128, DataFusionError> {
    const DAY: i128 = 24 * 3_600_000_000_000;
    const SHORT_DAY: i128 = 23 * 3_600_000_000_000;
    let (start, stop, step) = match columns {
        [stop] => (0, position(stop, row)?, 1),
        [start, stop] => (position(start, row)?, position(stop, row)?, 1),
        [start, stop, step] => {
            let step = match step.as_primitive_opt::<IntervalMonthDayNanoType>() {
                None => position(step, row)?,
                Some(steps) => {
                    let (months, days, nanos) =
                        IntervalMonthDayNanoType::to_parts(steps.value(row));
                    let parts = [i128::from(months), i128::from(days), i128::from(nanos)];
                    // One that goes back and forth may never arrive.
                    if parts.iter().any(|part| *part > 0) && parts.iter().any(|part| *part < 0) {
                        return Err(DataFusionError::Execution(
                            "the step of a series must go in one direction".to_owned(),
                        ));
                    }
                    let [months, days, nanos] = parts;
                    months * 28 * SHORT_DAY + days * SHORT_DAY + nanos
                }
            };
            (position(start, row)?, position(stop, row)?, step)
        }
        _ => return Ok(0),
    };
    let (start, stop) = match columns.first().map(|column| column.data_type()) {
        Some(DataType::Date32) => (start * DAY, stop * DAY),
        Some(DataType::Date64) => (start * 1_000_000, stop * 1_000_000),
        Some(DataType::Timestamp(unit, _)) => {
            let nanos = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            };
            (start * nanos, stop * nanos)
        }
        _ => (start, stop),
    };
    let span = if step < 0 { start - stop } else { stop - start };
    // A step of zero is the function's own error; so is what does not move.
    let Some(steps) = span.checked_div(step.abs()) else { return Ok(0) };
    Ok(u128::try_from(steps + 1).unwrap_or(0))
}

/// An integer, date or time as the number it is stored as.
fn position(column: &ArrayRef, row: usize) -> Result<i128, DataFusionError> {
    let value = match column.data_type() {
        DataType::Date32 => cast(&cast(&column.slice(row, 1), &DataType::Int32)?, &DataType::Int64),
        _ => cast(&column.slice(row, 1), &DataType::Int64),
    }?;
    Ok(value.as_primitive_opt::<Int64Type>().map_or(0, |array| i128::from(array.value(0))))
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("function", &self.inner.name()).finish_non_exhaustive()
    }
}

// There is one of each name.
impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        self.inner.inner().return_type(types)
    }

    fn return_field_from_args(
        &self,
        args: ReturnFieldArgs<'_>,
    ) -> Result<FieldRef, DataFusionError> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
