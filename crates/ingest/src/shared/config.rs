//! What pollers have to agree on to share, and what each may choose.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    chain::{generation_folder, generations},
    journal::{GENERATION_MAX, Place, SHARDS_MAX},
    objects::{Created, Objects},
};
use crate::Error;

/// How pollers share.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// Counts up to begin anew, with another number of shards: everything is fetched again from
    /// the start date, under larger fetch ids. From 1 on.
    pub generation: NonZeroU32,
    /// Parts the symbols are split into, fixed for a generation: at least one for each poller
    /// there will ever be. More of them spread better and make requests smaller and more.
    pub shards: NonZeroU32,
    /// How long a poller may show no sign of life before others take its shards. A shorter one
    /// costs more requests to the store: four objects in this time for each poller.
    pub lease_ttl: Duration,
    /// This poller's name, different at every start on every machine: `A-Z a-z 0-9 . _ -`.
    pub holder: String,
    /// Changes between two snapshots of a shard, fixed for a generation: what a take-over reads.
    pub snapshot_links: NonZeroU64,
}

/// Longest name of a poller.
const HOLDER_MAX: usize = 128;
/// A lease of under a second would lapse whenever a store is slow.
const LEASE_TTL_MIN: Duration = Duration::from_secs(1);
/// For so long nobody polls the symbols of a poller that died.
const LEASE_TTL_MAX: Duration = Duration::from_secs(3600);

impl SharedConfig {
    /// 256 links are a quarter of a second to read, sixteen at a time from a store that answers in
    /// 15 ms, and a snapshot is then a hundredth of all writes.
    pub const SNAPSHOT_LINKS: NonZeroU64 = NonZeroU64::new(256).expect("not zero");

    /// Checks what cannot work.
    ///
    /// # Errors
    /// `Error::Settings` with the first setting that cannot work.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |setting, problem: String| Err(Error::Settings { setting, problem });
        if GENERATION_MAX < self.generation.get() {
            return refuse("poll.generation", format!("must be at most {GENERATION_MAX}"));
        }
        if SHARDS_MAX < self.shards.get() {
            return refuse("poll.shards", format!("must be at most {SHARDS_MAX}"));
        }
        if self.lease_ttl < LEASE_TTL_MIN {
            return refuse("poll.lease", "must be at least a second".to_owned());
        }
        if LEASE_TTL_MAX < self.lease_ttl {
            return refuse("poll.lease", "must be at most an hour".to_owned());
        }
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = !self.holder.is_empty()
            && self.holder.len() <= HOLDER_MAX
            && !self.holder.starts_with('.')
            && self.holder.bytes().all(is_fine);
        if !is_name {
            let problem =
                format!("`{}` must be 1 to {HOLDER_MAX} of `A-Z a-z 0-9 . _ -`", self.holder);
            return refuse("poll.holder", problem);
        }
        Ok(())
    }
}

/// What the pollers of a generation agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) shards: u32,
    pub(super) snapshot_links: u64,
}

impl Layout {
    fn key(generation: u32) -> String {
        format!("{}/layout", generation_folder(generation))
    }

