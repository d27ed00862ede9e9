//! Arrays of a file become arrays of the table, with the rows that did not fit.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringBuilder, StructArray,
        TimestampMicrosecondArray, UInt64Array, new_null_array,
    },
    buffer::{BooleanBuffer, NullBuffer, OffsetBuffer},
    compute::{CastOptions, cast_with_options, take},
    datatypes::{
        DataType, Date32Type, Decimal128Type, FieldRef, TimeUnit, TimestampMicrosecondType,
    },
    error::ArrowError,
    util::display::FormatOptions,
};

use super::{json::JsonTexts, plan::Plan, range};

/// An array of a column, and what is to be said of its rows. A row that did not fit holds anything.
pub(super) struct Fitted {
    pub array: ArrayRef,
    /// Rows whose value does not fit, as a whole.
    pub misfit: Option<BooleanBuffer>,
    /// Rows whose value has members that the column does not have.
    pub partly: Option<BooleanBuffer>,
}

/// What a type of another range cannot hold becomes null, and is found by that.
const SAFE: CastOptions<'static> = CastOptions { safe: true, format_options: FormatOptions::new() };

/// Makes `array` one of its column.
pub(super) fn fit(plan: &Plan, array: &ArrayRef) -> Result<Fitted, ArrowError> {
    match plan {
        Plan::Cast(decimal @ DataType::Decimal128(precision, _))
            if array.data_type() == decimal =>
        {
            // Files say how many digits there are, and do not always keep to it.
            let numbers = array.as_primitive::<Decimal128Type>();
            Ok(match numbers.validate_decimal_precision(*precision) {
                Ok(()) => whole(Arc::clone(array)),
                Err(_) => {
                    let kept = numbers.null_if_overflow_precision(*precision);
                    compared(array, Arc::new(kept.with_data_type(decimal.clone())))
                }
            })
        }
        Plan::Cast(data_type) if array.data_type() == data_type => Ok(whole(Arc::clone(array))),
        Plan::Moment(theirs, ours) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, theirs.clone());
            let micros = cast_with_options(array, &micros, &SAFE)?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
            // What a clock showed counts as UTC: the number stays.
            Ok(compared(array, Arc::new(micros.with_timezone_opt(ours.clone()))))
        }
        Plan::Cast(data_type) => Ok(compared(array, cast_with_options(array, data_type, &SAFE)?)),
        Plan::DayToClock => {
            let clock = |day: i32| i64::from(day).checked_mul(DAY_MICROS);
            let clocks = array.as_primitive::<Date32Type>().iter().map(|day| clock(day?));
            let clocks: TimestampMicrosecondArray = clocks.collect();
            Ok(compared(array, Arc::new(clocks)))
        }
        Plan::Text => Ok(whole(texts(array))),
        Plan::Never(data_type) => Ok(Fitted {
            array: new_null_array(data_type, array.len()),
            misfit: valid(array),
            partly: None,
        }),
        Plan::Struct { .. } => fit_struct(plan, array.as_struct()),
        Plan::List(field, element) => fit_list(field, element, array.as_list()),
        Plan::Map(entries, key, value) => fit_map(entries, key, value, array.as_map()),
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

fn whole(array: ArrayRef) -> Fitted {
    Fitted { array, misfit: None, partly: None }
}

/// Rows that were something and are nothing now did not fit.
fn compared(before: &ArrayRef, after: ArrayRef) -> Fitted {
    let misfit = match (valid(before), after.nulls()) {
        (Some(before), Some(after)) => Some(&before & &!after.inner()),
        _ => None,
    };
    Fitted { array: after, misfit: misfit.filter(|rows| rows.count_set_bits() != 0), partly: None }
}

/// Returns the rows that are not null, unless all are.
pub(super) fn valid(array: &ArrayRef) -> Option<BooleanBuffer> {
    match array.logical_nulls() {
        None => Some(BooleanBuffer::new_set(array.len())),
        Some(nulls) => (nulls.null_count() < array.len()).then(|| nulls.inner().clone()),
    }
}

/// Returns the rows of either mask.
pub(super) fn either(
    one: Option<BooleanBuffer>,
    other: Option<BooleanBuffer>,
) -> Option<BooleanBuffer> {
    match (one, other) {
        (Some(one), Some(other)) => Some(&one | &other),
        (one, other) => one.or(other),
    }
}

/// Leaves the rows that are not null.
fn within(rows: Option<BooleanBuffer>, nulls: Option<&NullBuffer>) -> Option<BooleanBuffer> {
    match nulls {
        Some(nulls) => rows.map(|rows| &rows & nulls.inner()),
        None => rows,
    }
}

fn texts(array: &ArrayRef) -> ArrayRef {
    let json = JsonTexts::new(array);
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        json.write(row, &mut text);
        // A string is its own text.
        match serde_json::from_str::<String>(&text) {
            Ok(plain) => texts.append_value(plain),
            Err(_) => texts.append_value(&text),
        }
    }
    Arc::new(texts.finish())
}

