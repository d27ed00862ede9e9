//! Which values of foreign files fit a column: JSON values and separated texts, as Spark reads them.

use std::{str::FromStr, sync::Arc};

use arrow::{
    array::{
        BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
        Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, TimeUnit},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::decimal::{DecimalType, Unscaled};

use super::{ColumnBuilder, Fit, Nested, digits, string};
use crate::{
    decode::{
        scan::{Shape, Value},
        value,
    },
    files::format::ReadTimes,
};

/// How texts are read that are no plain values by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What is not a number, infinity, and minus infinity; each in every form that is accepted.
    pub non_finite: [Vec<String>; 3],
    /// Days and moments.
    pub times: Arc<dyn ReadTimes>,
}

impl Rules {
    /// Returns the value that is no finite number and has this text.
    pub(crate) fn non_finite(&self, text: &str) -> Option<f32> {
        const VALUES: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let is_one = |texts: &Vec<String>| texts.iter().any(|known| known == text);
        self.non_finite.iter().position(is_one).map(|index| VALUES[index])
    }
}

impl ColumnBuilder {
    /// Creates a column of an Arrow type; `None` when no text becomes that type.
    pub(crate) fn of(data_type: &DataType, is_case_sensitive: bool) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Decimal128(1..=38, 0..) => decimals(data_type)?,
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let builder = TimestampMicrosecondBuilder::new().with_data_type(data_type.clone());
                match zone {
                    Some(_) => Self::Timestamp(builder),
                    None => Self::LocalTimestamp(builder),
                }
            }
            _ => Self::Nested(Box::new(Nested::of(data_type, is_case_sensitive)?)),
        })
    }

    /// Appends one JSON value, or null if it does not fit.
    pub(crate) fn append_json(
        &mut self,
        value: Value,
        text: &str,
        rules: &Rules,
        scratch: &mut String,
    ) -> Fit {
        if value.shape == Shape::Null {
            self.append_null();
            return Fit::Kept(None);
        }
        let raw = value.span.of(text);
        let is_number = value.shape == Shape::Number;
        let is_kept = match self {
            Self::Nested(nested) => return nested.append_json(value, text, rules, scratch),
            Self::Json(builder) => set(Some(raw), |raw| builder.append_value(raw)),
            Self::Text(builder) => {
                let inner = match value.shape {
                    Shape::Plain | Shape::Escaped => string(value, text, scratch),
                    _ => Some(raw),
                };
                set(inner, |inner| builder.append_value(inner))
            }
            Self::Bool(builder) => {
                let is_true = match value.shape {
                    Shape::True => Some(true),
                    Shape::False => Some(false),
                    _ => None,
                };
                set(is_true, |is_true| builder.append_value(is_true))
            }
            Self::Int8(builder) => set(whole(value, raw), |number| builder.append_value(number)),
            Self::Int16(builder) => set(whole(value, raw), |number| builder.append_value(number)),
            Self::Int32(builder) => set(whole(value, raw), |number| builder.append_value(number)),
            Self::Int64(builder) => set(whole(value, raw), |number| builder.append_value(number)),
            Self::Float32(builder) => {
                let number =
                    digits(value, text, scratch).and_then(|text| float(text, is_number, rules));
                set(number, |number| builder.append_value(number))
            }
            Self::Float64(builder) => {
                let number =
                    digits(value, text, scratch).and_then(|text| float(text, is_number, rules));
                set(number, |number| builder.append_value(number))
            }
            Self::Decimal(builder, kind) => {
                let number = digits(value, text, scratch);
                let number = number.and_then(|digits| value::scientific(digits, *kind));
                set(number, |number| builder.append_value(number))
            }
            Self::Binary(builder) => {
                let bytes = string(value, text, scratch);
                let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
                set(bytes, |bytes| builder.append_value(bytes))
            }
            Self::Timestamp(builder) if is_number => {
                // A whole number is a moment in seconds.
                let micros = whole::<i64>(value, raw).and_then(|at| at.checked_mul(1_000_000));
                set(micros, |micros| builder.append_value(micros))
            }
            Self::Timestamp(builder) => {
                let micros = string(value, text, scratch);
                let micros = micros.and_then(|text| rules.times.moment(text));
                set(micros, |micros| builder.append_value(micros))
            }
            Self::LocalTimestamp(builder) => {
                let micros = string(value, text, scratch);
                let micros = micros.and_then(|text| rules.times.local(text));
                set(micros, |micros| builder.append_value(micros))
            }
            Self::Date(builder) => {
                let day = string(value, text, scratch).and_then(|text| rules.times.day(text));
                set(day, |day| builder.append_value(day))
            }
        };
        self.settle(is_kept)
    }

    /// Appends a separated text that is not null, or null if it does not fit.
    pub(crate) fn append_text(&mut self, text: &str, rules: &Rules) -> Fit {
        let is_kept = match self {
            Self::Text(builder) | Self::Json(builder) => {
                set(Some(text), |text| builder.append_value(text))
            }
            Self::Bool(builder) => {
                let is_true = match text {
                    _ if text.eq_ignore_ascii_case("true") => Some(true),
                    _ if text.eq_ignore_ascii_case("false") => Some(false),
                    _ => None,
                };
                set(is_true, |is_true| builder.append_value(is_true))
            }
            Self::Int8(builder) => set(text.parse().ok(), |number| builder.append_value(number)),
            Self::Int16(builder) => set(text.parse().ok(), |number| builder.append_value(number)),
            Self::Int32(builder) => set(text.parse().ok(), |number| builder.append_value(number)),
            Self::Int64(builder) => set(text.parse().ok(), |number| builder.append_value(number)),
            Self::Float32(builder) => {
                let number = float(text, is_plain_float(text), rules);
                set(number, |number| builder.append_value(number))
            }
            Self::Float64(builder) => {
                let number = float(text, is_plain_float(text), rules);
                set(number, |number| builder.append_value(number))
            }
            Self::Decimal(builder, kind) => {
                let digits = text.strip_prefix('+').filter(|digits| !digits.starts_with('-'));
                let number = value::scientific(digits.unwrap_or(text), *kind);
                let number = number.or_else(|| loose_decimal(text, *kind));
                set(number, |number| builder.append_value(number))
            }
            Self::Binary(builder) => set(Some(text), |text| builder.append_value(text)),
            Self::Timestamp(builder) => {
                set(rules.times.moment(text), |micros| builder.append_value(micros))
            }
            Self::LocalTimestamp(builder) => {
                set(rules.times.local(text), |micros| builder.append_value(micros))
            }
            Self::Date(builder) => set(rules.times.day(text), |day| builder.append_value(day)),
            // A separated text has nothing inside.
            Self::Nested(_) => false,
        };
        self.settle(is_kept)
    }

    /// Appends JSON text as it stands, or null where the column is no text.
    pub(crate) fn append_verbatim(&mut self, text: &str) -> Fit {
        let is_kept = match self {
            Self::Text(builder) | Self::Json(builder) => {
                set(Some(text), |text| builder.append_value(text))
            }
            _ => false,
        };
        self.settle(is_kept)
    }

    fn settle(&mut self, is_kept: bool) -> Fit {
        if is_kept {
            return Fit::Kept(None);
        }
        self.append_null();
        Fit::Misfit
    }
}

