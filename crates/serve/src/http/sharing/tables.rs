//! One table: its version, its metadata, its files.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use lake::{AsOf, TableFile, TableVersion};
use object_store::path::Path as Object;

use super::{
    Links, Refused,
    access::Caller,
    answer::{self, OpenFile},
    capabilities::Negotiated,
    hints::{self, Columns},
    request::{Names, Query, TableQuery, no_changes},
};
use crate::{Error, http::reply::echo};

const VERSION: HeaderName = HeaderName::from_static("delta-table-version");
const LINES: &str = "application/x-ndjson; charset=utf-8";

/// Share, schema and table as the address names them.
type Named = Names<(String, String, String)>;

/// `GET …/version`, and the older `HEAD …`.
pub(super) async fn version(caller: Caller, names: Named, uri: Uri) -> Result<Response, Refused> {
    let table = table(&caller, &names)?;
    let reader = &caller.app().reader;
    let version = match Query::of(&uri)?.ts("startingTimestamp")? {
        None => reader.version(&table).await.map_err(reading(&table))?,
        Some(ts) => {
            let version = reader.version_since(&table, ts).await.map_err(reading(&table))?;
            version.ok_or_else(|| {
                Refused::request("`startingTimestamp` is later than the newest version")
            })?
        }
    };
    Ok([(VERSION, version.to_string())].into_response())
}

/// `GET …/metadata`.
pub(super) async fn metadata(
    caller: Caller,
    names: Named,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let table = table(&caller, &names)?;
    let negotiated = Negotiated::of(&headers);
    let found = find(&caller, &table, AsOf::Newest).await?;
    let lines = answer::head(negotiated.format, &found);
    Ok(respond(negotiated, found.version, answer::text(&lines)))
}

/// `POST …/query`.
pub(super) async fn query(
    caller: Caller,
    names: Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let table = table(&caller, &names)?;
    let negotiated = Negotiated::of(&headers);
    let TableQuery { as_of, predicate, limit } = TableQuery::read(body).await?;
    let _turn = caller.app().gate.enter().await?;
    let found = find(&caller, &table, as_of).await?;
    let columns = Columns::of(&found.metadata);
    let files = hints::choose(&found.files, &columns, &predicate, limit);
    let opened = open(&caller, &table, &headers, files).await?;
    let mut lines = answer::head(negotiated.format, &found);
    lines.extend(opened.iter().map(|open| answer::file(negotiated.format, &found, open)));
    tracing::info!(
        recipient = caller.recipient.name,
        table,
        version = found.version,
        files = opened.len(),
        of = found.files.len(),
        "shared files"
    );
    Ok(respond(negotiated, found.version, answer::text(&lines)))
}

/// `GET …/changes`. No table of ours keeps a change data feed; a silver table's versions only add
/// rows, so its versions tell the same.
pub(super) async fn changes(caller: Caller, names: Named) -> Result<Response, Refused> {
    let _table = table(&caller, &names)?;
    Err(no_changes())
}

/// Returns layer and name of the table that is meant, if the caller sees it.
fn table(caller: &Caller, Names((share, schema, table)): &Named) -> Result<String, Refused> {
    let found = caller.share(share)?.table(schema, table);
    found.ok_or_else(|| Refused::not_found(format!("no table `{}.{}`", echo(schema), echo(table))))
}

async fn find(caller: &Caller, table: &str, as_of: AsOf) -> Result<TableVersion, Refused> {
    let found = caller.app().reader.table_version(table, as_of).await.map_err(reading(table))?;
    let found =
        found.ok_or_else(|| Refused::request("the table has no such version, or not any more"))?;
    answer::check(&found).map_err(Refused::request)?;
    Ok(found)
}

/// Returns the files with addresses that open them, no longer than the caller's token is good.
async fn open<'f>(
    caller: &Caller,
    table: &str,
    headers: &HeaderMap,
    files: Vec<&'f TableFile>,
) -> Result<Vec<OpenFile<'f>>, Refused> {
    let sharing = &caller.state()?.sharing;
    let now = caller.app().clock.now();
    let (expires, lifetime) = end(now, sharing.url_lifetime, caller.recipient.expires);
    let urls: Vec<String> = match &sharing.links {
        Links::Own(key) => {
            let endpoint = caller.state()?.endpoint(headers);
            files.iter().map(|file| key.address(&endpoint, table, file, expires)).collect()
        }
        Links::Store(links) => {
            let objects: Vec<Object> = files.iter().map(|file| file.object.clone()).collect();
            let signed = Arc::clone(links).sign(&objects, lifetime).await.map_err(|source| {
                Error::Sign { table: table.to_owned(), source: Box::new(source) }
            })?;
            signed.into_iter().map(String::from).collect()
        }
    };
    let files = files.into_iter().zip(urls);
    Ok(files.map(|(file, url)| OpenFile { file, url, expires }).collect())
}

/// Returns when addresses end, and how long that is from now.
fn end(
    now: DateTime<Utc>,
    lifetime: std::time::Duration,
    token_ends: DateTime<Utc>,
) -> (DateTime<Utc>, std::time::Duration) {
    let wanted =
        TimeDelta::from_std(lifetime).ok().and_then(|lifetime| now.checked_add_signed(lifetime));
    let expires = wanted.map_or(token_ends, |wanted| wanted.min(token_ends));
    (expires, (expires - now).to_std().unwrap_or_default())
}

fn respond(negotiated: Negotiated, version: u64, body: String) -> Response {
    let headers = [(VERSION, version.to_string()), (header::CONTENT_TYPE, LINES.to_owned())];
    let mut response = (headers, body).into_response();
    response.headers_mut().extend(negotiated.header());
    response
}

fn reading(table: &str) -> impl FnOnce(lake::Error) -> Error {
    Error::lake(format!("the shared table `{table}`"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_ends_with_the_token_at_the_latest() {
        let ts = |second| DateTime::from_timestamp(second, 0).unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!(end(ts(100), minute, ts(1000)), (ts(160), minute));
        assert_eq!(end(ts(100), minute, ts(130)), (ts(130), Duration::from_secs(30)));
        assert_eq!(end(ts(100), Duration::MAX, ts(130)).0, ts(130));
    }
}
