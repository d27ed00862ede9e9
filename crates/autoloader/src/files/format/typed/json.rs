//! Values of arrays as JSON, as `_rescued_data` keeps them.

use std::fmt::Write as _;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, StructArray},
    datatypes::{
        ArrowTemporalType, ArrowTimestampType, DataType, Date32Type, Decimal128Type,
        Decimal256Type, Float16Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::range;

/// Writes the values of an array.
pub(super) struct JsonTexts<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Bool(&'a BooleanArray),
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    Bytes(Box<dyn Fn(usize) -> &'a [u8] + 'a>),
    Float(Box<dyn Fn(usize) -> f64 + 'a>),
    Float32(&'a PrimitiveArray<Float32Type>),
    /// A number with so many digits behind its point.
    Decimal(Box<dyn Fn(usize) -> String + 'a>, i8),
    /// Text made of the value, which goes into quotes.
    Made(Box<dyn Fn(usize) -> Option<String> + 'a>),
    Struct(Vec<(String, JsonTexts<'a>)>),
    List(&'a [i32], Box<JsonTexts<'a>>),
    Map(&'a [i32], Box<JsonTexts<'a>>, Box<JsonTexts<'a>>),
    /// Text of Arrow's own.
    Shown {
        shown: ArrayFormatter<'a>,
        is_quoted: bool,
    },
    Null,
}

/// Options of Arrow's own texts; nulls are looked at before.
const SHOWN: FormatOptions<'static> = FormatOptions::new();

impl<'a> JsonTexts<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Self {
        Self { array, kind: kind(array) }
    }

    /// Writes rows as objects, without the fields that were never read.
    pub(super) fn of_struct(rows: &'a StructArray) -> Self {
        let is_read = |array: &&ArrayRef| *array.data_type() != DataType::Null;
        Self { array: rows, kind: members(rows, is_read) }
    }

    /// Writes the value of `row`.
    pub(super) fn write(&self, row: usize, out: &mut String) {
        if self.array.is_null(row) {
            out.push_str("null");
            return;
        }
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
            Kind::Text(get) => out.push_str(&text(get(row))),
            Kind::Bytes(get) => out.push_str(&text(&STANDARD.encode(get(row)))),
            Kind::Float(get) => float(get(row), out),
            // A wider float would have digits that this one never had.
            Kind::Float32(array) => match array.value(row) {
                value if value.is_finite() => show(out, format_args!("{value:?}")),
                value => float(value.into(), out),
            },
            Kind::Decimal(get, scale) => decimal(&get(row), *scale, out),
            Kind::Made(get) => match get(row) {
                Some(made) => out.push_str(&text(&made)),
                None => out.push_str("null"),
            },
            Kind::Struct(members) => {
                let mut lead = '{';
                for (name, member) in members {
                    out.push(std::mem::replace(&mut lead, ','));
                    out.push_str(name);
                    out.push(':');
                    member.write(row, out);
                }
                out.push_str(if lead == '{' { "{}" } else { "}" });
            }
            Kind::List(offsets, elements) => {
                let mut lead = '[';
                for at in range(offsets, row) {
                    out.push(std::mem::replace(&mut lead, ','));
                    elements.write(at, out);
                }
                out.push_str(if lead == '[' { "[]" } else { "]" });
            }
            Kind::Map(offsets, keys, values) => {
                let mut lead = '{';
                for at in range(offsets, row) {
                    out.push(std::mem::replace(&mut lead, ','));
                    keys.write_key(at, out);
                    out.push(':');
                    values.write(at, out);
                }
                out.push_str(if lead == '{' { "{}" } else { "}" });
            }
            Kind::Shown { shown, is_quoted } => {
                let mut made = String::new();
                match write!(made, "{}", shown.value(row)) {
                    Ok(()) if *is_quoted => out.push_str(&text(&made)),
                    Ok(()) => out.push_str(&made),
                    // A time of day beyond the day's end has no text.
                    Err(_) => out.push_str("null"),
                }
            }
        }
    }

    /// Writes a key: JSON knows no others than text.
    fn write_key(&self, row: usize, out: &mut String) {
        let mut key = String::new();
        self.write(row, &mut key);
        out.push_str(&if key.starts_with('"') { key } else { text(&key) });
    }
}

/// Returns `plain` as a JSON string.
pub(super) fn text(plain: &str) -> String {
    serde_json::Value::from(plain).to_string()
}

fn float(value: f64, out: &mut String) {
    if value.is_finite() {
        show(out, format_args!("{value:?}"));
    } else {
        let name = match value {
            value if value.is_nan() => "\"NaN\"",
            value if value.is_sign_negative() => "\"-Infinity\"",
            _ => "\"Infinity\"",
        };
        out.push_str(name);
    }
}

/// Writes a number of these digits, all of them: also those beyond what its type allows, which
/// Arrow's own text leaves out.
fn decimal(digits: &str, scale: i8, out: &mut String) {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    out.push_str(sign);
    match usize::try_from(scale) {
        Ok(0) => out.push_str(digits),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            show(out, format_args!("{whole}.{fraction}"));
        }
        // A negative scale is zeros in front of the point.
        Err(_) => show(out, format_args!("{digits}e{}", -i16::from(scale))),
    }
}

/// Writing to a string never fails.
fn show(out: &mut String, value: std::fmt::Arguments<'_>) {
    out.write_fmt(value).unwrap_or_default();
}

fn kind(array: &ArrayRef) -> Kind<'_> {
    match array.data_type() {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Bool(array.as_boolean()),
        DataType::Utf8 => text_of(array.as_string::<i32>(), |array, row| array.value(row)),
        DataType::Utf8View => text_of(array.as_string_view(), |array, row| array.value(row)),
        DataType::Binary => bytes_of(array.as_binary::<i32>(), |array, row| array.value(row)),
        DataType::BinaryView => bytes_of(array.as_binary_view(), |array, row| array.value(row)),
        DataType::FixedSizeBinary(_) => {
            bytes_of(array.as_fixed_size_binary(), |array, row| array.value(row))
        }
        DataType::Float16 => {
            let array = array.as_primitive::<Float16Type>();
            Kind::Float(Box::new(|row| array.value(row).into()))
        }
        DataType::Float32 => Kind::Float32(array.as_primitive()),
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Kind::Float(Box::new(|row| array.value(row)))
        }
        DataType::Decimal128(_, scale) => {
            let array = array.as_primitive::<Decimal128Type>();
            Kind::Decimal(Box::new(|row| array.value(row).to_string()), *scale)
        }
        DataType::Decimal256(_, scale) => {
            let array = array.as_primitive::<Decimal256Type>();
            Kind::Decimal(Box::new(|row| array.value(row).to_string()), *scale)
        }
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Kind::Made(Box::new(|row| Some(array.value_as_date(row)?.to_string())))
        }
        DataType::Timestamp(unit, zone) => {
            let is_moment = zone.is_some();
            match unit {
                TimeUnit::Second => moments::<TimestampSecondType>(array, is_moment),
                TimeUnit::Millisecond => moments::<TimestampMillisecondType>(array, is_moment),
                TimeUnit::Microsecond => moments::<TimestampMicrosecondType>(array, is_moment),
                TimeUnit::Nanosecond => moments::<TimestampNanosecondType>(array, is_moment),
            }
        }
        DataType::Struct(_) => members(array.as_struct(), |_| true),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Kind::List(list.value_offsets(), Box::new(JsonTexts::new(list.values())))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let keys = Box::new(JsonTexts::new(map.keys()));
            Kind::Map(map.value_offsets(), keys, Box::new(JsonTexts::new(map.values())))
        }
        data_type => match ArrayFormatter::try_new(array, &SHOWN) {
            Ok(shown) => Kind::Shown { shown, is_quoted: !data_type.is_numeric() },
            Err(_) => Kind::Null,
        },
    }
}

fn text_of<'a, A>(array: &'a A, get: impl Fn(&'a A, usize) -> &'a str + 'a) -> Kind<'a> {
    Kind::Text(Box::new(move |row| get(array, row)))
}

fn bytes_of<'a, A>(array: &'a A, get: impl Fn(&'a A, usize) -> &'a [u8] + 'a) -> Kind<'a> {
    Kind::Bytes(Box::new(move |row| get(array, row)))
}

fn moments<T: ArrowTimestampType + ArrowTemporalType>(array: &ArrayRef, is_moment: bool) -> Kind<'_>
where
    i64: From<T::Native>,
{
    let array = array.as_primitive::<T>();
    let zone = if is_moment { "Z" } else { "" };
    Kind::Made(Box::new(move |row| {
        let time = array.value_as_datetime(row)?;
        Some(format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
    }))
}

fn members(rows: &StructArray, is_shown: impl Fn(&&ArrayRef) -> bool) -> Kind<'_> {
    let names = rows.fields().iter().map(|field| text(field.name()));
    let members = names.zip(rows.columns()).filter(|(_, array)| is_shown(array));
    Kind::Struct(members.map(|(name, array)| (name, JsonTexts::new(array))).collect())
}
