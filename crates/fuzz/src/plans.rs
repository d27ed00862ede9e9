//! The files of a stream's state, and lists of other loaders: what is read is written as it was.

use autoloader::{
    files::{
        command::parse_list,
        plan::{FilePlan, Outcome},
        schema::SchemaVersion,
        seen::{Known, Seen},
    },
    plan::Plan,
    target::BatchId,
};
use serde::{Serialize, de::DeserializeOwned};

/// Where the files of lists lie.
const SOURCE: &str = "s3://bucket/landing";

/// Reads an input as each of the files there are.
///
/// # Panics
/// Something panics, or what was read is written as something else.
pub fn plans(input: &[u8]) {
    round_trip::<FilePlan>(input);
    round_trip::<Outcome>(input);
    round_trip::<SchemaVersion>(input);
    if let Some(known) = round_trip::<Known>(input) {
        check_seen(&known);
    }
    if let Some(plan) = round_trip::<Plan>(input) {
        let is_sound = plan.problem(BatchId(0), None).is_none();
        assert!(!is_sound || plan.unreadable(BatchId(0)).is_none());
        let lost = plan.offsets_lost();
        assert!(!plan.objects.is_empty() || lost == 0, "{lost} offsets of no object");
    }
    check_list(&String::from_utf8_lossy(input));
}

/// Reads a file, writes it and reads it again.
fn round_trip<T>(input: &[u8]) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let read: T = serde_json::from_slice(input).ok()?;
    let written = serde_json::to_string(&read).expect("what was read is written");
    let again: T = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(again, read, "{written}");
    Some(read)
}

/// A snapshot gives the rows that it was given.
fn check_seen(known: &Known) {
    let seen = Seen::from_rows([known.clone()]);
    assert_eq!(seen.get(&known.file.path), Some(known));
}

fn check_list(text: &str) {
    let Ok(listed) = parse_list(text, SOURCE) else { return };
    for entry in listed {
        assert!(!entry.path.is_empty() && !entry.path.starts_with('/'), "{entry:?}");
        let line = serde_json::json!({
            "path": format!("{SOURCE}/{}", entry.path),
            "size": entry.size,
            "etag": entry.etag,
            "modified": entry.modified,
        });
        let again = parse_list(&line.to_string(), SOURCE).expect("what was understood is a list");
        assert_eq!(again, [entry], "{line}");
    }
}
