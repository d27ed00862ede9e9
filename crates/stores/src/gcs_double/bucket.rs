//! The objects of one bucket, and the conditions under which they change.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
};

use chrono::{DateTime, Utc};

/// Objects and common prefixes on one page of a listing, as the service has it.
pub(super) const PAGE: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) content: Vec<u8>,
    /// The metadata headers, as they came.
    pub(super) meta: Vec<String>,
    /// Counted over the whole bucket; it is the tag too.
    pub(super) generation: u64,
    pub(super) written: DateTime<Utc>,
}

/// What must hold for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// The generation that must be there; 0 stands for none.
    Generation(u64),
}

/// Why the service says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    NotModified,
    InvalidRange,
    InvalidArgument,
}

impl Problem {
    /// Returns the status line's end and the code in the body.
    pub(super) const fn status(self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchBucket => ("404 Not Found", "NoSuchBucket"),
            Self::NoSuchKey => ("404 Not Found", "NoSuchKey"),
            Self::NoSuchUpload => ("404 Not Found", "NoSuchUpload"),
            Self::PreconditionFailed => ("412 Precondition Failed", "PreconditionFailed"),
            Self::NotModified => ("304 Not Modified", "NotModified"),
            Self::InvalidRange => ("416 Range Not Satisfiable", "InvalidRange"),
            Self::InvalidArgument => ("400 Bad Request", "InvalidArgument"),
        }
    }
}

/// An upload that is not complete.
#[derive(Debug, Default)]
struct Upload {
    key: String,
    meta: Vec<String>,
    parts: BTreeMap<u32, Vec<u8>>,
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) objects: Vec<(&'a str, &'a Object)>,
    pub(super) prefixes: Vec<String>,
    /// Where the next page begins, when there is one.
    pub(super) next: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<u64, Upload>,
    /// Of generations and uploads: no number is given twice.
    numbers: u64,
}

impl Bucket {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn get(&self, key: &str) -> Result<&Object, Problem> {
        self.objects.get(key).ok_or(Problem::NoSuchKey)
    }

    /// Writes an object when the condition holds, and returns its generation.
    pub(super) fn put(
        &mut self,
        key: &str,
        object: Object,
        condition: Condition,
    ) -> Result<u64, Problem> {
        let present = self.objects.get(key).map_or(0, |object| object.generation);
        match condition {
            Condition::Generation(wanted) if wanted != present => {
                return Err(Problem::PreconditionFailed);
            }
            Condition::Generation(_) | Condition::Always => (),
        }
        let generation = self.number();
        self.objects.insert(key.to_owned(), Object { generation, ..object });
        Ok(generation)
    }

    pub(super) fn delete(&mut self, key: &str) -> Result<(), Problem> {
        self.objects.remove(key).map(drop).ok_or(Problem::NoSuchKey)
    }

    pub(super) fn begin_upload(&mut self, key: &str, meta: Vec<String>) -> u64 {
        let number = self.number();
        let upload = Upload { key: key.to_owned(), meta, parts: BTreeMap::new() };
        self.uploads.insert(number, upload);
        number
    }

    pub(super) fn put_part(&mut self, id: u64, part: u32, body: Vec<u8>) -> Result<(), Problem> {
        let upload = self.uploads.get_mut(&id).ok_or(Problem::NoSuchUpload)?;
        upload.parts.insert(part, body);
        Ok(())
    }

    pub(super) fn complete(&mut self, id: u64, written: DateTime<Utc>) -> Result<u64, Problem> {
        let upload = self.uploads.remove(&id).ok_or(Problem::NoSuchUpload)?;
        let content = upload.parts.into_values().flatten().collect();
        let object = Object { content, meta: upload.meta, generation: 0, written };
        self.put(&upload.key, object, Condition::Always)
    }

    pub(super) fn abort(&mut self, id: u64) -> Result<(), Problem> {
        self.uploads.remove(&id).map(drop).ok_or(Problem::NoSuchUpload)
    }

    /// Lists keys after `after` in their order, at most a page; what has the delimiter behind the
    /// prefix stands as one common prefix.
    pub(super) fn list(&self, prefix: &str, delimiter: Option<&str>, after: &str) -> Page<'_> {
        let mut page = Page::default();
        let start = if after < prefix {
            Bound::Included(prefix.to_owned())
        } else {
            Bound::Excluded(after.to_owned())
        };
        let mut last = String::new();
        for (key, object) in self.objects.range((start, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            let common = delimiter.and_then(|delimiter| {
                let end = rest.find(delimiter)? + delimiter.len();
                Some(format!("{prefix}{}", &rest[..end]))
            });
            match common {
                // Listed on this page, or on the one before.
                Some(common) if page.prefixes.last() == Some(&common) => continue,
                Some(common) if after.starts_with(&common) => continue,
                _ if PAGE <= page.objects.len() + page.prefixes.len() => {
                    page.next = Some(last);
                    return page;
                }
                Some(common) => page.prefixes.push(common),
                None => page.objects.push((key, object)),
            }
            last.clone_from(key);
        }
        page
    }
}

/// Returns the bytes that a `Range` header asks for.
pub(super) fn range(asked: &str, length: usize) -> Result<Range<usize>, Problem> {
    let bytes = asked.strip_prefix("bytes=").ok_or(Problem::InvalidRange)?;
    let (first, last) = bytes.split_once('-').ok_or(Problem::InvalidRange)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| Problem::InvalidRange);
    let range = match (first, last) {
        ("", last) => length.saturating_sub(number(last)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => number(first)?..number(last)?.saturating_add(1).min(length),
    };
    if range.start < range.end { Ok(range) } else { Err(Problem::InvalidRange) }
}
