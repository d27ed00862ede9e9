//! The slow decoder that the quick one is compared with: `serde_json` and `chrono`, nothing clever.
//!
//! Gives each output cell as text, the form in which the tests compare.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use model::envelope::EnvelopeLine;
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{DEPTH_MAX, FIELDS_MAX};
use crate::schema::{ColumnKind, RowSchema};

/// One output row: the schema's columns, then offset, key, rescued data, whether it is corrupt,
/// and the date key.
pub(super) type Cells = Vec<Option<String>>;

pub(super) fn decode(schema: &RowSchema, line: &[u8], file: &str) -> Cells {
    row(schema, line, file).unwrap_or_else(|| {
        let mut cells = vec![None; schema.columns.len() + 3];
        cells.extend([Some("corrupt".to_owned()), Some("0".to_owned())]);
        cells
    })
}

fn row(schema: &RowSchema, line: &[u8], file: &str) -> Option<Cells> {
    std::str::from_utf8(line).ok()?;
    let envelope = EnvelopeLine::parse(line).ok()?;
    i64::try_from(envelope.offset).ok()?;
    let members = members(envelope.data.get())?;
    if DEPTH_MAX < depth(envelope.data.get()) || FIELDS_MAX < members.len() {
        return None;
    }
    let names: Vec<Option<String>> =
        members.iter().map(|(key, _)| serde_json::from_str(key).ok()).collect();
    let mut rescued = vec![true; members.len()];
    let mut cells = Cells::new();
    let mut date_key = 0;
    for column in &schema.columns {
        let place = names.iter().rposition(|name| name.as_deref() == Some(&column.field));
        let cell = place.and_then(|place| {
            let value = members[place].1;
            let cell = fit(column.kind, value);
            rescued[place] = cell.is_none() && value != "null";
            cell
        });
        if Some(&column.name) == schema.date_key.as_ref()
            && let Some(text) = &cell
        {
            let day = match column.kind {
                ColumnKind::Date => text.parse::<i64>().unwrap(),
                _ => text.parse::<i64>().unwrap().div_euclid(86_400_000_000),
            };
            let day = DateTime::from_timestamp_secs(day * 86_400).unwrap();
            date_key = day.format("%Y%m%d").to_string().parse().unwrap();
        }
        cells.push(cell);
    }
    cells.push(Some(envelope.offset.to_string()));
    cells.push(Some(envelope.key.to_string()));
    let mut kept: Vec<String> = members
        .iter()
        .zip(rescued)
        .filter(|(_, rescued)| *rescued)
        .map(|((key, value), _)| format!("{key}:{value}"))
        .collect();
    let headers = &envelope.headers;
    for (name, text, fits) in [
        ("_fetch_id", &headers.fetch_id, headers.fetch_id.parse::<i64>().is_ok()),
        ("_page", &headers.page, headers.page.parse::<i32>().is_ok()),
        ("_row", &headers.row, headers.row.parse::<i32>().is_ok()),
        ("_ts_fetched", &headers.ts_fetched, moment(&headers.ts_fetched).is_some()),
    ] {
        if !fits && !text.is_empty() {
            kept.push(format!("\"{name}\":{}", serde_json::to_string(text).unwrap()));
        }
    }
    if !kept.is_empty() {
        kept.push(format!("\"_file_path\":\"{file}\""));
    }
    cells.push((!kept.is_empty()).then(|| format!("{{{}}}", kept.join(","))));
    cells.extend([None, Some(date_key.to_string())]);
    Some(cells)
}

fn fit(kind: ColumnKind, value: &str) -> Option<String> {
    if value == "null" {
        return None;
    }
    let text = serde_json::from_str::<String>(value).ok();
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let is_bool = matches!(value, "true" | "false");
    let number = if is_number { Some(value.to_owned()) } else { text.clone() };
    match kind {
        ColumnKind::Json => Some(value.to_owned()),
        ColumnKind::Text if is_number || is_bool => Some(value.to_owned()),
        ColumnKind::Text => text,
        ColumnKind::Bool => is_bool.then(|| value.to_owned()),
        ColumnKind::Decimal(decimal) => decimal.parse(&number?).ok().map(|value| value.to_string()),
        ColumnKind::Int64 => {
            let number = number?;
            let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
            let digits = whole.strip_prefix('-').unwrap_or(whole);
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let zeros = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
            whole.parse::<i64>().ok().filter(|_| plain && zeros).map(|value| value.to_string())
        }
        ColumnKind::Timestamp => moment(&text?).map(|micros| micros.to_string()),
        ColumnKind::Date => moment(&text?)
            .filter(|micros| micros % 86_400_000_000 == 0)
            .map(|micros| (micros / 86_400_000_000).to_string()),
    }
}

fn moment(text: &str) -> Option<i64> {
    // chrono is more generous than the documented forms: the outline is checked by hand.
    let outline: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() })
        .collect();
    let date = outline.get(..10).filter(|date| *date == "0000-00-00")?;
    let year: i32 = text[..4].parse().ok().filter(|year| *year != 0)?;
    assert!((1..=9999).contains(&year), "{date}");
    if outline.len() == 10 {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    let rest = outline.get(10..)?.strip_prefix(['T', ' '])?.strip_prefix("00:00:00")?;
    let zone = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches('0'));
    let fraction = &text[19..text.len() - zone.len()];
    if fraction == "." || fraction.get(7..).is_some_and(|finer| finer.bytes().any(|b| b != b'0')) {
        return None;
    }
    if !matches!(zone, "" | "Z" | "+00:00" | "-00:00" | "+0000" | "-0000") || &text[17..19] == "60"
    {
        return None;
    }
    let naive =
        format!("{}T{}{}", &text[..10], &text[11..19], fraction.get(..7).unwrap_or(fraction));
    let naive = NaiveDateTime::parse_from_str(&naive, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    let zone = text[text.len() - zone.len()..].replace(':', "");
    let east = match zone.as_str() {
        "" | "Z" | "z" => 0,
        zone => {
            let (hour, minute) = (zone[1..3].parse::<i32>().ok()?, zone[3..].parse::<i32>().ok()?);
            if 23 < hour || 59 < minute {
                return None;
            }
            (hour * 60 + minute) * 60 * if zone.starts_with('-') { -1 } else { 1 }
        }
    };
    let local = naive.and_local_timezone(FixedOffset::east_opt(east)?).single()?;
    Some(local.timestamp_micros())
}

/// Returns an object's members with their keys as they stand there, quotes included.
fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'de str, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                members.push((key.get(), value.get()));
            }
            Ok(members)
        }
    }
    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(Members).ok()
}

/// Returns how deeply the containers of valid JSON are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => (),
        }
    }
    deepest
}
