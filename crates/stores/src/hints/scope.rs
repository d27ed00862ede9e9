//! Which objects of a service belong to a source. Pure.

use model::hint::Place;

use crate::address::Bucket;

/// A source as its events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The bucket, or the container.
    pub(super) bucket: String,
    /// What every key of the source begins with, without a slash at the end; may be empty.
    pub(super) prefix: String,
    /// The storage account, where it is known.
    pub(super) account: Option<String>,
}

impl Scope {
    pub(super) fn of(bucket: &Bucket, account: Option<String>) -> Self {
        let prefix = bucket.prefix.to_string();
        Self { bucket: bucket.bucket.clone(), prefix, account }
    }

    /// Returns where an object lies below the source; `None` when it does not.
    pub(super) fn object(&self, bucket: &str, key: &str) -> Option<Place> {
        let below = self.below(bucket, key)?;
        (!below.is_empty()).then(|| Place::Object(below.to_owned()))
    }

    /// Returns which part of a folder belongs to the source: the folder, or all of the source when
    /// that lies below the folder.
    pub(super) fn folder(&self, bucket: &str, key: &str) -> Option<Place> {
        let key = key.strip_suffix('/').unwrap_or(key);
        match self.below(bucket, key) {
            Some("") => Some(Place::Everywhere),
            Some(below) => Some(Place::Folder(below.to_owned())),
            None => {
                let is_above = self.prefix == key
                    || self.prefix.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
                (bucket == self.bucket && is_above).then_some(Place::Everywhere)
            }
        }
    }

    fn below<'k>(&self, bucket: &str, key: &'k str) -> Option<&'k str> {
        if bucket != self.bucket {
            return None;
        }
        if self.prefix.is_empty() {
            return Some(key);
        }
        key.strip_prefix(&self.prefix)?.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_belongs_to_the_source_or_not() {
        let object = |path: &str| Some(Place::Object(path.to_owned()));
        for (name, prefix, bucket, key, expected) in [
            ("in the root", "", "lake", "a", object("a")),
            ("below the prefix", "x/y", "lake", "x/y/z/a", object("z/a")),
            ("beside the prefix", "x/y", "lake", "x/yz/a", None),
            ("above the prefix", "x/y", "lake", "x/a", None),
            ("the prefix itself", "x/y", "lake", "x/y", None),
            ("its mark", "x/y", "lake", "x/y/", None),
            ("another bucket", "", "pond", "a", None),
        ] {
            let scope =
                Scope { bucket: "lake".to_owned(), prefix: prefix.to_owned(), account: None };
            assert_eq!(scope.object(bucket, key), expected, "{name}");
        }
    }
}
