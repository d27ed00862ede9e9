//! Which types may become which: Auto Loader's type widening, exactly.
//!
//! | from | to |
//! |---|---|
//! | `BYTE` | `SHORT`, `INT`, `LONG`, `DECIMAL`, `DOUBLE` |
//! | `SHORT` | `INT`, `LONG`, `DECIMAL`, `DOUBLE` |
//! | `INT` | `LONG`, `DECIMAL`, `DOUBLE` |
//! | `LONG` | `DECIMAL`, never `DOUBLE` |
//! | `FLOAT` | `DOUBLE` |
//! | `DECIMAL` | `DECIMAL` of no fewer digits on either side of the point |
//! | `DATE` | `TIMESTAMP_NTZ`, in Parquet only |
//!
//! As a decimal, a `LONG` counts as twenty digits and a smaller number as ten, so `INT` and
//! `DECIMAL(5,2)` make `DECIMAL(12,2)`.

use arrow::datatypes::DataType;

use super::{
    observed::is_ntz,
    types::{decimal, decimal_digits},
};

/// Returns what `current` becomes so that it holds values of type `seen` as well; `None` when it
/// does already, or when nothing does that it may become.
#[must_use]
pub fn widened(current: &DataType, seen: &DataType, is_parquet: bool) -> Option<DataType> {
    let wider = common(current, seen).filter(|wider| wider != current)?;
    (is_parquet || *current != DataType::Date32).then_some(wider)
}

/// Returns the narrowest type that both may become, if there is one.
///
/// Associative, commutative and idempotent where "none" stands for a type above all: the order in
/// which files are looked at decides nothing.
#[must_use]
pub fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return Some(left.clone());
    }
    if let (Some(left), Some(right)) = (integer_rank(left), integer_rank(right)) {
        return Some(INTEGERS[left.max(right)].clone());
    }
    if let (Some(left), Some(right)) = (digits(left), digits(right)) {
        return decimal(left.0.max(right.0), left.1.max(right.1));
    }
    let is_in_double = |data_type| {
        matches!(data_type, &DataType::Float32 | &DataType::Float64)
            || integer_rank(data_type).is_some_and(|rank| rank < LONG)
    };
    if is_in_double(left) && is_in_double(right) {
        return Some(DataType::Float64);
    }
    let are_days = |day: &DataType, clock: &DataType| *day == DataType::Date32 && is_ntz(clock);
    if are_days(left, right) {
        return Some(right.clone());
    }
    are_days(right, left).then(|| left.clone())
}

const INTEGERS: [DataType; 4] = [DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64];
const LONG: usize = 3;

fn integer_rank(data_type: &DataType) -> Option<usize> {
    INTEGERS.iter().position(|integer| integer == data_type)
}

/// Digits in front of the point and behind it, of types that become decimals.
fn digits(data_type: &DataType) -> Option<(u32, u32)> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((20, 0)),
        DataType::Decimal128(precision, scale) => Some(decimal_digits(*precision, *scale)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
