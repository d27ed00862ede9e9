//! What values a field held, as a lattice: merging is associative, commutative and idempotent, so
//! the order of files and records decides nothing.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, TimeUnit};

use super::{
    observing::NESTING_MAX,
    types::{self, map_parts},
    widen::common,
};

/// The least that holds every value seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Nothing, or nulls only.
    #[default]
    Nothing,
    /// Truth values.
    Bool,
    /// Numbers: the most digits in front of the point, and behind it.
    Number {
        /// Digits in front of the point, leading zeros not counted. Nineteen digits that no 64-bit
        /// number holds count as twenty.
        whole: u32,
        /// Digits behind it, trailing zeros not counted, but one at least where there is a point:
        /// whoever writes `5.0` will write `5.5`.
        fraction: u32,
        /// Whether a value was written with an exponent, or is not finite.
        is_float: bool,
    },
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Values of a type that the file itself names (Parquet, Avro) and no other variant stands for.
    Typed(DataType),
    /// Text, or values that have nothing else in common.
    Text,
    /// Objects, their members by name.
    Object(BTreeMap<String, Self>),
    /// Lists, their elements as one.
    List(Box<Self>),
    /// Maps of files that tell them from objects; keys and values as one each.
    Map(Box<Self>, Box<Self>),
}

impl Observed {
    /// A number that only a float holds: with an exponent, or not finite.
    pub const FLOAT: Self = Self::Number { whole: 0, fraction: 0, is_float: true };

    /// Makes this hold what `other` held too.
    pub fn merge(&mut self, other: Self) {
        let ours = std::mem::take(self);
        *self = ours.merged(other);
    }

    /// Returns the least that holds what both held.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, any) | (any, Self::Nothing) => any,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::Date, Self::Date) => Self::Date,
            (Self::Date | Self::Timestamp, Self::Date | Self::Timestamp) => Self::Timestamp,
            (
                Self::Number { whole, fraction, is_float },
                Self::Number { whole: wholes, fraction: fractions, is_float: are_floats },
            ) => Self::Number {
                whole: whole.max(wholes),
                fraction: fraction.max(fractions),
                is_float: is_float || are_floats,
            },
            (Self::Typed(ours), Self::Typed(theirs)) => {
                common(&ours, &theirs).map_or(Self::Text, Self::Typed)
            }
            (Self::Object(mut ours), Self::Object(theirs)) => {
                for (name, member) in theirs {
                    ours.entry(name).or_default().merge(member);
                }
                Self::Object(ours)
            }
            (Self::List(ours), Self::List(theirs)) => Self::List(Box::new(ours.merged(*theirs))),
            (Self::Map(key, value), Self::Map(keys, values)) => {
                Self::Map(Box::new(key.merged(*keys)), Box::new(value.merged(*values)))
            }
            _ => Self::Text,
        }
    }

    /// What a column of `data_type` holds: of a file that says its types. Types that tables lack
    /// become the next wider that they have.
    #[must_use]
    pub fn of_type(data_type: &DataType) -> Self {
        Self::of_type_at(data_type, 0)
    }

    fn of_type_at(data_type: &DataType, depth: usize) -> Self {
        let inside = |data_type: &DataType| Self::of_type_at(data_type, depth + 1);
        let typed = match data_type {
            deep if NESTING_MAX <= depth && deep.is_nested() => return Self::Text,
            DataType::Null => return Self::Nothing,
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Binary => data_type.clone(),
            DataType::UInt8 => DataType::Int16,
            DataType::UInt16 => DataType::Int32,
            DataType::UInt32 => DataType::Int64,
            DataType::UInt64 => DataType::Decimal128(20, 0),
            DataType::Float16 => DataType::Float32,
            DataType::Date64 => DataType::Date32,
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                DataType::Binary
            }
            DataType::Timestamp(_, Some(_)) => types::timestamp(),
            DataType::Timestamp(_, None) => types::ntz(),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                return Self::of_decimal(*precision, *scale);
            }
            DataType::Dictionary(_, value) => return inside(value),
            DataType::RunEndEncoded(_, value) => return inside(value.data_type()),
            DataType::Struct(fields) => {
                let member = |field: &arrow::datatypes::FieldRef| {
                    (field.name().clone(), inside(field.data_type()))
                };
                return Self::Object(fields.iter().map(member).collect());
            }
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::ListView(element)
            | DataType::LargeListView(element)
            | DataType::FixedSizeList(element, _) => {
                return Self::List(Box::new(inside(element.data_type())));
            }
            DataType::Map(entries, _) => {
                return map_parts(entries).map_or(Self::Text, |(key, value)| {
                    Self::Map(Box::new(inside(key)), Box::new(inside(value)))
                });
            }
            _ => return Self::Text,
        };
        Self::Typed(typed)
    }

    /// A negative scale means zeros in front of the point.
    fn of_decimal(precision: u8, scale: i8) -> Self {
        let zeros = u32::try_from(-i32::from(scale)).unwrap_or_default();
        let (whole, fraction) = types::decimal_digits(precision, scale);
        types::decimal(whole + zeros, fraction).map_or(Self::Text, Self::Typed)
    }
}

/// Whether a moment's column has a zone.
pub(crate) fn is_ntz(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, None))
}

#[cfg(test)]
pub(super) mod tests;
