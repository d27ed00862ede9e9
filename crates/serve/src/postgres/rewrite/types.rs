//! Casts: PostgreSQL's type names, and the `reg…` types that are names and numbers at once.

use lake::datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

use super::{call, integer, last_part, take};
use crate::postgres::{
    catalog::{Inventory, schema_oid, type_oid},
    failure::Failure,
};

/// Makes the target type one the engine knows, or returns what stands instead of the cast.
pub(super) fn cast(
    inner: &mut Box<Expr>,
    data_type: &mut DataType,
    inventory: Option<&Inventory>,
) -> Result<Option<Expr>, Failure> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, _) => last_part(name),
        DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_) => {
            *data_type = DataType::Text;
            return Ok(name_of_function(inner));
        }
        _ => return Ok(None),
    };
    let literal = match inner.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    *data_type = match name.as_str() {
        "regclass" => match (literal, inventory) {
            (Some(text), Some(inventory)) if text.parse::<i64>().is_err() => {
                let found = inventory.oid_of(&text).ok_or_else(|| {
                    Failure::new("42P01", format!("relation \"{text}\" does not exist"))
                })?;
                return Ok(Some(integer(found)));
            }
            (Some(_), _) => DataType::Integer(None),
            (None, _) => return Ok(call("regclass_text", take(inner))),
        },
        "regtype" => match literal {
            Some(text) => {
                let oid = type_oid(&text).ok_or_else(|| {
                    Failure::new("42704", format!("type \"{text}\" does not exist"))
                })?;
                return Ok(Some(integer(i32::try_from(oid).unwrap_or_default())));
            }
            None => return Ok(call("regtype_text", take(inner))),
        },
        "regnamespace" => match literal {
            Some(text) => return Ok(Some(integer(schema_oid(&text)))),
            None => return Ok(call("regnamespace_text", take(inner))),
        },
        "oid" | "xid" | "cid" | "int4" => {
            if let Some(oid) = oid_of_table(inner) {
                return Ok(Some(oid));
            }
            DataType::Integer(None)
        }
        "int8" => DataType::BigInt(None),
        "int2" => DataType::SmallInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "bool" => DataType::Boolean,
        "text" | "name" | "char" | "bpchar" | "varchar" | "cstring" | "regproc"
        | "regprocedure" | "regoper" | "regrole" | "json" | "jsonb" | "uuid" | "inet"
        | "unknown" => DataType::Text,
        _ => {
            return Err(Failure::new("42704", format!("type \"{name}\" does not exist")));
        }
    };
    Ok(None)
}

/// `$1::regclass::oid`: the number of a name that is known only when the statement runs. What is
/// below the cast was already changed to the name of a number.
fn oid_of_table(inner: &Expr) -> Option<Expr> {
    let Expr::Function(function) = inner else { return None };
    let mut arguments = match &function.args {
        FunctionArguments::List(list) => list.args.iter(),
        _ => return None,
    };
    match (last_part(&function.name).as_str(), arguments.next()) {
        ("regclass_text", Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(of)))) => {
            call("regclass_oid", of.clone())
        }
        _ => None,
    }
}

/// A function of a type, such as `pg_type.typreceive`: a number to compare, a name to show.
pub(super) fn name_of_function(expr: &Expr) -> Option<Expr> {
    let column = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        _ => return None,
    };
    let is_function = column.value.eq_ignore_ascii_case("typreceive");
    is_function.then(|| call("regproc_text", expr.clone())).flatten()
}
