//! Data files of a lake in a folder, to whoever has an address that was signed here.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use object_store::{GetOptions, ObjectMeta};

use super::{
    Links, Refused,
    links::{EXPIRES, SIGNATURE},
    request::{Names, Query},
};
use crate::{Error, http::App};

/// `GET /files/{table}/{path}`.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Names((table, path)): Names<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refused> {
    let sharing = &app.sharing.as_ref().ok_or_else(Refused::off)?.sharing;
    let Links::Own(key) = &sharing.links else {
        return Err(Refused::not_found("no such file"));
    };
    let query = Query::of(&uri)?;
    let expires = query.get(EXPIRES).and_then(|text| text.parse().ok()).unwrap_or_default();
    let given = (expires, query.get(SIGNATURE).unwrap_or_default());
    if !key.opens(&table, &path, given, app.clock.now()) {
        return Err(Refused::forbidden(
            "the address is not signed here, or has expired; query the table again",
        ));
    }
    let failed = |source| Error::lake(format!("a data file of `{table}`"))(source);
    let head = app.reader.data_file(&table, &path, GetOptions::new().with_head(true)).await;
    let meta = head.map_err(failed)?.meta;
    let tag = tag(&meta);
    let is_other =
        headers.get(header::IF_RANGE).is_some_and(|given| given.as_bytes() != tag.as_bytes());
    let range = headers.get(header::RANGE).filter(|_| !is_other).and_then(|it| it.to_str().ok());
    let wanted = match range.map_or(Wanted::Whole, |range| Wanted::of(range, meta.size)) {
        Wanted::Nothing => return Ok(Refused::range(meta.size)),
        wanted => wanted,
    };
    let options = match &wanted {
        Wanted::Part(range) => GetOptions::new().with_range(Some(range.clone())),
        _ => GetOptions::new(),
    };
    let found = app.reader.data_file(&table, &path, options).await.map_err(failed)?;
    Ok(respond(&wanted, &meta, &tag, Body::from_stream(found.into_stream())))
}

fn respond(wanted: &Wanted, meta: &ObjectMeta, tag: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let (length, range) = match wanted {
        Wanted::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = range.end.saturating_sub(1);
            let shown = format!("bytes {}-{last}/{}", range.start, meta.size);
            (range.end.saturating_sub(range.start), Some((header::CONTENT_RANGE, shown)))
        }
        _ => (meta.size, None),
    };
    let modified = meta.last_modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let texts = [
        (header::CONTENT_TYPE, "application/vnd.apache.parquet".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::LAST_MODIFIED, modified),
        (header::ETAG, tag.to_owned()),
    ];
    for (name, text) in texts.into_iter().chain(range) {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Returns a tag: a data file is never changed, so its time and size name its content.
fn tag(meta: &ObjectMeta) -> String {
    format!("\"{:x}-{:x}\"", meta.last_modified.timestamp_micros(), meta.size)
}

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    /// A part that the file does not have.
    Nothing,
}

impl Wanted {
    /// Reads a `Range` header (RFC 9110, 14.2). One that is not understood means the whole file, and
    /// so do several ranges: no reader of Parquet needs them in one answer.
    fn of(header: &str, size: u64) -> Self {
        let Some((first, last)) = header
            .trim()
            .strip_prefix("bytes=")
            .filter(|ranges| !ranges.contains(','))
            .and_then(|range| range.trim().split_once('-'))
        else {
            return Self::Whole;
        };
        let range = match (number(first), number(last)) {
            (Some(Some(first)), Some(Some(last))) if last < first => return Self::Whole,
            (Some(Some(first)), Some(Some(last))) => first..last.saturating_add(1).min(size),
            (Some(Some(first)), Some(None)) => first..size,
            (Some(None), Some(Some(length))) => size.saturating_sub(length)..size,
            _ => return Self::Whole,
        };
        if range.is_empty() { Self::Nothing } else { Self::Part(range) }
    }
}

/// Reads a number that may be left out; `None` if it is neither.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_all_of_it() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes= 2 - 5 ", Wanted::Part(2..6)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=9-9", Wanted::Part(9..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-11", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=0-18446744073709551616", Wanted::Whole),
            ("rows=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(Wanted::of(header, 10), expected, "{header:?}");
        }
        assert_eq!(Wanted::of("bytes=0-", 0), Wanted::Nothing, "an empty file has no part");
    }
}
