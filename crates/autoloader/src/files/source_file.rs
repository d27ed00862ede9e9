//! One object of a source, as its store tells of it, and what makes two versions of it differ.

use chrono::{DateTime, Utc};
use object_store::{ObjectMeta, path::Path};
use serde::{Deserialize, Serialize};

/// An object below the source's root.
///
/// The path alone is what was seen or not; the rest tells versions of it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The key below the source's root, decoded, without a slash in front.
    pub path: String,
    /// Bytes as stored.
    pub size: u64,
    /// When the store says it was last written.
    pub modified: DateTime<Utc>,
    /// The store's tag of these bytes, where it gives one.
    pub etag: Option<String>,
    /// The store's own version id, where versions are kept.
    pub version: Option<String>,
}

impl From<ObjectMeta> for SourceFile {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            path: meta.location.into(),
            size: meta.size,
            modified: meta.last_modified,
            etag: meta.e_tag,
            version: meta.version,
        }
    }
}

impl SourceFile {
    /// Returns the path as the store takes it: letter by letter, where `Path::from` would encode
    /// what is encoded already.
    ///
    /// # Errors
    /// No store has an object of this path: it has an empty part, or `.`, or `..`.
    pub fn location(&self) -> object_store::Result<Path> {
        Ok(Path::parse(&self.path)?)
    }

    /// Whether `other`, of the same path, holds other bytes as far as the store tells: by etag
    /// where both have one, else by size and time.
    #[must_use]
    pub fn was_overwritten_by(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => self.size != other.size || self.modified != other.modified,
        }
    }

    /// Returns the last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}
