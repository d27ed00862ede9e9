//! Types back into DDL, so that parsing what was printed gives the same again.

use arrow::datatypes::{DataType, Field, FieldRef};

use crate::files::schema::{
    observed::is_ntz,
    types::{map_parts, timestamp},
};

/// Writes a column: `price DECIMAL(18,6)`.
#[must_use]
pub fn field_text(field: &Field) -> String {
    format!("{} {}", name_text(field.name()), type_text(field.data_type()))
}

/// Writes a path: `rows.element.price`.
#[must_use]
pub fn path_text(path: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = path.iter().map(|name| name_text(name.as_ref())).collect();
    names.join(".")
}

/// Writes a type. Types that tables do not have are written as Arrow names them.
#[must_use]
pub fn type_text(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 => "STRING",
        DataType::Binary => "BINARY",
        DataType::Date32 => "DATE",
        moment if *moment == timestamp() => "TIMESTAMP",
        clock if is_ntz(clock) => "TIMESTAMP_NTZ",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision},{scale})"),
        DataType::List(element) => return format!("ARRAY<{}>", type_text(element.data_type())),
        DataType::Struct(fields) => {
            let member = |field: &FieldRef| {
                format!("{}: {}", name_text(field.name()), type_text(field.data_type()))
            };
            let members: Vec<_> = fields.iter().map(member).collect();
            return format!("STRUCT<{}>", members.join(", "));
        }
        DataType::Map(entries, _) => {
            if let Some((key, value)) = map_parts(entries) {
                return format!("MAP<{}, {}>", type_text(key), type_text(value));
            }
            return data_type.to_string();
        }
        other => return other.to_string(),
    };
    name.to_owned()
}

/// Writes a name, in backquotes unless it is an ordinary one.
fn name_text(name: &str) -> String {
    let is_ordinary = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_ordinary { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}
