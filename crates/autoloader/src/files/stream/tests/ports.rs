//! Who finds, reads and describes files in a world: each with a process's faults in front of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use arrow::{
    array::{ArrayRef, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::ErrorKind;
use tokio::sync::mpsc;

use super::world::{Line, Source};
use crate::{
    faults::{Fate, Faults, fault},
    files::{
        BadRecord, Decoded, ReadSchema, SourceFile,
        choice::Candidate,
        decoded::{LINE, RESCUED},
        plan::{FilePlan, Found},
        ports::{Discover, Grown, PortError, ReadError, ReadRows, Schemas, Shape},
        schema::Observed,
        seen::{News, Seen},
    },
};

/// How a process finds files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All of them, each time.
    Listing,
    /// By hints, and a listing now and then.
    Hints,
}

#[derive(Debug)]
pub(super) struct DoubleDiscover {
    pub(super) source: Arc<Mutex<Source>>,
    pub(super) faults: Arc<Faults>,
    pub(super) finding: Finding,
    pub(super) looks: u32,
    /// Hints whose files are in no plan yet.
    pub(super) held: Vec<String>,
}

fn refused(doing: &str) -> PortError {
    PortError { doing: doing.to_owned(), kind: ErrorKind::Transient, source: "injected".into() }
}

#[async_trait]
impl Discover for DoubleDiscover {
    async fn look(
        &mut self,
        _seen: &Seen,
        _now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
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

    async fn planned(
        &mut self,
        seen: &Seen,
        _plan: Option<&FilePlan>,
    ) -> Result<Option<DateTime<Utc>>, PortError> {
        let source = self.source.lock().unwrap();
        let is_news = |file: SourceFile| seen.news(&file) != News::Old;
        self.held.retain(|path| source.file(path).is_some_and(is_news));
        Ok(None)
    }

    async fn answers(&mut self) -> Result<(), PortError> {
        match self.faults.step().await {
            Fate::Done => Ok(()),
            _ => Err(refused("asking")),
        }
    }
}

#[derive(Debug)]
pub(super) struct DoubleReader {
    pub(super) source: Arc<Mutex<Source>>,
    pub(super) faults: Arc<Faults>,
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
        assert!(!fields.contains_key("panic"), "a reader dies of it, as it was told to");
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
    arrays.push(Arc::new(
        numbered.iter().map(|(number, _)| i64::try_from(*number).unwrap()).collect::<Int64Array>(),
    ));
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
pub(super) struct DoubleSchemas {
    /// The names of each version's columns; what an object store would keep.
    pub(super) versions: Arc<Mutex<Vec<BTreeSet<String>>>>,
    pub(super) faults: Arc<Faults>,
    pub(super) growing: Growing,
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
    async fn newest(&mut self, _files: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("reading columns"));
        }
        let mut versions = self.versions.lock().unwrap();
        if versions.is_empty() {
            versions.push(["a".to_owned()].into());
        }
        Ok(Some(shape(versions.len() - 1, versions.last().unwrap())))
    }

    async fn prepare(&mut self, _files: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("reading columns"));
        }
        let is_first = self.versions.lock().unwrap().is_empty();
        Ok(is_first.then(|| shape(0, &["a".to_owned()].into())))
    }

    async fn version(&mut self, version: u64) -> Result<Shape, PortError> {
        if self.faults.step().await != Fate::Done {
            return Err(refused("reading columns"));
        }
        let version = usize::try_from(version).unwrap();
        Ok(shape(version, &self.versions.lock().unwrap()[version]))
    }

    async fn grow(
        &mut self,
        of: u64,
        unknown: &Observed,
        _files: &[SourceFile],
    ) -> Result<Grown, PortError> {
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
