//! The table of what every mode would do.

use super::*;
use crate::files::schema::{
    evolve::tests::version,
    observing::Iso,
    typing::tests::{inferring, json},
};

fn lines(seen: &str, options: &SchemaOptions) -> String {
    let seen = Observed::of_json(seen, &Iso).unwrap();
    let outcomes = explain(&version("a INT"), &seen, &Format::Json(json()), options);
    table(&outcomes).join("\n")
}

#[test]
fn shows_what_every_mode_would_do() {
    let seen = r#"{"a": 4000000000, "b": "x"}"#;
    let fails = "the files have columns that the schema does not: `b STRING`; add them to `schema` or `schemaHints`, remove the files that have them, or choose another `cloudFiles.schemaEvolutionMode`";
    let rows: Vec<Vec<String>> = lines(seen, &inferring())
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()))
        .map(|cells| cells.map(str::to_owned).collect())
        .collect();
    let expected = [
        ["schemaEvolutionMode", "stream", "schema", "values that do not fit"],
        ["* addNewColumns", "stops once", "version 4: `b STRING`", "rescued: `a`"],
        [
            "addNewColumnsWithTypeWidening",
            "stops once",
            "version 4: `a INT → BIGINT`, `b STRING`",
            "all fits",
        ],
        ["rescue", "goes on", "stays", "rescued: `b STRING`, `a`"],
        ["failOnNewColumns", "fails until mended", fails, "not read"],
        ["none", "goes on", "stays", "rescued: `b STRING`, `a`"],
        ["evolve", "goes on", "version 4: `a INT → BIGINT`, `b STRING`", "all fits"],
    ];
    assert_eq!(rows, expected.map(|row| row.map(str::to_owned).to_vec()));
}

#[test]
fn says_when_nothing_is_rescued() {
    let options = SchemaOptions { rescued_column: None, ..inferring() };
    let text = lines(r#"{"a": "x", "b": 1}"#, &options);
    assert!(text.contains("dropped: `b BIGINT`; bad records: `a`"), "{text}");
}

#[test]
fn says_when_there_is_nothing_to_say() {
    let text = lines(r#"{"a": 1}"#, &inferring());
    assert_eq!(text.matches("stays").count(), 6);
    assert_eq!(text.matches("all fits").count(), 6);
}

#[test]
fn columns_are_aligned() {
    let text = lines(r#"{"a": 4000000000}"#, &inferring());
    let at = |line: &str| {
        let byte = line.find("goes on").or(line.find("stops once")).or(line.find("stream"));
        line[..byte.unwrap()].chars().count()
    };
    assert!(text.lines().all(|line| at(line) == "addNewColumnsWithTypeWidening  ".len()), "{text}");
}

/// Returns the outcomes as lines of columns, a heading first; `*` marks the chosen mode.
fn table(outcomes: &[ModeOutcome]) -> Vec<String> {
    let heading = ["schemaEvolutionMode", "stream", "schema", "values that do not fit"];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(outcomes.iter().map(|outcome| {
        let mark = if outcome.is_chosen { "* " } else { "" };
        let mode = format!("{mark}{}", outcome.mode.as_str());
        [mode, outcome.stream.to_owned(), outcome.schema.clone(), outcome.data.clone()]
    }));
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 4]| {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
