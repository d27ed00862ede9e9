//! The routes: what is asked, handed to the tables, sent as it is.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get},
};
use lake::datafusion::prelude::SessionContext;
use model::status::PipelineStatus;

use super::{
    App, connect,
    login::Visitor,
    params::Params,
    query,
    reply::Refusal,
    stream::stream,
    tables,
    wire::{Bars, Health, Quotes, Symbols},
};
use crate::{Error, metrics};

/// Version of the program.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

const OPENAPI: &str = include_str!("openapi.json");

/// Every route with its handler. The console answers all other paths.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/api/v1/health", get(health)),
        ("/api/v1/status", get(status)),
        ("/api/v1/symbols", get(symbols)),
        ("/api/v1/bars", get(bars)),
        ("/api/v1/quotes", get(quotes)),
        ("/api/v1/stream", get(stream)),
        ("/api/v1/query", get(query::by_address).post(query::by_body)),
        ("/api/v1/query/{id}", delete(query::cancel)),
        ("/api/v1/tables/{table}", get(query::table)),
        ("/api/v1/connect", get(connect::connections)),
        ("/api/v1/connect/powerbi/{file}", get(connect::powerbi)),
        ("/api/v1/openapi.json", get(openapi)),
        ("/metrics", get(metrics_text)),
    ]
}

async fn health(params: Params) -> Result<Json<Health>, Refusal> {
    params.only(&[])?;
    Ok(Json(Health { status: "ok", release: RELEASE }))
}

async fn status(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<PipelineStatus>, Refusal> {
    params.only(&[])?;
    Ok(Json(seen(&app, &visitor).await))
}

/// How the pipeline is doing, with the tables that the visitor sees.
async fn seen(app: &App, visitor: &Visitor) -> PipelineStatus {
    let mut status = app.status.status().await;
    status.tables.retain(|table| visitor.role.reader.shows(&table.name));
    status
}

async fn symbols(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<Symbols>, Refusal> {
    params.only(&[])?;
    let _turn = app.gate.enter().await?;
    let symbols = tables::symbols(&context(&visitor).await?).await?;
    within_rows(&visitor, symbols.len())?;
    Ok(Json(Symbols { symbols }))
}

async fn bars(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<Bars>, Refusal> {
    let params = params.only(&["symbol", "interval", "from", "to", "limit"])?;
    let (symbol, interval) = (params.symbol()?, params.interval()?);
    let (range, limit) = (params.range()?, params.limit()?);
    let _turn = app.gate.enter().await?;
    let context = context(&visitor).await?;
    let Some(listing) = tables::listing(&context, &symbol, interval).await? else {
        return Err(Refusal::unknown_symbol(&symbol));
    };
    let bars = tables::bars(&context, &listing, interval, range, limit).await?;
    within_rows(&visitor, bars.len())?;
    Ok(Json(Bars { symbol, interval: interval.as_str(), bars }))
}

async fn quotes(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<Quotes>, Refusal> {
    let symbols = params.only(&["symbols"])?.symbols()?;
    let _turn = app.gate.enter().await?;
    let quotes = tables::quotes(&context(&visitor).await?, symbols.as_ref()).await?;
    within_rows(&visitor, quotes.len())?;
    Ok(Json(Quotes { quotes }))
}

async fn openapi(params: Params) -> Result<Response, Refusal> {
    params.only(&[])?;
    Ok(([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response())
}

async fn metrics_text(State(app): State<Arc<App>>, visitor: Visitor) -> Response {
    let status = seen(&app, &visitor).await;
    let (requests, streams) = (app.meter.report(), app.streams.open());
    let text = metrics::render(&status, &requests, streams, app.flight.as_ref());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// A new context over one snapshot: everything one answer says is of the same versions.
async fn context(visitor: &Visitor) -> Result<SessionContext, Error> {
    visitor.role.reader.context().await.map_err(Error::lake("a snapshot of the lake"))
}

/// Refuses an answer that is longer than those that the visitor may take.
fn within_rows(visitor: &Visitor, rows: usize) -> Result<(), Refusal> {
    let most = visitor.role.rows_max;
    if u64::try_from(rows).is_ok_and(|rows| rows <= most) {
        return Ok(());
    }
    let message = format!("the answer has more rows than the {most} of your role; ask for less");
    Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_rows", message))
}

#[cfg(test)]
mod tests;
