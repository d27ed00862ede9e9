//! Generations: a topic that lost or re-used offsets goes on in a new chain beside the old one.
//!
//! Whoever notices opens the next generation by one create-only object that says where the new
//! chains begin; everybody else takes over what it says. What may happen:
//!
//! | | then |
//! |---|---|
//! | two landers notice | one creates the object, the other reads it |
//! | a lander dies before it is created | nothing happened; the next one notices again |
//! | after | the next one begins in the new generation |
//! | a lander has not heard | what it lands in the old chain lies in the new one as well |
//!
//! The last line is why being late is harmless: the new chain of a partition begins where the old
//! one and the topic part, at or before the old chain's end, and landers only write behind that.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use model::{
    Clock,
    landing::{Divergence, LandingKey, Opened},
};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};

use super::{
    Context, PARTITIONS_AT_ONCE,
    chain::{self, CREATES_MAX, Created, READS_MAX},
    mark::{Mark, Seen},
};
use crate::{
    create_only::{self, Found},
    error::Error,
    topic::Fetched,
};

/// The generation that is landed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its number.
    pub generation: u32,
    /// What opened it; `None` for the configured one, whose chains begin at 0.
    pub opened: Option<Opened>,
}

impl Current {
    /// Returns the offset at which the chain of a partition begins.
    #[must_use]
    pub fn begins_at(&self, partition: u32) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.begins_at(partition))
    }

    /// Returns the offset behind the last record of a partition that landed.
    ///
    /// # Errors
    /// The store failed, or the last object is damaged.
    pub async fn landed(
        &self,
        store: &Arc<dyn ObjectStore>,
        topic: &str,
        partition: u32,
    ) -> Result<u64, Error> {
        let tail = chain::tail(store, self.generation, topic, partition).await?;
        Ok(tail.map_or_else(|| self.begins_at(partition), |(_, footer)| footer.next))
    }
}

/// Returns the newest opened generation of a topic at or above `floor`, the configured one.
///
/// # Errors
/// The store failed, or an object is damaged.
pub async fn current(
    store: &Arc<dyn ObjectStore>,
    topic: &str,
    floor: u32,
) -> Result<Current, Error> {
    for generation in folders(store).await?.into_iter().rev() {
        if generation < floor {
            break;
        }
        if let Some(opened) = read(store, generation, topic).await? {
            return Ok(Current { generation, opened: Some(opened) });
        }
    }
    Ok(Current { generation: floor, opened: None })
}

/// Returns every generation that has anything of a topic, oldest first.
///
/// # Errors
/// The store failed, or an object is damaged.
pub async fn all(store: &Arc<dyn ObjectStore>, topic: &str) -> Result<Vec<Current>, Error> {
    let found = stream::iter(folders(store).await?).map(|generation| async move {
        let opened = read(store, generation, topic).await?;
        let is_there = opened.is_some() || has_chain(store, generation, topic).await?;
        Ok(is_there.then_some(Current { generation, opened }))
    });
    found.buffered(PARTITIONS_AT_ONCE).try_filter_map(async |found| Ok(found)).try_collect().await
}

/// Reads what opened a generation; `None` when nothing did.
///
/// # Errors
/// The store failed, or the object is damaged.
pub async fn read(
    store: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
) -> Result<Option<Opened>, Error> {
    let key = Opened::key(generation, topic);
    let path = Path::from(key.as_str());
    let failed = |source| Error::LandingStore { doing: "reading", key: key.clone(), source };
    let mut reads = 1;
    loop {
        let bytes = match store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        match Opened::parse(generation, topic, &bytes) {
            Ok(opened) => return Ok(Some(opened)),
            Err(problem) if reads == READS_MAX => {
                return Err(Error::LandingObject { key, problem });
            }
            Err(_) => reads += 1,
        }
    }
}

/// Returns the generations that have a folder, rising. One of another topic's may be among them.
pub(crate) async fn folders(store: &Arc<dyn ObjectStore>) -> Result<Vec<u32>, Error> {
    let listed = store.list_with_delimiter(None).await.map_err(|source| {
        let key = "/".to_owned();
        Error::LandingStore { doing: "listing", key, source }
    })?;
    let names = listed.common_prefixes.iter().filter_map(|path| path.filename());
    let mut generations: Vec<u32> = names.filter_map(LandingKey::parse_generation).collect();
    generations.sort_unstable();
    Ok(generations)
}

async fn has_chain(
    store: &Arc<dyn ObjectStore>,
    generation: u32,
    topic: &str,
) -> Result<bool, Error> {
    let prefix = LandingKey::topic_prefix(generation, topic);
    let listed = store.list_with_delimiter(Some(&Path::from(prefix.as_str()))).await;
    let listed =
        listed.map_err(|source| Error::LandingStore { doing: "listing", key: prefix, source })?;
    Ok(listed
        .common_prefixes
        .iter()
        .any(|path| path.filename().and_then(LandingKey::partition_of_folder).is_some()))
}

