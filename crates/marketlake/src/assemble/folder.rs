//! A folder of files and the table that it is loaded into, opened from what the command line says.

use std::{collections::BTreeMap, path::Path as FilePath, sync::Arc};

use autoloader::files::{
    Discoverer, Load, LoadOptions, SourceStore,
    clean::Cleaner,
    columns::StoredColumns,
    open_discoverer, open_stream,
    options::{CleanSource, HintSource, PartitionColumns},
    stream::Stream,
};
use lake::{FileTable, FileTableConfig};
use model::hint::Hints;
use object_store::path::Path;
use stores::{Opened, hints::Queue};
use url::Url;

use super::{Access, ResultExt, Workbench, options::CurrentOptions};
use crate::{
    cli::{FolderArgs, HowArgs},
    config::{self, StoreConfig},
    failure::Failure,
};

mod place;

use place::QUARANTINE;
pub(crate) use place::TablePlace;

/// A stream of files with all it needs.
pub(crate) struct OpenFolder {
    pub(crate) stream: Stream<FileTable>,
    pub(crate) cleaner: Cleaner,
    pub(crate) options: LoadOptions,
    /// Who keeps the columns, for whoever only wants to know of them.
    pub(crate) columns: StoredColumns,
}

/// Opens the stream that loads a folder into a table.
pub(crate) async fn open_folder(
    bench: &Workbench,
    args: &FolderArgs,
    access: Access,
) -> Result<OpenFolder, Failure> {
    let FolderArgs { source, table, how } = args;
    let options = options(how)?;
    let place = TablePlace::open(bench, table, &how.table, access).await?;
    let (source, hints, cleaner) = open_source(bench, source, how, &options, access).await?;
    if access == Access::Write {
        let asked = stores::probe_create_only(&place.state()).await.or_fail();
        asked.map_err(|failure| failure.context("the store of TABLE"))?;
    }
    let target = place
        .table(FileTableConfig {
            stream: place.stream().to_owned(),
            metadata_column: options.schema.metadata_column.clone(),
            partition_by: partition_by(&options),
        })
        .await?;
    let quarantine = FileTable::open(&place.location(QUARANTINE)?, place.plain_config()).await;
    let load = Load {
        stream: place.stream().to_owned(),
        source,
        options: options.clone(),
        hints,
        state: place.state(),
        target,
        quarantine: Some(quarantine.or_fail()?),
        clock: Arc::clone(&bench.clock),
        is_dry: access == Access::Read,
    };
    let columns = load.columns();
    let stream = open_stream(load).await.or_fail()?;
    Ok(OpenFolder { stream, cleaner, options, columns })
}

/// Opens what finds the files of a source, with the queues that tell of them.
pub(crate) async fn open_events(
    bench: &Workbench,
    args: &FolderArgs,
) -> Result<Discoverer, Failure> {
    let options = options(&args.how)?;
    if options.discovery.hints.is_empty() {
        return Err(Failure::config(
            "the options name no events to be tried out: give `queueUrl`, `queueName` or \
             `useNotifications`",
        ));
    }
    let (source, hints, _) =
        open_source(bench, &args.source, &args.how, &options, Access::Write).await?;
    open_discoverer(source, options, hints).map_err(Failure::config)
}

/// The columns that a new table is partitioned by: those that the options name. Columns that are
/// only found in paths are not: whether a table is to be cut by them is for its owner to say.
fn partition_by(options: &LoadOptions) -> Vec<String> {
    match &options.schema.partition_columns {
        PartitionColumns::Named(names) => names.clone(),
        PartitionColumns::Inferred => Vec::new(),
    }
}

fn options(how: &HowArgs) -> Result<LoadOptions, Failure> {
    let format = how.format.iter().map(|format| ("format".to_owned(), format.clone()));
    let told = format.chain(how.options.iter().cloned());
    let mut options =
        LoadOptions::parse(told).map_err(|problems| Failure::config(problems.to_string()))?;
    for option in &options.ignored {
        tracing::warn!(option, "an option is unknown or means nothing here: it is ignored");
    }
    if let CleanSource::Move { destination, .. } = &mut options.clean {
        *destination = absolute(destination)?;
    }
    Ok(options)
}

async fn open_source(
    bench: &Workbench,
    source: &str,
    how: &HowArgs,
    options: &LoadOptions,
    access: Access,
) -> Result<(SourceStore, Vec<Box<dyn Hints>>, Cleaner), Failure> {
    let name = absolute(source)?;
    let path =
        options.check_source(&name).map_err(|problems| Failure::config(problems.to_string()))?;
    let (root, prefix) = match local(&path.root) {
        Some(folder) => of_this_machine(folder)?,
        None => (path.root.clone(), None),
    };
    let config = store(bench, "--source-option", &root, &how.source_options)?;
    let opened = bench.connect("SOURCE", &config, FilePath::new(&root)).await?;
    let is_local = local(&root).is_some();
    let mut hints: Vec<Box<dyn Hints>> = Vec::new();
    // Asking a queue takes its messages away: who only looks lists.
    let asked = if access == Access::Write { &options.discovery.hints[..] } else { &[] };
    for hint in asked {
        let queue = match hint {
            HintSource::Sqs(url) => Queue::Sqs(url.clone()),
            HintSource::AzureQueue(queue) => Queue::Azure(queue.clone()),
            HintSource::LocalWatch => Queue::Watch,
        };
        let current = Arc::new(CurrentOptions::new(&bench.scopes, &config.options));
        let clock = Arc::clone(&bench.clock);
        hints.push(stores::hints::open(&root, &queue, current, clock).await.or_fail()?);
    }
    let cleaner = open_cleaner(bench, &opened, &options.clean).await?;
    let url = shown(&opened.url);
    Ok((SourceStore { name, url, store: opened.store, prefix, is_local }, hints, cleaner))
}