/// Appends a value if there is one, and says whether.
fn set<T>(value: Option<T>, append: impl FnOnce(T)) -> bool {
    value.map(append).is_some()
}

fn decimals(data_type: &DataType) -> Option<ColumnBuilder> {
    let DataType::Decimal128(precision, scale) = *data_type else { return None };
    let kind = DecimalType { precision, scale };
    (scale.unsigned_abs() <= precision).then(|| {
        let builder = Decimal128Builder::new().with_data_type(data_type.clone());
        ColumnBuilder::Decimal(builder, kind)
    })
}

/// Parses a number without fraction and exponent that the type holds.
fn whole<T: FromStr>(value: Value, raw: &str) -> Option<T> {
    if value.shape == Shape::Number { raw.parse().ok() } else { None }
}

/// Parses a float; text that is no number may still be one of those that are not finite.
///
/// A number too large for the type does not fit: it would become infinite.
fn float<T>(text: &str, is_number: bool, rules: &Rules) -> Option<T>
where
    T: FromStr + From<f32> + Into<f64> + Copy,
{
    match rules.non_finite(text) {
        Some(value) => Some(T::from(value)),
        None if is_number => text.parse().ok().filter(|value: &T| (*value).into().is_finite()),
        None => None,
    }
}

/// Parses a separated text as Spark does in the locale en-US: commas may stand anywhere, and digits
/// on one side of the point are enough.
fn loose_decimal(text: &str, kind: DecimalType) -> Option<Unscaled> {
    let text = text.replace(',', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let (mantissa, exponent) = digits.split_at(digits.find(['e', 'E']).unwrap_or(digits.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // The sign is off; behind a plus there may be another.
    if (whole.is_empty() && fraction.is_empty()) || whole.starts_with('-') {
        return None;
    }
    // A zero in front of the digits, and behind their point, changes nothing.
    value::scientific(&format!("{sign}0{whole}.{fraction}0{exponent}"), kind)
}

/// Whether a text is digits, signs, point and exponent, and no word that Rust takes for a float.
fn is_plain_float(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}
