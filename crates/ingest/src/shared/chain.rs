//! A shard's chain as anybody may read it: where its objects are, and what they add up to.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    journal::{Change, Link, Place, ShardState},
    members::Glance,
    objects::{Listed, Objects},
};
use crate::{Error, state::FetchedPage};

/// Objects read at a time.
pub(super) const READS_AT_ONCE: usize = 16;

/// A snapshot takes hundreds of links: two of them while a shard is read mean something else.
const LOADS_MAX: u32 = 3;

impl Place {
    pub(super) fn folder(self) -> String {
        format!("{}/shard={:04}", generation_folder(self.generation), self.shard)
    }

    pub(super) fn links(self) -> String {
        format!("{}/links", self.folder())
    }

    pub(super) fn snapshots(self) -> String {
        format!("{}/snapshots", self.folder())
    }

    pub(super) fn pages(self) -> String {
        format!("{}/pages", self.folder())
    }
}

impl ShardState {
    /// Returns what the chain says of what others may know.
    pub(super) const fn glance(&self) -> Glance {
        let Self { next: links, windows_behind, rows_total, ts_newest, .. } = *self;
        Glance { links, windows_behind, rows_total, ts_newest }
    }
}

pub(super) fn generation_folder(generation: u32) -> String {
    format!("generation={generation:04}")
}

/// Returns the generations that have a folder, oldest first.
pub(super) async fn generations(objects: &Objects) -> Result<BTreeSet<u32>, Error> {
    let folders = objects.folders().await?;
    let number = |folder: &String| folder.strip_prefix("generation=")?.parse().ok();
    Ok(folders.iter().filter_map(number).collect())
}

/// Returns the key of a numbered object.
pub(super) fn key(folder: &str, number: u64) -> String {
    format!("{folder}/{number:020}")
}

/// Reads a shard: its newest snapshot and the links behind it.
///
/// Its holder may make a newer snapshot meanwhile and delete what was listed: then once more.
pub(super) async fn load(objects: &Objects, place: Place) -> Result<ShardState, Error> {
    let mut gone = String::new();
    for _ in 0..LOADS_MAX {
        match try_load(objects, place).await? {
            Ok(state) => return Ok(state),
            Err(key) => gone = key,
        }
    }
    Err(Error::PollObject { key: gone, problem: "it is gone".to_owned() })
}

/// Reads a shard, or returns the key of an object that should be there and is not.
async fn try_load(objects: &Objects, place: Place) -> Result<Result<ShardState, String>, Error> {
    let newest = objects.list(&place.snapshots(), None).await?;
    let newest = newest.iter().filter_map(Listed::number).max();
    let mut state = ShardState::default();
    if let Some(number) = newest {
        let key = key(&place.snapshots(), number);
        match parse(objects, &key).await? {
            Some(snapshot) => state = snapshot,
            None => return Ok(Err(key)),
        }
    }
    // Listed from the link before on: the offset itself is left out.
    let before = state.next.checked_sub(1).map(|number| key(&place.links(), number));
    let listed = objects.list(&place.links(), before.as_deref()).await?;
    let numbers: Vec<u64> = listed.iter().filter_map(Listed::number).collect();
    let links = stream::iter(numbers).map(|number| async move {
        let key = key(&place.links(), number);
        let link: Option<Link> = parse(objects, &key).await?;
        Ok::<_, Error>((number, key, link))
    });
    let links: Vec<_> = links.buffered(READS_AT_ONCE).try_collect().await?;
    for (number, link_key, link) in links {
        let Some(link) = link else { return Ok(Err(link_key)) };
        if number != state.next {
            return Ok(Err(key(&place.links(), state.next)));
        }
        let applied = state.apply(place, &link);
        applied.map_err(|problem| Error::PollObject { key: link_key, problem })?;
    }
    Ok(Ok(state))
}

/// Returns whether what `member` showed of a shard still holds: nobody wrote to the chain since it
/// had that many links, or the last who did was the same poller and has not released it.
pub(super) async fn is_current(
    objects: &Objects,
    place: Place,
    member: &str,
    links: u64,
) -> Result<bool, Error> {
    let before = links.checked_sub(1).map(|number| key(&place.links(), number));
    let listed = objects.list(&place.links(), before.as_deref()).await?;
    let Some(last) = listed.iter().rfind(|listed| listed.number().is_some()) else {
        return Ok(true);
    };
    let link: Option<Link> = parse(objects, &last.key).await?;
    let is_its =
        |link: Link| link.writer == member && !matches!(link.change, Change::Release { .. });
    Ok(link.is_some_and(is_its))
}

/// Returns every page that was ever recorded, oldest first.
pub(super) async fn pages(objects: &Objects, place: Place) -> Result<Vec<FetchedPage>, Error> {
    // The end first: what moves to the archive in between is then still among its pages.
    let state = load(objects, place).await?;
    let archived = objects.list(&place.pages(), None).await?;
    let archived = archived.into_iter().filter(|listed| {
        // The archive of the pages behind the last snapshot is written before the next one, which
        // does without them. Between the two they are in both.
        let is_in_both = |number| number == state.next && !state.recent.is_empty();
        listed.number().is_some_and(|number| number <= state.next && !is_in_both(number))
    });
    let archives = stream::iter(archived).map(|listed| async move {
        let gone =
            || Error::PollObject { key: listed.key.clone(), problem: "it is gone".to_owned() };
        parse::<Vec<FetchedPage>>(objects, &listed.key).await?.ok_or_else(gone)
    });
    let archives: Vec<_> = archives.buffered(READS_AT_ONCE).try_collect().await?;
    Ok(archives.into_iter().flatten().chain(state.recent).collect())
}

/// Reads an object; `None` when it is not there.
async fn parse<T: serde::de::DeserializeOwned>(
    objects: &Objects,
    key: &str,
) -> Result<Option<T>, Error> {
    let Some(body) = objects.read(key).await? else { return Ok(None) };
    let broken = |error| format!("this release cannot read it: {error}");
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(|error| Error::PollObject { key: key.to_owned(), problem: broken(error) })
}
