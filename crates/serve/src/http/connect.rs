//! How other programs reach the same tables: where the ports are, and files that tools open.

use std::{
    io::{Cursor, Write as _},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::{App, login::Visitor, params::Params, reply::Refusal};
use crate::powerbi::{self, Database, Mode, NAME, Server, Wishes};

/// The doors beside HTTP.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The PostgreSQL port.
    pub postgres: SocketAddr,
    /// Who logs in there.
    pub user: String,
    /// The database's name.
    pub database: String,
}

/// `GET /api/v1/connect`.
#[derive(Debug, Serialize)]
pub(super) struct Connections<'a> {
    postgres: Option<Port<'a>>,
    sharing_endpoint: Option<String>,
    has_sql: bool,
}

#[derive(Debug, Serialize)]
struct Port<'a> {
    host: String,
    port: u16,
    user: &'a str,
    database: &'a str,
}

/// `GET /api/v1/connect`.
pub(super) async fn connections(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    params.only(&[])?;
    let postgres = app.doors.as_ref().map(|doors| Port {
        host: host(doors, &headers),
        port: doors.postgres.port(),
        user: if visitor.is_known { &visitor.role.name } else { &doors.user },
        database: &doors.database,
    });
    let sharing_endpoint = app.sharing.as_ref().map(|sharing| sharing.endpoint(&headers));
    let connections = Connections { postgres, sharing_endpoint, has_sql: app.desk.is_some() };
    Ok(Json(connections).into_response())
}

/// `GET /api/v1/connect/powerbi/{file}`.
pub(super) async fn powerbi(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    params.only(&[])?;
    let unknown = || {
        let names: Vec<_> = FILES.iter().map(|kind| format!("`{}`", kind.name())).collect();
        let message = format!("there is no such file; there are {}", names.join(", "));
        Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
    };
    let kind = FILES.iter().find(|kind| kind.name() == file).ok_or_else(unknown)?;
    let doors = app.doors.as_ref().ok_or_else(unknown)?;
    let wishes = wishes(doors, &headers, kind.mode())?;
    let (media, bytes) = match kind {
        File::Connection(mode) => {
            let text = powerbi::connection(&wishes.server, &wishes.database, *mode);
            ("application/json", text.into_bytes())
        }
        File::Project(_) => {
            ("application/zip", zipped(&powerbi::project(&wishes)).map_err(|_| unzipped())?)
        }
    };
    let attachment = format!("attachment; filename=\"{file}\"");
    let headers =
        [(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, attachment)];
    Ok((headers, bytes).into_response())
}

/// What can be downloaded.
#[derive(Clone, Copy, Debug)]
enum File {
    Connection(Mode),
    Project(Mode),
}

const FILES: [File; 4] = [
    File::Connection(Mode::Import),
    File::Connection(Mode::DirectQuery),
    File::Project(Mode::Import),
    File::Project(Mode::DirectQuery),
];

impl File {
    const fn mode(self) -> Mode {
        match self {
            Self::Connection(mode) | Self::Project(mode) => mode,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Connection(mode) => powerbi::connection_name(mode),
            Self::Project(Mode::Import) => format!("{NAME}-import.zip"),
            Self::Project(Mode::DirectQuery) => format!("{NAME}-directquery.zip"),
        }
    }
}

fn wishes(doors: &Doors, headers: &HeaderMap, mode: Mode) -> Result<Wishes, Refusal> {
    let server = format!("{}:{}", host(doors, headers), doors.postgres.port());
    let invalid = |error: powerbi::InvalidTarget| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_host", error.to_string())
    };
    let server: Server = server.parse().map_err(invalid)?;
    let database: Database = doors.database.parse().map_err(invalid)?;
    Ok(Wishes { server, database, mode })
}

/// The host under which the SQL port is reached: as the console is, unless that is only an address of
/// this machine, whose name certificates are made out to.
fn host(doors: &Doors, headers: &HeaderMap) -> String {
    let authority = authority(headers);
    let is_ipv6 = authority.starts_with('[');
    let name = authority.rsplit_once(':').map_or(authority.as_str(), |(name, _)| name);
    let is_here = is_ipv6 || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if is_here || name.is_empty() || doors.postgres.ip().is_loopback() {
        return "localhost".to_owned();
    }
    name.to_ascii_lowercase()
}

/// The guard let only allowed names through.
fn authority(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or_default().to_owned()
}

/// Puts the files into an archive: always the same bytes, for the same files.
fn zipped(files: &[(String, String)]) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    for (path, text) in files {
        archive.start_file(format!("{NAME}/{path}"), options)?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

fn unzipped() -> Refusal {
    let message = "the project could not be put into an archive; `marketlake powerbi` writes it";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check_host(bind: &str, asked: &'static str, expected: &str) {
        let doors = Doors {
            postgres: bind.parse().unwrap(),
            user: "u".to_owned(),
            database: "d".to_owned(),
        };
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(asked))]);
        assert_eq!(host(&doors, &headers), expected, "{bind} {asked}");
    }

    #[test]
    fn the_sql_port_is_where_the_console_is_unless_it_is_on_this_machine_only() {
        check_host("127.0.0.1:5439", "lake.example", "localhost");
        check_host("0.0.0.0:5439", "Lake.example:8080", "lake.example");
        check_host("0.0.0.0:5439", "127.0.0.1:8080", "localhost");
        check_host("0.0.0.0:5439", "[::1]:8080", "localhost");
        check_host("0.0.0.0:5439", "", "localhost");
    }

    #[test]
    fn the_same_project_is_the_same_archive() {
        let files =
            vec![("a/b.json".to_owned(), "{}".to_owned()), ("c".to_owned(), "x".to_owned())];
        let first = zipped(&files).unwrap();
        assert_eq!(first, zipped(&files).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(first)).unwrap();
        let names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["marketlake/a/b.json", "marketlake/c"]);
        let text = std::io::read_to_string(archive.by_index(0).unwrap()).unwrap();
        assert_eq!(text, "{}");
    }
}
