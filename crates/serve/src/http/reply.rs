//! What a client is told when there is no answer: one JSON shape, no path, no inner error.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::ErrorKind;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Error, postgres::Refused};

/// A refusal or a failure, as the client sees it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// What a failed statement adds.
    statement: Option<Box<Refused>>,
    /// Seconds after which it is worth another try.
    retry_after: Option<u64>,
}

/// A refusal as the Delta Sharing protocol wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SharingBody<'a> {
    error_code: &'a str,
    message: &'a str,
}

/// Longest piece of a client's own text that is repeated to it.
const ECHO_CHARS_MAX: usize = 64;

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, statement: None, retry_after: None }
    }

    /// The parameter `name` was given as `given`, and `allowed` says what may be given.
    pub(super) fn parameter(name: &str, given: &str, allowed: &str) -> Self {
        let message = format!("`{}` is `{}`; allowed: {allowed}", echo(name), echo(given));
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }

    /// The parameter `name` has to be given.
    pub(super) fn missing(name: &str, allowed: &str) -> Self {
        let message = format!("`{name}` is missing; allowed: {allowed}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }

    /// Nothing is known of `symbol`.
    pub(super) fn unknown_symbol(symbol: &str) -> Self {
        let message = format!("no bars of `{symbol}`; `/api/v1/symbols` lists what there is");
        Self::new(StatusCode::NOT_FOUND, "unknown_symbol", message)
    }

    /// Returns the refusal in the form of the Delta Sharing protocol.
    pub(super) fn into_sharing_response(self) -> Response {
        let error_code = self.code.to_ascii_uppercase();
        let body = SharingBody { error_code: &error_code, message: &self.message };
        (self.status, Json(body)).into_response()
    }

    /// Adds where and how a statement failed.
    pub(super) fn with_statement(mut self, refused: Refused) -> Self {
        self.statement = Some(Box::new(refused));
        self
    }

    /// Adds when to come back.
    pub(super) fn with_retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Returns what a client is told.
    pub(super) fn to_json(&self) -> Value {
        let Self { code, message, .. } = self;
        let Some(refused) = &self.statement else {
            return json!({"error": {"code": code, "message": message}});
        };
        let Refused { code: state, hint, place, .. } = refused.as_ref();
        json!({"error": {
            "code": code,
            "message": message,
            "sqlstate": state,
            "hint": hint,
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        }})
    }

    /// The server has as much to do as it takes on.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }
}

impl From<Error> for Refusal {
    /// Logs the failure, which is handled here, and keeps its details from the client.
    fn from(error: Error) -> Self {
        let kind = error.kind();
        tracing::error!(%kind, error = &error as &dyn std::error::Error, "answering a request");
        match kind {
            ErrorKind::Transient | ErrorKind::Conflict => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the lake cannot be read at the moment; try again in a few seconds",
            ),
            ErrorKind::Config | ErrorKind::Data | ErrorKind::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the server could not answer; its log says why",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Shortens a client's text and removes what could disturb a terminal or a log.
pub(super) fn echo(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(ECHO_CHARS_MAX)
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect();
    if text.chars().nth(ECHO_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
