//! The columns of a stream: made once from its first files, kept in versions, grown by the rules.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use model::ErrorKind;
use object_store::ObjectStore;

use super::{
    format::{Observer, ReadTimes, observe},
    options::{Format, SchemaOptions},
    ports::{Grown, PortError, ReadError, Schemas, Shape},
    reading::{Stop, each_piece, ranges::fields_by_ranges},
    schema::{
        Evolution, FileObservation, InferError, Observed, SampledFile, SchemaStore, SchemaVersion,
        decide, fixed_columns, given, infer, sample, wished,
    },
    source_file::SourceFile,
};

#[cfg(test)]
mod tests;

/// Files looked into at the same time: hides a bucket's latency where files are small.
const LOOKS_MAX: usize = 4;

/// Versions tried for what the options give. One is enough, unless others make versions meanwhile.
const ADOPTIONS_MAX: u32 = 8;

/// Files that are named as those that made the columns grow: enough for who looks for the reason.
const SAMPLE_MAX: usize = 100;

/// Keeps a stream's columns beside its plans.
#[derive(Debug)]
pub struct StoredColumns {
    /// The versions.
    pub versions: SchemaStore,
    /// Where the files are.
    pub source: Arc<dyn ObjectStore>,
    /// What they hold.
    pub format: Format,
    /// How columns are made and grow.
    pub options: SchemaOptions,
    /// How texts become times.
    pub times: Arc<dyn ReadTimes>,
    /// The first version, made before the stream began and not kept yet.
    pub(super) prepared: Option<SchemaVersion>,
}

impl StoredColumns {
    fn shape(&self, version: &SchemaVersion) -> Shape {
        let is_spelled = |column: &&FieldRef| version.partition_columns.contains(column.name());
        let spelled: Vec<FieldRef> = version.columns.iter().filter(is_spelled).cloned().collect();
        Shape {
            version: version.version,
            read: Arc::new(version.read_schema(&self.options)),
            partitions: Arc::new(Schema::new(spelled)),
            rescued_column: self.options.rescued_column.clone(),
            metadata_column: self.options.metadata_column.clone(),
        }
    }

    /// Returns the newest version that is kept; `None` before the first one.
    pub(super) async fn newest_kept(&self) -> Result<Option<SchemaVersion>, PortError> {
        self.versions.newest().await.map_err(kept)
    }

    /// Makes the first version; `None`: the files have no columns.
    pub(super) async fn first(
        &self,
        files: &[SourceFile],
    ) -> Result<Option<SchemaVersion>, PortError> {
        if let Some(schema) = &self.options.given {
            let paths = files.iter().map(|file| file.path.as_str());
            let version = given(schema, paths, &self.format, &self.options);
            return version.map(Some).map_err(refused);
        }
        match infer(&self.look_into(files).await?, &self.format, &self.options) {
            Err(nothing @ (InferError::NoFiles | InferError::NoColumns { .. })) => {
                tracing::warn!(%nothing, "there are no columns yet");
                Ok(None)
            }
            made => made.map(Some).map_err(refused),
        }
    }

    /// Returns the newest version, with what the options give beyond it.
    async fn adopted(&self, files: &[SourceFile]) -> Result<Option<SchemaVersion>, PortError> {
        for _ in 0..ADOPTIONS_MAX {
            let Some(newest) = self.newest_kept().await? else {
                return Ok(None);
            };
            match self.wish(&newest, files)? {
                None => return Ok(Some(newest)),
                // Whoever created that number first may have had another wish: look again.
                Some(next) => drop(self.versions.create(next).await.map_err(kept)?),
            }
        }
        Err(PortError {
            doing: "adding what the options give to the columns".to_owned(),
            kind: ErrorKind::Conflict,
            source: "other processes make versions at the same time; give all of them the same \
                     `schema` and `schemaHints`"
                .into(),
        })
    }

    /// Returns the version that has what the options give beyond `newest`, if they give more.
    pub(super) fn wish(
        &self,
        newest: &SchemaVersion,
        files: &[SourceFile],
    ) -> Result<Option<SchemaVersion>, PortError> {
        let paths = files.iter().map(|file| file.path.as_str());
        wished(newest, paths, &self.format, &self.options).map_err(refused)
    }

    /// Looks into a sample of files.
    pub(super) async fn look_into(
        &self,
        files: &[SourceFile],
    ) -> Result<Vec<FileObservation>, PortError> {
        // Collected first: a stream that borrows from its closure could not change threads.
        let mut looks = Vec::new();
        for file in sample(files, self.options.sample) {
            looks.push(self.observe(file));
        }
        let looks = futures::stream::iter(looks).buffered(LOOKS_MAX);
        looks.try_filter_map(async |seen| Ok(seen)).try_collect().await
    }

