//! Reads a response body: which envelope it is, its rows as bytes, or the vendor's error.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    AccessKey,
    scan::{self, Field, Kind},
};
use crate::source::{SourceRow, parse_ts};

/// The vendor's account of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Pagination {
    pub(super) limit: u64,
    pub(super) offset: u64,
    pub(super) count: u64,
    pub(super) total: u64,
}

/// An error in the vendor's or its gateway's form, of any length until it is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VendorError {
    /// The code as text; `none` when there is none.
    pub(super) code: String,
    /// The text and what the context adds.
    pub(super) message: String,
}

impl VendorError {
    /// Takes the key out, then shortens to printable lines: the other way round, the cut could
    /// leave the begin of a key that is no longer found.
    pub(super) fn cleaned(&self, key: &AccessKey) -> Self {
        let clean = |text: &str| one_line(&key.scrub(text));
        Self { code: clean(&self.code), message: clean(&self.message) }
    }
}

/// What a body turned out to be.
#[derive(Debug)]
pub(super) enum Body {
    /// Rows in one of five envelopes.
    Rows {
        /// `None` for the envelopes that have no pagination.
        pagination: Option<Pagination>,
        rows: Vec<Bytes>,
    },
    Error(VendorError),
    /// Neither; the text says why.
    NoPage(&'static str),
}

/// Reads a body. `list` names the field that holds the rows when `data` is an object.
///
/// | envelope | form |
/// |---|---|
/// | list | `{"pagination":{…},"data":[…]}` |
/// | list in an object | `{"pagination":{…},"data":{…,"eod":[…]}}` |
/// | data | `{"data":{…}}` or `{"data":[…]}` |
/// | bare object | `{…}` |
/// | bare list | `[…]` |
pub(super) fn read(body: &Bytes, list: &str) -> Body {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Body::NoPage("it is empty");
    }
    let text: &[u8] = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let rows = |spans: Vec<std::ops::Range<usize>>| {
        spans.into_iter().map(|span| body.slice_ref(&text[span])).collect()
    };
    let Some(whole) = scan::whole(text) else {
        return Body::NoPage("it is no JSON, or ends early");
    };
    match scan::kind(text, &whole) {
        Kind::Array => {
            scan::items(text, &whole).map_or(Body::NoPage("its list is no JSON"), |spans| {
                Body::Rows { pagination: None, rows: rows(spans) }
            })
        }
        Kind::Object => {
            let Some(fields) = scan::fields(text, &whole) else {
                return Body::NoPage("its object is no JSON");
            };
            if let Some(error) = vendor_error(text, &fields) {
                return Body::Error(error);
            }
            let pagination = match field(&fields, "pagination") {
                None => None,
                Some(span) => match serde_json::from_slice(&text[span.clone()]) {
                    Ok(pagination) => Some(pagination),
                    Err(_) => return Body::NoPage("its pagination is not four counts"),
                },
            };
            let Some(data) = field(&fields, "data") else {
                return Body::Rows { pagination, rows: rows(vec![whole]) };
            };
            match data_spans(text, data, list) {
                Some(spans) => Body::Rows { pagination, rows: rows(spans) },
                None => Body::NoPage("its data is no list and no object"),
            }
        }
        Kind::Scalar => Body::NoPage("it is no JSON object and no list"),
    }
}

fn data_spans(
    text: &[u8],
    data: &std::ops::Range<usize>,
    list: &str,
) -> Option<Vec<std::ops::Range<usize>>> {
    match scan::kind(text, data) {
        Kind::Array => scan::items(text, data),
        Kind::Object => {
            let fields = scan::fields(text, data)?;
            match field(&fields, list) {
                Some(span) if scan::kind(text, span) == Kind::Array => scan::items(text, span),
                _ => Some(vec![data.clone()]),
            }
        }
        Kind::Scalar => None,
    }
}

fn field<'a>(fields: &'a [Field<'_>], name: &str) -> Option<&'a std::ops::Range<usize>> {
    fields.iter().find(|(found, _)| *found == name.as_bytes()).map(|(_, span)| span)
}

/// Reads the error forms: `error` with a text or number code, `success:false`, `detail`.
fn vendor_error(text: &[u8], fields: &[Field<'_>]) -> Option<VendorError> {
    let value = |name: &str| -> Option<Value> {
        serde_json::from_slice(&text[field(fields, name)?.clone()]).ok()
    };
    if let Some(error) = value("error").filter(|error| !error.is_null()) {
        // The gateway's `type` is the word for its number.
        let code = ["type", "code"].iter().find_map(|name| scalar(error.get(name)?));
        let mut message = ["message", "info"]
            .iter()
            .find_map(|name| scalar(error.get(name)?))
            .or_else(|| scalar(&error))
            .unwrap_or_default();
        for (key, detail) in context(error.get("context")) {
            message.push_str(&format!("; {key}: {detail}"));
        }
        return Some(VendorError { code: code.unwrap_or_else(|| "none".to_owned()), message });
    }
    let has_data = field(fields, "data").is_some();
    let is_failure = value("success") == Some(Value::Bool(false));
    match value("detail") {
        Some(detail) if !has_data => Some(VendorError {
            code: "none".to_owned(),
            message: scalar(&detail).unwrap_or_default(),
        }),
        _ if is_failure => {
            Some(VendorError { code: "none".to_owned(), message: "success is false".to_owned() })
        }
        _ => None,
    }
}

/// Reads both forms of `context`: `{"symbols":[{key,message}]}` and `[{key,message}]`.
fn context(context: Option<&Value>) -> Vec<(String, String)> {
    let entries = |items: &[Value]| -> Vec<(String, String)> {
        items
            .iter()
            .filter_map(|item| Some((scalar(item.get("key")?)?, scalar(item.get("message")?)?)))
            .collect()
    };
    match context {
        Some(Value::Array(items)) => entries(items),
        Some(Value::Object(fields)) => fields
            .values()
            .flat_map(|value| value.as_array().map(|items| entries(items)).unwrap_or_default())
            .collect(),
        _ => Vec::new(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A vendor's text may be of any length and hold line breaks that forge a log line.
const MESSAGE_CHARS_MAX: usize = 300;

fn one_line(text: &str) -> String {
    text.chars()
        .map(|found| if found.is_control() { ' ' } else { found })
        .take(MESSAGE_CHARS_MAX)
        .collect()
}

/// The fields that tell rows apart. Anything else in a row is none of this crate's business.
#[derive(Default, Deserialize)]
struct RowKey {
    symbol: Option<Value>,
    ticker: Option<Value>,
    mic: Option<Value>,
    exchange: Option<Value>,
    date: Option<Value>,
}

/// Reads what tells a row apart from others; what cannot be read stays `None`.
pub(super) fn read_row(bytes: Bytes) -> SourceRow {
    let key: RowKey = if bytes.first() == Some(&b'{') {
        serde_json::from_slice(&bytes).unwrap_or_default()
    } else {
        // A JSON list would fill the fields one after the other.
        RowKey::default()
    };
    let text = |value: &Option<Value>| match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    SourceRow {
        bytes,
        symbol: text(&key.symbol).or_else(|| text(&key.ticker)).or_else(|| text(&key.mic)),
        ts: text(&key.date).and_then(|date| parse_ts(&date)),
        mic: text(&key.exchange),
    }
}

#[cfg(test)]
mod tests;
