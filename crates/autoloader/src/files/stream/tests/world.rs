//! A small world to run streams in: a source that people write to, hints that get lost, a reader
//! that fails, columns that grow, and tables that remember everything. All of it from one seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
    record_batch::RecordBatch,
};
use chrono::{DateTime, TimeDelta, Utc};
use model::{Clock, clock::Sleep};
use object_store::{ObjectStore, memory::InMemory};

use super::{
    ports::{DoubleDiscover, DoubleReader, DoubleSchemas, Finding, Growing},
    target::{Kept, MemoryTarget},
};
use crate::{
    faults::{Faults, FaultyStore},
    files::{
        SourceFile,
        options::{BadOptions, Discovery, Limits, LoadTrigger, Overwrites, ParseMode},
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

    pub(super) fn file(&self, path: &str) -> Option<SourceFile> {
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
        let discovery = Discovery { age_min: Duration::ZERO, ..Discovery::default() };
        let bad = BadOptions {
            mode: ParseMode::Permissive,
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
            is_dry: false,
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
