//! A stream with everything real but its table: files in stores, in folders, told of by a queue.

use std::time::Duration;

use arrow::{
    array::{Array, AsArray},
    util::display::{ArrayFormatter, FormatOptions},
};
use model::{ManualClock, hint::Hints};
use object_store::local::LocalFileSystem;

use super::*;
use crate::{
    faults::FaultyStore,
    files::{
        Load, LoadOptions, SourceStore,
        discover::tests::queue::Queue,
        open_stream,
        schema::SchemaStore,
        seen::{Known, Status},
    },
};

const SOURCE: &str = "s3://bucket/in/";

/// Everything outside of processes.
struct Outside {
    files: Arc<dyn ObjectStore>,
    is_local: bool,
    state: Arc<InMemory>,
    table: Arc<std::sync::Mutex<Kept>>,
    /// Years after any file was written.
    clock: Arc<ManualClock>,
    queue: Option<Queue>,
    options: Vec<(String, String)>,
}

impl Outside {
    fn new(files: Arc<dyn ObjectStore>, is_local: bool, options: &[(&str, &str)]) -> Self {
        let clock = ManualClock::new(DateTime::from_timestamp(4_000_000_000, 0).unwrap());
        let mut outside = Self {
            files,
            is_local,
            state: Arc::default(),
            table: Arc::default(),
            clock: Arc::new(clock),
            queue: None,
            options: Vec::new(),
        };
        options.iter().for_each(|(name, value)| outside.tell(name, value));
        outside
    }

    /// From now on processes are told this, too.
    fn tell(&mut self, name: &str, value: &str) {
        self.options.push((name.to_owned(), value.to_owned()));
    }

    async fn put(&self, path: &str, text: &str) {
        let text = PutPayload::from(text.to_owned());
        self.files.put(&Path::from(path), text).await.unwrap();
    }

    /// Starts a process.
    async fn start(&self) -> Stream<MemoryTarget> {
        let target = MemoryTarget { kept: Arc::clone(&self.table), faults: Faults::none() };
        let hints = self.queue.iter().map(|queue| Box::new(queue.clone()) as Box<dyn Hints>);
        let load = Load {
            stream: "s".to_owned(),
            source: SourceStore {
                name: SOURCE.to_owned(),
                url: SOURCE.to_owned(),
                store: Arc::clone(&self.files),
                prefix: None,
                is_local: self.is_local,
            },
            options: LoadOptions::parse(self.options.clone()).unwrap(),
            hints: hints.collect(),
            state: Arc::<InMemory>::clone(&self.state),
            target,
            quarantine: None,
            clock: Arc::<ManualClock>::clone(&self.clock),
            is_dry: false,
        };
        open_stream(load).await.unwrap()
    }

    /// Returns the rows of the table as text, sorted: file, line, and what the columns hold.
    fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for batch in self.table.lock().unwrap().read() {
            let options = FormatOptions::default().with_null("");
            let shown = |name: &str, array: &dyn Array, row: usize| {
                let formatter = ArrayFormatter::try_new(array, &options).unwrap();
                format!("{name}={}", formatter.value(row))
            };
            let schema = batch.schema();
            let metadata = batch.column_by_name("_metadata").unwrap().as_struct();
            for row in 0..batch.num_rows() {
                let mut texts: Vec<String> = ["file_name", "line"]
                    .map(|name| shown(name, metadata.column_by_name(name).unwrap(), row))
                    .to_vec();
                for (field, array) in schema.fields().iter().zip(batch.columns()) {
                    if field.name() != "_metadata" && !array.is_null(row) {
                        texts.push(shown(field.name(), array, row));
                    }
                }
                rows.push(texts.join(" "));
            }
        }
        rows.sort();
        rows
    }
}

/// Loads all there is, in so many batches.
async fn load(stream: &mut Stream<MemoryTarget>, batches: usize, name: &str) {
    for _ in 0..batches {
        let progress = stream.run_once().await.expect(name);
        assert!(matches!(progress, Progress::Loaded(_)), "{name}: {progress:?}");
    }
    let progress = stream.run_once().await.expect(name);
    assert!(matches!(progress, Progress::UpToDate { .. }), "{name}: {progress:?}");
}

