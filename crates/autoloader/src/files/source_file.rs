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
            (Some(ours), Some(theirs)) => !is_same_etag(ours, theirs),
            _ => self.size != other.size || self.modified != other.modified,
        }
    }

    /// Returns the last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Whether two tags are one. Listings of some services leave out the quotes that the same tag has
/// when its object is asked for, and a weak tag, `W/"x"`, is that of the same bytes packed otherwise
/// on their way: here both mean one version of an object.
pub(super) fn is_same_etag(one: &str, other: &str) -> bool {
    fn bare(etag: &str) -> &str {
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        let quoted = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
        quoted.unwrap_or(etag)
    }
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_one_whatever_their_quotes() {
        for (one, other, expected) in [
            ("0x8D", "0x8D", true),
            ("0x8D", "\"0x8D\"", true),
            ("\"0x8D\"", "W/\"0x8D\"", true),
            ("0x8D", "0x8E", false),
            ("\"0x8D\"", "\"0x8E\"", false),
            ("", "\"\"", true),
            ("\"", "\"\"", false),
            ("W/", "", true),
        ] {
            assert_eq!(is_same_etag(one, other), expected, "{one} and {other}");
            let file = |etag: &str| SourceFile {
                path: "a".to_owned(),
                size: 1,
                modified: DateTime::UNIX_EPOCH,
                etag: Some(etag.to_owned()),
                version: None,
            };
            assert_eq!(file(one).was_overwritten_by(&file(other)), !expected, "{one}, {other}");
        }
    }
}
