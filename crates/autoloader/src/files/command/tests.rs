//! Lists of other loaders, selections of files, and which columns a rescued field is.

use std::sync::Arc;

use arrow::datatypes::Schema;
use proptest::prelude::*;

use super::*;
use crate::files::plan::{FileOutcome, SetAside};

const SOURCE: &str = "s3://bucket/in/";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
}

fn file(path: &str, seconds: i64) -> SourceFile {
    let (path, etag) = (path.to_owned(), Some("1".to_owned()));
    SourceFile { path, size: 10, modified: at(seconds), etag, version: None }
}

fn known(path: &str, status: Status, rows_kept: u64) -> Known {
    Known {
        file: file(path, 0),
        found: Found::Listing,
        action: Action::Append,
        batch: BatchId(3),
        status,
        failures: 2,
        rows_kept,
        schema_version: Some(1),
        found_at: None,
        planned_at: at(1),
        decided_at: Some(at(2)),
        outcome: FileOutcome { rows: rows_kept, ..FileOutcome::default() },
        cleaned: None,
    }
}

#[test]
fn lists_of_other_loaders_are_read() {
    let listed = |path: &str, size: Option<u64>, etag: Option<&str>, seconds: Option<i64>| Listed {
        path: path.to_owned(),
        size,
        etag: etag.map(str::to_owned),
        modified: seconds.map(at),
    };
    for (name, text, expected) in [
        ("nothing", "", vec![]),
        (
            "CSV of paths",
            "path\na.json\nd/b.json\n",
            vec![listed("a.json", None, None, None), listed("d/b.json", None, None, None)],
        ),
        (
            "columns in any order and case, others do not matter",
            "SIZE,x,Path\n7,y,a\n",
            vec![listed("a", Some(7), None, None)],
        ),
        (
            "the columns of cloud_files_state",
            "path,size,create_time,commit_time\na,7,2023-11-14T22:13:20Z,\n",
            vec![listed("a", Some(7), None, Some(0))],
        ),
        (
            "times without a zone are UTC",
            "path,create_time\na,2023-11-14 22:13:20.000\n",
            vec![listed("a", None, None, Some(0))],
        ),
        (
            "times as milliseconds",
            "{\"path\":\"a\",\"modified\":1700000000000}",
            vec![listed("a", None, None, Some(0))],
        ),
        (
            "JSON lines",
            "{\"path\":\"a\",\"size\":7,\"etag\":\"x\"}\n\n{\"path\":\"b\",\"size\":null}\n",
            vec![listed("a", Some(7), Some("x"), None), listed("b", None, None, None)],
        ),
        ("whole addresses", "path\ns3://bucket/in/d/a\n", vec![listed("d/a", None, None, None)]),
        (
            "the same store under another scheme",
            "path\ns3a://bucket/in/a\n",
            vec![listed("a", None, None, None)],
        ),
        (
            "quoted cells, with commas and quotes",
            "path,etag\n\"a, \"\"b\"\".json\",\"\"\n",
            vec![listed("a, \"b\".json", None, None, None)],
        ),
        ("a byte order mark", "\u{feff}path\na\n", vec![listed("a", None, None, None)]),
        ("line ends of Windows", "path,size\r\na,7\r\n", vec![listed("a", Some(7), None, None)]),
    ] {
        assert_eq!(parse_list(text, SOURCE), Ok(expected), "{name}");
    }
}

#[test]
fn a_line_that_names_no_file_refuses_the_list() {
    for (name, text, line, words) in [
        ("no path column", "file\na\n", 2, "no `path`"),
        ("an empty path", "path,size\n,7\n", 2, "no `path`"),
        ("a file of another bucket", "path\na\ns3://other/in/a\n", 3, "no file below"),
        ("the folder itself", "path\ns3://bucket/in/\n", 2, "no file below"),
        ("a size in words", "path,size\na,big\n", 2, "no size"),
        ("a time in words", "path,create_time\na,yesterday\n", 2, "no time"),
        ("broken JSON", "{\"path\":\"a\"}\n{\n", 2, "no JSON object"),
    ] {
        let bad = parse_list(text, SOURCE).expect_err(name);
        assert_eq!((bad.len(), bad[0].line), (1, line), "{name}");
        assert!(bad[0].to_string().contains(words), "{name}: {}", bad[0]);
    }
}

