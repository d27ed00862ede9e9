//! A small world to run streams in: a source that people write to, hints that get lost, a reader
//! that fails, columns that grow, and tables that remember everything. All of it from one seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringArray},
    datatypes::{DataType, Field, Int64Type, Schema},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use model::{Clock, ErrorKind, clock::Sleep};
use object_store::{ObjectStore, memory::InMemory};
use tokio::sync::mpsc;

use super::target::{Kept, MemoryTarget};
use crate::{
    faults::{Fate, Faults, FaultyStore, fault},
    files::{
        BadRecord, Decoded, ReadSchema, SourceFile,
        choice::Candidate,
        decoded::{LINE, RESCUED},
        options::{BadOptions, Discovery, Limits, LoadTrigger, Overwrites, ParseMode},
        plan::{FilePlan, Found},
        ports::{Discover, Grown, PortError, ReadError, ReadRows, Schemas, Shape},
        schema::Observed,
        seen::Seen,
        stream::{Stream, StreamConfig, StreamParts},
    },
};

pub(super) const SOURCE: &str = "s3://bucket/source/";

/// A line of a file: its fields, or `None` where it is no record.
pub(super) type Line = Option<BTreeMap<String, String>>;

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub etag: u64,
    pub modified: DateTime<Utc>,
    pub lines: Vec<Line>,
    /// The line that the file is broken at.
    pub broken_at: Option<usize>,
}

/// The bucket: what is there now, and everything that ever was.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub files: BTreeMap<String, Version>,
    pub versions: BTreeMap<(String, String), Version>,
    /// Events that somebody may hear.
    pub hints: Vec<String>,
    etags: u64,
}

impl Source {
    pub(super) fn put(&mut self, path: &str, mut version: Version) {
        self.etags += 1;
        version.etag = self.etags;
        self.versions.insert((path.to_owned(), version.etag.to_string()), version.clone());
        self.files.insert(path.to_owned(), version);
    }

    fn file(&self, path: &str) -> Option<SourceFile> {
        self.files.get(path).map(|version| SourceFile {
            path: path.to_owned(),
            size: version.lines.len() as u64,
            modified: version.modified,
            etag: Some(version.etag.to_string()),
            version: None,
        })
    }
}

/// Returns a version of lines such as `a=1 b=2`, `!` for what is no record, `#` for damage.
pub(super) fn version(seconds: i64, text: &[&str]) -> Version {
    let fields = |line: &&&str| -> Line {
        let field = |field: &str| {
            field.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        line.split(' ').map(field).collect()
    };
    let broken_at = text.iter().position(|line| *line == "#");
    let lines = text.iter().filter(|line| **line != "#").map(|line| fields(&line)).collect();
    Version { etag: 0, modified: at(seconds), lines, broken_at }
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

/// A clock that jumps, back too.
#[derive(Debug)]
pub(super) struct JumpingClock(Mutex<(DateTime<Utc>, Duration)>);

impl JumpingClock {
    pub(super) fn jump(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap();
        now.0 += by;
        now.1 += Duration::from_secs(1);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        self.jump(TimeDelta::from_std(duration).unwrap());
        Box::pin(std::future::ready(()))
    }
}

/// How a process finds files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All of them, each time.
    Listing,
    /// By hints, and a listing now and then.
    Hints,
}

#[derive(Debug)]
struct DoubleDiscover {
    source: Arc<Mutex<Source>>,
    faults: Arc<Faults>,
    finding: Finding,
    looks: u32,
    /// Hints whose files are in no plan yet.
    held: Vec<String>,
}

fn refused(doing: &str) -> PortError {
    PortError { doing: doing.to_owned(), kind: ErrorKind::Transient, source: "injected".into() }
}

#[async_trait]
impl Discover for DoubleDiscover {
    async fn look(&mut self, _seen: &Seen) -> Result<Vec<Candidate>, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("listing"));
        }
        let mut source = self.source.lock().unwrap();
        self.looks += 1;
        if self.finding == Finding::Listing || self.looks % 4 == 1 {
            let found = source.files.keys().filter_map(|path| source.file(path));
            return Ok(found.map(|file| Candidate { file, found: Found::Listing }).collect());
        }
        self.held.append(&mut source.hints);
        let hinted = self.held.iter().filter_map(|path| source.file(path));
        Ok(hinted.map(|file| Candidate { file, found: Found::Hint }).collect())
    }

    async fn planned(&mut self, plan: &FilePlan) {
        self.held.retain(|path| !plan.files.iter().any(|planned| planned.file.path == *path));
    }
}

