//! What holds from the first start on.

use super::parsed;
use crate::files::options::{changed, pinned};

#[test]
fn a_change_of_a_first_start_option_is_refused_with_an_explanation() {
    let source = "s3://a/in";
    for (name, first, now, told) in [
        (
            "includeExistingFiles",
            &["includeExistingFiles=false"][..],
            &[][..],
            "Auto Loader would ignore this",
        ),
        ("format", &[], &["format=csv"], "a stream of their own"),
        (
            "partitionColumns",
            &["partitionColumns=y"],
            &["partitionColumns=y,m"],
            "load into a new table",
        ),
        ("partitionColumns", &[], &["partitionColumns="], "load into a new table"),
        ("metadataColumn", &[], &["metadataColumn="], "no file is replaced"),
        ("rescuedDataColumn", &[], &["rescuedDataColumn=r"], "lie under the first name"),
        ("rows", &["rows=data"], &["rows=items"], "a stream of its own"),
        ("schema", &["schema=a INT"], &["schema=a BIGINT"], "columns may be added at the end"),
        ("schema", &["schema=a INT, b INT"], &["schema=a INT"], "columns may be added at the end"),
        ("schema", &["schema=a INT"], &["schema=b INT, a INT"], "columns may be added at the end"),
        ("schema", &["schema=a INT"], &["schema=a INT, a2 STRUCT<x: INT>", "mode=FAILFAST"], ""),
    ] {
        let stored = pinned(&parsed(first), source);
        let found = changed(&stored, &pinned(&parsed(now), source));
        if told.is_empty() {
            assert_eq!(found, Ok(()), "{name}");
            continue;
        }
        let changes = found.expect_err(name);
        assert_eq!(changes.0.len(), 1, "{name}: {changes}");
        assert_eq!(changes.0[0].option, name);
        assert!(changes.to_string().contains(told), "{changes}");
    }
}

#[test]
fn another_source_is_another_stream() {
    let options = parsed(&[]);
    let stored = pinned(&options, "s3://a/in/");
    assert_eq!(changed(&stored, &pinned(&options, "s3://a/in")), Ok(()), "a slash at the end");
    let moved = changed(&stored, &pinned(&options, "s3://a/other")).expect_err("another folder");
    let shown = moved.to_string();
    assert!(shown.contains("source: it was `s3://a/in` and is `s3://a/other`"), "{shown}");
}

#[test]
fn a_schema_that_was_inferred_is_not_given_later() {
    let inferred = pinned(&parsed(&["partitionColumns="]), "/in");
    let given = pinned(
        &parsed(&["partitionColumns=", "schema=a INT", "rescuedDataColumn=_rescued_data"]),
        "/in",
    );
    assert_eq!(changed(&inferred, &given).expect_err("given").0[0].option, "schema");
    assert_eq!(changed(&given, &inferred).expect_err("inferred").0[0].option, "schema");
}

#[test]
fn everything_else_may_change_between_two_runs() {
    let first = pinned(&parsed(&[]), "/in");
    for line in [
        "maxFilesPerTrigger=1",
        "trigger=continuous",
        "schemaEvolutionMode=evolve",
        "schemaHints=a INT",
        "pathGlobFilter=*.json",
        "overwrites=replace",
        "cleanSource=DELETE",
        "useNotifications=true",
        "mode=FAILFAST",
    ] {
        assert_eq!(changed(&first, &pinned(&parsed(&[line]), "/in")), Ok(()), "{line}");
    }
}

#[test]
fn a_decision_of_another_release_is_not_compared() {
    let now = pinned(&parsed(&[]), "/in");
    let mut stored = now.clone();
    stored.remove("rows");
    stored.insert("of the future".to_owned(), "x".to_owned());
    assert_eq!(changed(&stored, &now), Ok(()));
}

#[test]
fn what_is_stored_stays_readable() {
    let stored = pinned(&parsed(&["schema=a INT, `b c` ARRAY<DATE>", "partitionColumns="]), "/in");
    let shown: Vec<String> = stored.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown,
        [
            "format=json",
            "includeExistingFiles=true",
            "metadataColumn=_metadata",
            "partitionColumns=",
            "rescuedDataColumn=",
            "rows=",
            "schema=a INT\n`b c` ARRAY<DATE>",
            "source=/in",
        ]
    );
}
