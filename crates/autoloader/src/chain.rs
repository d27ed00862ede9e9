//! Discovery by chain: the footer of an object names the next one, so finding it is one GET.
//!
//! | way to find the next object | costs |
//! |---|---|
//! | list the prefix and compare | grows with all objects ever landed |
//! | list after the cursor | a LIST per poll; a local folder is still read whole |
//! | get what the footer named | one GET, and a second for `.gap`, however long the history |
//!
//! The last one is used; the partitions themselves are what a listing of the topic's folder names. A
//! batch has to be read anyway, so the GET that discovers an object is
//! the one that reads it: its verified lines stay in memory until the batch is decoded. Objects
//! are listed only where no footer can help: for the first object of a chain that does not begin
//! at offset 0, for the backlog, and once for `AvailableNow`, each time from the cursor on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use model::landing::{LandingKey, LandingKind};
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};

use crate::{
    error::Error,
    object::{ObjectRows, verify_object},
    plan::{BatchChoice, Cursors, PlannedObject},
    target::BatchId,
};

/// Objects fetched at the same time. Hides a bucket's latency; two cores have no more to do.
const FETCHES_MAX: usize = 4;

/// Most partitions of a topic. Each one costs a GET per poll; a Kafka topic has a few hundred.
const PARTITIONS_MAX: usize = 10_000;

/// An object as it was found, with its lines.
#[derive(Debug)]
pub struct Link {
    /// Its name.
    pub key: LandingKey,
    /// What a plan says of it.
    pub object: PlannedObject,
    /// Its lines.
    pub rows: ObjectRows,
}

/// What waits behind the cursors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Objects.
    pub objects: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// The chains of one topic, one per partition.
#[derive(Debug)]
pub struct Chains {
    source: Source,
    /// The partitions that were there when last looked for, in order.
    partitions: Vec<u32>,
    /// Objects read and not yet given away. At most those of one batch and [`FETCHES_MAX`] more.
    links: HashMap<String, Link>,
    /// The last object of each partition that may be read, when discovery stops at what existed
    /// once; a partition that is absent had nothing.
    until: Option<BTreeMap<u32, u64>>,
}

/// Where the objects of a topic lie.
#[derive(Debug)]
struct Source {
    landing: Arc<dyn ObjectStore>,
    generation: u32,
    topic: String,
}

impl Chains {
    /// Creates the chains of `topic` below `landing`; nothing is read yet.
    #[must_use]
    pub fn new(landing: Arc<dyn ObjectStore>, generation: u32, topic: String) -> Self {
        let source = Source { landing, generation, topic };
        Self { source, partitions: Vec::new(), links: HashMap::new(), until: None }
    }

    /// Whether no partition is known.
    pub(crate) const fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Looks which partitions have landed.
    pub(crate) async fn look_for_partitions(&mut self) -> Result<(), Error> {
        self.partitions = self.source.partitions().await?;
        Ok(())
    }

    /// Lets discovery end at the objects that exist now; a second call changes nothing.
    pub(crate) async fn freeze(&mut self, cursors: &Cursors) -> Result<(), Error> {
        if self.until.is_some() {
            return Ok(());
        }
        self.look_for_partitions().await?;
        let mut until = BTreeMap::new();
        for &partition in &self.partitions {
            let found = self.source.list(partition, cursors.get(&partition).copied()).await?;
            if let Some(last) = found.iter().map(|(key, _)| key.first_offset).max() {
                until.insert(partition, last);
            }
        }
        self.until = Some(until);
        Ok(())
    }

    /// Walks all chains from `cursors` on and offers what it finds to `choice`, one object of
    /// every partition after the other, until the choice is full or the chains end.
    pub(crate) async fn walk(
        &mut self,
        cursors: &Cursors,
        choice: &mut BatchChoice,
    ) -> Result<(), Error> {
        let cursor = |partition: &u32| (*partition, cursors.get(partition).copied());
        let mut live: Vec<_> = self.partitions.iter().map(cursor).collect();
        // Every round takes an object or ends a chain, and the choice is bounded: this ends.
        while !live.is_empty() && !choice.is_full() {
            live.retain(|(partition, cursor)| self.may_read(*partition, cursor.unwrap_or(0)));
            let known: Vec<_> =
                live.iter().map(|(partition, cursor)| self.known(*partition, *cursor)).collect();
            let source = &self.source;
            let mut round = stream::iter(live.iter().copied().zip(known))
                .map(async |((partition, cursor), known)| match known {
                    Some(name) => Ok(Some(Found::Known(name))),
                    None => source.find(partition, cursor).await,
                })
                .buffered(FETCHES_MAX);
            let mut longer = Vec::new();
            while let Some(found) = round.try_next().await? {
                let name = match found {
                    Some(Found::Known(name)) => name,
                    Some(Found::New(link)) => {
                        let name = link.object.key.clone();
                        self.links.insert(name.clone(), *link);
                        name
                    }
                    None => continue,
                };
                let Some(link) = self.links.get(&name) else { continue };
                // A chain may begin after 0, and so behind what may be read.
                let late = self.until.as_ref().is_some_and(|until| {
                    until.get(&link.key.partition).is_none_or(|last| *last < link.object.first)
                });
                if late {
                    continue;
                }
                if !choice.offer(link.key.clone(), link.object.clone(), raw_len(&link.rows)) {
                    break;
                }
                longer.push((link.key.partition, Some(link.object.next)));
            }
            drop(round);
            live = longer;
        }
        Ok(())
    }