/// What came of opening a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is open, by us or by another lander.
    Opened(Current),
    /// The topic is not there, or not whole. A cluster may not know its topics for a moment, and
    /// what it says then would be taken for a loss of everything, for good.
    Missing,
    /// There are no more numbers.
    Exhausted,
}

/// Opens the generation after the current one, or takes over what another lander opened.
pub(super) async fn open_next(context: &Context, found: Divergence) -> Result<Next, Error> {
    let (store, topic) = (&context.store, &context.config.topic);
    let follows = context.current.generation;
    // Above every number in use: an operator may have raised it by hand, for other landers.
    let last = all(store, topic).await?.pop().map_or(follows, |last| last.generation.max(follows));
    let Some(generation) = last.checked_add(1) else { return Ok(Next::Exhausted) };
    let count = context.reader.partitions(topic).await?;
    if count <= found.partition {
        return Ok(Next::Missing);
    }
    let begins: Vec<Begin> = stream::iter(0..count)
        .map(|partition| Begin::find(context, partition))
        .buffered(PARTITIONS_AT_ONCE)
        .try_collect()
        .await?;
    // Asked again: what was found holds only if the topic was there all the while.
    if context.reader.partitions(topic).await? < count {
        return Ok(Next::Missing);
    }
    let by_partition = |offset: fn(&Begin) -> u64| -> BTreeMap<u32, u64> {
        (0..).zip(begins.iter().map(offset)).collect()
    };
    let opened = Opened {
        generation,
        follows,
        topic: topic.clone(),
        found,
        ts_opened: context.clock.now(),
        ts_lost_since: lost_since(&begins),
        from: by_partition(|begin| begin.from),
        ends: by_partition(|begin| begin.end),
    };
    let opened = create(store, context.clock.as_ref(), opened).await?;
    Ok(Next::Opened(Current { generation, opened: Some(opened) }))
}

/// Creates the object that opens a generation, or returns the one that is there.
///
/// As with a link: whatever the store says, what it has afterwards is what holds.
async fn create(
    store: &Arc<dyn ObjectStore>,
    clock: &dyn Clock,
    opened: Opened,
) -> Result<Opened, Error> {
    let (generation, topic) = (opened.generation, opened.topic.as_str());
    let key = &Opened::key(generation, topic);
    let failed = |source| Error::LandingStore { doing: "creating", key: key.clone(), source };
    let (path, bytes) = (&Path::from(key.as_str()), &Bytes::from(opened.to_bytes()));
    let put = || async move {
        let options = PutOptions::from(PutMode::Create);
        store.put_opts(path, bytes.clone().into(), options).await.map(drop).map_err(failed)
    };
    let (ours, read) = (&opened, || read(store, generation, topic));
    let look = || async move {
        Ok(read().await?.map_or(Found::Nothing, |found| Found::of(found == *ours)))
    };
    match create_only::create(clock, CREATES_MAX, put, look).await? {
        Created::Ours => Ok(opened),
        Created::Others => read().await?.ok_or_else(|| chain::vanished(key)),
    }
}

/// Where a partition's new chain begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Begin {
    from: u64,
    /// Where its old chain ends.
    end: u64,
    lost: Lost,
}

/// Which records of a partition may have been acknowledged and lost before they landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// None that anybody knows of: the topic goes on where the chain ends.
    Nothing,
    /// Those after this moment: a partition lands in the order in which it is written, so what was
    /// lost came after the last record that landed.
    After(DateTime<Utc>),
    /// Nobody can say which.
    Anything,
}

/// Returns the earliest moment of all partitions; `None` for any time.
fn lost_since(begins: &[Begin]) -> Option<DateTime<Utc>> {
    let moments = begins.iter().filter_map(|begin| match begin.lost {
        Lost::Nothing => None,
        Lost::After(ts) => Some(Some(ts)),
        Lost::Anything => Some(None),
    });
    // `None` is less than any moment: one partition that cannot say decides.
    moments.min().flatten()
}

