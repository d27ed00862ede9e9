//! Options that are sound alone and not together.

use super::{check_refused, parse, parsed};

#[test]
fn columns_that_are_given_are_not_inferred() {
    let given = "schema=a INT, b STRING";
    for (name, lines, option, told) in [
        (
            "addNewColumns with a given schema",
            &[given, "schemaEvolutionMode=addNewColumns"][..],
            "schemaEvolutionMode",
            "give its columns as `schemaHints`",
        ),
        (
            "type widening with a given schema",
            &[given, "schemaEvolutionMode=addNewColumnsWithTypeWidening"],
            "schemaEvolutionMode",
            "a given schema does not grow",
        ),
        (
            "evolve with a given schema",
            &[given, "schemaEvolutionMode=evolve"],
            "schemaEvolutionMode",
            "grow",
        ),
        (
            "rescue with a given schema and no column for it",
            &[given, "schemaEvolutionMode=rescue"],
            "schemaEvolutionMode",
            "rescue needs a `rescuedDataColumn`",
        ),
        (
            "hints with a given schema",
            &[given, "schemaHints=a INT"],
            "schemaHints",
            "change `schema` itself",
        ),
        (
            "inference with a given schema",
            &[given, "inferColumnTypes=true"],
            "inferColumnTypes",
            "nothing",
        ),
        (
            "partitions a given schema lacks",
            &[given, "partitionColumns=A,y"],
            "partitionColumns",
            "have them all",
        ),
        ("a given column that is ours", &["schema=_METADATA INT"], "schema", "fills itself"),
        (
            "a given column for rescued data",
            &["schema=a INT, r STRING", "rescuedDataColumn=r"],
            "schema",
            "fills itself",
        ),
    ] {
        check_refused(name, lines, option, told);
    }
    parsed(&[given, "partitionColumns=A", "schemaEvolutionMode=none", "inferColumnTypes=false"]);
}

#[test]
fn columns_that_are_inferred() {
    for (name, lines, option, told) in [
        (
            "moments without types",
            &["inferTimestamp=true"][..],
            "inferTimestamp",
            "needs `inferColumnTypes`",
        ),
        (
            "decimals without types",
            &["prefersDecimal=true"],
            "prefersDecimal",
            "needs `inferColumnTypes`",
        ),
        (
            "days without types",
            &["format=csv", "preferDate=true"],
            "preferDate",
            "needs `inferColumnTypes`",
        ),
        (
            "one column and hints",
            &["singleVariantColumn=d", "schemaHints=a INT"],
            "singleVariantColumn",
            "whole",
        ),
        (
            "one column and evolution",
            &["singleVariantColumn=d", "schemaEvolutionMode=evolve"],
            "singleVariantColumn",
            "whole",
        ),
        (
            "one name twice",
            &["rescuedDataColumn=x", "metadataColumn=X"],
            "rescuedDataColumn",
            "different names",
        ),
        (
            "the document's name twice",
            &["singleVariantColumn=_metadata"],
            "rescuedDataColumn",
            "different names",
        ),
    ] {
        check_refused(name, lines, option, told);
    }
    parsed(&["singleVariantColumn=d", "schemaEvolutionMode=none"]);
}

#[test]
fn formats() {
    for (name, lines, option, told) in [
        ("rows by lines", &["rows=data", "multiLine=false"][..], "rows", "leave `multiLine` out"),
        (
            "UTF-16 by documents",
            &["encoding=UTF-16", "multiLine=true"],
            "encoding",
            "by lines only",
        ),
        ("UTF-16 by rows inside", &["encoding=UTF-16BE", "rows=data"], "encoding", "by lines only"),
        (
            "line ends of whole files",
            &["format=text", "wholeText=true", "lineSep=;"],
            "lineSep",
            "no line ends",
        ),
        ("no separator", &["format=csv", "sep="], "sep", "at least one letter"),
        ("a line end as separator", &["format=csv", "sep=\\n"], "sep", "no line end"),
        ("a separator that quotes", &["format=csv", "sep=\""], "sep", "begins like `quote`"),
        ("a separator that comments", &["format=csv", "sep=#", "comment=#"], "sep", "`comment`"),
        (
            "a comment that quotes",
            &["format=csv", "comment=\""],
            "comment",
            "another letter than `quote`",
        ),
        (
            "hints by name without a header",
            &["format=csv", "header=false", "schemaHints=price INT"],
            "header",
            "_c0, _c1",
        ),
    ] {
        check_refused(name, lines, option, told);
    }
    parsed(&["format=csv", "header=false", "schema=price INT"]);
    parsed(&["format=csv", "encoding=UTF-16LE", "multiLine=true"]);
}

#[test]
fn discovery() {
    for (name, lines, option, told) in [
        (
            "no time between",
            &["modifiedAfter=2026-02-01", "modifiedBefore=2026-01-01"][..],
            "modifiedAfter",
            "no file is later",
        ),
        (
            "no time between, by zones",
            &["modifiedAfter=2026-01-01T00:00:00Z", "modifiedBefore=2026-01-01T01:00:00+02:00"],
            "modifiedAfter",
            "no file is later",
        ),
        (
            "a queue and no notifications",
            &["useNotifications=false", "queueName=events"],
            "useNotifications",
            "set this to true",
        ),
        ("two queues", &["queueUrl=https://q", "queueName=events"], "queueUrl", "in one queue"),
        (
            "a window and notifications",
            &["listingWindow=9", "useNotifications=true"],
            "listingWindow",
            "already",
        ),
        (
            "a window and a queue",
            &["listingWindow=9", "queueUrl=https://q"],
            "listingWindow",
            "already",
        ),
    ] {
        check_refused(name, lines, option, told);
    }
}

#[test]
fn what_becomes_of_files() {
    let delete = "cleanSource=DELETE";
    for (name, lines, option, told) in [
        (
            "DELETE at seven days",
            &[delete, "cleanSource.retentionDuration=7 days"][..],
            "cleanSource.retentionDuration",
            "more than 7 days",
        ),
        (
            "DELETE at once",
            &[delete, "cleanSource.retentionDuration=0 days"],
            "cleanSource.retentionDuration",
            "more than 7 days",
        ),
        (
            "a retention of nothing",
            &["cleanSource.retentionDuration=9 days"],
            "cleanSource.retentionDuration",
            "DELETE or MOVE",
        ),
        ("MOVE to nowhere", &["cleanSource=MOVE"], "cleanSource", "moveDestination"),
        (
            "a destination of nothing",
            &["cleanSource.moveDestination=/x"],
            "cleanSource.moveDestination",
            "`cleanSource` = MOVE",
        ),
        (
            "DELETE to somewhere",
            &[delete, "cleanSource.moveDestination=/x"],
            "cleanSource.moveDestination",
            "`cleanSource` = MOVE",
        ),
        (
            "replace, and no overwrites",
            &["overwrites=replace", "allowOverwrites=false"],
            "overwrites",
            "the opposite",
        ),
        (
            "ignore, and overwrites",
            &["overwrites=ignore", "allowOverwrites=true"],
            "overwrites",
            "the opposite",
        ),
        (
            "replace without metadata",
            &["overwrites=replace", "metadataColumn="],
            "overwrites",
            "none are replaced",
        ),
    ] {
        check_refused(name, lines, option, told);
    }
}

#[test]
fn several_contradictions_are_told_together() {
    let lines =
        ["inferTimestamp=true", "cleanSource=MOVE", "listingWindow=1", "useNotifications=true"];
    assert_eq!(parse(&lines).expect_err("three").0.len(), 3);
}