    /// Looks into a file; `None` when it is gone or broken: its batch will say so.
    async fn observe(&self, file: &SourceFile) -> Result<Option<FileObservation>, PortError> {
        if fixed_columns(&self.format).is_some() {
            // Only its path may spell columns.
            return Ok(Some(FileObservation::nothing(file)));
        }
        let doing = || format!("looking into `{}` for columns", file.path);
        let seen = if self.format == Format::Parquet {
            fields_by_ranges(&self.source, file).await.map(|fields| told(file, fields))
        } else {
            let times = Arc::clone(&self.times);
            let observer = observe(&self.format, file, self.options.is_case_sensitive, times)
                .map_err(|problem| failed(&doing(), problem.kind(), problem))?;
            each_piece(&*self.source, file, observer, look).await.map(Observer::seen)
        };
        match seen {
            Ok(seen) => Ok(Some(seen)),
            Err(problem @ (ReadError::Store { .. } | ReadError::Refused(_))) => {
                Err(failed(&doing(), problem.kind(), problem))
            }
            Err(problem) => {
                tracing::warn!(path = file.path, %problem, "a file gives no columns");
                Ok(None)
            }
        }
    }
}

/// What is seen of a file that says its columns and their types.
fn told(file: &SourceFile, fields: Fields) -> FileObservation {
    let member = |field: &FieldRef| (field.name().clone(), Observed::of_type(field.data_type()));
    let observed = Observed::Object(fields.iter().map(member).collect());
    FileObservation { observed, order: Some(fields), ..FileObservation::nothing(file) }
}

/// Looks at a piece of a file.
fn look(observer: &mut Observer, piece: &[u8], is_last: bool) -> Result<(), Stop> {
    observer.push(piece)?;
    if observer.is_told() {
        return Err(Stop::Unwanted);
    }
    if is_last {
        observer.finish()?;
    }
    Ok(())
}

#[async_trait]
impl Schemas for StoredColumns {
    async fn newest(&mut self, files: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        if let Some(version) = self.adopted(files).await? {
            return Ok(Some(self.shape(&version)));
        }
        let first = match self.prepared.take() {
            Some(prepared) => Some(prepared),
            None => self.first(files).await?,
        };
        let Some(first) = first else { return Ok(None) };
        // Another process may have made it first, from other files: that one counts.
        self.versions.create(first).await.map_err(kept)?;
        Ok(self.adopted(files).await?.map(|version| self.shape(&version)))
    }

    async fn prepare(&mut self, files: &[SourceFile]) -> Result<Option<Shape>, PortError> {
        // No file is no sample, unless nobody has to look into any.
        if (files.is_empty() && self.options.given.is_none()) || self.newest_kept().await?.is_some()
        {
            return Ok(None);
        }
        self.prepared = self.first(files).await?;
        Ok(self.prepared.as_ref().map(|version| self.shape(version)))
    }

    async fn version(&mut self, version: u64) -> Result<Shape, PortError> {
        let found = self.versions.get(version).await.map_err(kept)?;
        let found = found.ok_or_else(|| PortError {
            doing: format!("version {version} of the columns is gone; bring the state back"),
            kind: ErrorKind::Data,
            source: "there is no such file".into(),
        })?;
        Ok(self.shape(&found))
    }

    async fn grow(
        &mut self,
        of: u64,
        unknown: &Observed,
        files: &[SourceFile],
    ) -> Result<Grown, PortError> {
        let newest = self.newest_kept().await?;
        let Some(newest) = newest.filter(|newest| newest.version == of) else {
            // Somebody else grew them meanwhile: what was unknown may be known there.
            return Ok(Grown::Yes);
        };
        let evolution = decide(&newest, unknown, &self.format, &self.options);
        let problem = evolution.stop_text();
        match evolution {
            Evolution::Keep => Ok(Grown::No),
            Evolution::Fail { problem } => Ok(Grown::Stop { problem }),
            Evolution::New { schema, must_stop, .. } => {
                let sample = files.iter().take(SAMPLE_MAX).map(SampledFile::from).collect();
                let schema = SchemaVersion { sample, ..schema };
                self.versions.create(schema).await.map_err(kept)?;
                Ok(match problem.filter(|_| must_stop) {
                    Some(problem) => Grown::Stop { problem },
                    None => Grown::Yes,
                })
            }
        }
    }
}

fn refused(source: InferError) -> PortError {
    failed("making the columns of the table", ErrorKind::Config, source)
}

fn kept(source: crate::Error) -> PortError {
    let kind = source.kind();
    failed("the versions of the columns", kind, source)
}

fn failed(
    doing: &str,
    kind: ErrorKind,
    source: impl std::error::Error + Send + Sync + 'static,
) -> PortError {
    PortError { doing: doing.to_owned(), kind, source: Box::new(source) }
}