#[tokio::test]
async fn a_folder_is_loaded_whatever_its_store_and_format() {
    struct Row<'a> {
        name: &'a str,
        format: &'a str,
        /// Two files to begin with, and one of another column.
        files: [&'a str; 3],
        /// Each row without its file's name.
        rows: [&'a str; 4],
    }
    let rows = [
        Row {
            name: "JSON lines",
            format: "json",
            files: ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n", "{\"a\":4,\"b\":\"x\"}\n"],
            rows: ["line=1 a=1", "line=2 a=2", "line=1 a=3", "line=1 a=4 b=x"],
        },
        Row {
            name: "CSV",
            format: "csv",
            files: ["a\n1\n2\n", "a\n3\n", "a,b\n4,x\n"],
            rows: ["line=2 a=1", "line=3 a=2", "line=2 a=3", "line=2 a=4 b=x"],
        },
    ];
    for Row { name, format, files, rows } in rows {
        let folder = tempfile::tempdir().expect(name);
        let local = LocalFileSystem::new_with_prefix(folder.path()).expect(name);
        let stores: [(Arc<dyn ObjectStore>, bool); 2] =
            [(Arc::new(InMemory::new()), false), (Arc::new(local), true)];
        for (store, is_local) in stores {
            let options = [
                ("format", format),
                ("header", "true"),
                ("inferColumnTypes", "true"),
                ("schemaEvolutionMode", "evolve"),
                ("maxFilesPerTrigger", "1"),
            ];
            let is_meant = |(option, _): &&(&str, &str)| format == "csv" || *option != "header";
            let options: Vec<_> = options.iter().filter(is_meant).copied().collect();
            let outside = Outside::new(store, is_local, &options);
            outside.put("1", files[0]).await;
            outside.put("2", files[1]).await;
            load(&mut outside.start().await, 2, name).await;
            load(&mut outside.start().await, 0, name).await;
            outside.put("x/3", files[2]).await;
            load(&mut outside.start().await, 1, name).await;
            let names = ["1", "1", "2", "3"];
            let expected: Vec<String> = names
                .iter()
                .zip(rows)
                .map(|(file, row)| format!("file_name={file} {row}"))
                .collect();
            assert_eq!(outside.rows(), expected, "{name}, local: {is_local}");
            let versions = SchemaStore::new(Arc::<InMemory>::clone(&outside.state), "s");
            let grown = versions.newest().await.expect(name).expect(name);
            let by: Vec<&str> = grown.sample.iter().map(|file| file.path.as_str()).collect();
            assert_eq!((grown.version, by), (2, vec!["x/3"]), "{name}: what made them grow");
        }
    }
}

#[tokio::test]
async fn hints_save_listings_also_after_a_restart() {
    let store = Arc::new(InMemory::new());
    let mut outside = Outside::new(store, false, &[("format", "json"), ("queueUrl", "https://q")]);
    let queue = Queue::default();
    outside.queue = Some(queue.clone());
    for path in ["1", "2"] {
        outside.put(path, "{\"a\":1}\n").await;
    }
    let seen = |stream: &Stream<MemoryTarget>| {
        stream.seen().rows().map(|known| known.file.path.clone()).collect::<Vec<_>>()
    };
    let mut stream = outside.start().await;
    load(&mut stream, 1, "a first start lists everything").await;
    assert_eq!(seen(&stream), ["1", "2"]);

    outside.put("told", "{\"a\":1}\n").await;
    outside.put("untold", "{\"a\":1}\n").await;
    queue.tell("told");
    let mut stream = outside.start().await;
    load(&mut stream, 1, "the next goes where hints say").await;
    assert_eq!((seen(&stream), queue.left()), (vec!["1".into(), "2".into(), "told".into()], 0));

    outside.clock.advance(Duration::from_secs(24 * 60 * 60));
    let mut stream = outside.start().await;
    load(&mut stream, 1, "a day later all is listed, as a proof").await;
    assert_eq!(stream.seen().get("untold").map(|known| known.found), Some(Found::Sweep));

    outside.put("missed", "{\"a\":1}\n").await;
    let mut stream = outside.start().await;
    load(&mut stream, 0, "which holds for the next start").await;
    outside.tell("modifiedAfter", "2020-01-01T00:00:00Z");
    let mut stream = outside.start().await;
    load(&mut stream, 1, "and not where other files count").await;
    assert_eq!(stream.seen().get("missed").map(|known| known.found), Some(Found::Listing));
}

/// The store goes away in the midst of it, and the look that finds nothing to ask succeeds.
#[tokio::test]
async fn a_store_that_is_down_is_no_fault_of_the_files() {
    for lifetime in 1..30 {
        let context = format!("lifetime {lifetime}");
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let faults = Faults::new(lifetime, 0, lifetime);
        let options = [("format", "json"), ("queueUrl", "https://q"), ("maxFilesPerTrigger", "1")];
        let store = Arc::new(FaultyStore { inner: Arc::clone(&inner), faults });
        let mut outside = Outside::new(store, false, &options);
        outside.queue = Some(Queue::default());
        for path in ["1", "2", "3"] {
            let text = PutPayload::from_static(b"{\"a\":1}\n");
            inner.put(&Path::from(path), text).await.expect(&context);
        }
        let mut stream = outside.start().await;
        for _ in 0..12 {
            drop(stream.run_once().await);
        }
        let is_well = |known: &Known| matches!(known.status, Status::Loaded | Status::Planned);
        assert!(stream.seen().rows().all(is_well), "{context}: {:?}", stream.seen());
    }
}
