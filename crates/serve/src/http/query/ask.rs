//! What is asked: a statement, the form of its answer, and how it can be canceled.

use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::{form::Format, running::Id};
use crate::http::{params::Params, reply::Refusal};

const SQL_ALLOWED: &str = "one SELECT, WITH, VALUES, TABLE or EXPLAIN";
const BODY_ALLOWED: &str = "a JSON object with `sql`, and maybe `format`, `limit` and `id`, such as {\"sql\": \"select 1\"}";

/// A statement to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) sql: String,
    pub(super) format: Format,
    /// Rows after which the answer ends, complete or not.
    pub(super) limit: Option<u64>,
    /// What the client calls it, to cancel it.
    pub(super) id: Option<Id>,
}

/// The body of a `POST`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskBody {
    sql: String,
    format: Option<String>,
    limit: Option<u64>,
    id: Option<String>,
}

impl Ask {
    pub(super) fn of_params(params: &Params) -> Result<Self, Refusal> {
        let sql = params.text("sql").ok_or_else(|| Refusal::missing("sql", SQL_ALLOWED))?;
        Ok(Self {
            sql: sql.to_owned(),
            format: Format::of_query(params.text("format"))?,
            limit: params.rows_limit()?,
            id: params.text("id").map(Id::parse).transpose()?,
        })
    }

    pub(super) fn of_json(body: &[u8]) -> Result<Self, Refusal> {
        let body: AskBody = serde_json::from_slice(body)
            .map_err(|error| Refusal::parameter("body", &error.to_string(), BODY_ALLOWED))?;
        if body.limit == Some(0) {
            return Err(Refusal::parameter("limit", "0", "1 and more"));
        }
        Ok(Self {
            sql: body.sql,
            format: Format::of_query(body.format.as_deref())?,
            limit: body.limit,
            id: body.id.as_deref().map(Id::parse).transpose()?,
        })
    }
}

/// A page of another site can send forms and texts, but no JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "a statement is sent as `application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_parameter", message))
}

pub(super) fn too_long() -> Refusal {
    let message = "the body is longer than 2 MiB, or broke off";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_not_allowed", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_exactly_what_is_known() {
        let ask = Ask::of_json(br#"{"sql":"select 1","format":"csv","limit":5}"#).unwrap();
        let expected =
            Ask { sql: "select 1".to_owned(), format: Format::Csv, limit: Some(5), id: None };
        assert_eq!(ask, expected);
        for body in [
            "",
            "[]",
            "{}",
            r#"{"sql":1}"#,
            r#"{"sql":"x","limit":-1}"#,
            r#"{"sql":"x","limit":0}"#,
            r#"{"sql":"x","format":"xlsx"}"#,
            r#"{"sql":"x","id":"a b"}"#,
            r#"{"sql":"x","timeout":1}"#,
        ] {
            assert!(Ask::of_json(body.as_bytes()).is_err(), "{body}");
        }
    }
}
