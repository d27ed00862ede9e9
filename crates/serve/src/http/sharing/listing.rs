//! What there is: shares, schemas and tables, each as far as the recipient sees them.

use axum::{
    Json,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use super::{
    Refused,
    access::Caller,
    page::PageRequest,
    request::{Names, Query},
};
use crate::http::reply::echo;

#[derive(Serialize)]
struct ShareItem<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct SchemaItem<'a> {
    name: &'a str,
    share: &'a str,
}

#[derive(Serialize)]
struct TableItem<'a> {
    name: &'a str,
    schema: &'a str,
    share: &'a str,
}

pub(super) async fn shares(caller: Caller, uri: Uri) -> Result<Response, Refused> {
    let page = wanted(&uri)?;
    let shares = caller.shares()?;
    let items = shares.iter().map(|share| ShareItem { name: &share.name }).collect();
    Ok(answer(page.of(items, |item: &ShareItem<'_>| item.name.to_owned())))
}

pub(super) async fn share(
    caller: Caller,
    Names(share): Names<String>,
) -> Result<Response, Refused> {
    let share = caller.share(&share)?;
    Ok(answer(json!({"share": {"name": share.name}})))
}

pub(super) async fn schemas(
    caller: Caller,
    Names(share): Names<String>,
    uri: Uri,
) -> Result<Response, Refused> {
    let page = wanted(&uri)?;
    let share = caller.share(&share)?;
    let items = share.schemas().map(|name| SchemaItem { name, share: &share.name }).collect();
    Ok(answer(page.of(items, |item: &SchemaItem<'_>| item.name.to_owned())))
}

pub(super) async fn tables(
    caller: Caller,
    Names((share, schema)): Names<(String, String)>,
    uri: Uri,
) -> Result<Response, Refused> {
    let page = wanted(&uri)?;
    let share = caller.share(&share)?;
    let (schema, tables) = share
        .schema(&schema)
        .ok_or_else(|| Refused::not_found(format!("no schema `{}`", echo(&schema))))?;
    let items = tables.iter().map(|name| TableItem { name, schema, share: &share.name }).collect();
    Ok(answer(page.of(items, table_key)))
}

pub(super) async fn all_tables(
    caller: Caller,
    Names(share): Names<String>,
    uri: Uri,
) -> Result<Response, Refused> {
    let page = wanted(&uri)?;
    let share = caller.share(&share)?;
    let items = share
        .tables()
        .map(|(schema, name)| TableItem { name, schema, share: &share.name })
        .collect();
    Ok(answer(page.of(items, table_key)))
}

fn table_key(item: &TableItem<'_>) -> String {
    format!("{}.{}", item.schema, item.name)
}

fn wanted(uri: &Uri) -> Result<PageRequest, Refused> {
    let query = Query::of(uri)?;
    PageRequest::new(query.get("maxResults"), query.get("pageToken"))
}

fn answer(body: impl Serialize) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], Json(body)).into_response()
}