#[derive(Debug)]
struct DoubleReader {
    source: Arc<Mutex<Source>>,
    faults: Arc<Faults>,
}

#[async_trait]
impl ReadRows for DoubleReader {
    async fn read(
        &self,
        file: &SourceFile,
        schema: Arc<ReadSchema>,
        stretches: &mpsc::Sender<Decoded>,
    ) -> Result<(), ReadError> {
        let store = || ReadError::Store { kind: ErrorKind::Transient, source: fault() };
        if self.faults.step().await != Fate::Done {
            return Err(store());
        }
        let found = self.source.lock().unwrap().files.get(&file.path).cloned();
        let Some(found) = found else { return Err(ReadError::Missing) };
        if Some(found.etag.to_string()) != file.etag {
            return Err(ReadError::Changed);
        }
        let good = found.broken_at.unwrap_or(found.lines.len());
        for (number, lines) in found.lines[..good].chunks(2).enumerate() {
            if self.faults.step().await != Fate::Done {
                return Err(store());
            }
            if stretches.send(decoded(&schema, number * 2, lines)).await.is_err() {
                return Ok(());
            }
        }
        match found.broken_at {
            Some(line) => {
                Err(ReadError::Broken { offset: line as u64, reason: "cut off".to_owned() })
            }
            None => Ok(()),
        }
    }
}

/// Returns lines behind the first `before` of a file as a reader would.
fn decoded(schema: &ReadSchema, before: usize, lines: &[Line]) -> Decoded {
    let numbered: Vec<(usize, &BTreeMap<String, String>)> = (before + 1..)
        .zip(lines)
        .filter_map(|(number, line)| line.as_ref().map(|line| (number, line)))
        .collect();
    let is_column = |name: &str| schema.columns.field_with_name(name).is_ok();
    let mut decoded = Decoded::default();
    let mut unknown = BTreeMap::new();
    let mut rescued = Vec::new();
    for (_, fields) in &numbered {
        let others: BTreeMap<&String, &String> =
            fields.iter().filter(|(name, _)| !is_column(name)).collect();
        unknown.extend(others.keys().map(|name| ((*name).clone(), Observed::Text)));
        decoded.rescued_fields.extend(others.keys().map(|name| (*name).clone()));
        decoded.rows_rescued += u64::from(!others.is_empty());
        rescued.push((!others.is_empty()).then(|| serde_json::to_string(&others).unwrap()));
    }
    if !unknown.is_empty() {
        decoded.unknown = Observed::Object(unknown);
    }
    let mut fields: Vec<Arc<Field>> = schema.columns.fields().to_vec();
    fields.push(Arc::new(Field::new(RESCUED, DataType::Utf8, true)));
    fields.push(Arc::new(Field::new(LINE, DataType::Int64, false)));
    let column = |field: &Arc<Field>| -> ArrayRef {
        Arc::new(numbered.iter().map(|(_, line)| line.get(field.name())).collect::<StringArray>())
    };
    let mut arrays: Vec<ArrayRef> = schema.columns.fields().iter().map(column).collect();
    arrays.push(Arc::new(StringArray::from(rescued)));
    arrays
        .push(Arc::new(numbered.iter().map(|(number, _)| *number as i64).collect::<Int64Array>()));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    decoded.batches = vec![rows];
    let bad = (before + 1..).zip(lines).filter(|(_, line)| line.is_none());
    decoded.bad = bad
        .map(|(number, _)| BadRecord {
            line: number as u64,
            offset: number as u64,
            reason: "no record".to_owned(),
            record: "!".to_owned(),
        })
        .collect();
    decoded
}

/// What a process does about new columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growing {
    /// Goes on under more columns.
    Evolve,
    /// Makes a version, and stops once.
    Stop,
    /// Rescues.
    Rescue,
}

