//! What opened a generation: why a new chain begins beside the old one, and where.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::LandingKey;

/// Counts up when the object changes its meaning.
const FORMAT: u32 = 1;

/// The object's name within its topic; a link's name has a partition before it.
const NAME: &str = "opened.json";

/// A generation that a lander opened because the topic was no longer the one that had landed.
///
/// One object of each topic and generation, created only if absent: what the first lander to
/// create it says, holds for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The generation that was opened.
    pub generation: u32,
    /// The generation it follows.
    pub follows: u32,
    /// The topic.
    pub topic: String,
    /// What was found.
    pub found: Divergence,
    /// When it was opened, by the opener's clock.
    pub ts_opened: DateTime<Utc>,
    /// Records fetched from this moment on may have been lost before they landed; `None` when it
    /// could be any.
    pub ts_lost_since: Option<DateTime<Utc>>,
    /// Where the new chains begin; 0 for a partition that is not named.
    pub from: BTreeMap<u32, u64>,
    /// Where the old chains ended for the opener. A lander that had not heard may have added links;
    /// what the topic has of them is in the new chains as well.
    pub ends: BTreeMap<u32, u64>,
}

/// How a topic was found to be another than the one that had landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The partition in which it was noticed.
    pub partition: u32,
    /// The offset after the last landed one.
    pub next: u64,
    /// What contradicted.
    pub problem: String,
}

/// The object as it is stored. No link's footer covers it, so it brings a checksum of its own: a
/// flipped digit would skip records in silence.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    format: u32,
    crc32: u32,
    #[serde(borrow)]
    opened: &'a RawValue,
}

impl Opened {
    /// Returns the object's key; no landing key is spelt so.
    #[must_use]
    pub fn key(generation: u32, topic: &str) -> String {
        format!("{}/{NAME}", LandingKey::topic_prefix(generation, topic))
    }

    /// Returns the offset at which the chain of `partition` begins.
    #[must_use]
    pub fn begins_at(&self, partition: u32) -> u64 {
        self.from.get(&partition).copied().unwrap_or(0)
    }

    /// Returns the object's bytes.
    ///
    /// # Panics
    /// Never: numbers, times and text always serialise.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let opened = serde_json::value::to_raw_value(self).expect("plain data always serialises");
        let crc32 = crc32fast::hash(opened.get().as_bytes());
        let stored = Stored { format: FORMAT, crc32, opened: &opened };
        let mut bytes = serde_json::to_vec(&stored).expect("plain data always serialises");
        bytes.push(b'\n');
        bytes
    }

    /// Parses the object of a topic and generation.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase.
    pub fn parse(generation: u32, topic: &str, bytes: &[u8]) -> Result<Self, String> {
        let stored: Stored<'_> =
            serde_json::from_slice(bytes).map_err(|error| format!("it is cut off: {error}"))?;
        if stored.format != FORMAT {
            return Err(format!("it is format {}; this release knows {FORMAT}", stored.format));
        }
        if crc32fast::hash(stored.opened.get().as_bytes()) != stored.crc32 {
            return Err("its text does not have its checksum".to_owned());
        }
        let opened: Self = serde_json::from_str(stored.opened.get())
            .map_err(|error| format!("it is not as this release writes it: {error}"))?;
        if (opened.generation, opened.topic.as_str()) != (generation, topic) {
            return Err(format!("it is of `{}`", Self::key(opened.generation, &opened.topic)));
        }
        Ok(opened)
    }
}

impl LandingKey {
    /// Returns the generation whose folder has this name.
    #[must_use]
    pub fn parse_generation(name: &str) -> Option<u32> {
        let generation: u32 = name.parse().ok()?;
        (generation.to_string() == name).then_some(generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Opened {
        Opened {
            generation: 3,
            follows: 1,
            topic: "intraday".to_owned(),
            found: Divergence { partition: 2, next: 10, problem: "lost its tail".to_owned() },
            ts_opened: "2026-11-23T10:00:00Z".parse().expect("a time"),
            ts_lost_since: Some("2026-11-23T09:59:58.5Z".parse().expect("a time")),
            from: [(0, 7), (2, u64::MAX)].into(),
            ends: [(0, 7), (2, 10)].into(),
        }
    }

    #[test]
    fn parsing_undoes_writing() {
        let opened = opened();
        assert_eq!(Opened::parse(3, "intraday", &opened.to_bytes()), Ok(opened.clone()));
        assert_eq!((opened.begins_at(0), opened.begins_at(1)), (7, 0));
        for (generation, topic) in [(2, "intraday"), (3, "eod")] {
            let refused = Opened::parse(generation, topic, &opened.to_bytes());
            assert!(refused.is_err_and(|problem| problem.contains("3/intraday")));
        }
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let whole = opened().to_bytes();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            let parsed = Opened::parse(3, "intraday", &flipped);
            // White space at the end says nothing.
            assert!(parsed.is_err() || parsed == Ok(opened()), "byte {at}: {parsed:?}");
            let cut = Opened::parse(3, "intraday", &whole[..at]);
            assert!(cut.is_err() || at + 1 == whole.len(), "cut at {at}");
        }
    }

    #[test]
    fn it_is_never_taken_for_a_link() {
        assert!(Opened::key(3, "intraday").parse::<LandingKey>().is_err());
        assert!(Opened::key(0, "p=00000").parse::<LandingKey>().is_err());
    }

    #[test]
    fn only_plain_numbers_are_generations() {
        let parse = LandingKey::parse_generation;
        assert_eq!([parse("0"), parse("12")], [Some(0), Some(12)]);
        for name in ["", "00", "+1", "-1", "1a", "probe-1", "4294967296"] {
            assert_eq!(parse(name), None, "{name:?}");
        }
    }
}