/// Opens what cleans a source, in a store that reaches the source and where its files are moved.
async fn open_cleaner(
    bench: &Workbench,
    source: &Opened,
    clean: &CleanSource,
) -> Result<Cleaner, Failure> {
    let CleanSource::Move { retention, destination } = clean else {
        let store = Arc::clone(&source.store);
        return Cleaner::new(store, "", clean.clone()).map_err(Failure::config);
    };
    // That the two are in one store was checked with the options.
    let (store, address, below, target) = if source.url.scheme() == "file" {
        let (from, to) = (shown(&source.url), local(destination).unwrap_or(destination));
        let common = common_folder(&from, to);
        let config = StoreConfig { address: Some(common.clone()), ..StoreConfig::default() };
        let name = "cleanSource.moveDestination";
        let opened = bench.connect(name, &config, FilePath::new(&common)).await?;
        let below = from[common.len()..].to_owned();
        (opened.store, common.clone(), below, to[common.len()..].to_owned())
    } else {
        let below = Path::from_url_path(source.url.path());
        let below = below.map_err(|error| Failure::config(error.to_string()))?.to_string();
        let mut root = source.url.clone();
        root.set_path("/");
        // Behind scheme and bucket.
        let target = destination.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        (Arc::clone(&source.root), root.to_string(), below, target)
    };
    let clean = CleanSource::Move { retention: *retention, destination: target };
    Ok(Cleaner::new(store, &below, clean).map_err(Failure::config)?.at(&address))
}

/// Returns the deepest folder that two absolute paths lie in, with a slash at its end.
fn common_folder(one: &str, other: &str) -> String {
    let parts = one.split('/').zip(other.split('/'));
    let same = parts.take_while(|(one, other)| one == other).map(|(part, _)| part);
    let folder = same.collect::<Vec<_>>().join("/");
    format!("{folder}/")
}

/// Returns an address as people write it: a folder of this machine by its path.
fn shown(url: &Url) -> String {
    let path = url.to_file_path().ok().filter(|_| url.scheme() == "file");
    path.and_then(|path| Some(format!("{}/", path.to_str()?.trim_end_matches('/'))))
        .unwrap_or_else(|| url.to_string())
}

/// Returns the path of a folder of this machine; `None` for a store elsewhere.
fn local(address: &str) -> Option<&str> {
    match address.split_once("://") {
        Some(("file", path)) => Some(path),
        Some(_) => None,
        None => Some(address),
    }
}

/// Returns the folder that is listed, and the one file of it that is meant.
///
/// A folder that is not there is an error: opening a store would create it, and a misspelt source
/// would look like one without files.
fn of_this_machine(path: &str) -> Result<(String, Option<Path>), Failure> {
    let found = std::fs::metadata(path).map_err(|error| {
        Failure::config(format!("the source `{path}` cannot be looked at: {error}"))
    })?;
    if found.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = if folder.is_empty() { "/" } else { folder };
    let name = Path::parse(name)
        .map_err(|error| Failure::config(format!("the source `{path}`: {error}")))?;
    Ok((folder.to_owned(), Some(name)))
}

/// Makes a path of this machine absolute: state and rows remember it, whatever the next start's
/// folder is.
fn absolute(address: &str) -> Result<String, Failure> {
    if address.contains("://") {
        // A glob may have a question mark, and a signature has more than that.
        let query = address.split_once('?').and_then(|(_, rest)| rest.split('/').next());
        if query.is_some_and(|query| query.contains('=') && query.contains('&')) {
            return Err(Failure::config(
                "an address has no signature or query: give it as an option of the store, as a \
                 reference to a secret",
            ));
        }
        return Ok(address.to_owned());
    }
    let path = std::path::absolute(address)
        .map_err(|error| Failure::config(format!("`{address}`: {error}")))?;
    let path = path.to_str().map(str::to_owned);
    path.ok_or_else(|| Failure::config(format!("`{address}` is no text of UTF-8")))
}

fn store(
    bench: &Workbench,
    flag: &str,
    address: &str,
    options: &[(String, String)],
) -> Result<StoreConfig, Failure> {
    let options: BTreeMap<String, String> = options.iter().cloned().collect();
    config::store_of(flag, address, &options, &bench.config.scopes)
        .map_err(|problems| Failure::config(problems.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_have_one_in_common() {
        for (one, other, common) in [
            ("/data/in/", "/data/archive", "/data/"),
            ("/data/in/", "/data/in2", "/data/"),
            ("/data/in/", "/archive", "/"),
            ("/a/b/c/", "/a/b/d/e", "/a/b/"),
        ] {
            assert_eq!(common_folder(one, other), common, "{one} {other}");
        }
    }
}