    /// Whether discovery may look at `first_offset` of a partition.
    fn may_read(&self, partition: u32, first_offset: u64) -> bool {
        self.until
            .as_ref()
            .is_none_or(|until| until.get(&partition).is_some_and(|last| first_offset <= *last))
    }

    /// Returns the name of the object at a cursor, when it is in memory.
    fn known(&self, partition: u32, cursor: Option<u64>) -> Option<String> {
        [LandingKind::Records, LandingKind::Gap]
            .into_iter()
            .map(|kind| self.source.key(partition, cursor.unwrap_or(0), kind).to_string())
            .find(|name| self.links.contains_key(name))
    }

    /// Returns the object a plan names, from memory or from the store.
    pub(crate) fn take(&mut self, planned: &PlannedObject) -> Option<Link> {
        self.links.remove(&planned.key).filter(|link| link.object.sha256 == planned.sha256)
    }

    /// Forgets objects that were read and not taken.
    pub(crate) fn forget(&mut self) {
        self.links.clear();
    }

    /// Returns what waits behind `cursors`.
    pub(crate) async fn waiting(&self, cursors: &Cursors) -> Result<Waiting, Error> {
        let mut waiting = Waiting::default();
        for partition in self.source.partitions().await? {
            for (_, meta) in self.source.list(partition, cursors.get(&partition).copied()).await? {
                waiting.objects += 1;
                waiting.bytes = waiting.bytes.saturating_add(meta.size);
            }
        }
        Ok(waiting)
    }
}

impl Source {
    fn key(&self, partition: u32, first_offset: u64, kind: LandingKind) -> LandingKey {
        let (generation, topic) = (self.generation, self.topic.clone());
        LandingKey { generation, topic, partition, first_offset, kind }
    }

    /// Lists the topic's partitions that have landed, in order.
    async fn partitions(&self) -> Result<Vec<u32>, Error> {
        let folder = LandingKey::topic_prefix(self.generation, &self.topic);
        let listed = self.landing.list_with_delimiter(Some(&Path::from(folder.as_str()))).await;
        let listed =
            listed.map_err(|source| Error::Store { action: "listing", key: folder, source })?;
        let name = |path: &Path| LandingKey::partition_of_folder(path.filename()?);
        let mut partitions: Vec<u32> = listed.common_prefixes.iter().filter_map(name).collect();
        if PARTITIONS_MAX < partitions.len() {
            return Err(Error::Partitions {
                topic: self.topic.clone(),
                found: partitions.len(),
                max: PARTITIONS_MAX,
            });
        }
        partitions.sort_unstable();
        Ok(partitions)
    }

    async fn find(&self, partition: u32, cursor: Option<u64>) -> Result<Option<Found>, Error> {
        if let Some(found) = self.find_at(partition, cursor.unwrap_or(0)).await? {
            return Ok(Some(found));
        }
        if cursor.is_some() {
            return Ok(None);
        }
        match self.first_of_chain(partition).await? {
            Some(first) => self.find_at(partition, first).await,
            None => Ok(None),
        }
    }

    async fn find_at(&self, partition: u32, first_offset: u64) -> Result<Option<Found>, Error> {
        for kind in [LandingKind::Records, LandingKind::Gap] {
            let key = self.key(partition, first_offset, kind);
            if let Some((meta, bytes)) = get(&*self.landing, &key.to_string(), None).await? {
                let link = link_or_read_again(&*self.landing, key, meta, bytes).await?;
                return Ok(Some(Found::New(Box::new(link))));
            }
        }
        Ok(None)
    }

    /// Finds where a chain begins that has no object at offset 0.
    ///
    /// Lists twice: an object that a listing missed while it was written is older than one that
    /// the same listing saw, so the second listing has it. When the two differ, the chain is
    /// being written this moment, and the next poll will know more.
    async fn first_of_chain(&self, partition: u32) -> Result<Option<u64>, Error> {
        let mut firsts = [None; 2];
        for first in &mut firsts {
            let found = self.list(partition, None).await?;
            *first = found.iter().map(|(key, _)| key.first_offset).min();
            if first.is_none() {
                return Ok(None);
            }
        }
        let [once, twice] = firsts;
        Ok(once.filter(|_| once == twice))
    }