impl Begin {
    /// Finds the end of what the old chain and the topic have in common.
    ///
    /// | the topic has | the new chain begins |
    /// |---|---|
    /// | the last landed record, and the oldest that it can have | where the old one ends |
    /// | the oldest, not the last | behind the last link whose last record it has |
    /// | neither | at its first record |
    ///
    /// The link is found by halves: what two logs share is their beginning. A link that cannot be
    /// compared counts as different. Both err to the side of landing records twice, which costs
    /// space: silver drops them as unchanged.
    async fn find(context: &Context, partition: u32) -> Result<Self, Error> {
        let (topic, generation) = (&context.config.topic, context.current.generation);
        let keys = chain::list(&context.store, generation, topic, partition, None).await?;
        let first = first_offset(context, partition).await?;
        let topic_end = context.reader.end_offset(topic, partition).await?;
        let Some(last) = keys.last() else {
            let from = context.current.begins_at(partition);
            let mark = before_chain(context, partition).await?;
            let is_whole = from <= topic_end && !differs(context, partition, mark.as_ref()).await?;
            let lost = match mark.and_then(|mark| mark.ts()) {
                _ if is_whole => Lost::Nothing,
                Some(ts) => Lost::After(ts),
                None => Lost::Anything,
            };
            return Ok(Self { from: if is_whole { from } else { first }, end: from, lost });
        };
        let tail = chain::require(&context.store, last).await?;
        let end = tail.footer.next;
        let tail = Mark::of(&tail);
        let has_tail = end <= topic_end && !differs(context, partition, tail.as_ref()).await?;
        let oldest = oldest_held(context, partition, &keys, first).await?;
        let has_oldest =
            !differs(context, partition, oldest.as_ref().map(|(_, mark)| mark)).await?;
        if has_tail && has_oldest {
            return Ok(Self { from: end, end, lost: Lost::Nothing });
        }
        // When the topic has the tail, the chain went over from one log to the other unnoticed: then
        // only its oldest record is known to come from before that.
        let landed = if has_tail { oldest.as_ref().map(|(_, mark)| mark) } else { tail.as_ref() };
        let lost = landed.and_then(Mark::ts).map_or(Lost::Anything, Lost::After);
        let from = match oldest.filter(|_| has_oldest) {
            Some((at, oldest)) => {
                common_end(context, partition, &keys[at..], oldest.offset + 1).await?
            }
            None => first,
        };
        Ok(Self { from, end, lost })
    }
}

/// Returns the end of the last link that the topic has, by halves; the first of `keys` is one, and
/// ends at `end`.
async fn common_end(
    context: &Context,
    partition: u32,
    keys: &[LandingKey],
    mut end: u64,
) -> Result<u64, Error> {
    let (mut same, mut other) = (0, keys.len());
    while same + 1 < other {
        let middle = usize::midpoint(same, other);
        let link = chain::require(&context.store, &keys[middle]).await?;
        let seen = match Mark::of(&link) {
            Some(mark) => mark.look(context, partition).await?,
            None => Seen::Gone,
        };
        if seen == Seen::Same {
            (same, end) = (middle, link.footer.next);
        } else {
            other = middle;
        }
    }
    Ok(end)
}

/// Returns whether the topic contradicts a landed record. One that it no longer has does not.
async fn differs(context: &Context, partition: u32, mark: Option<&Mark>) -> Result<bool, Error> {
    let Some(mark) = mark else { return Ok(false) };
    Ok(matches!(mark.look(context, partition).await?, Seen::Other | Seen::BehindEnd))
}

/// Returns the oldest offset that the topic still has.
pub(super) async fn first_offset(context: &Context, partition: u32) -> Result<u64, Error> {
    let read = context.reader.read(&context.config.topic, partition, 0, 1).await?;
    Ok(match read {
        Fetched::OutOfRange { first_offset, .. } => first_offset,
        Fetched::Records(_) => 0,
    })
}

/// Links looked at for one that is no gap: two gaps never follow each other by our own doing.
const GAPS_PASSED_MAX: usize = 4;

/// Returns the oldest landed record that a topic can have whose oldest is `first`, and the place of
/// its link among `keys`; `None` when retention took them all.
pub(super) async fn oldest_held(
    context: &Context,
    partition: u32,
    keys: &[LandingKey],
    first: u64,
) -> Result<Option<(usize, Mark)>, Error> {
    // A link ends where the next one begins.
    let start = keys.iter().skip(1).take_while(|next| next.first_offset <= first).count();
    for (at, key) in keys.iter().enumerate().skip(start).take(GAPS_PASSED_MAX) {
        let Some(mark) = Mark::of(&chain::require(&context.store, key).await?) else { continue };
        let is_held = first <= mark.offset;
        if is_held && mark.look(context, partition).await? != Seen::Gone {
            return Ok(Some((at, mark)));
        }
    }
    Ok(None)
}

/// Returns the landed record before the chain's beginning, in the generation before; `None` when
/// no link ends there.
pub(super) async fn before_chain(context: &Context, partition: u32) -> Result<Option<Mark>, Error> {
    let topic = &context.config.topic;
    let mut current = context.current.clone();
    // Every generation follows a smaller one: this ends.
    while let Some(opened) = &current.opened {
        let from = opened.begins_at(partition);
        let before = opened.follows;
        if opened.generation <= before {
            break;
        }
        let keys = chain::list(&context.store, before, topic, partition, None).await?;
        if let Some(key) = keys.iter().rfind(|key| key.first_offset < from) {
            let link = chain::require(&context.store, key).await?;
            return Ok(Mark::of(&link).filter(|mark| mark.offset + 1 == from));
        }
        let opened = read(&context.store, before, topic).await?;
        let is_same = opened.as_ref().is_some_and(|opened| opened.begins_at(partition) == from);
        current = Current { generation: before, opened: opened.filter(|_| is_same) };
    }
    Ok(None)
}
