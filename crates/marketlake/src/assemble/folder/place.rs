//! Where a table lies, with its neighbours and the state of its streams.

use std::{path::Path as FilePath, sync::Arc};

use lake::{FileTable, FileTableConfig, Location};
use object_store::{ObjectStore, memory::InMemory, path::Path, prefix::PrefixStore};
use stores::Opened;
use url::Url;

use super::{absolute, local, store};
use crate::{
    assemble::{Access, ResultExt, Workbench},
    cli::TableArgs,
    failure::Failure,
};

/// The folder in a table's own that holds the state of its streams. Readers and vacuums of Delta
/// leave alone what begins so.
const STATE: &str = "_marketlake";

/// What stands behind a table's name in that of the table of its bad records, and of its files.
pub(super) const QUARANTINE: &str = "__quarantine";
const LEDGER: &str = "__files";

/// A table and its neighbours, in the store that holds them.
pub(crate) struct TablePlace {
    opened: Opened,
    /// The table's own name in its folder.
    name: String,
    stream: String,
}

impl TablePlace {
    /// Opens the store of a table; the table itself may not be there yet.
    pub(crate) async fn open(
        bench: &Workbench,
        table: &str,
        args: &TableArgs,
        access: Access,
    ) -> Result<Self, Failure> {
        let table = absolute(table)?;
        let (folder, name) = table.trim_end_matches('/').rsplit_once('/').unwrap_or(("", &table));
        // `s3://bucket` has nothing in front of the bucket.
        if folder.is_empty() || folder.ends_with('/') || name.is_empty() {
            return Err(Failure::config(
                "TABLE is no place for a table: it needs a folder of its own, and has neighbours \
                 beside it; write a name behind it",
            ));
        }
        check_table(name)?;
        check_name(&args.stream)?;
        let config = store(bench, "--table-option", folder, &args.table_options)?;
        let is_absent = |folder| !FilePath::new(folder).try_exists().unwrap_or(true);
        let opened = match local(folder) {
            // Opening would make it, and who only looks makes nothing.
            Some(folder) if access == Access::Read && is_absent(folder) => nowhere()?,
            _ => bench.connect("TABLE", &config, FilePath::new(folder)).await?,
        };
        Ok(Self { opened, name: name.to_owned(), stream: args.stream.clone() })
    }

    /// Returns the address of a table beside this one, or of this one.
    pub(super) fn location(&self, suffix: &str) -> Result<Location, Failure> {
        let name = format!("{}{suffix}/", self.name);
        let url =
            self.opened.url.join(&name).map_err(|error| Failure::config(error.to_string()))?;
        Ok(Location { store: Arc::clone(&self.opened.root), url })
    }

    /// Returns the store of the streams' states.
    pub(crate) fn state(&self) -> Arc<dyn ObjectStore> {
        let folder = Path::from(self.name.as_str()).join(STATE);
        Arc::new(PrefixStore::new(Arc::clone(&self.opened.store), folder))
    }

    /// Opens the table to be read and written by the stream.
    pub(crate) async fn table(&self, config: FileTableConfig) -> Result<FileTable, Failure> {
        FileTable::open(&self.location("")?, config).await.or_fail()
    }

    /// Returns where the ledger is kept as a table.
    pub(crate) fn ledger(&self) -> Result<Location, Failure> {
        self.location(LEDGER)
    }

    /// Returns how a table is written when nothing is known of its rows.
    pub(crate) fn plain_config(&self) -> FileTableConfig {
        FileTableConfig {
            stream: self.stream.clone(),
            metadata_column: None,
            partition_by: Vec::new(),
        }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }
}

/// Returns the store of tables that are not there yet.
fn nowhere() -> Result<Opened, Failure> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let url = Url::parse("memory:///").map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Opened { root: Arc::clone(&store), store, url, links: None })
}

/// Checks a table's own name, which is part of addresses. It is not shown: a signature may be in it.
fn check_table(name: &str) -> Result<(), Failure> {
    let is_odd = |letter: char| letter.is_control() || "\\?#%:*[]{}~^|<>\"`".contains(letter);
    if name == "." || name == ".." || name.contains(is_odd) {
        return Err(Failure::config(
            "the name of TABLE, behind its last slash, has a letter that no table's can have: use \
             letters, digits, spaces, `-`, `_`, `=` or `.`",
        ));
    }
    Ok(())
}

/// Checks the name of a stream, which is the name of a folder.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with(['.', '_'])
    {
        return Ok(());
    }
    Err(Failure::config(format!(
        "`--stream {name}`: write 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter \
         or a digit"
    )))
}
