//! Auto Loader's widening table, each pair of it, and the laws that make order irrelevant.

use proptest::prelude::*;

use super::*;
use crate::files::schema::ddl::{parse_type, type_text};

#[track_caller]
fn check(from: &str, seen: &str, is_parquet: bool, expected: &str) {
    let types = (parse_type(from).unwrap(), parse_type(seen).unwrap());
    let found = widened(&types.0, &types.1, is_parquet);
    let found = found.map_or_else(|| "stays".to_owned(), |wider| type_text(&wider));
    assert_eq!(found, expected, "{from} that sees {seen}, Parquet: {is_parquet}");
}

#[test]
fn follows_the_table_of_auto_loader() {
    for (from, seen, expected) in [
        ("BYTE", "SHORT", "SMALLINT"),
        ("BYTE", "INT", "INT"),
        ("BYTE", "LONG", "BIGINT"),
        ("BYTE", "DECIMAL(5,2)", "DECIMAL(12,2)"),
        ("BYTE", "DOUBLE", "DOUBLE"),
        ("SHORT", "INT", "INT"),
        ("SHORT", "LONG", "BIGINT"),
        ("SHORT", "DECIMAL(5,2)", "DECIMAL(12,2)"),
        ("SHORT", "DOUBLE", "DOUBLE"),
        ("INT", "LONG", "BIGINT"),
        ("INT", "DECIMAL(5,2)", "DECIMAL(12,2)"),
        ("INT", "DECIMAL(10,0)", "DECIMAL(10,0)"),
        ("INT", "DECIMAL(18,6)", "DECIMAL(18,6)"),
        ("INT", "DOUBLE", "DOUBLE"),
        ("LONG", "DECIMAL(5,2)", "DECIMAL(22,2)"),
        ("LONG", "DECIMAL(38,0)", "DECIMAL(38,0)"),
        ("LONG", "DOUBLE", "stays"),
        ("LONG", "FLOAT", "stays"),
        ("LONG", "DECIMAL(38,20)", "stays"),
        ("FLOAT", "DOUBLE", "DOUBLE"),
        ("DECIMAL(5,2)", "DECIMAL(7,2)", "DECIMAL(7,2)"),
        ("DECIMAL(5,2)", "DECIMAL(5,4)", "DECIMAL(7,4)"),
        ("DECIMAL(18,6)", "DECIMAL(20,2)", "DECIMAL(24,6)"),
        ("DECIMAL(5,2)", "INT", "DECIMAL(12,2)"),
        ("DECIMAL(5,2)", "LONG", "DECIMAL(22,2)"),
        // Twenty digits with two behind the point are eighteen in front of it.
        ("DECIMAL(20,2)", "LONG", "DECIMAL(22,2)"),
    ] {
        check(from, seen, false, expected);
    }
}

#[test]
fn nothing_else_widens() {
    for (from, seen) in [
        ("LONG", "INT"),
        ("INT", "BYTE"),
        ("DOUBLE", "LONG"),
        ("DOUBLE", "INT"),
        ("DOUBLE", "FLOAT"),
        ("DOUBLE", "DECIMAL(5,2)"),
        ("DECIMAL(5,2)", "DOUBLE"),
        ("DECIMAL(38,0)", "DECIMAL(38,1)"),
        ("INT", "STRING"),
        ("STRING", "INT"),
        ("BOOLEAN", "INT"),
        ("INT", "BOOLEAN"),
        ("DATE", "TIMESTAMP"),
        ("TIMESTAMP", "TIMESTAMP_NTZ"),
        ("TIMESTAMP_NTZ", "DATE"),
        ("BINARY", "STRING"),
        ("ARRAY<INT>", "ARRAY<LONG>"),
    ] {
        check(from, seen, true, "stays");
    }
}

#[test]
fn a_day_becomes_a_clock_in_parquet_only() {
    check("DATE", "TIMESTAMP_NTZ", true, "TIMESTAMP_NTZ");
    check("DATE", "TIMESTAMP_NTZ", false, "stays");
}

fn any_leaf() -> impl Strategy<Value = DataType> {
    let decimal = (1_u8..=38).prop_flat_map(|precision| {
        (0..=precision.cast_signed()).prop_map(move |scale| DataType::Decimal128(precision, scale))
    });
    let others = [
        "BYTE",
        "SHORT",
        "INT",
        "LONG",
        "FLOAT",
        "DOUBLE",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "STRING",
        "BOOLEAN",
        "BINARY",
    ];
    let others = others.map(|text| parse_type(text).unwrap());
    prop_oneof![proptest::sample::select(others.to_vec()), decimal]
}

proptest! {
    #[test]
    fn what_is_common_does_not_depend_on_order(a in any_leaf(), b in any_leaf(), c in any_leaf()) {
        prop_assert_eq!(common(&a, &a), Some(a.clone()));
        prop_assert_eq!(common(&a, &b), common(&b, &a));
        let left = common(&a, &b).and_then(|both| common(&both, &c));
        let right = common(&b, &c).and_then(|both| common(&a, &both));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn who_widened_has_nothing_left_to_widen(from in any_leaf(), seen in any_leaf()) {
        if let Some(wider) = widened(&from, &seen, true) {
            prop_assert_eq!(widened(&wider, &seen, true), None);
            prop_assert_eq!(widened(&wider, &from, true), None);
        }
    }
}
