//! Why a page is not a page, and what the vendor's error codes ask of us.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::Dataset;

use super::body::VendorError;
use crate::{Error, quota::next_month, source::PageRequest};

/// The cause of an `Error::Fetch`.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    /// The request or the response broke on the way.
    #[error("talking to the vendor")]
    Network {
        /// The cause, without its URL.
        source: reqwest::Error,
    },
    /// The body did not end.
    #[error("the response is longer than {bytes_max} bytes")]
    TooLarge {
        /// The most that is read.
        bytes_max: usize,
    },
    /// The vendor answered with an error that may pass.
    #[error("the vendor answered `{code}` (HTTP {status}) `{message}`")]
    Vendor {
        /// The HTTP status.
        status: u16,
        /// The vendor's code, or `none`.
        code: String,
        /// The vendor's text, shortened.
        message: String,
        /// Whether the same request may succeed in seconds rather than in hours.
        passes_soon: bool,
    },
    /// The answer is no JSON page.
    #[error("the response (HTTP {status}, {bytes} bytes) is no page: {problem}")]
    NoPage {
        /// The HTTP status.
        status: u16,
        /// The length of the body.
        bytes: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The account's plan leaves out what was asked for.
    #[error("the vendor answered `{code}` (HTTP {status}) `{message}`; {remedy}")]
    NotInPlan {
        /// The HTTP status.
        status: u16,
        /// The vendor's code, or `none`.
        code: String,
        /// The vendor's text, shortened.
        message: String,
        /// What the operator can do about it.
        remedy: &'static str,
    },
    /// A row could not be a record of a topic.
    #[error("the page holds a row of {bytes} bytes, more than {bytes_max}")]
    RowTooLarge {
        /// The length of the row and its key.
        bytes: usize,
        /// The most that is taken.
        bytes_max: usize,
    },
    /// The page contradicts itself or the request.
    #[error("the page is not the one that was asked for: {problem}")]
    WrongPage {
        /// What is wrong.
        problem: String,
    },
}

impl FetchFailure {
    /// Returns whether the same request may succeed in seconds rather than in hours.
    #[must_use]
    pub const fn passes_soon(&self) -> bool {
        match self {
            Self::Vendor { passes_soon, .. } => *passes_soon,
            Self::TooLarge { .. } | Self::NotInPlan { .. } | Self::RowTooLarge { .. } => false,
            Self::Network { .. } | Self::NoPage { .. } | Self::WrongPage { .. } => true,
        }
    }
}

/// What a vendor's error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The month's requests are used up.
    Quota,
    /// Too fast; or a failure of the vendor's own. Seconds.
    PassesSoon,
    /// No such data for now. Hours.
    PassesLate,
    /// The one thing asked for does not exist.
    Absent,
    /// The plan leaves out this interval or dataset, and may well serve others.
    NotInPlan,
    /// Only the operator can mend it.
    Refused(&'static str),
}

const REMEDY_KEY: &str = "check the access key in its secret scope and the account's state";
const REMEDY_INTERVAL: &str =
    "the plan does not serve this interval; ask for `15m` or longer, or upgrade";
const REMEDY_DATASET: &str = "the plan does not serve this dataset; leave it out, or upgrade";
const REMEDY_HTTPS: &str = "the plan has no https on v1: use the v2 base URL";
const REMEDY_URL: &str = "check `source.base_url` and `source.version`";
const REMEDY_REQUEST: &str = "check the symbols and the interval against the vendor's lists";

/// Reads an error of the vendor or of the gateway in front of it.
///
/// | code | meaning |
/// |---|---|
/// | `usage_limit_reached`, `too_many_requests`, 104 | the month's quota |
/// | `rate_limit_reached`, any other 429, 5xx, unknown on 200 | passes soon |
/// | 406, 422 without a valid symbol, a `detail` | passes late |
/// | `function_access_restricted`, 105, a 403 without a code | not in the plan |
/// | 401, other 4xx | an operator's task |
pub(super) fn meaning(status: u16, error: &VendorError) -> Meaning {
    // The gateway counts its errors; its `type`, when there is one, says the same in words.
    let code = match error.code.as_str() {
        "101" => "invalid_access_key",
        "102" => "inactive_user",
        "103" => "invalid_api_function",
        "104" => "usage_limit_reached",
        "105" => "function_access_restricted",
        "106" => "rate_limit_reached",
        code => code,
    };
    match code {
        "usage_limit_reached" => Meaning::Quota,
        "rate_limit_reached" | "internal_error" => Meaning::PassesSoon,
        // The documented text of this code is about the month; some gateways use it per second.
        "too_many_requests" if !error.message.to_ascii_lowercase().contains("rate limit") => {
            Meaning::Quota
        }
        "too_many_requests" => Meaning::PassesSoon,
        "missing_access_key" | "invalid_access_key" | "unauthorized" | "inactive_user" => {
            Meaning::Refused(REMEDY_KEY)
        }
        "https_access_restricted" => Meaning::Refused(REMEDY_HTTPS),
        "function_access_restricted" => Meaning::NotInPlan,
        "invalid_api_function" => Meaning::Refused(REMEDY_URL),
        "404_not_found" | "not_found_error" => Meaning::Absent,
        "data_not_available" | "no_valid_symbols_provided" => Meaning::PassesLate,
        "validation_error" => Meaning::Refused(REMEDY_REQUEST),
        _ => meaning_of_status(status),
    }
}

fn meaning_of_status(status: u16) -> Meaning {
    match status {
        300..=399 => Meaning::Refused(REMEDY_URL),
        401 => Meaning::Refused(REMEDY_KEY),
        403 => Meaning::NotInPlan,
        404 => Meaning::Absent,
        406 | 422 => Meaning::PassesLate,
        408 | 425 | 429 => Meaning::PassesSoon,
        400..=499 => Meaning::Refused(REMEDY_REQUEST),
        _ => Meaning::PassesSoon,
    }
}

/// Turns a vendor's error into ours; `None` means that the answer is an empty page.
pub(super) fn into_error(
    status: u16,
    error: VendorError,
    request: &PageRequest,
    retry_after: Option<Duration>,
    now: DateTime<Utc>,
) -> Option<Error> {
    let dataset = request.dataset;
    let passing = |passes_soon: bool, error: VendorError| Error::Fetch {
        dataset,
        offset: request.offset,
        retry_after,
        source: FetchFailure::Vendor {
            status,
            code: error.code,
            message: error.message,
            passes_soon,
        },
    };
    Some(match meaning(status, &error) {
        Meaning::Quota => Error::QuotaExhausted { dataset, ts_reset: next_month(now) },
        Meaning::PassesSoon => passing(true, error),
        Meaning::PassesLate => passing(false, error),
        Meaning::NotInPlan => Error::Fetch {
            dataset,
            offset: request.offset,
            retry_after,
            source: FetchFailure::NotInPlan {
                status,
                code: error.code,
                message: error.message,
                remedy: match dataset {
                    Dataset::Intraday => REMEDY_INTERVAL,
                    _ => REMEDY_DATASET,
                },
            },
        },
        // A ticker the vendor does not know is an answer; a missing list is a wrong address.
        Meaning::Absent if dataset == Dataset::Tickers => return None,
        Meaning::Absent => passing(false, error),
        Meaning::Refused(remedy) => {
            Error::Refused { dataset, status, code: error.code, message: error.message, remedy }
        }
    })
}
