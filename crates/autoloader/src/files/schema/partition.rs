//! What a path spells: `year=2026/month=11/file.json`, as Hive and Spark write it.

use arrow::datatypes::{DataType, Fields};

use super::{
    observing::{Iso, TimeTexts as _},
    types::{field, is_same_name},
};
use crate::files::options::PartitionColumns;

/// What stands for null in a path, since an empty name is no folder.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// One level of a path that names a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionValue {
    /// The column.
    pub name: String,
    /// Its value; `None`: null.
    pub value: Option<String>,
}

/// Returns the columns that the folders of `path` spell, outermost first. A column that is spelled
/// twice counts where it is spelled last.
#[must_use]
pub fn partition_values(path: &str) -> Vec<PartitionValue> {
    let mut values: Vec<PartitionValue> = Vec::new();
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    for folder in folders.split('/') {
        let Some((name, value)) = folder.split_once('=').filter(|(name, _)| !name.is_empty())
        else {
            continue;
        };
        let name = unescaped(name);
        let value = (!value.is_empty() && value != NULL).then(|| unescaped(value));
        match values.iter_mut().find(|level| is_same_name(&level.name, &name)) {
            Some(level) => level.value = value,
            None => values.push(PartitionValue { name, value }),
        }
    }
    values
}

/// Returns the values that `path` has for `columns`, in their order; null where it says nothing.
#[must_use]
pub fn values_of(path: &str, columns: &[String]) -> Vec<Option<String>> {
    let values = partition_values(path);
    let value = |column: &String| {
        values.iter().find(|level| is_same_name(&level.name, column))?.value.clone()
    };
    columns.iter().map(value).collect()
}

/// Returns the columns that `paths`, which must be in order, spell, or those that were asked for.
/// A column is text unless types are inferred and every value is a whole number, or a day.
pub(crate) fn columns<'a>(
    paths: impl Iterator<Item = &'a str>,
    wanted: &PartitionColumns,
    infers_types: bool,
) -> Fields {
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    if let PartitionColumns::Named(names) = wanted {
        for name in names {
            if !columns.iter().any(|(other, _)| is_same_name(other, name)) {
                columns.push((name.clone(), Vec::new()));
            }
        }
    }
    for level in paths.flat_map(partition_values) {
        match columns.iter_mut().find(|(name, _)| is_same_name(name, &level.name)) {
            Some((_, values)) => values.extend(level.value),
            None if *wanted == PartitionColumns::Inferred => {
                columns.push((level.name, Vec::from_iter(level.value)));
            }
            None => (),
        }
    }
    let typed = |(name, values): (String, Vec<String>)| {
        field(&name, if infers_types { type_of(&values) } else { DataType::Utf8 })
    };
    columns.into_iter().map(typed).collect()
}

fn type_of(values: &[String]) -> DataType {
    let all = |is_such: fn(&String) -> bool| !values.is_empty() && values.iter().all(is_such);
    if all(|value| is_whole(value) && value.parse::<i32>().is_ok()) {
        DataType::Int32
    } else if all(|value| is_whole(value) && value.parse::<i64>().is_ok()) {
        DataType::Int64
    } else if all(|value| Iso.is_date(value)) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

/// Zeros in front are no obstacle here: `hour=07` is an hour.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Replaces `%3A` and the like by what they stand for; what is none stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = (*first == b'%').then(|| digit(0).zip(digit(1))).flatten();
        let byte = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    // What would be no text stays as it is written.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests;
