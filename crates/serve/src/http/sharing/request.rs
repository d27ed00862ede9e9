//! What a client asks of a table: parameters and bodies become types that cannot be wrong.

use axum::{
    body::Body,
    extract::{self, FromRequestParts},
    http::{Uri, request::Parts},
};
use chrono::{DateTime, Utc};
use lake::AsOf;
use serde::{Deserialize, de::DeserializeOwned};

use super::{BODY_BYTES_MAX, Refused, hints::Predicate};

/// The names in an address.
#[derive(Debug)]
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let names = extract::Path::from_request_parts(parts, state).await;
        let extract::Path(names) =
            names.map_err(|_| Refused::request("the address has names that are no text"))?;
        Ok(Self(names))
    }
}

/// The parameters of an address. Unknown ones are left alone: the protocol grows.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, Refused> {
        let pairs = extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let extract::Query(pairs) =
            pairs.map_err(|_| Refused::request("the address has parameters that are no text"))?;
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a parameter that is a moment.
    pub(super) fn ts(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refused> {
        self.get(name).map(|text| ts(name, text)).transpose()
    }
}

/// Which rows of which version a client is going to read.
#[derive(Debug)]
pub(super) struct TableQuery {
    pub(super) as_of: AsOf,
    pub(super) predicate: Predicate,
    pub(super) limit: Option<u64>,
}

/// The body of a query as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QueryBody {
    predicate_hints: Option<Vec<String>>,
    json_predicate_hints: Option<String>,
    limit_hint: Option<i64>,
    version: Option<i64>,
    timestamp: Option<String>,
    starting_version: Option<i64>,
    starting_timestamp: Option<String>,
}

impl TableQuery {
    /// Reads the body of a query.
    pub(super) async fn read(body: Body) -> Result<Self, Refused> {
        let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
            Refused::too_large(format!("a query has at most {} KiB", BODY_BYTES_MAX >> 10))
        })?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let body = match bytes.trim_ascii() {
            [] => QueryBody::default(),
            bytes => serde_json::from_slice(bytes)
                .map_err(|error| Refused::request(format!("the body is no query: {error}")))?,
        };
        if body.starting_version.is_some() || body.starting_timestamp.is_some() {
            return Err(no_changes());
        }
        let as_of = match (body.version, body.timestamp) {
            (None, None) => AsOf::Newest,
            (Some(version), None) => {
                AsOf::Version(u64::try_from(version).map_err(|_| negative("version"))?)
            }
            (None, Some(text)) => AsOf::Time(ts("timestamp", &text)?),
            (Some(_), Some(_)) => {
                return Err(Refused::request("give `version` or `timestamp`, not both"));
            }
        };
        let limit = match body.limit_hint {
            Some(limit) => Some(u64::try_from(limit).map_err(|_| negative("limitHint"))?),
            None => None,
        };
        let hints = body.predicate_hints.unwrap_or_default();
        let predicate = Predicate::of_hints(&hints, body.json_predicate_hints.as_deref());
        Ok(Self { as_of, predicate, limit })
    }
}

/// Who asks for the changes of a table is told that there are none to read.
pub(super) fn no_changes() -> Refused {
    Refused::request(
        "the table has no change data feed: `delta.enableChangeDataFeed` is not set; read its \
         versions instead",
    )
}

fn negative(name: &str) -> Refused {
    Refused::request(format!("`{name}` must be 0 or more"))
}

fn ts(name: &str, text: &str) -> Result<DateTime<Utc>, Refused> {
    DateTime::parse_from_rfc3339(text).map(|ts| ts.to_utc()).map_err(|_| {
        Refused::request(format!("`{name}` must be a moment such as `2026-01-05T14:30:00Z`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_say_little_or_much() {
        for (body, as_of, limit) in [
            ("", AsOf::Newest, None),
            ("{}", AsOf::Newest, None),
            (r#"{"version": 3, "limitHint": 7, "novel": []}"#, AsOf::Version(3), Some(7)),
            (r#"{"limitHint": null, "predicateHints": ["a = 1", "?"]}"#, AsOf::Newest, None),
            (
                r#"{"timestamp": "2026-01-05T14:30:00Z"}"#,
                AsOf::Time("2026-01-05T14:30:00Z".parse().unwrap()),
                None,
            ),
        ] {
            let query = TableQuery::parse(body.as_bytes()).unwrap();
            assert_eq!((query.as_of, query.limit), (as_of, limit), "{body}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for body in [
            "3",
            "{",
            r#"{"version": -1}"#,
            r#"{"version": "1"}"#,
            r#"{"limitHint": -1}"#,
            r#"{"timestamp": "yesterday"}"#,
            r#"{"version": 1, "timestamp": "2026-01-05T14:30:00Z"}"#,
            r#"{"startingVersion": 0}"#,
            r#"{"predicateHints": "a = 1"}"#,
        ] {
            assert!(TableQuery::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