    /// Lists a partition's objects from the cursor on.
    async fn list(
        &self,
        partition: u32,
        cursor: Option<u64>,
    ) -> Result<Vec<(LandingKey, ObjectMeta)>, Error> {
        let prefix = LandingKey::partition_prefix(self.generation, &self.topic, partition);
        let path = Path::from(prefix.as_str());
        let listed = match cursor {
            // Sorts before the object of this offset, whatever its ending.
            Some(next) => {
                let after = Path::from(format!("{prefix}/{next:020}"));
                self.landing.list_with_offset(Some(&path), &after)
            }
            None => self.landing.list(Some(&path)),
        };
        let listed: Vec<ObjectMeta> = listed
            .try_collect()
            .await
            .map_err(|source| Error::Store { action: "listing", key: prefix, source })?;
        // Whatever is no landing object, such as a probe or a temporary file, is none of ours.
        Ok(listed
            .into_iter()
            .filter_map(|meta| Some((meta.location.as_ref().parse().ok()?, meta)))
            .collect())
    }
}

/// What stands at a cursor.
enum Found {
    /// An object that is in memory already, by name.
    Known(String),
    /// One that was just read.
    New(Box<Link>),
}

/// Reads an object that a plan names and proves that it is still the planned one.
pub(crate) async fn read_planned(
    landing: &dyn ObjectStore,
    planned: &PlannedObject,
    batch: BatchId,
) -> Result<Link, Error> {
    let changed = || Error::Changed { key: planned.key.clone(), batch };
    let key: LandingKey = planned.key.parse().map_err(|_| changed())?;
    // A changed etag is no proof of changed rows, so the bytes are read once more without it.
    let (meta, bytes) = match get(landing, &planned.key, planned.etag.clone()).await {
        Ok(found) => found.ok_or_else(changed)?,
        Err(Error::Store { source: object_store::Error::Precondition { .. }, .. }) => {
            get(landing, &planned.key, None).await?.ok_or_else(changed)?
        }
        Err(error) => return Err(error),
    };
    let link = link_or_read_again(landing, key, meta, bytes).await?;
    let same = link.object.sha256 == planned.sha256
        && link.object.next == planned.next
        && link.object.count == planned.count;
    if same { Ok(link) } else { Err(changed()) }
}

/// Proves an object, and reads it once more before it is called damaged: a store that answers with
/// a cut or flipped copy must not stop the stage.
async fn link_or_read_again(
    landing: &dyn ObjectStore,
    key: LandingKey,
    meta: ObjectMeta,
    bytes: Bytes,
) -> Result<Link, Error> {
    let damaged = match link(key.clone(), meta, bytes).await {
        Err(error @ Error::Object { .. }) => error,
        proven => return proven,
    };
    match get(landing, &key.to_string(), None).await? {
        Some((meta, bytes)) => link(key, meta, bytes).await,
        None => Err(damaged),
    }
}

async fn link(key: LandingKey, meta: ObjectMeta, bytes: Bytes) -> Result<Link, Error> {
    let name = key.to_string();
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (key, rows) = blocking(&name, bytes.len(), move || {
        let rows = verify_object(&key, &bytes)?;
        Ok((key, rows))
    })
    .await?;
    let footer = rows.footer();
    let object = PlannedObject {
        key: name,
        etag: meta.e_tag,
        size,
        first: footer.first,
        next: footer.next,
        count: footer.count,
        sha256: footer.sha256.clone(),
    };
    Ok(Link { key, object, rows })
}

/// Bytes up to which work is done where it is: some 50 µs, no more than handing it to a thread
/// and back may take.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// Runs work on `bytes` of an object where it does not hold up other tasks.
pub(crate) async fn blocking<R: Send + 'static>(
    key: &str,
    bytes: usize,
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::Worker { key: key.to_owned(), source })?
}

/// Reads an object whole; `None` when there is none.
async fn get(
    store: &dyn ObjectStore,
    name: &str,
    etag: Option<String>,
) -> Result<Option<(ObjectMeta, Bytes)>, Error> {
    let error = |source| Error::Store { action: "reading", key: name.to_owned(), source };
    let options = GetOptions { if_match: etag, ..GetOptions::default() };
    let found = match store.get_opts(&Path::from(name), options).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(error(source)),
    };
    let meta = found.meta.clone();
    let bytes = found.bytes().await.map_err(error)?;
    Ok(Some((meta, bytes)))
}

/// Whether an object exists.
pub(crate) async fn is_there(store: &dyn ObjectStore, name: &str) -> Result<bool, Error> {
    match store.head(&Path::from(name)).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(source) => Err(Error::Store { action: "looking for", key: name.to_owned(), source }),
    }
}

fn raw_len(rows: &ObjectRows) -> u64 {
    u64::try_from(rows.bytes().len()).unwrap_or(u64::MAX)
}