#[derive(Debug)]
struct DoubleSchemas {
    /// The names of each version's columns; what an object store would keep.
    versions: Arc<Mutex<Vec<BTreeSet<String>>>>,
    faults: Arc<Faults>,
    growing: Growing,
}

fn shape(version: usize, names: &BTreeSet<String>) -> Shape {
    let fields: Vec<Field> =
        names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let read = ReadSchema {
        columns: Arc::new(Schema::new(fields)),
        ignored: BTreeSet::new(),
        is_rescuing: true,
        is_case_sensitive: true,
        is_observing: true,
    };
    Shape {
        version: version as u64,
        read: Arc::new(read),
        partitions: Arc::new(Schema::empty()),
        rescued_column: Some("_rescued_data".to_owned()),
        metadata_column: Some("_metadata".to_owned()),
    }
}

#[async_trait]
impl Schemas for DoubleSchemas {
    async fn newest(&mut self, _files: &[SourceFile]) -> Result<Shape, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("reading columns"));
        }
        let mut versions = self.versions.lock().unwrap();
        if versions.is_empty() {
            versions.push(["a".to_owned()].into());
        }
        Ok(shape(versions.len() - 1, versions.last().unwrap()))
    }

    async fn version(&mut self, version: u64) -> Result<Shape, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("reading columns"));
        }
        let version = usize::try_from(version).unwrap();
        Ok(shape(version, &self.versions.lock().unwrap()[version]))
    }

    async fn grow(&mut self, of: u64, unknown: &Observed) -> Result<Grown, PortError> {
        let fate = self.faults.step().await;
        if fate == Fate::Refused {
            return Err(refused("growing columns"));
        }
        let Observed::Object(unknown) = unknown else { return Ok(Grown::No) };
        if self.growing == Growing::Rescue {
            return Ok(Grown::No);
        }
        let mut versions = self.versions.lock().unwrap();
        if versions.len() as u64 == of + 1 {
            let mut names = versions.last().unwrap().clone();
            names.extend(unknown.keys().cloned());
            versions.push(names);
        }
        match (fate, self.growing) {
            (Fate::ReplyLost, _) => Err(refused("growing columns")),
            (_, Growing::Stop) => Ok(Grown::Stop { problem: "restart".to_owned() }),
            _ => Ok(Grown::Yes),
        }
    }
}

/// A row of the table, told by its file's version and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub path: String,
    pub etag: String,
    pub line: i64,
    /// Values of columns, and of rescued fields.
    pub fields: BTreeMap<String, String>,
    pub rescued: BTreeSet<String>,
}

/// How one process behaves.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub config: StreamConfig,
    pub finding: Finding,
    pub growing: Growing,
}

/// Everything outside of processes.
#[derive(Debug)]
pub(super) struct World {
    pub source: Arc<Mutex<Source>>,
    pub state: Arc<InMemory>,
    pub table: Arc<Mutex<Kept>>,
    pub quarantine: Arc<Mutex<Kept>>,
    pub clock: Arc<JumpingClock>,
    pub versions: Arc<Mutex<Vec<BTreeSet<String>>>>,
    pub overwrites: Overwrites,
}

impl World {
    pub(super) fn new(overwrites: Overwrites) -> Self {
        Self {
            source: Arc::default(),
            state: Arc::new(InMemory::new()),
            table: Arc::default(),
            quarantine: Arc::default(),
            clock: Arc::new(JumpingClock(Mutex::new((at(1_000), Duration::ZERO)))),
            versions: Arc::default(),
            overwrites,
        }
    }

