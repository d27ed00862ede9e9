//! Refusals as the protocol wants them: `errorCode` and `message`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{Error, http::reply::Refusal};

/// A refusal of the sharing server.
#[derive(Clone, Debug)]
pub(in crate::http) struct Refused(Refusal);

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self(Refusal::new(status, code, message))
    }

    /// The request cannot be understood, or asks for what there is not.
    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter_value", message)
    }

    /// There is no such thing, or it is none of the recipient's business: nobody learns which.
    pub(super) fn not_found(what: impl Into<String>) -> Self {
        let message = format!("there is {}, or it is not shared with you", what.into());
        Self::new(StatusCode::NOT_FOUND, "resource_does_not_exist", message)
    }

    /// The path exists, and is asked for in another way.
    pub(super) fn method(path: String) -> Self {
        let message = format!("`{path}` is not served by this method");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(super) fn unauthenticated(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    pub(super) fn too_many_failures() -> Self {
        let message = "too many requests with wrong tokens; try again in a second";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
    }

    pub(super) fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_denied", message)
    }

    pub(super) fn too_large(message: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub(super) fn off() -> Self {
        let message = "Delta Sharing is off here; the setting `serve.sharing.enabled` turns it on";
        Self::new(StatusCode::NOT_FOUND, "feature_disabled", message)
    }

    pub(super) fn range(size: u64) -> Response {
        let message = format!("the file has {size} bytes");
        let refused = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalid_range", message);
        let mut response = refused.into_response();
        if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
        response
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.0.into_sharing_response();
        let added = match response.status() {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = added {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
