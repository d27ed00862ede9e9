//! SQL over HTTP: one read-only statement, its rows streamed as JSON lines, CSV or Parquet.
//!
//! ```text
//! ask ─▶ statement gate and engine of the PostgreSQL port ─▶ form ─▶ chunk by chunk to the client
//!  GET, POST, or the name of a table                          │
//!                              ends early: the client leaves, DELETE, the timeout, too many rows
//! ```
//!
//! Nothing is said before the first rows are there, so that a statement that fails at once is an
//! error of the request. What fails later cuts the answer: the connection ends without the last
//! chunk, and JSON lines say why in their last line.

mod ask;
mod csv;
mod form;
mod lines;
mod parquet;
mod pump;
mod running;
mod tables;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use self::{
    ask::Ask,
    form::Format,
    pump::Pump,
    running::{Id, Running},
};
use super::{App, guard, login::Visitor, params::Params, reply::Refusal};
use crate::postgres::{Queries, Refused};

/// Statements that run at once. Each may keep a core busy for its whole time; people who wait for
/// more than a few results look at none of them.
pub(super) const STATEMENTS_MAX: usize = 8;

/// Where statements are asked.
const PATH: &str = "/api/v1/query";
/// Where tables are downloaded.
const TABLES: &str = "/api/v1/tables/";

/// The state of the routes.
#[derive(Debug)]
pub(super) struct Desk {
    queries: Arc<Queries>,
    slots: Arc<Semaphore>,
    running: Arc<Running>,
}

impl Desk {
    pub(super) fn new(queries: Arc<Queries>) -> Self {
        let slots = Arc::new(Semaphore::new(STATEMENTS_MAX));
        Self { queries, slots, running: Arc::default() }
    }
}

/// Whether a path leads here: such answers have a timeout of their own, and may take a `POST`.
pub(super) fn is_ours(path: &str) -> bool {
    path == PATH
        || path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
        || path.starts_with(TABLES)
}

/// Whether a request may come with a body: a statement is longer than an address can be.
pub(super) fn may_post(path: &str) -> bool {
    path == PATH
}

/// Whether something may be ended here.
pub(super) fn may_delete(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
}

/// `GET /api/v1/query`.
pub(super) async fn by_address(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
) -> Result<Response, Refusal> {
    let ask = Ask::of_params(&params.only(&["sql", "format", "limit", "id"])?)?;
    answer(&app, &visitor, ask, "query").await
}

/// `POST /api/v1/query`.
pub(super) async fn by_body(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    params.only(&[])?;
    ask::check_type(&headers)?;
    let body = in_time(&app, &visitor, axum::body::Bytes::from_request(request, &())).await?;
    let body = body.map_err(|_| ask::too_long())?;
    answer(&app, &visitor, Ask::of_json(&body)?, "query").await
}

/// `DELETE /api/v1/query/{id}`.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = Id::parse(&id)?;
    if desk(&app)?.running.cancel(&visitor.role.name, &id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let message = "no statement of this `id` is running; it may have ended";
    Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", message))
}

/// `GET /api/v1/tables/{table}`.
pub(super) async fn table(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let params = params.only(&["format", "symbols", "from", "to", "limit"])?;
    let wanted = tables::Wanted::new(&name, &params)?;
    if !visitor.role.reader.shows(&name) {
        // As what is not there at all.
        return Err(tables::unknown(&name));
    }
    let desk = desk(&app)?;
    // A look at the columns, which decide what the filters mean.
    let columns =
        in_time(&app, &visitor, desk.queries.open(&visitor.role, wanted.look(), None)).await??;
    let sql = wanted.sql(columns.columns())?;
    drop(columns);
    let ask =
        Ask { sql, format: Format::of_download(&params)?, limit: params.rows_limit()?, id: None };
    answer(&app, &visitor, ask, &wanted.name()).await
}

/// What comes before a statement runs has as long as other requests of the role have.
async fn in_time<T>(
    app: &App,
    visitor: &Visitor,
    work: impl Future<Output = T>,
) -> Result<T, Refusal> {
    let limit = guard::REQUEST_TIMEOUT.min(visitor.role.statement_timeout);
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = app.clock.sleep(limit) => Err(guard::timed_out(limit)),
    }
}

/// Lets the statement run, and answers once its first rows are there.
async fn answer(app: &App, visitor: &Visitor, ask: Ask, name: &str) -> Result<Response, Refusal> {
    let desk = desk(app)?;
    let busy = || Refusal::busy("too many statements are running; try again when one has ended");
    let of_role = visitor.role.enter().ok_or_else(busy)?;
    let of_all = Arc::clone(&desk.slots).try_acquire_owned().map_err(|_| busy())?;
    let place = Running::enter(&desk.running, &visitor.role.name, ask.id)?;
    let pump = Pump {
        queries: Arc::clone(&desk.queries),
        visitor: visitor.clone(),
        notes: app.notes.clone(),
        sql: ask.sql,
        format: ask.format,
        limit: ask.limit,
        stop: app.stop.clone(),
        place,
        slots: [of_role, of_all],
    };
    let body = pump.start().await?;
    Ok((headers(ask.format, name), Body::from_stream(body)).into_response())
}

fn headers(format: Format, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    // `name` is a table's or ours: nothing in it needs an escape.
    let file = format!("attachment; filename=\"{name}.{}\"", format.extension());
    if format.is_file()
        && let Ok(file) = HeaderValue::from_str(&file)
    {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    headers
}

fn desk(app: &App) -> Result<&Desk, Refusal> {
    app.desk.as_ref().ok_or_else(|| {
        let message = "SQL over HTTP is switched off (`http.sql`)";
        Refusal::new(StatusCode::NOT_FOUND, "sql_disabled", message)
    })
}

impl From<Refused> for Refusal {
    /// Tells a statement's failure with the SQLSTATE and the place, as the port would.
    fn from(refused: Refused) -> Self {
        let (status, code) = status_of(&refused);
        Self::new(status, code, refused.message.clone()).with_statement(refused)
    }
}

/// Whose fault it is, by the class of the SQLSTATE.
fn status_of(refused: &Refused) -> (StatusCode, &'static str) {
    if *refused == Refused::canceled() {
        return (StatusCode::CONFLICT, "canceled");
    }
    match refused.code.get(..2) {
        Some("57") => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        Some("53" | "58") => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Some("XX") => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "query_failed"),
    }
}
