//! The list of files that another loader has loaded, as CSV with a header or as JSON lines. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

/// One file of another loader's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The path below the source.
    pub path: String,
    /// Bytes.
    pub size: Option<u64>,
    /// The store's tag.
    pub etag: Option<String>,
    /// When it was last written.
    pub modified: Option<DateTime<Utc>>,
}

/// A line of a list that names no file of the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadEntry {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Names of columns, ours and those of `cloud_files_state`, in this order.
const SIZE: &[&str] = &["size", "length"];
const ETAG: &[&str] = &["etag", "e_tag"];
const MODIFIED: &[&str] = &["modified", "create_time", "modification_time", "last_modified"];

/// Reads a list of files below `source`: JSON lines when the text begins with `{`, else CSV whose
/// first line names the columns. Other columns than path, size, etag and time do not matter.
///
/// # Errors
/// Each line that cannot be understood: a file that is left out of a migration is loaded twice.
pub fn parse_list(text: &str, source: &str) -> Result<Vec<Listed>, Vec<BadEntry>> {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with('{');
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let header = match is_json {
        true => Vec::new(),
        false => lines.next().map(|(_, line)| cells(line)).unwrap_or_default(),
    };
    let (mut listed, mut bad) = (Vec::new(), Vec::new());
    for (line, text) in lines {
        let fields = if is_json { json_fields(text) } else { Ok(csv_fields(&header, text)) };
        match fields.and_then(|fields| entry(&fields, source)) {
            Ok(entry) => listed.push(entry),
            Err(problem) => bad.push(BadEntry { line, problem }),
        }
    }
    if bad.is_empty() { Ok(listed) } else { Err(bad) }
}

/// What a line says, by lower-case name; empty values say nothing.
type Said = BTreeMap<String, String>;

fn json_fields(line: &str) -> Result<Said, String> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let text = |(name, value): (String, Value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        (!value.is_empty()).then(|| (name.to_lowercase(), value))
    };
    Ok(object.into_iter().filter_map(text).collect())
}

fn csv_fields(header: &[String], line: &str) -> Said {
    let named = header.iter().map(|name| name.trim().to_lowercase()).zip(cells(line));
    named.filter(|(_, value)| !value.is_empty()).collect()
}

/// Splits a line of CSV; a quoted cell may hold commas, and quotes written twice.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(letter) = chars.next() {
        match letter {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => push(&mut cells, '"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            letter => push(&mut cells, letter),
        }
    }
    cells
}

fn push(cells: &mut [String], letter: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(letter);
    }
}

fn entry(said: &Said, source: &str) -> Result<Listed, String> {
    let path = said.get("path").ok_or("it has no `path`")?;
    let path = below(path, source)?;
    let get = |names: &[&str]| names.iter().find_map(|name| said.get(*name));
    let size = get(SIZE)
        .map(|text| text.trim().parse().map_err(|_| format!("`{text}` is no size in bytes")));
    let modified =
        get(MODIFIED).map(|text| moment(text.trim()).ok_or_else(|| format!("`{text}` is no time")));
    let etag = get(ETAG).cloned();
    Ok(Listed { path, size: size.transpose()?, etag, modified: modified.transpose()? })
}

/// Returns a path below the source; whole addresses lose what they share with the source's.
fn below(path: &str, source: &str) -> Result<String, String> {
    let relative = match (whole(path), whole(source)) {
        (Some(path), Some(root)) => path.strip_prefix(&root).map(str::to_owned),
        (Some(_), None) => None,
        (None, _) => Some(path.strip_prefix(source).unwrap_or(path).to_owned()),
    };
    let relative = relative.map(|path| path.trim_start_matches('/').to_owned());
    relative
        .filter(|path| !path.is_empty())
        .ok_or_else(|| format!("`{path}` is no file below `{source}`"))
}

/// Returns an address without its scheme, or an absolute path; `None` for a path below the source.
///
/// `s3`, `s3a` and `s3n` are one store, as are `abfs` and `abfss`; Hadoop writes a path of this
/// machine as `file:/data`.
fn whole(address: &str) -> Option<String> {
    if address.starts_with('/') {
        return Some(address.to_owned());
    }
    let (scheme, rest) = address.split_once(":/")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rest = rest.trim_start_matches('/');
    is_scheme.then(|| match scheme.eq_ignore_ascii_case("file") {
        true => format!("/{rest}"),
        false => rest.to_owned(),
    })
}

/// Reads a time as JSON, SQL or a count of milliseconds writes it.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let with_zone = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let without = |pattern| NaiveDateTime::parse_from_str(text, pattern).ok();
    let bare = || without("%Y-%m-%d %H:%M:%S%.f").or_else(|| without("%Y-%m-%dT%H:%M:%S%.f"));
    with_zone()
        .or_else(|| bare().map(|time| time.and_utc()))
        .or_else(|| text.parse().ok().and_then(DateTime::from_timestamp_millis))
}
