//! Columns that paths spell.

use proptest::prelude::*;

use super::*;
use crate::files::schema::ddl::field_text;

#[test]
fn reads_what_a_path_spells() {
    let shown = |path| {
        let values = partition_values(path).into_iter();
        let shown =
            values.map(|level| format!("{}={}", level.name, level.value.as_deref().unwrap_or("∅")));
        shown.collect::<Vec<_>>().join(",")
    };
    for (name, path, expected) in [
        ("no folder", "a.json", ""),
        ("a file is no folder", "year=2026", ""),
        ("one level", "year=2026/a.json", "year=2026"),
        ("levels, outermost first", "year=2026/month=11/a.json", "year=2026,month=11"),
        ("other folders between", "in/year=2026/x/day=1/a.json", "year=2026,day=1"),
        ("a value with an equals sign", "q=a=b/f", "q=a=b"),
        ("a folder without a name", "=5/f", ""),
        ("null", "day=__HIVE_DEFAULT_PARTITION__/f", "day=∅"),
        ("nothing is null", "day=/f", "day=∅"),
        ("escapes", "ts=14%3A30%2f/f", "ts=14:30/"),
        ("an escaped slash", "d=x%2Fy/f=2", "d=x/y"),
        ("no escapes", "p=100%/q=%zz%/f", "p=100%,q=%zz%"),
        ("a sign is no digit", "p=%+1/f", "p=%+1"),
        ("bytes that are no text stay", "p=%ff/f", "p=%ff"),
        ("the deepest counts", "a=1/A=2/f", "a=2"),
    ] {
        assert_eq!(shown(path), expected, "{name}: {path}");
    }
}

#[test]
fn levels_that_a_path_lacks_are_null() {
    let columns = ["year", "month", "day"].map(str::to_owned);
    let found = values_of("year=2022/week=1/f", &columns);
    assert_eq!(found, [Some("2022".to_owned()), None, None]);
    assert_eq!(values_of("Year=2022/f", &columns)[0].as_deref(), Some("2022"));
}

#[test]
fn columns_have_the_type_of_all_their_values() {
    let inferred = PartitionColumns::Inferred;
    let named =
        |names: &[&str]| PartitionColumns::Named(names.iter().map(|&name| name.into()).collect());
    for (name, wanted, infers_types, paths, expected) in [
        ("text without inference", inferred.clone(), false, &["y=2026/f"][..], "y STRING"),
        ("whole numbers", inferred.clone(), true, &["y=2026/f", "y=07/f"], "y INT"),
        ("great whole numbers", inferred.clone(), true, &["y=1/f", "y=3000000000/f"], "y BIGINT"),
        ("greater than that", inferred.clone(), true, &["y=99999999999999999999/f"], "y STRING"),
        ("days", inferred.clone(), true, &["d=2026-11-23/f"], "d DATE"),
        ("days and null", inferred.clone(), true, &["d=2026-11-23/f", "d=/f"], "d DATE"),
        ("days and others", inferred.clone(), true, &["d=2026-11-23/f", "d=x/f"], "d STRING"),
        ("nulls only", inferred.clone(), true, &["d=/f"], "d STRING"),
        ("fractions are text", inferred.clone(), true, &["v=1.5/f"], "v STRING"),
        ("in order of appearance", inferred.clone(), true, &["b=1/f", "b=1/a=2/f"], "b INT,a INT"),
        ("as wished", named(&["m", "y"]), true, &["y=1/m=2/d=3/f"], "m INT,y INT"),
        ("wished for and not there", named(&["m"]), true, &["y=1/f"], "m STRING"),
        ("wished for twice", named(&["y", "Y"]), true, &["y=1/f"], "y INT"),
        ("none wished for", named(&[]), true, &["y=1/f"], ""),
    ] {
        let found = columns(paths.iter().copied(), &wanted, infers_types);
        let found: Vec<_> = found.iter().map(|column| field_text(column)).collect();
        assert_eq!(found.join(","), expected, "{name}: {paths:?}");
    }
}

proptest! {
    #[test]
    fn no_path_is_too_odd(path in "[a=%/2f\\PC]{0,30}") {
        for level in partition_values(&path) {
            prop_assert!(!level.name.is_empty());
        }
    }
}