fn fit_struct(plan: &Plan, array: &StructArray) -> Result<Fitted, ArrowError> {
    let Plan::Struct { fields, members, unknown } = plan else {
        return Err(ArrowError::CastError("no struct".to_owned()));
    };
    let (mut misfit, mut partly) = (None, None);
    let mut arrays = Vec::with_capacity(fields.len());
    for (field, source) in fields.iter().zip(members) {
        let Some((at, plan)) = source else {
            arrays.push(new_null_array(field.data_type(), array.len()));
            continue;
        };
        let member = fit(plan, array.column(*at))?;
        arrays.push(member.array);
        misfit = either(misfit, member.misfit);
        partly = either(partly, member.partly);
    }
    for at in unknown {
        partly = either(partly, valid(array.column(*at)));
    }
    let nulls = array.nulls();
    let fitted = if fields.is_empty() {
        StructArray::new_empty_fields(array.len(), nulls.cloned())
    } else {
        StructArray::try_new(fields.clone(), arrays, nulls.cloned())?
    };
    Ok(Fitted {
        array: Arc::new(fitted),
        misfit: within(misfit, nulls),
        partly: within(partly, nulls),
    })
}

fn fit_list(field: &FieldRef, plan: &Plan, array: &ListArray) -> Result<Fitted, ArrowError> {
    let (offsets, start, length) = rebased(array.offsets());
    let elements = fit(plan, &array.values().slice(start, length))?;
    let (misfit, partly) = (any(&offsets, elements.misfit), any(&offsets, elements.partly));
    let nulls = array.nulls();
    let list = ListArray::try_new(Arc::clone(field), offsets, elements.array, nulls.cloned())?;
    Ok(Fitted {
        array: Arc::new(list),
        misfit: within(misfit, nulls),
        partly: within(partly, nulls),
    })
}

fn fit_map(
    entries: &FieldRef,
    key: &Plan,
    value: &Plan,
    array: &MapArray,
) -> Result<Fitted, ArrowError> {
    let (mut offsets, start, length) = rebased(array.offsets());
    let keys = fit(key, &array.keys().slice(start, length))?;
    let values = fit(value, &array.values().slice(start, length))?;
    // Files may say that a key can be null; columns cannot have such maps.
    let null_keys = keys.array.nulls().filter(|nulls| nulls.null_count() != 0);
    let null_keys = null_keys.map(|nulls| !nulls.inner());
    let bad_keys = any(&offsets, either(keys.misfit, null_keys));
    let misfit = either(bad_keys.clone(), any(&offsets, values.misfit));
    let partly = either(any(&offsets, keys.partly), any(&offsets, values.partly));
    let (mut keys, mut values) = (keys.array, values.array);
    if let Some(bad) = &bad_keys {
        // A key cannot be null, so the maps that it is in have no entries at all.
        let kept: Vec<usize> = (0..array.len()).filter(|row| !bad.value(*row)).collect();
        let entries = kept.iter().flat_map(|row| range(&offsets, *row)).map(|at| at as u64);
        let entries: UInt64Array = entries.collect::<Vec<u64>>().into();
        keys = take(&keys, &entries, None)?;
        values = take(&values, &entries, None)?;
        let lengths =
            (0..array.len()).map(|row| if bad.value(row) { 0 } else { range(&offsets, row).len() });
        offsets = OffsetBuffer::from_lengths(lengths.collect::<Vec<_>>());
    }
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::CastError("no map".to_owned()));
    };
    let inside = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let nulls = array.nulls();
    let map = MapArray::try_new(Arc::clone(entries), offsets, inside, nulls.cloned(), false)?;
    Ok(Fitted {
        array: Arc::new(map),
        misfit: within(misfit, nulls),
        partly: within(partly, nulls),
    })
}

/// Returns the offsets from zero on, and which of the values they are of.
fn rebased(offsets: &OffsetBuffer<i32>) -> (OffsetBuffer<i32>, usize, usize) {
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    let from_zero: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
    // Offsets never fall, nor are they negative.
    let at = |offset: i32| usize::try_from(offset).unwrap_or_default();
    (OffsetBuffer::new(from_zero.into()), at(first), at(last - first))
}

/// Returns the rows of which any element is in the mask.
fn any(offsets: &OffsetBuffer<i32>, elements: Option<BooleanBuffer>) -> Option<BooleanBuffer> {
    let elements = elements?;
    let rows = offsets.len().saturating_sub(1);
    let is_hit = |row| range(offsets, row).any(|at| elements.value(at));
    let hit: BooleanArray = (0..rows).map(|row| Some(is_hit(row))).collect();
    Some(hit.values().clone())
}
