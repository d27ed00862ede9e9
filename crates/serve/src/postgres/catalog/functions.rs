//! Functions of `pg_catalog` that need to know the tables.
//!
//! Small and slow: every argument is read as text. They run over catalog rows, not market data.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use lake::datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray as _, BooleanArray, Int32Array, StringArray},
        compute::cast,
        datatypes::DataType,
    },
    error::DataFusionError,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    prelude::SessionContext,
};

use super::{Inventory, keys, pg_catalog, pg_proc, pg_types};

type Arguments<'a> = [Option<&'a str>];

/// What a function computes from one row of arguments.
#[derive(Clone, Copy)]
enum Body {
    Text(fn(&Inventory, &Arguments<'_>) -> Option<String>),
    Bool(fn(&Inventory, &Arguments<'_>) -> Option<bool>),
    Int(fn(&Inventory, &Arguments<'_>) -> Option<i32>),
}

const FUNCTIONS: &[(&str, Body)] = &[
    ("format", Body::Text(format_text)),
    ("format_type", Body::Text(format_type)),
    ("pg_encoding_to_char", Body::Text(|_, _| Some("UTF8".to_owned()))),
    ("pg_get_userbyid", Body::Text(|_, _| Some(pg_catalog::OWNER.to_owned()))),
    ("quote_ident", Body::Text(quote_ident)),
    ("quote_literal", Body::Text(|_, args| Some(literal(args.first().copied()??)))),
    ("quote_nullable", Body::Text(|_, args| Some(nullable_literal(args.first().copied()?)))),
    ("regclass_text", Body::Text(regclass_text)),
    ("regproc_text", Body::Text(|_, args| Some(pg_proc::function_name(number(args, 0)?)))),
    ("regtype_text", Body::Text(|_, args| pg_types::type_name(number(args, 0)?))),
    ("regnamespace_text", Body::Text(regnamespace_text)),
    ("col_description", Body::Text(|all, args| description(all, args, number(args, 1)?))),
    ("obj_description", Body::Text(|all, args| description(all, args, 0))),
    ("shobj_description", Body::Text(|_, _| None)),
    ("pg_get_constraintdef", Body::Text(constraint_definition)),
    ("pg_get_expr", Body::Text(|_, _| None)),
    ("pg_get_function_arguments", Body::Text(|_, args| Some(market(args)?.arguments.to_owned()))),
    ("pg_get_function_result", Body::Text(|_, args| Some(market(args)?.result.to_owned()))),
    ("pg_get_indexdef", Body::Text(index_definition)),
    ("pg_get_partkeydef", Body::Text(|_, _| None)),
    ("pg_get_viewdef", Body::Text(view_definition)),
    ("pg_size_pretty", Body::Text(|_, _| None)),
    ("pg_tablespace_location", Body::Text(|_, _| None)),
    ("pg_table_is_visible", Body::Bool(|all, args| Some(all.is_visible(number(args, 0)?)))),
    ("pg_type_is_visible", Body::Bool(|_, _| Some(true))),
    ("pg_function_is_visible", Body::Bool(|_, _| Some(true))),
    ("pg_collation_is_visible", Body::Bool(|_, _| Some(true))),
    ("pg_relation_is_publishable", Body::Bool(|_, _| Some(false))),
    ("pg_is_other_temp_schema", Body::Bool(|_, _| Some(false))),
    ("has_any_column_privilege", Body::Bool(has_privilege)),
    ("has_column_privilege", Body::Bool(has_privilege)),
    ("has_database_privilege", Body::Bool(has_privilege)),
    ("has_schema_privilege", Body::Bool(has_privilege)),
    ("has_table_privilege", Body::Bool(has_privilege)),
    ("pg_database_size", Body::Int(|_, _| None)),
    ("pg_indexes_size", Body::Int(|_, _| None)),
    ("pg_relation_size", Body::Int(|_, _| None)),
    ("pg_stat_get_numscans", Body::Int(|_, _| Some(0))),
    ("pg_table_size", Body::Int(|_, _| None)),
    ("pg_total_relation_size", Body::Int(|_, _| None)),
    ("regclass_oid", Body::Int(regclass_oid)),
    (
        "to_regtype",
        Body::Int(|_, args| {
            let oid = pg_types::type_oid(args.first().copied()??)?;
            i32::try_from(oid).ok()
        }),
    ),
    ("to_regclass", Body::Int(|all, args| all.oid_of(args.first().copied()??))),
];

/// True when `name` is one of these functions.
pub(in crate::postgres) fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|(function, _)| *function == name)
}

/// Makes the functions known to one statement.
pub(in crate::postgres) fn register(ctx: &SessionContext, inventory: &Arc<Inventory>) {
    for (name, body) in FUNCTIONS {
        ctx.register_udf(ScalarUDF::new_from_impl(CatalogFunction {
            name,
            body: *body,
            inventory: Arc::clone(inventory),
            signature: Signature::variadic_any(Volatility::Stable),
        }));
    }
}

struct CatalogFunction {
    name: &'static str,
    body: Body,
    inventory: Arc<Inventory>,
    signature: Signature,
}

impl std::fmt::Debug for CatalogFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CatalogFunction").field(&self.name).finish()
    }
}

// Within one statement a name says everything.
impl PartialEq for CatalogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CatalogFunction {}

impl Hash for CatalogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for CatalogFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match self.body {
            Body::Text(_) => DataType::Utf8,
            Body::Bool(_) => DataType::Boolean,
            Body::Int(_) => DataType::Int32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let rows = args.number_rows;
        let columns = args
            .args
            .iter()
            .map(|value| {
                let array = value.to_array(rows)?;
                Ok(cast(&array, &DataType::Utf8)?.as_string::<i32>().clone())
            })
            .collect::<Result<Vec<StringArray>, DataFusionError>>()?;
        let inventory = self.inventory.as_ref();
        let values = (0..rows).map(|row| {
            columns
                .iter()
                .map(|column| column.is_valid(row).then(|| column.value(row)))
                .collect::<Vec<_>>()
        });
        let array: ArrayRef = match self.body {
            Body::Text(body) => {
                Arc::new(values.map(|args| body(inventory, &args)).collect::<StringArray>())
            }
            Body::Bool(body) => {
                Arc::new(values.map(|args| body(inventory, &args)).collect::<BooleanArray>())
            }
            Body::Int(body) => {
                Arc::new(values.map(|args| body(inventory, &args)).collect::<Int32Array>())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

fn number(args: &Arguments<'_>, index: usize) -> Option<i64> {
    args.get(index).copied()??.parse().ok()
}

/// `numeric(18,6)`, `timestamp with time zone`: the type as SQL writes it.
fn format_type(_: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let name = pg_types::type_name(number(args, 0)?).unwrap_or_else(|| "???".to_owned());
    match number(args, 1) {
        Some(modifier) if name == "numeric" && modifier >= 4 => {
            let packed = modifier - 4;
            Some(format!("numeric({},{})", packed >> 16, packed & 0x7ff))
        }
        _ => Some(name),
    }
}

/// `format('%I.%I', schema, table)`: the forms with which names are put together.
fn format_text(_: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let mut values = args.iter().skip(1).copied();
    let mut out = String::new();
    let mut characters = args.first().copied()??.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next()? {
            '%' => out.push('%'),
            's' => out.push_str(values.next()?.unwrap_or_default()),
            'I' => out.push_str(&quoted(values.next()??)),
            'L' => out.push_str(&nullable_literal(values.next()?)),
            _ => return None,
        }
    }
    Some(out)
}

fn quote_ident(_: &Inventory, args: &Arguments<'_>) -> Option<String> {
    args.first().copied()?.map(quoted)
}

fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// As PostgreSQL: without the schema where the bare name finds the table, else a number stays one.
fn regclass_text(inventory: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let Some(oid) = number(args, 0) else {
        // A name is on its way to its number.
        return inventory.oid_of(args.first().copied()??).map(|oid| oid.to_string());
    };
    match inventory.by_oid(oid) {
        Some(relation) if inventory.is_visible(oid) => Some(relation.name.clone()),
        Some(relation) => Some(format!("{}.{}", relation.schema, relation.name)),
        None if oid == 0 => Some("-".to_owned()),
        None => Some(match inventory.index(oid) {
            Some(key) => format!("{}.{}", inventory.relations[key.relation].schema, key.name),
            None => pg_catalog::system_name(oid).map_or_else(|| oid.to_string(), str::to_owned),
        }),
    }
}

fn constraint_definition(inventory: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let oid = number(args, 0)?;
    let key = inventory.keys.iter().find(|key| i64::from(key.oid) == oid)?;
    keys::constraint_text(key, &inventory.relations)
}

/// The whole index, or the name of its column of that number.
fn index_definition(inventory: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let key = inventory.index(number(args, 0)?)?;
    match number(args, 1).and_then(|column| usize::try_from(column).ok()?.checked_sub(1)) {
        None => keys::index_text(key, &inventory.relations),
        Some(index) => {
            let columns = keys::names(inventory.relations.get(key.relation)?, &key.columns);
            columns.get(index).map(|name| (*name).to_owned())
        }
    }
}

fn market(args: &Arguments<'_>) -> Option<&'static lake::market::Function> {
    pg_proc::market_function(number(args, 0)?)
}

/// What is said about a relation, about its column of that number, or about a function.
fn description(inventory: &Inventory, args: &Arguments<'_>, column: i64) -> Option<String> {
    let Some(relation) = inventory.by_oid(number(args, 0)?) else {
        return market(args).map(|function| function.comment.to_owned());
    };
    let text = match usize::try_from(column).ok()?.checked_sub(1) {
        Some(index) => relation.columns.get(index)?.comment,
        None => relation.view?.comment,
    };
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn view_definition(inventory: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let relation = match number(args, 0) {
        Some(oid) => inventory.by_oid(oid),
        None => inventory.find(args.first().copied()??),
    };
    relation?.view.map(|view| format!("{};", view.sql))
}

/// The other way round: of a name that came as a parameter.
fn regclass_oid(inventory: &Inventory, args: &Arguments<'_>) -> Option<i32> {
    let text = args.first().copied()??;
    inventory.oid_of(text).or_else(|| text.parse().ok())
}

fn nullable_literal(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

/// As a literal of SQL.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

fn regnamespace_text(inventory: &Inventory, args: &Arguments<'_>) -> Option<String> {
    let oid = number(args, 0)?;
    let schemas = inventory.schemas();
    schemas.iter().find(|(schema, _)| i64::from(*schema) == oid).map(|(_, name)| (*name).to_owned())
}

/// Whatever somebody sees may be read by them; nobody may do anything else.
fn has_privilege(_: &Inventory, args: &Arguments<'_>) -> Option<bool> {
    let privilege = args.last().copied()??;
    Some(privilege.split(',').any(|one| {
        ["select", "usage", "connect"].contains(&one.trim().to_ascii_lowercase().as_str())
    }))
}
