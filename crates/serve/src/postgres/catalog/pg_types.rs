//! `pg_type`: the types drivers load at login, and the functions they know them by.
//!
//! Npgsql joins the two on `typreceive` and takes a type for an array when the function there is
//! `array_recv`; without its row in `pg_proc` a type does not exist for Npgsql, nor for Power BI.

use super::{Inventory, pg_catalog::OWNER_OID, schema_oid, sheet::Row};
use crate::postgres::types::PgType;

/// A function that reads the binary form of a type: its OID and its name.
type Receive = (i32, &'static str);

const ARRAY_RECV: Receive = (2400, "array_recv");

/// The pseudo-type `anyarray`.
const ANYARRAY_OID: i32 = 2277;

/// Type, category, OID of its array type, receive function. `numeric` needs no precision here.
const TYPES: [(PgType, &str, i32, Receive); 16] = [
    (PgType::Bool, "B", 1000, (2436, "boolrecv")),
    (PgType::Bytea, "U", 1001, (2412, "bytearecv")),
    (PgType::Char, "Z", 1002, (2434, "charrecv")),
    (PgType::Name, "S", 1003, (2422, "namerecv")),
    (PgType::Int8, "N", 1016, (2408, "int8recv")),
    (PgType::Int2, "N", 1005, (2404, "int2recv")),
    (PgType::Int4, "N", 1007, (2406, "int4recv")),
    (PgType::Text, "S", 1009, (2414, "textrecv")),
    (PgType::Oid, "N", 1028, (2418, "oidrecv")),
    (PgType::Float4, "N", 1021, (2424, "float4recv")),
    (PgType::Float8, "N", 1022, (2426, "float8recv")),
    (PgType::Date, "D", 1182, (2468, "date_recv")),
    (PgType::Time, "D", 1183, (2470, "time_recv")),
    (PgType::Timestamp, "D", 1115, (2474, "timestamp_recv")),
    (PgType::TimestampTz, "D", 1185, (2476, "timestamptz_recv")),
    (PgType::Numeric(None), "N", 1231, (2460, "numeric_recv")),
];

/// Types that no column has, but that drivers look up by number.
const OTHER_TYPES: [(i32, &str, i32, &str, Receive); 8] = [
    (22, "int2vector", -1, "A", (2410, "int2vectorrecv")),
    (30, "oidvector", -1, "A", (2420, "oidvectorrecv")),
    (705, "unknown", -2, "X", (2416, "unknownrecv")),
    (1042, "bpchar", -1, "S", (2430, "bpcharrecv")),
    (1043, "varchar", -1, "S", (2432, "varcharrecv")),
    (1186, "interval", 16, "T", (2478, "interval_recv")),
    (2205, "regclass", 4, "N", (2452, "regclassrecv")),
    (2950, "uuid", 16, "U", (2961, "uuid_recv")),
];

pub(super) fn types(_: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for (pg_type, category, array, receive) in TYPES {
        let oid = oid_of(pg_type);
        let name = pg_type.catalog_name();
        let length = i32::from(pg_type.size());
        rows.push(base(oid, name, length, category, receive).with("typarray", array));
        let array_name = format!("_{name}");
        rows.push(base(array, &array_name, -1, "A", ARRAY_RECV).with("typelem", oid));
    }
    rows.extend(
        OTHER_TYPES.map(|(oid, name, length, category, receive)| {
            base(oid, name, length, category, receive)
        }),
    );
    rows
}

fn base(oid: i32, name: &str, length: i32, category: &str, receive: Receive) -> Row {
    let (receive_oid, receive_name) = receive;
    // The functions of a type share a stem: `numeric_recv`, `numeric_in`; `int4recv`, `int4in`.
    let stem = receive_name.trim_end_matches("recv");
    Row::default()
        .with("oid", oid)
        .with("typname", name)
        .with("typnamespace", schema_oid("pg_catalog"))
        .with("typowner", OWNER_OID)
        .with("typlen", length)
        .with("typbyval", length > 0)
        .with("typtype", if category == "X" { "p" } else { "b" })
        .with("typcategory", category)
        .with("typisdefined", true)
        .with("typdelim", ",")
        .with("typinput", format!("{stem}in").as_str())
        .with("typoutput", format!("{stem}out").as_str())
        .with("typreceive", receive_oid)
        .with("typsend", format!("{stem}send").as_str())
        .with("typtypmod", -1)
        .with("typalign", "i")
        .with("typstorage", if length > 0 { "p" } else { "x" })
}

/// Every function that `typreceive` names: its OID, its name, and the OID of its type.
pub(super) fn receive_functions() -> impl Iterator<Item = (i32, &'static str, i32)> {
    let of_types = TYPES.map(|(pg_type, _, _, (oid, name))| (oid, name, oid_of(pg_type)));
    let of_others = OTHER_TYPES.map(|(of_type, .., (oid, name))| (oid, name, of_type));
    let (oid, name) = ARRAY_RECV;
    of_types.into_iter().chain(of_others).chain([(oid, name, ANYARRAY_OID)])
}

fn oid_of(pg_type: PgType) -> i32 {
    i32::try_from(pg_type.oid()).unwrap_or_default()
}

/// Finds a type's OID by the name a `regtype` would have.
pub(in crate::postgres) fn type_oid(name: &str) -> Option<u32> {
    let name = name.trim().trim_start_matches("pg_catalog.").replace('"', "");
    TYPES
        .iter()
        .map(|(pg_type, ..)| *pg_type)
        .find(|pg_type| pg_type.catalog_name() == name || pg_type.sql_name() == name)
        .map(PgType::oid)
}

/// The name of a type by its OID, as `format_type` without a modifier.
pub(super) fn type_name(oid: i64) -> Option<String> {
    let known = u32::try_from(oid).ok().and_then(PgType::from_oid);
    let array = TYPES.iter().find(|(_, _, array, _)| i64::from(*array) == oid);
    let other = OTHER_TYPES.iter().find(|(other, ..)| i64::from(*other) == oid);
    match (other, array, known) {
        (Some((_, "varchar", ..)), ..) => Some("character varying".to_owned()),
        (Some((_, "bpchar", ..)), ..) => Some("character".to_owned()),
        (Some((_, name, ..)), ..) => Some((*name).to_owned()),
        (_, Some((item, ..)), _) => Some(format!("{}[]", item.sql_name())),
        (.., known) => known.map(|known| known.sql_name().to_owned()),
    }
}