    pub(super) async fn read(objects: &Objects, generation: u32) -> Result<Option<Self>, Error> {
        let key = Self::key(generation);
        let Some(body) = objects.read(&key).await? else { return Ok(None) };
        let broken = |error| format!("this release cannot read it: {error}");
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| Error::PollObject { key, problem: broken(error) })
    }

    /// Writes down what this generation agrees on, or checks that it is what `config` says.
    ///
    /// A generation before one that was begun has lower fetch ids: what it fetched would count as
    /// older than what is known.
    pub(super) async fn agree(objects: &Objects, config: &SharedConfig) -> Result<Self, Error> {
        let generation = config.generation.get();
        if let Some(newest) = generations(objects).await?.pop_last().filter(|it| generation < *it) {
            return Err(Error::Settings {
                setting: "poll.generation",
                problem: format!(
                    "generation {newest} was begun already, {generation} would count as older than \
                     what is known: set it to {newest}, or raise it further to begin anew"
                ),
            });
        }
        let wanted =
            Self { shards: config.shards.get(), snapshot_links: config.snapshot_links.get() };
        let body = serde_json::to_vec(&wanted).expect("numbers always serialise");
        if objects.create(&Self::key(generation), &body).await? == Created::Ours {
            return Ok(wanted);
        }
        match Self::read(objects, generation).await? {
            // How often snapshots are made is no reason to refuse: what was begun is kept.
            Some(found) if found.shards == wanted.shards => Ok(found),
            found => Err(Error::Settings {
                setting: "poll.shards",
                problem: format!(
                    "generation {generation} has {} shards, not {}: set it back, or raise \
                     `poll.generation`, which fetches everything again",
                    found.map_or(0, |found| found.shards),
                    wanted.shards
                ),
            }),
        }
    }

    pub(super) const fn place(self, generation: u32, shard: u32) -> Place {
        Place { generation, shard, snapshot_links: self.snapshot_links }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{ErrorKind, ManualClock};
    use object_store::memory::InMemory;

    use super::*;

    fn config() -> SharedConfig {
        SharedConfig {
            generation: NonZeroU32::MIN,
            shards: NonZeroU32::new(8).unwrap(),
            lease_ttl: Duration::from_secs(30),
            holder: "machine-1.7c2f".to_owned(),
            snapshot_links: SharedConfig::SNAPSHOT_LINKS,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut SharedConfig), refused: Option<&str>) {
        let mut config = config();
        change(&mut config);
        let found = match config.check() {
            Ok(()) => None,
            Err(Error::Settings { setting, .. }) => Some(setting),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(found, refused, "{config:?}");
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_name() {
        check(|_| (), None);
        check(|config| config.generation = NonZeroU32::new(8191).unwrap(), None);
        check(|config| config.generation = NonZeroU32::new(8192).unwrap(), Some("poll.generation"));
        check(|config| config.shards = NonZeroU32::new(1024).unwrap(), None);
        check(|config| config.shards = NonZeroU32::new(1025).unwrap(), Some("poll.shards"));
        check(|config| config.lease_ttl = Duration::from_secs(1), None);
        check(|config| config.lease_ttl = Duration::from_millis(999), Some("poll.lease"));
        check(|config| config.lease_ttl = Duration::from_secs(3600), None);
        check(|config| config.lease_ttl = Duration::from_secs(3601), Some("poll.lease"));
        check(|config| config.lease_ttl = Duration::MAX, Some("poll.lease"));
        for holder in ["", "..", ".hidden", "a/b", "a b", "ä", &"x".repeat(129)] {
            check(|config| config.holder = holder.to_owned(), Some("poll.holder"));
        }
        check(|config| config.holder = "x".repeat(128), None);
    }

    #[tokio::test]
    async fn a_generation_keeps_its_number_of_shards() {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let objects = Objects::new(Arc::new(InMemory::new()), Arc::new(clock));
        let first = Layout::agree(&objects, &config()).await.unwrap();
        // How often snapshots are made is the first one's choice.
        let snapshot_links = NonZeroU64::new(7).unwrap();
        let other = SharedConfig { snapshot_links, ..config() };
        assert_eq!(Layout::agree(&objects, &other).await.unwrap(), first);
        let more = SharedConfig { shards: NonZeroU32::new(9).unwrap(), ..config() };
        let refused = Layout::agree(&objects, &more).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.to_string().contains("has 8 shards, not 9"), "{refused}");
        let next = SharedConfig { generation: NonZeroU32::new(2).unwrap(), ..more };
        assert_eq!(Layout::agree(&objects, &next).await.unwrap().shards, 9);
    }

    #[tokio::test]
    async fn a_generation_is_never_lowered() {
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let objects = Objects::new(Arc::new(InMemory::new()), Arc::new(clock));
        let of = |generation| SharedConfig {
            generation: NonZeroU32::new(generation).unwrap(),
            ..config()
        };
        Layout::agree(&objects, &of(9)).await.unwrap();
        Layout::agree(&objects, &of(10)).await.unwrap();
        for lower in [1, 9] {
            let refused = Layout::agree(&objects, &of(lower)).await.unwrap_err();
            assert!(
                matches!(refused, Error::Settings { setting: "poll.generation", .. }),
                "{refused:?}"
            );
            assert!(refused.to_string().contains("set it to 10"), "{refused}");
        }
        assert!(objects.read(&Layout::key(1)).await.unwrap().is_none(), "nothing was begun");
        Layout::agree(&objects, &of(10)).await.unwrap();
    }
}
