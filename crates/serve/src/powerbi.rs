//! Power BI's files over the views of schema `bi`: connections to open, and a whole project.
//!
//! Pure: the same wishes give the same bytes, so a project under version control shows what a new
//! release changed and nothing else. A project is a report (PBIR, one JSON file a visual) over a
//! semantic model (TMDL, one text file a table). The formats are written in versions a year older
//! than the newest, which every Desktop of that time opens and a newer one raises when it saves.

use serde_json::{Value, json};

mod identity;
mod measures;
mod model;
mod pages;
mod report;
mod shapes;
mod target;
mod tmdl;
mod visual;

pub use shapes::{Column, SqlType, TABLES, Table};
pub use target::{Database, InvalidTarget, Mode, Server};

/// What the files are to connect to, and how.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Where the PostgreSQL port is reached from the machine that Power BI runs on.
    pub server: Server,
    /// The database's name.
    pub database: Database,
    /// Whether the project keeps the data or asks for it.
    pub mode: Mode,
}

/// The name of the project, its report and its model; also how their files begin.
pub const NAME: &str = "marketlake";

/// Where the published schemas of all JSON files but `.pbids` lie.
const SCHEMAS: &str = "https://developer.microsoft.com/json-schemas/fabric";

/// The file that says what git leaves out.
pub const GITIGNORE: &str = ".gitignore";

/// What Desktop writes beside a project of its own: these files hold data and one user's settings.
const IGNORED: &str = "**/.pbi/localSettings.json\n**/.pbi/cache.abf\n";

/// Returns every file of a project with its path below the project's folder, `/` between its parts,
/// in the order of paths. Beside the project are the two connections of [`connection`].
#[must_use]
pub fn project(wishes: &Wishes) -> Vec<(String, String)> {
    let mut files = vec![
        (GITIGNORE.to_owned(), IGNORED.to_owned()),
        (format!("{NAME}.pbip"), document(&shortcut())),
        (connection_name(Mode::Import), connection(&wishes.server, &wishes.database, Mode::Import)),
        (
            connection_name(Mode::DirectQuery),
            connection(&wishes.server, &wishes.database, Mode::DirectQuery),
        ),
    ];
    files.extend(below(&format!("{NAME}.Report"), report::files()));
    files.extend(below(&format!("{NAME}.SemanticModel"), model::files(wishes)));
    files.sort();
    files
}

/// Returns what a `.pbids` file is called.
#[must_use]
pub fn connection_name(mode: Mode) -> String {
    let mode = match mode {
        Mode::Import => "import",
        Mode::DirectQuery => "directquery",
    };
    format!("{NAME}-{mode}.pbids")
}

/// Returns the text of a `.pbids` file: Desktop opens it by asking for a password, then for tables.
#[must_use]
pub fn connection(server: &Server, database: &Database, mode: Mode) -> String {
    let mode = match mode {
        Mode::Import => "Import",
        Mode::DirectQuery => "DirectQuery",
    };
    document(&json!({
        "version": "0.1",
        "connections": [{
            "details": {
                "protocol": "postgresql",
                "address": {"server": server.as_str(), "database": database.as_str()},
            },
            "options": {},
            "mode": mode,
        }],
    }))
}

fn shortcut() -> Value {
    json!({
        "$schema": format!("{SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json"),
        "version": "1.0",
        "artifacts": [{"report": {"path": format!("{NAME}.Report")}}],
        "settings": {"enableAutoRecovery": true},
    })
}

/// What Fabric knows an item by; `kind` is `Report` or `SemanticModel`.
fn platform(kind: &str) -> String {
    document(&json!({
        "$schema": format!("{SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json"),
        "metadata": {"type": kind, "displayName": NAME},
        "config": {"version": "2.0", "logicalId": identity::tag(&["item", kind])},
    }))
}

/// Writes JSON as people read it.
fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

fn below(
    folder: &str,
    files: Vec<(String, String)>,
) -> impl Iterator<Item = (String, String)> + use<'_> {
    files.into_iter().map(move |(path, text)| (format!("{folder}/{path}"), text))
}

#[cfg(test)]
mod tests;
