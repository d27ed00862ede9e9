//! The Arrow types that tables have, built and taken apart the one way that Delta maps them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// Most digits that a decimal has: what 128 bits hold.
pub(crate) const DIGITS_MAX: u32 = 38;

/// Returns a column, or a member of a struct: both are nullable, since files promise nothing.
pub(crate) fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// `TIMESTAMP`: a moment, microseconds UTC.
#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `TIMESTAMP_NTZ`: what a clock on a wall shows, microseconds.
#[must_use]
pub fn ntz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// `ARRAY<element>`, its field named as Delta names it.
#[must_use]
pub fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(field("element", element)))
}

/// `MAP<key, value>`, its fields named as Delta names them; keys are never null.
#[must_use]
pub fn map_of(key: DataType, value: DataType) -> DataType {
    let entry =
        DataType::Struct(Fields::from(vec![Field::new("key", key, false), field("value", value)]));
    DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
}

/// Returns the types of a map's keys and values.
pub(crate) fn map_parts(entries: &FieldRef) -> Option<(&DataType, &DataType)> {
    match entries.data_type() {
        DataType::Struct(parts) => match &parts[..] {
            [key, value] => Some((key.data_type(), value.data_type())),
            _ => None,
        },
        _ => None,
    }
}

/// `DECIMAL` with so many digits in front of the point and behind it, if 38 digits are enough.
pub(crate) fn decimal(whole: u32, fraction: u32) -> Option<DataType> {
    let precision = whole.checked_add(fraction).filter(|digits| *digits <= DIGITS_MAX)?;
    let precision = u8::try_from(precision.max(1)).ok()?;
    Some(DataType::Decimal128(precision, i8::try_from(fraction).ok()?))
}

/// Returns the digits in front of the point and behind it.
pub(crate) fn decimal_digits(precision: u8, scale: i8) -> (u32, u32) {
    let fraction = u32::try_from(scale).unwrap_or_default();
    (u32::from(precision).saturating_sub(fraction), fraction)
}

/// Returns what names that differ in case only have in common.
pub(crate) fn folded(name: &str) -> String {
    // Character by character: the lower case of a name must not depend on what surrounds it.
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Whether two names are one where case does not count.
pub(crate) fn is_same_name(left: &str, right: &str) -> bool {
    left == right || folded(left) == folded(right)
}

/// Whether `name` is one of `names`, in whatever case.
pub(crate) fn is_among(name: &str, names: &[String]) -> bool {
    names.iter().any(|other| is_same_name(name, other))
}

/// Returns where `name` is, spelled so or, failing that, in another case.
pub(crate) fn position(fields: &[FieldRef], name: &str) -> Option<usize> {
    let exact = fields.iter().position(|field| field.name() == name);
    exact.or_else(|| fields.iter().position(|field| is_same_name(field.name(), name)))
}
