//! Bodies as the vendor writes them: envelopes, and every shape of error.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{ApiVersion, row::json_text};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    MissingKey,
    InvalidKey,
    /// The plan does not include the endpoint or interval.
    Plan,
    UnknownFunction,
    NotFound,
    Unavailable,
    /// A parameter is missing or wrong: which, a code for it, and a sentence.
    Validation {
        field: &'static str,
        key: &'static str,
        message: &'static str,
    },
    NoValidSymbols,
    MonthlyLimit,
    /// With the seconds of `Retry-After`, when the header is sent.
    RateLimit {
        retry_after: Option<u64>,
    },
    Internal,
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::MissingKey | Self::InvalidKey => StatusCode::UNAUTHORIZED,
            Self::Plan => StatusCode::FORBIDDEN,
            Self::UnknownFunction | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::NOT_ACCEPTABLE,
            Self::Validation { .. } | Self::NoValidSymbols => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MonthlyLimit | Self::RateLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the code and message. The two versions name the monthly limit differently.
    const fn text(&self, version: ApiVersion) -> (&'static str, &'static str) {
        match self {
            Self::MissingKey => (
                "missing_access_key",
                "You have not supplied an API Access Key. [Required format: \
                 access_key=YOUR_ACCESS_KEY]",
            ),
            Self::InvalidKey => {
                ("invalid_access_key", "You have not supplied a valid API Access Key.")
            }
            Self::Plan => (
                "function_access_restricted",
                "The given API endpoint is not supported on the current subscription plan.",
            ),
            Self::UnknownFunction => {
                ("invalid_api_function", "The given API endpoint does not exist.")
            }
            Self::NotFound => ("404_not_found", "Resource not found."),
            Self::Unavailable => {
                ("data_not_available", "The requested data is currently unavailable.")
            }
            Self::Validation { .. } => ("validation_error", "Request failed with validation error"),
            Self::NoValidSymbols => {
                ("no_valid_symbols_provided", "At least one valid symbol must be provided")
            }
            Self::MonthlyLimit => {
                let code = match version {
                    ApiVersion::V1 => "usage_limit_reached",
                    ApiVersion::V2 => "too_many_requests",
                };
                (code, "The given user account has reached its monthly allowed request volume.")
            }
            Self::RateLimit { .. } => {
                ("rate_limit_reached", "The given user account has reached the rate limit.")
            }
            Self::Internal => ("internal_error", "An internal error occurred."),
        }
    }

    /// Returns the body: v1 gives the context as an array, v2 as an object.
    pub(crate) fn body(&self, version: ApiVersion) -> String {
        let (code, message) = self.text(version);
        let context = match self {
            Self::Validation { field, key, message } => {
                let message = json_text(message);
                match version {
                    ApiVersion::V1 => {
                        format!(",\"context\":[{{\"key\":\"{field}\",\"message\":{message}}}]")
                    }
                    ApiVersion::V2 => format!(
                        ",\"context\":{{\"{field}\":[{{\"key\":\"{key}\",\"message\":{message}}}]}}"
                    ),
                }
            }
            _ => String::new(),
        };
        let message = json_text(message);
        format!("{{\"error\":{{\"code\":\"{code}\",\"message\":{message}{context}}}}}")
    }

    /// Returns the body as the gateway in front of the vendor writes it, with a numeric code.
    pub(crate) fn gateway_body(&self, version: ApiVersion) -> String {
        let (code, message) = self.text(version);
        let (number, message) = (self.gateway_code(), json_text(message));
        let error = format!("{{\"code\":{number},\"type\":\"{code}\",\"info\":{message}}}");
        match version {
            ApiVersion::V1 => format!("{{\"success\":false,\"error\":{error}}}"),
            ApiVersion::V2 => format!("{{\"error\":{error}}}"),
        }
    }

    const fn gateway_code(&self) -> u16 {
        match self {
            Self::MissingKey | Self::InvalidKey => 101,
            Self::UnknownFunction => 103,
            Self::MonthlyLimit => 104,
            Self::Plan => 105,
            _ => 106,
        }
    }

    pub(crate) fn response(&self, version: ApiVersion, is_gateway: bool) -> Response {
        let body = if is_gateway { self.gateway_body(version) } else { self.body(version) };
        let mut response = json(self.status(), body);
        if let Self::RateLimit { retry_after: Some(seconds) } = self {
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
        }
        response
    }
}

/// The four numbers of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pagination {
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) count: usize,
    pub(crate) total: usize,
}

/// Returns `{"pagination":{…},"data":[…]}`.
pub(crate) fn envelope(page: Pagination, rows: &[String]) -> String {
    let Pagination { limit, offset, count, total } = page;
    let rows = rows.join(",");
    format!(
        "{{\"pagination\":{{\"limit\":{limit},\"offset\":{offset},\"count\":{count},\
         \"total\":{total}}},\"data\":[{rows}]}}"
    )
}

pub(crate) fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refusal: &Refusal, version: ApiVersion, status: u16, body: &str) {
        assert_eq!(refusal.status().as_u16(), status);
        assert_eq!(refusal.body(version), body);
        for body in [refusal.body(version), refusal.gateway_body(version)] {
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
        }
    }

    #[test]
    fn errors_have_the_vendors_shapes() {
        let missing = Refusal::Validation {
            field: "symbols",
            key: "missing_symbols",
            message: "You did not specify any symbols.",
        };
        check(
            &missing,
            ApiVersion::V2,
            422,
            r#"{"error":{"code":"validation_error","message":"Request failed with validation error","context":{"symbols":[{"key":"missing_symbols","message":"You did not specify any symbols."}]}}}"#,
        );
        check(
            &missing,
            ApiVersion::V1,
            422,
            r#"{"error":{"code":"validation_error","message":"Request failed with validation error","context":[{"key":"symbols","message":"You did not specify any symbols."}]}}"#,
        );
        check(
            &Refusal::Unavailable,
            ApiVersion::V2,
            406,
            r#"{"error":{"code":"data_not_available","message":"The requested data is currently unavailable."}}"#,
        );
        assert_eq!(
            Refusal::InvalidKey.gateway_body(ApiVersion::V1),
            r#"{"success":false,"error":{"code":101,"type":"invalid_access_key","info":"You have not supplied a valid API Access Key."}}"#
        );
    }

    #[test]
    fn an_envelope_says_what_it_holds() {
        let page = Pagination { limit: 100, offset: 0, count: 2, total: 9 };
        assert_eq!(
            envelope(page, &["{}".to_owned(), "[]".to_owned()]),
            r#"{"pagination":{"limit":100,"offset":0,"count":2,"total":9},"data":[{},[]]}"#
        );
    }
}
