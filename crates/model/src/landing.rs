//! How landing objects are named and closed: the chain that is the pipeline's progress.
//!
//! An object is named by its first offset and its footer names the `next` one, so the objects of
//! a partition form a chain without gaps or overlaps. Keys are relative to the landing zone's root.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

mod opened;

pub use opened::{Divergence, Opened};

/// The place of an object in the landing zone.
///
/// Ordered by partition, then offset: the order in which the chain is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LandingKey {
    /// Counts up when the topic was found to have lost or re-used offsets.
    pub generation: u32,
    /// The topic: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, not starting with a dot.
    pub topic: String,
    /// The topic's partition.
    pub partition: u32,
    /// The first offset in the object.
    pub first_offset: u64,
    /// Records, or the statement that records are gone.
    pub kind: LandingKind,
}

/// What a landing object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LandingKind {
    /// Records, one line each.
    Records,
    /// A gap: the topic dropped these offsets before they landed. Only a footer.
    Gap,
}

/// The last line of a landing object: what a reader must have found above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// The first offset in the object.
    pub first: u64,
    /// The first offset of the following object.
    pub next: u64,
    /// Records in the object; fewer than `next - first` when the topic skipped offsets.
    pub count: u64,
    /// SHA-256 of all lines above the footer, uncompressed, newlines included; lower-case hex.
    pub sha256: String,
    /// CRC-32 of the last record's value, to notice a topic that re-used offsets.
    pub last_record_crc: u32,
}

/// The footer as a line of the object.
#[derive(Serialize, Deserialize)]
struct FooterLine {
    #[serde(rename = "_footer")]
    footer: Footer,
}

impl Footer {
    /// The bytes every footer line begins with; no record line begins so.
    pub const LINE_PREFIX: &'static [u8] = br#"{"_footer":"#;

    /// Returns the footer as one line, newline included.
    ///
    /// # Panics
    /// Never: a footer of numbers and text always serialises.
    #[must_use]
    pub fn to_line(&self) -> String {
        let line = FooterLine { footer: self.clone() };
        let mut text = serde_json::to_string(&line).expect("numbers and text always serialise");
        text.push('\n');
        text
    }

    /// Parses a footer line; `None` when the line is none.
    #[must_use]
    pub fn parse_line(line: &[u8]) -> Option<Self> {
        if !line.starts_with(Self::LINE_PREFIX) {
            return None;
        }
        serde_json::from_slice::<FooterLine>(line).ok().map(|line| line.footer)
    }
}

impl LandingKey {
    /// Returns the prefix under which all objects of a topic lie, no slash at the end.
    #[must_use]
    pub fn topic_prefix(generation: u32, topic: &str) -> String {
        format!("{generation}/{topic}")
    }

    /// Returns the prefix under which all objects of a topic's partition lie, no slash at the end.
    #[must_use]
    pub fn partition_prefix(generation: u32, topic: &str, partition: u32) -> String {
        format!("{}/p={partition:05}", Self::topic_prefix(generation, topic))
    }

    /// Returns the partition whose objects a folder below a topic's prefix holds; `None` when it
    /// is no partition's.
    #[must_use]
    pub fn partition_of_folder(name: &str) -> Option<u32> {
        let partition = name.strip_prefix("p=")?.parse().ok()?;
        // Only the one canonical spelling, as in a key.
        (format!("p={partition:05}") == name).then_some(partition)
    }

    /// Returns whether `name` may be a topic: a path segment that needs no escaping anywhere.
    #[must_use]
    pub fn is_topic_name(name: &str) -> bool {
        (1..=64).contains(&name.len())
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    }
}

impl fmt::Display for LandingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Self::partition_prefix(self.generation, &self.topic, self.partition);
        let ending = match self.kind {
            LandingKind::Records => "ndjson.zst",
            LandingKind::Gap => "gap",
        };
        write!(f, "{prefix}/{:020}.{ending}", self.first_offset)
    }
}

impl FromStr for LandingKey {
    type Err = InvalidLandingKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidLandingKey { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<LandingKey> {
    let mut parts = text.split('/');
    let generation = parts.next()?.parse().ok()?;
    let topic = parts.next().filter(|topic| LandingKey::is_topic_name(topic))?.to_owned();
    let partition = LandingKey::partition_of_folder(parts.next()?)?;
    let (first_offset, ending) = parts.next()?.split_once('.')?;
    let kind = match ending {
        "ndjson.zst" => LandingKind::Records,
        "gap" => LandingKind::Gap,
        _ => return None,
    };
    let key =
        LandingKey { generation, topic, partition, first_offset: first_offset.parse().ok()?, kind };
    // Only the one canonical spelling is a key, or two names could mean one link of the chain.
    (parts.next().is_none() && key.to_string() == text).then_some(key)
}

/// The text is no landing key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no landing key; expected `<generation>/<topic>/p=<partition:05>/<first_offset:020>.ndjson.zst`"
)]
pub struct InvalidLandingKey {
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_undoes_building() {
        for (generation, topic, partition, first_offset, kind) in [
            (0, "intraday", 0, 0, LandingKind::Records),
            (7, "prod.eod-2_x", 99_999, u64::MAX, LandingKind::Gap),
            (u32::MAX, "a", 123_456, 10_u64.pow(19), LandingKind::Records),
        ] {
            let key =
                LandingKey { generation, topic: topic.to_owned(), partition, first_offset, kind };
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "0/intraday/p=00000/0.ndjson.zst",
            "0/intraday/p=0/00000000000000000000.ndjson.zst",
            "00/intraday/p=00000/00000000000000000000.ndjson.zst",
            "0/../p=00000/00000000000000000000.ndjson.zst",
            "0/intraday/p=00000/00000000000000000000.ndjson",
            "0/intraday/p=00000/00000000000000000000.ndjson.zst/x",
        ] {
            assert!(text.parse::<LandingKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_footer_survives_its_line() {
        let footer =
            Footer { first: 3, next: 9, count: 5, sha256: "ab".to_owned(), last_record_crc: 7 };
        let line = footer.to_line();
        assert_eq!(Footer::parse_line(line.trim_end().as_bytes()), Some(footer));
        assert_eq!(Footer::parse_line(br#"{"_offset":1}"#), None);
    }
}
