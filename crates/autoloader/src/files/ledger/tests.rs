//! The ledger's rows, as people read them.

use arrow::{compute::cast, util::display::array_value_to_string};

use super::*;
use crate::files::{
    plan::{Action, FileOutcome, Found, SetAside},
    seen::Cleaned,
    source_file::SourceFile,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).expect("a time")
}

fn known(path: &str, status: Status) -> Known {
    Known {
        file: SourceFile {
            path: path.to_owned(),
            size: 12,
            modified: at(0),
            etag: Some("e".to_owned()),
            version: None,
        },
        found: Found::Listing,
        action: Action::Append,
        batch: BatchId(7),
        status,
        failures: 1,
        rows_kept: 5,
        schema_version: Some(2),
        found_at: Some(at(1)),
        planned_at: at(2),
        decided_at: Some(at(3)),
        outcome: FileOutcome { rows: 5, rows_rescued: 1, records_bad: 2, ..FileOutcome::default() },
        cleaned: None,
    }
}

#[test]
fn the_ledger_has_the_columns_of_cloud_files_state_and_more() {
    let mut moved = known("moved", Status::Loaded);
    moved.cleaned = Some(Cleaned { cleaned_at: at(9), moved_to: Some("done/moved".to_owned()) });
    let mut poisoned = known("poisoned", Status::Poisoned);
    poisoned.outcome.set_aside = Some(SetAside::Poisoned);
    poisoned.outcome.first_error =
        Some(FirstError { line: 3, offset: 40, reason: "no number".to_owned() });
    let all = [known("loaded", Status::Loaded), moved, poisoned];
    let of = LedgerOf {
        source: "s3://b/".to_owned(),
        stream: "s".to_owned(),
        versions: [(BatchId(7), 8)].into(),
    };
    let rows = ledger_rows(&of, &all).expect("builds");
    let time = |seconds: u32| format!("2026-01-01T00:00:0{seconds}");
    for (column, expected) in [
        ("path", ["loaded", "moved", "poisoned"].map(str::to_owned)),
        ("size", ["12"; 3].map(str::to_owned)),
        ("create_time", [time(0), time(0), time(0)]),
        ("discovery_time", [time(1), time(1), time(1)]),
        ("processed_time", [time(2), time(2), time(2)]),
        ("commit_time", [time(3), time(3), String::new()]),
        ("archive_time", [String::new(), time(9), String::new()]),
        ("archive_mode", ["", "MOVE", ""].map(str::to_owned)),
        ("move_location", ["", "done/moved", ""].map(str::to_owned)),
        ("source_id", ["s3://b/"; 3].map(str::to_owned)),
        ("flow_name", ["s"; 3].map(str::to_owned)),
        ("ingestion_state", ["COMMITTED", "ARCHIVED", "POISONED"].map(str::to_owned)),
        ("etag", ["e"; 3].map(str::to_owned)),
        ("status", ["loaded", "loaded", "poisoned"].map(str::to_owned)),
        ("batch", ["7"; 3].map(str::to_owned)),
        ("rows", ["5"; 3].map(str::to_owned)),
        ("rows_rescued", ["1"; 3].map(str::to_owned)),
        ("records_bad", ["2"; 3].map(str::to_owned)),
        ("failures", ["1"; 3].map(str::to_owned)),
        ("first_error", ["", "", "line 3, byte 40: no number"].map(str::to_owned)),
        ("schema_version", ["2"; 3].map(str::to_owned)),
        ("table_version", ["8"; 3].map(str::to_owned)),
    ] {
        let mut found = Arc::clone(rows.column_by_name(column).expect(column));
        if let DataType::Timestamp(unit, _) = *found.data_type() {
            // Showing a zone needs a table of them.
            found = cast(&found, &DataType::Timestamp(unit, None)).expect("casts");
        }
        let found = [0, 1, 2].map(|row| array_value_to_string(&found, row).expect("shows"));
        assert_eq!(found, expected, "{column}");
    }
    assert_eq!(rows.num_columns(), 22, "each column was looked at");
    assert_eq!(ledger_rows(&of, &[]).expect("builds").num_rows(), 0);
}
