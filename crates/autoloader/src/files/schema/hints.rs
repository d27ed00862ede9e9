//! What the user knows better: hints set types, at any depth, and add what was not seen.

use arrow::datatypes::{DataType, FieldRef};

use super::types::{field, is_same_name, list_of, map_of, map_parts, position};
use crate::files::options::SchemaHint;

/// Sets what `hint` says among `fields`; a column that is not there comes last. The hint decides
/// how the column is spelled.
///
/// # Errors
/// The path goes into an array or a map by another name than `element`, `key` or `value`; returns
/// the names that could stand there.
pub(crate) fn apply(fields: &mut Vec<FieldRef>, hint: &SchemaHint) -> Result<(), &'static str> {
    match hint.path.split_first() {
        Some((name, rest)) => set_member(fields, name, rest, &hint.data_type),
        None => Ok(()),
    }
}

fn set_member(
    fields: &mut Vec<FieldRef>,
    name: &str,
    rest: &[String],
    hinted: &DataType,
) -> Result<(), &'static str> {
    let found = position(fields, name);
    let current = found.map(|at| fields[at].data_type());
    let member = field(name, hinted_type(current, rest, hinted)?).into();
    match found {
        Some(at) => fields[at] = member,
        None => fields.push(member),
    }
    Ok(())
}

/// Returns what `current` becomes when the way `path` inside it leads to `hinted`.
///
/// Where nothing was seen, or a value without an inside, the path says what it is: `element` makes
/// an array, `key` and `value` a map, other names a struct.
fn hinted_type(
    current: Option<&DataType>,
    path: &[String],
    hinted: &DataType,
) -> Result<DataType, &'static str> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(hinted.clone());
    };
    let is = |word| is_same_name(name, word);
    match current {
        Some(DataType::List(element)) if is("element") => {
            Ok(list_of(hinted_type(Some(element.data_type()), rest, hinted)?))
        }
        Some(DataType::List(_)) => Err("`element`, since it is an array"),
        Some(DataType::Map(entries, _)) => match map_parts(entries) {
            Some((key, value)) if is("key") => {
                Ok(map_of(hinted_type(Some(key), rest, hinted)?, value.clone()))
            }
            Some((key, value)) if is("value") => {
                Ok(map_of(key.clone(), hinted_type(Some(value), rest, hinted)?))
            }
            _ => Err("`key` or `value`, since it is a map"),
        },
        Some(DataType::Struct(members)) => {
            let mut members = members.to_vec();
            set_member(&mut members, name, rest, hinted)?;
            Ok(DataType::Struct(members.into()))
        }
        _ => {
            let inner = hinted_type(None, rest, hinted)?;
            Ok(match () {
                () if is("element") => list_of(inner),
                () if is("key") => map_of(inner, DataType::Utf8),
                () if is("value") => map_of(DataType::Utf8, inner),
                () => DataType::Struct(vec![field(name, inner)].into()),
            })
        }
    }
}
