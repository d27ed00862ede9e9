//! The versions of a schema as files: created once, never changed, the greatest number counts.
//!
//! ```text
//! <root>/schemas/V.json   create-only: the columns of version V, and what they were inferred from
//! ```

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::{
    ddl::{parse_path, parse_stored_type, path_text, type_text},
    types::{field, is_among, position},
};
use crate::{
    error::Error,
    files::{
        ReadSchema,
        options::{EvolutionMode, SchemaOptions},
        source_file::SourceFile,
    },
    folder::Folder,
};

/// The format of the files that this release writes, and the only one that it reads.
const FORMAT: u32 = 1;

/// One version of a stream's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VersionFile", into = "VersionFile")]
pub struct SchemaVersion {
    /// From 1, each one more than the one before.
    pub version: u64,
    /// All columns in the table's order but those that the loader adds; all are nullable.
    pub columns: Fields,
    /// The paths that hints set: they never grow wider.
    pub hinted: Vec<Vec<String>>,
    /// The columns whose values the path spells; they are among `columns`.
    pub partition_columns: Vec<String>,
    /// The files that the version comes from: those sampled, or those that made it grow.
    pub sample: Vec<SampledFile>,
}

/// A file that a schema was inferred from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampledFile {
    /// Its path below the source's root.
    pub path: String,
    /// The store's tag of the bytes that were read, where it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl From<&SourceFile> for SampledFile {
    fn from(file: &SourceFile) -> Self {
        Self { path: file.path.clone(), etag: file.etag.clone() }
    }
}

impl SchemaVersion {
    /// Returns what a reader of files has to fill under this version.
    #[must_use]
    pub fn read_schema(&self, options: &SchemaOptions) -> ReadSchema {
        let is_data = |column: &&FieldRef| !is_among(column.name(), &self.partition_columns);
        let data: Vec<FieldRef> = self.columns.iter().filter(is_data).cloned().collect();
        ReadSchema {
            columns: Arc::new(Schema::new(data)),
            ignored: self.partition_columns.iter().cloned().collect(),
            is_rescuing: options.rescued_column.is_some(),
            is_case_sensitive: options.is_case_sensitive,
            is_observing: !matches!(options.evolution, EvolutionMode::Rescue | EvolutionMode::None),
        }
    }
}

/// A version as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionFile {
    format: u32,
    version: u64,
    columns: Vec<ColumnFile>,
    hinted: Vec<String>,
    partition_columns: Vec<String>,
    sample: Vec<SampledFile>,
}

/// A column as it is written: its type as Spark writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
}

impl From<SchemaVersion> for VersionFile {
    fn from(schema: SchemaVersion) -> Self {
        let column = |column: &FieldRef| ColumnFile {
            name: column.name().clone(),
            data_type: type_text(column.data_type()),
        };
        Self {
            format: FORMAT,
            version: schema.version,
            columns: schema.columns.iter().map(column).collect(),
            hinted: schema.hinted.iter().map(|path| path_text(path)).collect(),
            partition_columns: schema.partition_columns,
            sample: schema.sample,
        }
    }
}

impl TryFrom<VersionFile> for SchemaVersion {
    type Error = String;

    fn try_from(file: VersionFile) -> Result<Self, String> {
        if file.format != FORMAT {
            return Err(format!(
                "format {} is not the one that this release reads, which is {FORMAT}",
                file.format
            ));
        }
        let mut columns: Vec<FieldRef> = Vec::with_capacity(file.columns.len());
        for ColumnFile { name, data_type } in file.columns {
            if position(&columns, &name).is_some() {
                return Err(format!("column `{name}` is there twice"));
            }
            let data_type: DataType = parse_stored_type(&data_type)
                .map_err(|error| format!("type of column `{name}`: {error}"))?;
            columns.push(field(&name, data_type).into());
        }
        for name in &file.partition_columns {
            if position(&columns, name).is_none() {
                return Err(format!("partition column `{name}` is not among the columns"));
            }
        }
        let path = |text: &String| {
            parse_path(text).map_err(|error| format!("hinted path `{text}`: {error}"))
        };
        Ok(Self {
            version: file.version,
            columns: columns.into(),
            hinted: file.hinted.iter().map(path).collect::<Result<_, _>>()?,
            partition_columns: file.partition_columns,
            sample: file.sample,
        })
    }
}

/// The folder of a stream's versions.
#[derive(Clone, Debug)]
pub struct SchemaStore {
    folder: Folder,
}

impl SchemaStore {
    /// Keeps versions in `<root>/schemas`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, root: &str) -> Self {
        Self { folder: Folder::new(store, root.to_owned()) }
    }

    /// Returns a version, if it is there.
    ///
    /// # Errors
    /// The store does not answer, or the file is not one that this release reads.
    pub async fn get(&self, version: u64) -> Result<Option<SchemaVersion>, Error> {
        let found = self.folder.read(&name(version)).await?;
        found.map(|found| self.checked(version, found)).transpose()
    }

    /// Returns the newest version; `None` before the first one.
    ///
    /// # Errors
    /// The store does not answer, or the file is not one that this release reads.
    pub async fn newest(&self) -> Result<Option<SchemaVersion>, Error> {
        match self.folder.numbers("schemas", ".json").await?.into_iter().max() {
            Some(version) => self.get(version).await,
            None => Ok(None),
        }
    }

    /// Makes `schema` its version, or returns the one that another process created first: that one
    /// counts, and whoever lost decides anew under it.
    ///
    /// # Errors
    /// The store does not answer, or the file that was there first is not one that we read.
    pub async fn create(&self, schema: SchemaVersion) -> Result<SchemaVersion, Error> {
        let version = schema.version;
        let found = self.folder.create(&name(version), schema).await?;
        self.checked(version, found)
    }

    /// A file under the name of another version was put there by hand.
    fn checked(&self, version: u64, found: SchemaVersion) -> Result<SchemaVersion, Error> {
        if found.version == version {
            return Ok(found);
        }
        let problem = format!("it says that it is version {}", found.version);
        Err(Error::State { key: self.folder.key(&name(version)), problem })
    }
}

fn name(version: u64) -> String {
    format!("schemas/{version}.json")
}

#[cfg(test)]
mod tests;
