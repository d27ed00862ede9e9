//! Observations become types, by the rules that options and format set.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Fields};

use super::{
    observed::Observed,
    types::{self, DIGITS_MAX, field, folded, list_of, map_of},
};
use crate::files::options::{Format, SchemaOptions};

/// Digits of a decimal at least, in front of the point and behind it: `DECIMAL(18,6)`, what prices
/// have. A sample of round prices must not make a column that the next price does not fit.
const WHOLE_MIN: u32 = 12;
const FRACTION_MIN: u32 = 6;

/// How observed values become types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeRules {
    /// How much of what was seen shows in the type.
    pub detail: Detail,
    /// Whether numbers with a fraction are decimals; else doubles.
    pub prefers_decimal: bool,
    /// What days and moments become.
    pub times: Times,
    /// `dropFieldIfAllNull`: whether what was only ever null, or empty, is left out.
    pub is_all_null_dropped: bool,
}

/// How much of what was seen shows in the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Every column is `STRING`, nested ones as their JSON text: Auto Loader's default.
    Text,
    /// Structs and arrays, and `STRING` inside them: `primitivesAsString`.
    Shape,
    /// Everything: `inferColumnTypes`, and formats that have types of their own.
    Full,
}

/// What days and moments that were observed become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// `STRING`: JSON without `inferTimestamp`.
    Text,
    /// `TIMESTAMP`, days too: CSV without `preferDate`.
    Timestamps,
    /// `DATE` and `TIMESTAMP`.
    Both,
}

impl TypeRules {
    /// Returns the rules of a format's columns.
    #[must_use]
    pub fn new(format: &Format, options: &SchemaOptions) -> Self {
        let detail = match format {
            Format::Parquet | Format::Avro | Format::Text { .. } | Format::Binary => Detail::Full,
            _ if !options.infers_types => Detail::Text,
            Format::Json(json) if json.are_primitives_text => Detail::Shape,
            Format::Json(_) | Format::Csv(_) => Detail::Full,
        };
        let times = match format {
            Format::Json(_) if !options.infers_timestamps => Times::Text,
            Format::Csv(csv) if !csv.prefers_date => Times::Timestamps,
            _ => Times::Both,
        };
        let is_all_null_dropped = matches!(format, Format::Json(json) if json.is_all_null_dropped);
        Self { detail, prefers_decimal: options.prefers_decimal, times, is_all_null_dropped }
    }

    /// Returns the type of numbers of so many digits in front of the point and behind it.
    pub(crate) fn number_type(&self, whole: u32, fraction: u32, is_float: bool) -> DataType {
        let exact = match fraction {
            _ if is_float => None,
            0 if whole <= 19 => Some(DataType::Int64),
            0 => types::decimal(whole, 0),
            _ if self.prefers_decimal => at_least(whole, fraction),
            _ => None,
        };
        exact.unwrap_or(DataType::Float64)
    }
}

impl Observed {
    /// Returns the type that holds everything observed; `None` when the rules leave it out.
    ///
    /// | observed | type |
    /// |---|---|
    /// | whole numbers | `BIGINT`; beyond it `DECIMAL(p,0)`; beyond 38 digits `DOUBLE` |
    /// | numbers with a fraction | `DECIMAL(18,6)` or as much more as they need; beyond 38 digits, or without `prefersDecimal`, `DOUBLE` |
    /// | numbers with an exponent | `DOUBLE` |
    /// | members of an object | a struct of them by name; spellings that differ in case are one |
    /// | nothing, or an object without members | `STRING` |
    #[must_use]
    pub fn to_type(&self, rules: &TypeRules) -> Option<DataType> {
        if rules.detail == Detail::Text {
            return (!self.is_blank() || !rules.is_all_null_dropped).then_some(DataType::Utf8);
        }
        let primitive = |data_type| match rules.detail {
            Detail::Full => data_type,
            Detail::Text | Detail::Shape => DataType::Utf8,
        };
        Some(match self {
            Self::Nothing if rules.is_all_null_dropped => return None,
            Self::Nothing | Self::Text => DataType::Utf8,
            Self::Bool => primitive(DataType::Boolean),
            Self::Number { whole, fraction, is_float } => {
                primitive(rules.number_type(*whole, *fraction, *is_float))
            }
            Self::Date if rules.times == Times::Both => primitive(DataType::Date32),
            Self::Date | Self::Timestamp if rules.times != Times::Text => {
                primitive(types::timestamp())
            }
            Self::Date | Self::Timestamp => DataType::Utf8,
            Self::Typed(data_type) => primitive(data_type.clone()),
            Self::List(element) => list_of(element.to_type(rules)?),
            Self::Map(key, value) => map_of(key.to_type(rules)?, value.to_type(rules)?),
            Self::Object(members) => match struct_fields(members, rules) {
                fields if !fields.is_empty() => DataType::Struct(fields),
                _ if rules.is_all_null_dropped => return None,
                // A struct without members cannot be stored.
                _ => DataType::Utf8,
            },
        })
    }

    /// Whether no value was seen: nulls only, however deep.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::List(element) => element.is_blank(),
            Self::Object(members) => members.values().all(Self::is_blank),
            _ => false,
        }
    }
}

/// Returns the columns that `members` become, by name in byte order.
///
/// `abc` and `Abc` are one column, since tables do not tell them apart. It holds what both held,
/// and is spelled as the first in byte order: capitals first. A hint says otherwise.
pub(crate) fn struct_fields(members: &BTreeMap<String, Observed>, rules: &TypeRules) -> Fields {
    let typed = fold_case(members).into_iter().filter_map(|(name, observed)| {
        observed.to_type(rules).map(|data_type| field(name, data_type))
    });
    typed.collect()
}

/// Returns the members with spellings that differ in case made one, in byte order of their names.
/// A member without a name is none: no table can name it.
pub(crate) fn fold_case(members: &BTreeMap<String, Observed>) -> Vec<(&str, Observed)> {
    let mut columns: BTreeMap<String, (&str, Observed)> = BTreeMap::new();
    for (name, observed) in members.iter().filter(|(name, _)| !name.is_empty()) {
        let column = columns.entry(folded(name)).or_insert_with(|| (name, Observed::Nothing));
        column.1.merge(observed.clone());
    }
    let mut columns: Vec<_> = columns.into_values().collect();
    columns.sort_by_key(|(name, _)| *name);
    columns
}

/// Returns the decimal of at least the usual digits; fewer where 38 would not be enough for them.
fn at_least(whole: u32, fraction: u32) -> Option<DataType> {
    let fractions = fraction.max(FRACTION_MIN);
    let roomy = types::decimal(whole.max(WHOLE_MIN), fractions);
    roomy.or_else(|| {
        types::decimal(whole, fraction)?;
        // Both fit, so whichever is short of its usual digits takes what the other leaves.
        let whole = whole.max(WHOLE_MIN.min(DIGITS_MAX - fraction));
        types::decimal(whole, fractions.min(DIGITS_MAX - whole))
    })
}

#[cfg(test)]
pub(super) mod tests;
