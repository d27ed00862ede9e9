//! Delta Sharing: tables of the lake for pandas, Spark, Power BI and every other client of the open
//! protocol, which read the data files themselves.
//!
//! A recipient comes with a bearer token, sees the shares that token is for, and is given addresses
//! of data files that open them for a while. Nothing passes through the query engine, and nothing
//! can be written.

mod access;
mod answer;
mod capabilities;
mod files;
mod hints;
mod links;
mod listing;
mod page;
mod refused;
mod request;
mod shares;
mod tables;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, Uri, header},
    response::IntoResponse,
    routing::{get, head, post},
};

use self::{access::Failures, refused::Refused};
pub use self::{
    access::{InvalidRecipient, Recipient, TokenHash},
    links::{FileLinks, LinkKey, Links},
    shares::{InvalidShare, Share},
};
use super::App;

/// Where the protocol begins.
pub const PREFIX: &str = "/delta-sharing";

/// The largest body of a query: thousands of predicates.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;

/// What is shared, with whom, and how files are opened to them.
#[derive(Debug)]
pub struct Sharing {
    /// What is shared.
    pub shares: Vec<Share>,
    /// Who may read it.
    pub recipients: Vec<Recipient>,
    /// How long the address of a file opens it.
    pub url_lifetime: Duration,
    /// Where clients find this server, such as `https://lake.example/delta-sharing`; `None`: under
    /// the host that they asked.
    pub endpoint: Option<String>,
    /// Who opens the files.
    pub links: Links,
}

/// The state of the routes.
#[derive(Debug)]
pub(super) struct State {
    sharing: Arc<Sharing>,
    failures: Failures,
    has_tls: bool,
}

impl State {
    pub(super) fn new(sharing: Arc<Sharing>, has_tls: bool) -> Self {
        Self { sharing, failures: Failures::default(), has_tls }
    }

    /// Where clients find the server: as configured, or as they asked. The guard has checked the host.
    pub(super) fn endpoint(&self, headers: &HeaderMap) -> String {
        if let Some(endpoint) = &self.sharing.endpoint {
            return endpoint.trim_end_matches('/').to_owned();
        }
        let scheme = if self.has_tls { "https" } else { "http" };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        format!("{scheme}://{}{PREFIX}", host.unwrap_or_default())
    }
}

/// Returns whether a path belongs to the protocol, whose refusals look different.
pub(super) fn is_ours(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every endpoint of the protocol, below [`PREFIX`].
pub(super) fn routes() -> Router<Arc<App>> {
    const TABLE: &str = "/shares/{share}/schemas/{schema}/tables/{table}";
    Router::new()
        .route("/shares", get(listing::shares))
        .route("/shares/{share}", get(listing::share))
        .route("/shares/{share}/schemas", get(listing::schemas))
        .route("/shares/{share}/schemas/{schema}/tables", get(listing::tables))
        .route("/shares/{share}/all-tables", get(listing::all_tables))
        .route(TABLE, head(tables::version))
        .route(&format!("{TABLE}/version"), get(tables::version))
        .route(&format!("{TABLE}/metadata"), get(tables::metadata))
        .route(&format!("{TABLE}/query"), post(tables::query))
        .route(&format!("{TABLE}/changes"), get(tables::changes))
        .route("/files/{table}/{*path}", get(files::file))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
}

async fn nothing(uri: Uri) -> Refused {
    Refused::not_found(format!("nothing at `{}`", super::reply::echo(uri.path())))
}

async fn not_so(uri: Uri) -> impl IntoResponse {
    let allowed = if uri.path().ends_with("/query") { "POST" } else { "GET, HEAD" };
    ([(header::ALLOW, allowed)], Refused::method(super::reply::echo(uri.path())))
}
