//! `pg_proc`: the functions that types are known by, and the market functions.

use lake::market::{FUNCTIONS, Function, FunctionKind};

use super::{
    Inventory, PG_CATALOG, pg_catalog::OWNER_OID, pg_types, schema_oid, sheet::Row, stable_oid,
};

/// The language of built-in functions.
const INTERNAL_OID: i32 = 12;

/// The pseudo-type `record`: rows whose columns depend on the arguments.
const RECORD_OID: u32 = 2249;

const SETOF: &str = "SETOF record";

pub(super) fn functions(_: &Inventory) -> Vec<Row> {
    let receive = |(oid, name, of_type): (i32, &str, i32)| {
        base(oid, name).with("prokind", "f").with("pronargs", 1).with("prorettype", of_type)
    };
    pg_types::receive_functions().map(receive).chain(FUNCTIONS.iter().map(market)).collect()
}

fn market(function: &Function) -> Row {
    let kind = match function.kind {
        FunctionKind::Aggregate => "a",
        FunctionKind::Window => "w",
        FunctionKind::Scalar | FunctionKind::Table => "f",
    };
    let arguments = function.arguments.split(',').count();
    let result = pg_types::type_oid(function.result).unwrap_or(RECORD_OID);
    base(oid_of(function), function.name)
        .with("prokind", kind)
        .with("proretset", function.result == SETOF)
        .with("pronargs", i32::try_from(arguments).unwrap_or_default())
        .with("prorettype", result)
}

fn base(oid: i32, name: &str) -> Row {
    Row::default()
        .with("oid", oid)
        .with("proname", name)
        .with("pronamespace", schema_oid(PG_CATALOG))
        .with("proowner", OWNER_OID)
        .with("prolang", INTERNAL_OID)
        .with("proisstrict", true)
        .with("provolatile", "i")
        .with("proparallel", "s")
        .with("prosrc", name)
}

fn oid_of(function: &Function) -> i32 {
    stable_oid(PG_CATALOG, function.name)
}

/// The market function of an OID.
pub(super) fn market_function(oid: i64) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| i64::from(oid_of(function)) == oid)
}

/// What a `regproc` shows: the name of a function, or its OID where none is known.
pub(super) fn function_name(oid: i64) -> String {
    let receive = pg_types::receive_functions().find(|(known, ..)| i64::from(*known) == oid);
    match (receive, market_function(oid)) {
        (Some((_, name, _)), _) => name.to_owned(),
        (None, Some(function)) => function.name.to_owned(),
        (None, None) if oid == 0 => "-".to_owned(),
        (None, None) => oid.to_string(),
    }
}
