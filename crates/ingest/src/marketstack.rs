//! The client for Marketstack v1 and v2: one request, one checked page.
//!
//! The access key is added to the URL in the last step before the request and to nothing else:
//! neither an error nor a log line nor a record can hold it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use model::{Clock, Dataset};
use reqwest::{
    Client, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use url::Url;

use crate::{
    Error,
    source::{MarketSource, Page, PageRequest, Window},
};

mod body;
mod check;
mod failure;
mod scan;
mod url_key;

pub use failure::FetchFailure;
pub use url_key::{AccessKey, AccessKeyError, AccessKeySource};
use url_key::{SourceUrl, check_base_url};

/// Most bytes of one response. A thousand rows are 0.5 MB; a body over 64 MiB is an attack or a
/// mistake, and it would be held in memory whole.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The longest wait a vendor may ask for and get within one fetch; more is left to the next one.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A version of the vendor's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// The one from 2018, deprecated in 2025.
    V1,
    /// The current one.
    V2,
}

/// How the vendor is reached.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Base URL up to and with the version, such as `https://api.marketstack.com/v2`.
    pub base_url: String,
    /// The version spoken at that URL.
    pub version: ApiVersion,
    /// Lets the key travel over plain http to another machine. Only for test networks.
    pub allow_http: bool,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a whole response; slower ones are fetched again.
    pub request_timeout: Duration,
}

/// The client.
pub struct Marketstack {
    client: Client,
    base_url: Url,
    version: ApiVersion,
    access_key: Arc<dyn AccessKeySource>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Marketstack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marketstack")
            .field("base_url", &self.base_url.as_str())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Marketstack {
    /// Creates a client; nothing is sent yet.
    ///
    /// # Errors
    /// `Error::Settings` when the base URL is not one that a key may be sent to.
    pub fn new(
        config: &SourceConfig,
        access_key: Arc<dyn AccessKeySource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let base_url = check_base_url(&config.base_url, config.allow_http)?;
        let client = Client::builder()
            // A redirect would carry the key in its query, or in a referer, to another host.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .https_only(base_url.scheme() == "https")
            // Every request is counted against the quota, so none may be repeated unseen.
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .user_agent(concat!("marketlake/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Settings {
                setting: "source",
                problem: format!("no HTTP client: {}", error.without_url()),
            })?;
        Ok(Self { client, base_url, version: config.version, access_key, clock })
    }

    /// Builds the URL of a page, without the key.
    fn url(&self, request: &PageRequest) -> Url {
        let mut url = self.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(request.dataset.as_str());
            if request.dataset == Dataset::Tickers {
                path.extend(request.symbols.first());
            }
        }
        if request.dataset == Dataset::Tickers {
            return url;
        }
        let mut query = url.query_pairs_mut();
        if !request.symbols.is_empty() {
            query.append_pair("symbols", &request.symbols.join(","));
        }
        if let Some(interval) = request.interval {
            query.append_pair("interval", interval.vendor_name());
        }
        if request.after_hours && self.version == ApiVersion::V2 {
            query.append_pair("after_hours", "true");
        }
        if let Some((from, to)) = window_text(&request.window) {
            // Ascending order and a closed window: new rows can only come behind the last page.
            query.append_pair("date_from", &from).append_pair("date_to", &to);
            query.append_pair("sort", "ASC");
        }
        query.append_pair("limit", &request.rows_max.to_string());
        query.append_pair("offset", &request.offset.to_string());
        drop(query);
        url
    }

    async fn get(&self, request: &PageRequest, key: &AccessKey) -> Result<Response, Error> {
        let failed = |source| Error::Fetch {
            dataset: request.dataset,
            offset: request.offset,
            retry_after: None,
            source,
        };
        let network =
            |error: reqwest::Error| failed(FetchFailure::Network { source: error.without_url() });
        let url = SourceUrl::new(self.url(request), key);
        tracing::debug!(%url, "request");
        let mut response = self.client.get(url.into_inner()).send().await.map_err(network)?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), self.clock.now());
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(network)? {
            if BODY_BYTES_MAX < body.len().saturating_add(part.len()) {
                return Err(failed(FetchFailure::TooLarge { bytes_max: BODY_BYTES_MAX }));
            }
            body.extend_from_slice(&part);
        }
        Ok(Response { status, retry_after, body: body.freeze(), ts_fetched: self.clock.now() })
    }
}

struct Response {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
    ts_fetched: DateTime<Utc>,
}

#[async_trait]
impl MarketSource for Marketstack {
    fn name(&self) -> &'static str {
        match self.version {
            ApiVersion::V1 => "marketstack-v1",
            ApiVersion::V2 => "marketstack-v2",
        }
    }

    async fn page(&self, request: &PageRequest) -> Result<Page, Error> {
        let key = self
            .access_key
            .access_key()
            .map_err(|error| Error::AccessKey { kind: error.kind, source: error.source })?;
        let response = self.get(request, &key).await?;
        read_response(&response, request, &key)
    }
}

/// Turns a response into a page, or says why it is none.
fn read_response(
    response: &Response,
    request: &PageRequest,
    key: &AccessKey,
) -> Result<Page, Error> {
    let status = response.status.as_u16();
    let failed = |source| Error::Fetch {
        dataset: request.dataset,
        offset: request.offset,
        retry_after: response.retry_after,
        source,
    };
    let no_page = |problem| FetchFailure::NoPage { status, bytes: response.body.len(), problem };
    let vendor_error = match body::read(&response.body, request.dataset.as_str()) {
        body::Body::Rows { pagination, rows } if response.status == StatusCode::OK => {
            let rows = rows.into_iter().map(body::read_row).collect();
            let page = check::page(request, pagination, rows, response.ts_fetched);
            return page.map_err(failed);
        }
        // Under load the vendor answers 200 with an HTML page; that passes.
        body::Body::NoPage(problem) if response.status == StatusCode::OK => {
            return Err(failed(no_page(problem)));
        }
        body::Body::Error(error) => error.cleaned(key),
        body::Body::Rows { .. } | body::Body::NoPage(_) => {
            body::VendorError { code: "none".to_owned(), message: String::new() }
        }
    };
    let ts = response.ts_fetched;
    match failure::into_error(status, vendor_error, request, response.retry_after, ts) {
        Some(error) => Err(error),
        None => Ok(Page { rows: Vec::new(), rows_total: 0, ts_fetched: ts }),
    }
}

fn window_text(window: &Window) -> Option<(String, String)> {
    let text = |ts: &DateTime<Utc>| ts.format("%Y-%m-%dT%H:%M:%S+0000").to_string();
    match window {
        Window::Times { from, to } => Some((text(from), text(to))),
        Window::Dates { from, to } => Some((from.to_string(), to.to_string())),
        Window::All => None,
    }
}

/// Reads both forms of `Retry-After`: seconds, or an HTTP date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let ts = DateTime::parse_from_rfc2822(text).ok()?.to_utc();
            (ts - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