#[test]
fn commands_select_by_path_day_and_batch() {
    let mut old = known("old", Status::Loaded, 3);
    old.file.modified = at(-86_400);
    old.batch = BatchId(1);
    let mut cleaned = known("cleaned", Status::Loaded, 3);
    cleaned.cleaned = Some(crate::files::seen::Cleaned { cleaned_at: at(3), moved_to: None });
    let mut corrupt = known("corrupt", Status::Skipped, 0);
    corrupt.outcome.set_aside = Some(SetAside::Corrupt);
    let mut kept = known("kept", Status::Poisoned, 5);
    kept.action = Replace;
    let seen = Seen::from_rows([
        old,
        cleaned,
        corrupt,
        kept,
        known("new", Status::Loaded, 3),
        known("failed", Status::Failed, 0),
        known("missing", Status::Missing, 0),
        known("planned", Status::Planned, 4),
        known("skipped", Status::Skipped, 0),
        known("undone", Status::Undone, 0),
    ]);
    type Select = fn(&Seen, Which<'_>) -> Vec<PlannedFile>;
    use Action::{Append, Remove, Replace};
    let path = |path: &str| path == "new";
    let day = at(-86_400).date_naive();
    type Case<'a> = (&'a str, Select, Which<'a>, &'a [(&'a str, Action)]);
    let cases: [Case<'_>; 7] = [
        (
            "redrive: what failed, as it was to be",
            redrive,
            Which::All,
            &[("corrupt", Append), ("failed", Append), ("kept", Replace), ("missing", Append)],
        ),
        (
            "replay: what is there to be read",
            replay,
            Which::All,
            &[
                ("corrupt", Append),
                ("new", Replace),
                ("old", Replace),
                ("skipped", Append),
                ("undone", Append),
            ],
        ),
        ("replay of a path", replay, Which::Paths(&path), &[("new", Replace)]),
        ("replay of a day", replay, Which::Day(day), &[("old", Replace)]),
        ("replay of a batch", replay, Which::Batch(BatchId(1)), &[("old", Replace)]),
        (
            "undo: whatever has rows",
            undo,
            Which::All,
            &[("cleaned", Remove), ("kept", Remove), ("new", Remove), ("old", Remove)],
        ),
        ("undo of a day", undo, Which::Day(day), &[("old", Remove)]),
    ];
    for (name, select, which, expected) in cases {
        let selected = select(&seen, which);
        let found: Vec<_> = selected.iter().map(|f| (f.file.path.as_str(), f.action)).collect();
        assert_eq!(found, expected, "{name}");
        assert!(selected.iter().all(|f| f.failures == 0 && f.found == Found::Command), "{name}");
    }
}

#[test]
fn a_wish_is_looked_at_again_when_its_turn_comes() {
    use Action::{Append, Remove, Replace, Skip};
    use Status::{Failed, Loaded, Poisoned, Undone};
    for (name, asked, status, rows, expected) in [
        ("a redriven file that was loaded meanwhile", Append, Loaded, 3, None),
        ("a redriven file that still fails", Append, Failed, 0, Some(Append)),
        ("a redriven version beside rows of an older one", Append, Poisoned, 3, Some(Append)),
        ("a replayed file", Replace, Loaded, 3, Some(Replace)),
        ("a replayed file that was undone meanwhile", Replace, Undone, 0, Some(Append)),
        ("an undone file", Remove, Loaded, 3, Some(Remove)),
        ("an undone file whose rows are gone", Remove, Undone, 0, None),
        ("an imported file that was loaded meanwhile", Skip, Loaded, 3, None),
        ("a replayed file that failed under another version", Replace, Poisoned, 3, None),
    ] {
        let seen = Seen::from_rows([known("a", status, rows)]);
        let wish =
            PlannedFile { file: file("a", 9), action: asked, found: Found::Command, failures: 0 };
        let wanted = still_wanted(&seen, wish);
        assert_eq!(wanted.as_ref().map(|wanted| wanted.action), expected, "{name}");
        if let Some(wanted) = wanted {
            assert_eq!(wanted.file, file("a", 0), "{name}: the version that is known now");
        }
    }
    let new = PlannedFile { file: file("b", 0), action: Skip, found: Found::Import, failures: 0 };
    assert_eq!(still_wanted(&Seen::default(), new.clone()), Some(new));
}

#[test]
fn an_import_takes_the_version_that_was_loaded() {
    let listed = |size: Option<u64>, etag: Option<&str>, modified| Listed {
        path: "a".to_owned(),
        size,
        etag: etag.map(str::to_owned),
        modified,
    };
    let there = Candidate { file: file("a", 5), found: Found::Listing };
    let half = at(5) + chrono::TimeDelta::milliseconds(250);
    let precise =
        Candidate { file: SourceFile { modified: half, ..file("a", 5) }, ..there.clone() };
    for (name, listed, found, is_there) in [
        ("the list says nothing", listed(None, None, None), &there, true),
        ("the list agrees", listed(Some(10), Some("1"), Some(at(5))), &there, true),
        ("the list's tag has quotes", listed(None, Some("\"1\""), None), &there, true),
        ("the list has whole seconds", listed(None, None, Some(at(5))), &precise, true),
        ("another size", listed(Some(11), None, None), &there, false),
        ("another tag", listed(None, Some("2"), None), &there, false),
        ("another time", listed(None, None, Some(at(4))), &there, false),
    ] {
        let planned = import(&Seen::default(), std::slice::from_ref(found), &[listed]);
        assert_eq!((planned[0].action, planned[0].found), (Action::Skip, Found::Import), "{name}");
        assert_eq!(!planned[0].file.was_overwritten_by(&found.file), is_there, "{name}");
    }
    let seen = Seen::from_rows([known("a", Status::Loaded, 1)]);
    assert_eq!(import(&seen, &[], &[listed(None, None, None)]), [], "a known path is left alone");
}

#[test]
fn rescued_fields_are_found_among_columns() {
    let inner = Fields::from(vec![Field::new("c", DataType::Utf8, true)]);
    let list =
        DataType::List(Arc::new(Field::new("element", DataType::Struct(inner.clone()), true)));
    let columns: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Struct(inner), true),
        Field::new("l", list, true),
        Field::new("x.y", DataType::Utf8, true),
    ]));
    for (path, expected) in [
        ("a", true),
        ("b", true),
        ("b.c", true),
        ("b.d", false),
        ("l.c", true),
        ("l.d", false),
        ("x.y", true),
        ("x", false),
        ("ab", false),
        ("a.b", false),
        ("", false),
    ] {
        assert_eq!(is_covered(columns.fields(), path), expected, "{path}");
    }
}

proptest! {
    /// Any text is a list or is refused by line; nothing panics, and no path is absolute or empty.
    #[test]
    fn no_list_breaks_the_reader(text in "(path,size\n)?[a-z\"{}:,/0-9\r\n\u{e9} ]{0,80}") {
        for listed in parse_list(&text, SOURCE).unwrap_or_default() {
            prop_assert!(!listed.path.is_empty() && !listed.path.starts_with('/'));
        }
    }
}