    pub(super) fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap()
    }

    pub(super) fn put(&self, path: &str, seconds: i64, lines: &[&str]) {
        self.source().put(path, version(seconds, lines));
    }

    pub(super) fn manner(&self) -> Manner {
        let discovery = Discovery {
            path_glob: None,
            is_recursive: true,
            modified_after: None,
            modified_before: None,
            includes_existing: true,
            backfill_interval: None,
            window: None,
            age_min: Duration::ZERO,
            hints: Vec::new(),
        };
        let bad = BadOptions {
            mode: ParseMode::Permissive,
            corrupt_column: "_corrupt_record".to_owned(),
            is_missing_ignored: false,
            is_corrupt_ignored: false,
            failures_max: 3,
        };
        let config = StreamConfig {
            name: "s".to_owned(),
            source: SOURCE.to_owned(),
            pinned: BTreeMap::new(),
            discovery,
            limits: Limits { files_max: 1_000, bytes_max: None },
            overwrites: self.overwrites,
            bad,
            trigger: LoadTrigger::AvailableNow,
            keeps_metadata: true,
            backfills: true,
        };
        Manner { config, finding: Finding::Listing, growing: Growing::Evolve }
    }

    pub(super) fn stream(&self, manner: Manner, faults: &Arc<Faults>) -> Stream<MemoryTarget> {
        let target = |kept: &Arc<Mutex<Kept>>| MemoryTarget {
            kept: Arc::clone(kept),
            faults: Arc::clone(faults),
        };
        let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.state);
        let mut stream = Stream::new(StreamParts {
            config: manner.config,
            state: Arc::new(FaultyStore { inner, faults: Arc::clone(faults) }),
            discover: Box::new(DoubleDiscover {
                source: Arc::clone(&self.source),
                faults: Arc::clone(faults),
                finding: manner.finding,
                looks: 0,
                held: Vec::new(),
            }),
            reader: Arc::new(DoubleReader {
                source: Arc::clone(&self.source),
                faults: Arc::clone(faults),
            }),
            schemas: Box::new(DoubleSchemas {
                versions: Arc::clone(&self.versions),
                faults: Arc::clone(faults),
                growing: manner.growing,
            }),
            target: target(&self.table),
            quarantine: Some(target(&self.quarantine)),
            clock: Arc::<JumpingClock>::clone(&self.clock),
        });
        // So that worlds of some batches have snapshots.
        stream.memory.snapshot_every = 4;
        stream
    }

    /// Returns the rows of the table, sorted.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.table.lock().unwrap().rows.iter().flat_map(rows_of).collect();
        rows.sort();
        rows
    }

    /// Returns what quarantine holds: batch, path and line, sorted.
    pub(super) fn bad(&self) -> Vec<(u64, String, i64)> {
        let kept = self.quarantine.lock().unwrap();
        let mut bad = Vec::new();
        for rows in &kept.rows {
            let paths = rows.column_by_name("file_path").unwrap().as_string::<i32>();
            let lines = rows.column_by_name("line").unwrap().as_primitive::<Int64Type>();
            let batches = rows.column_by_name("batch_id").unwrap().as_primitive::<Int64Type>();
            for row in 0..rows.num_rows() {
                let path = paths.value(row).strip_prefix(SOURCE).unwrap().to_owned();
                let batch = u64::try_from(batches.value(row)).unwrap();
                bad.push((batch, path, lines.value(row)));
            }
        }
        bad.sort();
        bad
    }
}

fn rows_of(rows: &RecordBatch) -> Vec<Row> {
    let metadata = rows.column_by_name("_metadata").unwrap().as_struct();
    let paths = metadata.column_by_name("file_path").unwrap().as_string::<i32>();
    let etags = metadata.column_by_name("file_etag").unwrap().as_string::<i32>();
    let lines = metadata.column_by_name("line").unwrap().as_primitive::<Int64Type>();
    let rescued = rows.column_by_name("_rescued_data").unwrap().as_string::<i32>();
    let row = |row: usize| {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
            if !field.name().starts_with('_') && !array.is_null(row) {
                fields.insert(field.name().clone(), array.as_string::<i32>().value(row).to_owned());
            }
        }
        let mut aside: BTreeMap<String, String> = if rescued.is_null(row) {
            BTreeMap::new()
        } else {
            serde_json::from_str(rescued.value(row)).unwrap()
        };
        aside.remove("_file_path");
        let names = aside.keys().cloned().collect();
        fields.extend(aside);
        Row {
            path: paths.value(row).strip_prefix(SOURCE).unwrap().to_owned(),
            etag: etags.value(row).to_owned(),
            line: lines.value(row),
            fields,
            rescued: names,
        }
    };
    (0..rows.num_rows()).map(row).collect()
}
