//! The laws of the lattice, and what files that name their types bring into it.

use std::sync::Arc;

use arrow::datatypes::{Field, Fields};
use proptest::prelude::*;

use super::*;
use crate::files::schema::{
    ddl::{parse_type, type_text},
    typing::{Detail, Times, TypeRules},
};

pub(in crate::files::schema) fn any_observed() -> impl Strategy<Value = Observed> {
    let typed = ["BYTE", "INT", "LONG", "DECIMAL(9,2)", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP_NTZ"];
    let typed = typed.map(|text| Observed::Typed(parse_type(text).unwrap()));
    let leaf = prop_oneof![
        Just(Observed::Nothing),
        Just(Observed::Bool),
        Just(Observed::Date),
        Just(Observed::Timestamp),
        Just(Observed::Text),
        proptest::sample::select(typed.to_vec()),
        (0_u32..50, 0_u32..50, any::<bool>()).prop_map(|(whole, fraction, is_float)| {
            Observed::Number { whole, fraction, is_float }
        }),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = proptest::collection::btree_map("[abAB]{1,2}", inner.clone(), 0..4);
        prop_oneof![
            members.prop_map(Observed::Object),
            inner.clone().prop_map(|element| Observed::List(Box::new(element))),
            (inner.clone(), inner)
                .prop_map(|(key, value)| Observed::Map(Box::new(key), Box::new(value))),
        ]
    })
}

proptest! {
    #[test]
    fn merging_is_associative_commutative_and_idempotent(
        a in any_observed(),
        b in any_observed(),
        c in any_observed(),
    ) {
        prop_assert_eq!(a.clone().merged(a.clone()), a.clone());
        prop_assert_eq!(a.clone().merged(b.clone()), b.clone().merged(a.clone()));
        prop_assert_eq!(
            a.clone().merged(b.clone()).merged(c.clone()),
            a.clone().merged(b.merged(c))
        );
        prop_assert_eq!(a.clone().merged(Observed::Nothing), a);
    }
}

fn typed(data_type: &DataType) -> String {
    let rules = TypeRules {
        detail: Detail::Full,
        prefers_decimal: true,
        times: Times::Both,
        is_all_null_dropped: false,
    };
    type_text(&Observed::of_type(data_type).to_type(&rules).unwrap())
}

#[test]
fn a_file_that_names_its_types_is_believed() {
    let list = |data_type| Arc::new(Field::new("item", data_type, true));
    let entry = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::UInt8, true),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entry), false));
    for (name, data_type, expected) in [
        ("a boolean", DataType::Boolean, "BOOLEAN"),
        ("8 bits", DataType::Int8, "TINYINT"),
        ("64 bits", DataType::Int64, "BIGINT"),
        ("8 bits without a sign need 16", DataType::UInt8, "SMALLINT"),
        ("16 bits without a sign need 32", DataType::UInt16, "INT"),
        ("32 bits without a sign need 64", DataType::UInt32, "BIGINT"),
        ("64 bits without a sign need twenty digits", DataType::UInt64, "DECIMAL(20,0)"),
        ("half a float", DataType::Float16, "FLOAT"),
        ("a float", DataType::Float32, "FLOAT"),
        ("a decimal", DataType::Decimal128(18, 6), "DECIMAL(18,6)"),
        ("a small decimal", DataType::Decimal64(9, 2), "DECIMAL(9,2)"),
        ("a decimal of zeros", DataType::Decimal128(5, -3), "DECIMAL(8,0)"),
        ("a decimal that is too long", DataType::Decimal256(60, 2), "STRING"),
        ("long text", DataType::LargeUtf8, "STRING"),
        ("bytes", DataType::FixedSizeBinary(16), "BINARY"),
        ("milliseconds of a day", DataType::Date64, "DATE"),
        ("nanoseconds", DataType::Timestamp(TimeUnit::Nanosecond, None), "TIMESTAMP_NTZ"),
        (
            "milliseconds of a zone",
            DataType::Timestamp(TimeUnit::Millisecond, Some("+01:00".into())),
            "TIMESTAMP",
        ),
        ("a time of day has no type in tables", DataType::Time64(TimeUnit::Microsecond), "STRING"),
        (
            "a dictionary is what it holds",
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
            "STRING",
        ),
        ("a list", DataType::LargeList(list(DataType::Int32)), "ARRAY<INT>"),
        ("a map", DataType::Map(entries, false), "MAP<STRING, SMALLINT>"),
        ("nulls", DataType::Null, "STRING"),
        (
            "a struct",
            DataType::Struct(vec![Field::new("b", DataType::Int32, true)].into()),
            "STRUCT<b: INT>",
        ),
    ] {
        assert_eq!(typed(&data_type), expected, "{name}");
    }
}

#[test]
fn a_type_that_is_too_deep_is_text() {
    let deep = (0..1_000).fold(DataType::Int32, |inner, _| types::list_of(inner));
    let text = typed(&deep);
    assert!(text.contains("ARRAY<STRING>") && text.matches("ARRAY").count() == NESTING_MAX);
}
