//! Everything that loads a folder of files, put together from what a user says.

use std::{fmt, sync::Arc};

use model::{Clock, hint::Hints};
use object_store::{ObjectStore, path::Path};

use super::{
    columns::StoredColumns,
    discover::{Discoverer, NameFilter, Source},
    error::Error,
    format::ReadTimes,
    options::{EvolutionMode, Format, LoadOptions, SourcePath, TextOptions, pinned},
    reading::StoreReader,
    schema::SchemaStore,
    stream::{Stream, StreamConfig, StreamParts, proven},
    target::FileTarget,
};

/// Where files lie.
#[derive(Clone)]
pub struct SourceStore {
    /// The source as the user wrote it, with its glob if it has one.
    pub name: String,
    /// What is fixed of it, [`SourcePath::root`], in its one form and with a slash at the end: what
    /// stands in front of a path in a row.
    pub url: String,
    /// The store at that root.
    pub store: Arc<dyn ObjectStore>,
    /// The folder or the one file below the root that is meant; `None`: all of it.
    pub prefix: Option<Path>,
    /// Whether half-written files can be seen there, as in a folder of this machine.
    pub is_local: bool,
}

impl fmt::Debug for SourceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, url, prefix, is_local, .. } = self;
        f.debug_struct("SourceStore")
            .field("name", name)
            .field("url", url)
            .field("prefix", prefix)
            .field("is_local", is_local)
            .finish_non_exhaustive()
    }
}

/// What a stream of files is made of.
#[derive(Debug)]
pub struct Load<T> {
    /// Its name: the folder of its state, and in the target what its batches are counted by.
    pub stream: String,
    /// Where files come from.
    pub source: SourceStore,
    /// What the user said.
    pub options: LoadOptions,
    /// Where hints come from, subscribed to already.
    pub hints: Vec<Box<dyn Hints>>,
    /// Where its state lies: beside the target, not in the source.
    pub state: Arc<dyn ObjectStore>,
    /// Where rows go.
    pub target: T,
    /// Where records go that are none; `None`: they are only counted.
    pub quarantine: Option<T>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether nothing is to be written, because somebody only looks.
    pub is_dry: bool,
}

impl<T> Load<T> {
    /// Returns who keeps the columns.
    pub fn columns(&self) -> StoredColumns {
        StoredColumns {
            versions: SchemaStore::new(Arc::clone(&self.state), &self.stream),
            source: Arc::clone(&self.source.store),
            format: self.options.format.clone(),
            options: self.options.schema.clone(),
            times: times(&self.options.format),
            prepared: None,
        }
    }
}

/// Opens the stream that loads a folder of files. Of source and target nothing is asked yet.
///
/// # Errors
/// The source's glob is none, or the state cannot be read.
pub async fn open_stream<T: FileTarget>(load: Load<T>) -> Result<Stream<T>, Error<T::Error>> {
    let schemas = load.columns();
    let Load { stream, source, options, hints, state, target, quarantine, clock, is_dry } = load;
    let names = names(&source.name, &options)
        .map_err(|problem| Error::Settings { stream: stream.clone(), problem })?;
    let times = times(&options.format);
    let config = StreamConfig {
        name: stream,
        pinned: pinned(&options, &source.name),
        source: source.url.clone(),
        discovery: options.discovery.clone(),
        limits: options.limits,
        overwrites: options.overwrites,
        bad: options.bad,
        trigger: options.trigger,
        keeps_metadata: options.schema.metadata_column.is_some(),
        backfills: options.schema.evolution == EvolutionMode::Evolve,
        is_dry,
    };
    let ts_proven = proven(&state, &config).await?;
    let store = Arc::clone(&source.store);
    let files = found_in(source, names);
    let discover = Discoverer::new(files, options.discovery, options.overwrites, hints, ts_proven);
    let reader = StoreReader { store, url: config.source.clone(), format: options.format, times };
    Ok(Stream::new(StreamParts {
        config,
        state,
        discover: Box::new(discover),
        reader: Arc::new(reader),
        schemas: Box::new(schemas),
        target,
        quarantine,
        clock,
    }))
}

/// Opens what finds the files of a source, by itself: to try out its events.
///
/// # Errors
/// The source's glob is none.
pub fn open_discoverer(
    source: SourceStore,
    options: LoadOptions,
    hints: Vec<Box<dyn Hints>>,
) -> Result<Discoverer, String> {
    let names = names(&source.name, &options)?;
    let files = found_in(source, names);
    Ok(Discoverer::new(files, options.discovery, options.overwrites, hints, None))
}

fn found_in(source: SourceStore, names: NameFilter) -> Source {
    let SourceStore { store, prefix, is_local, .. } = source;
    Source { store, prefix, is_local, names }
}

/// Returns what the user's globs say of a path: that of the source, and that of names.
fn names(source: &str, options: &LoadOptions) -> Result<NameFilter, String> {
    let source = SourcePath::parse(source, options.discovery.is_glob_strict)?;
    let glob = options.discovery.path_glob.clone();
    Ok(Arc::new(move |path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        source.covers(path) && glob.as_ref().is_none_or(|glob| glob.matches(name))
    }))
}

/// Returns how texts of a format become times.
fn times(format: &Format) -> Arc<dyn ReadTimes> {
    Arc::new(match format {
        Format::Json(json) => json.text.clone(),
        Format::Csv(csv) => csv.text.clone(),
        Format::Parquet | Format::Avro | Format::Text { .. } | Format::Binary => {
            TextOptions::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_globs_choose_paths() {
        for (name, source, glob, path, expected) in [
            ("no glob", "s3://b/in", "", "x/a.json", true),
            ("names, in any folder", "s3://b/in", "*.json", "x/a.json", true),
            ("other names", "s3://b/in", "*.json", "x/a.csv", false),
            ("a glob in the source", "s3://b/in/x*", "", "x1/a.json", true),
            ("another folder", "s3://b/in/x*", "", "y/a.json", false),
            ("both, and one says no", "s3://b/in/x*", "*.json", "x1/a.csv", false),
        ] {
            let mut options = vec![("format".to_owned(), "json".to_owned())];
            if !glob.is_empty() {
                options.push(("pathGlobFilter".to_owned(), glob.to_owned()));
            }
            let options = LoadOptions::parse(options).expect(name);
            let names = names(source, &options).expect(name);
            assert_eq!(names(path), expected, "{name}");
        }
    }
}
