//! What a stream has seen, for whoever only looks: nothing is listed, read or written.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::{Clock, ErrorKind};
use object_store::ObjectStore;
use tokio::sync::mpsc;

use super::{
    Stream, StreamConfig, StreamParts,
    memory::{Manifest, Memory},
};
use crate::files::{
    choice::Candidate,
    decoded::{Decoded, ReadSchema},
    error::Error,
    options::{BadOptions, Discovery, Limits, LoadTrigger, Overwrites},
    plan::FilePlan,
    ports::{Discover, Grown, PortError, ReadError, ReadRows, Schemas, Shape},
    schema::Observed,
    seen::Seen,
    source_file::SourceFile,
    target::FileTarget,
};

/// What a stream was told, and what it has seen.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Where its source lies.
    pub source: String,
    /// Every file, as of the last batch in the table.
    pub seen: Arc<Seen>,
}

/// Returns what the stream of a state folder has seen; `None` when no stream of that name began.
///
/// # Errors
/// State or table could not be read, or do not belong together.
pub async fn remembered<T: FileTarget>(
    state: Arc<dyn ObjectStore>,
    name: &str,
    target: T,
    clock: Arc<dyn Clock>,
) -> Result<Option<Remembered>, Error<T::Error>> {
    let told = Memory::new(Arc::clone(&state), name).told().await;
    let told =
        told.map_err(|source| Error::State { stream: name.to_owned(), source: Box::new(source) })?;
    let Some(Manifest { source, pinned, .. }) = told else { return Ok(None) };
    let mut stream = Stream::new(StreamParts {
        config: config(name, &source, pinned),
        state,
        discover: Box::new(Nobody),
        reader: Arc::new(Nobody),
        schemas: Box::new(Nobody),
        target,
        quarantine: None,
        clock,
    });
    stream.catch_up().await?;
    Ok(Some(Remembered { source, seen: stream.seen }))
}

fn config(name: &str, source: &str, pinned: BTreeMap<String, String>) -> StreamConfig {
    StreamConfig {
        name: name.to_owned(),
        source: source.to_owned(),
        pinned,
        discovery: Discovery::default(),
        limits: Limits::default(),
        overwrites: Overwrites::default(),
        bad: BadOptions::default(),
        trigger: LoadTrigger::AvailableNow,
        keeps_metadata: true,
        backfills: false,
        is_dry: true,
    }
}

/// Whoever would look for files, read them, or decide about columns: here nobody does.
#[derive(Debug)]
struct Nobody;

fn unasked() -> PortError {
    let kind = ErrorKind::Internal;
    PortError { doing: "only looking back".to_owned(), kind, source: "it asked for more".into() }
}

#[async_trait]
impl Discover for Nobody {
    async fn look(&mut self, _: &Seen, _: DateTime<Utc>) -> Result<Vec<Candidate>, PortError> {
        Err(unasked())
    }

    async fn planned(
        &mut self,
        _: &Seen,
        _: Option<&FilePlan>,
    ) -> Result<Option<DateTime<Utc>>, PortError> {
        Ok(None)
    }

    async fn answers(&mut self) -> Result<(), PortError> {
        Err(unasked())
    }
}

#[async_trait]
impl ReadRows for Nobody {
    async fn read(
        &self,
        _: &SourceFile,
        _: Arc<ReadSchema>,
        _: &mpsc::Sender<Decoded>,
    ) -> Result<(), ReadError> {
        Err(ReadError::Missing)
    }
}

#[async_trait]
impl Schemas for Nobody {
    async fn newest(&mut self, _: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        Err(unasked())
    }

    async fn prepare(&mut self, _: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        Err(unasked())
    }

    async fn version(&mut self, _: u64) -> Result<Shape, PortError> {
        Err(unasked())
    }

    async fn grow(&mut self, _: u64, _: &Observed, _: &[SourceFile]) -> Result<Grown, PortError> {
        Err(unasked())
    }
}
