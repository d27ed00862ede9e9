//! Which files of a source are news: by listing, by windows of a listing, and by hints.
//!
//! A look returns candidates; `choice` decides what becomes of them. What a look has found and no
//! plan has taken stays here, because the next one may not list it again; and a message is deleted
//! only when every file it names is planned, or is none. What a crash takes from this memory comes back: a
//! message from its queue, the rest with the next full listing, which is due until everything the
//! last one found was planned.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use model::hint::{HintError, Hints, Place};
use object_store::{ObjectMeta, ObjectStore, path::Path};

use super::{
    choice::{Candidate, is_wanted},
    options::{Discovery, Overwrites},
    plan::{FilePlan, Found},
    seen::{News, Seen},
    source_file::SourceFile,
};
use crate::Error;

mod ask;
mod inbox;
mod names;
mod port;
mod reach;
mod self_test;
mod waiting;

pub use inbox::Messages;
pub use reach::{Expected, Reach};
pub use self_test::SelfTest;

use inbox::Inbox;
use names::{below, is_file, is_staged};
use reach::{Past, reach};
use waiting::{Waiting, Waitlist};

/// Names that a store hands out per LIST request; all but Azure, which has five times as many.
const NAMES_PER_LIST: u64 = 1_000;

/// Marks of folders that are remembered. Forgetting them costs a HEAD each, and nothing else.
const MARKS_MAX: usize = 100_000;

/// Decides about names of files, given the path below the source's root.
pub type NameFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Where files come from.
#[derive(Clone)]
pub struct Source {
    /// The store; paths of files begin at its root.
    pub store: Arc<dyn ObjectStore>,
    /// The folder below the root that is listed, or the one file; `None`: all of it.
    pub prefix: Option<Path>,
    /// Whether half-written files can be seen there, as in a folder of this machine.
    pub is_local: bool,
    /// What the user's globs say about a path.
    pub names: NameFilter,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, prefix, is_local, .. } = self;
        f.debug_struct("Source")
            .field("store", &store.to_string())
            .field("prefix", prefix)
            .field("is_local", is_local)
            .finish_non_exhaustive()
    }
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Files that are news, by path; those of earlier looks that no plan took are among them.
    pub candidates: Vec<Candidate>,
    /// How much was listed.
    pub reach: Reach,
    /// Names that listings returned.
    pub names: u64,
    /// LIST requests, as services count them; those of Azure are fewer.
    pub lists: u64,
    /// Objects asked about one by one.
    pub heads: u64,
    /// Objects that could not be looked at; the next look lists everything.
    pub unclear: u64,
    /// Local files that are still being written: they were smaller, or older, a look before.
    pub growing: u64,
    /// New files behind the window, of which only a full listing told.
    pub late: u64,
    /// What messages were about.
    pub messages: Messages,
    /// The longest time from a file's writing to its finding, of files first found now.
    pub latency_max: Option<Duration>,
}

/// What planning has settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Messages deleted.
    pub deleted: u64,
    /// Every file that was there at this time is planned: the next full listing is due a
    /// `backfillInterval` later. To be handed to [`Discoverer::new`] at the next start.
    pub ts_proven: Option<DateTime<Utc>>,
}

/// Finds the files of one source.
#[derive(Debug)]
pub struct Discoverer {
    source: Source,
    discovery: Discovery,
    overwrites: Overwrites,
    inboxes: Vec<Inbox>,
    past: Past,
    waiting: Waitlist,
    /// Objects of no bytes that stand for a folder.
    marks: BTreeSet<String>,
    /// How often asking about an object failed since the last full listing.
    tries: HashMap<String, u32>,
}

impl Looked {
    /// Writes down what the look cost and brought; louder when it brought files.
    fn log(&self) {
        let Self {
            candidates, reach, names, lists, heads, unclear, growing, late, messages, ..
        } = self;
        let Messages { received, foreign, broken, .. } = messages;
        let files = candidates.len();
        tracing::debug!(
            files,
            ?reach,
            names,
            lists,
            heads,
            unclear,
            growing,
            late,
            received,
            foreign,
            "looked"
        );
        if let Some(latency_max) = self.latency_max {
            let latency_max_s = latency_max.as_secs_f64();
            tracing::info!(files, lists, heads, messages = received, latency_max_s, "found files");
        }
        if 0 < *broken {
            let why = "messages of the queue could not be read, and are deleted";
            tracing::warn!(messages = broken, "{why}: events of other services go elsewhere");
        }
    }
}

impl Discoverer {
    /// Begins to look. `hints` have subscribed already: what is written between that and the first
    /// look, which lists everything, is in both. `ts_proven` is what [`Settled`] said last, in this
    /// process or one before.
    #[must_use]
    pub fn new(
        source: Source,
        discovery: Discovery,
        overwrites: Overwrites,
        hints: Vec<Box<dyn Hints>>,
        ts_proven: Option<DateTime<Utc>>,
    ) -> Self {
        let inboxes: Vec<Inbox> = hints.into_iter().map(Inbox::new).collect();
        let has_gap = inboxes.iter().any(|inbox| !inbox.is_durable());
        let past = Past { ts_swept: ts_proven, has_gap };
        let (waiting, marks) = (Waitlist::default(), BTreeSet::new());
        let tries = HashMap::new();
        Self { source, discovery, overwrites, inboxes, past, waiting, marks, tries }
    }

    /// Looks for files that are news to `seen`.
    ///
    /// # Errors
    /// The store's, or a queue's that trying again will not mend. Nothing that was found before is
    /// lost, and no message is.
    pub async fn look(&mut self, seen: &Seen, now: DateTime<Utc>) -> Result<Looked, Error> {
        let mut messages = Messages::default();
        self.fill(&mut messages).await?;
        let hinted: BTreeSet<Place> =
            self.inboxes.iter().flat_map(Inbox::places).cloned().collect();
        self.past.has_gap |= hinted.contains(&Place::Everywhere);
        let has_hints = !self.inboxes.is_empty();
        let reach = reach(&self.discovery, has_hints, seen, self.past, now);
        let mut look = Look {
            found: BTreeMap::new(),
            looked: Looked {
                candidates: Vec::new(),
                reach,
                names: 0,
                lists: 0,
                heads: 0,
                unclear: 0,
                growing: 0,
                late: 0,
                messages,
                latency_max: None,
            },
            marks: Vec::new(),
            unclear: Vec::new(),
        };
        self.list_all(seen, &hinted, &mut look).await?;
        self.ask(seen, &hinted, &mut look).await?;
        let looked = self.finish(seen, now, look);
        // Messages without news, or they would fill up what may be held.
        self.clear().await?;
        Ok(looked)
    }

    /// Notes that plans hold what they hold: files that `seen` knows wait no longer, and messages
    /// that name only such are deleted. To be called after a plan was created, with the plan; `None`:
    /// there may have been several since the last time.
    ///
    /// # Errors
    /// A queue's that trying again will not mend; messages that are left do no harm.
    pub async fn settle(&mut self, seen: &Seen, plan: Option<&FilePlan>) -> Result<Settled, Error> {
        match plan {
            Some(plan) => {
                for planned in &plan.files {
                    self.waiting.forget_planned(seen, &planned.file.path);
                }
            }
            None => self.waiting.forget_all_planned(seen),
        }
        let oldest = self.waiting.oldest();
        // Of an object that could not be looked at nobody knows how old it is.
        let is_known = self.waiting.unclear.is_empty();
        let is_planned =
            |swept: &DateTime<Utc>| is_known && oldest.is_none_or(|oldest| *swept < oldest);
        let ts_proven = self.past.ts_swept.filter(is_planned);
        Ok(Settled { deleted: self.clear().await?, ts_proven })
    }

    /// Deletes the messages that nothing waits for.
    async fn clear(&mut self) -> Result<u64, Error> {
        let mut deleted = 0;
        for inbox in &mut self.inboxes {
            match inbox.clear(&self.waiting).await {
                Ok(count) => deleted += count,
                Err(error) => pass("deleting", error)?,
            }
        }
        Ok(deleted)
    }

    /// Receives messages of all queues. One that does not answer is made up for by a listing.
    async fn fill(&mut self, messages: &mut Messages) -> Result<(), Error> {
        let filling = self.inboxes.iter_mut().map(|inbox| async move {
            let mut messages = Messages::default();
            let result = inbox.fill(&mut messages).await;
            (messages, result)
        });
        for (received, result) in future::join_all(filling).await {
            messages.add(received);
            if let Err(error) = result {
                pass("receiving", error)?;
                self.past.has_gap = true;
            }
        }
        Ok(())
    }

    /// Lists what is to be listed: all of the source or a window of it, and folders of hints.
    async fn list_all(
        &mut self,
        seen: &Seen,
        hinted: &BTreeSet<Place>,
        look: &mut Look,
    ) -> Result<(), Error> {
        let root = self.source.prefix.clone();
        if look.looked.reach != Reach::Hinted {
            self.list(root.as_ref(), false, seen, look).await?;
        }
        if let (Reach::Everything(_), Some(root), 0) =
            (&look.looked.reach, &root, look.looked.names)
        {
            self.ask_root(root, seen, look).await?;
        }
        if matches!(look.looked.reach, Reach::Everything(_)) {
            return Ok(());
        }
        for place in hinted {
            let Place::Folder(folder) = place else { continue };
            // What no path can be, no listing would show.
            let Ok(folder) = Path::parse(folder) else { continue };
            if root.as_ref().is_none_or(|root| folder.prefix_matches(root)) {
                self.list(Some(&folder), true, seen, look).await?;
            }
        }
        Ok(())
    }

    /// Lists a folder, and keeps of each page what is news: the whole source, or as far as the look
    /// reaches, or all of a folder that a hint named.
    async fn list(
        &mut self,
        prefix: Option<&Path>,
        is_hinted: bool,
        seen: &Seen,
        look: &mut Look,
    ) -> Result<(), Error> {
        let listed = prefix.map_or_else(|| self.source.store.to_string(), ToString::to_string);
        let failed = |source| Error::Store { action: "listing", key: listed.clone(), source };
        let start = look.looked.reach.start().filter(|_| !is_hinted);
        let mut names = 0_u64;
        let mut listed = self.stream(prefix, start).await.map_err(failed)?;
        while let Some(meta) = listed.try_next().await.map_err(failed)? {
            names += 1;
            let file = SourceFile::from(meta);
            // Some stores do not know where to begin, and list everything.
            let is_before = start.is_some_and(|start| file.path.as_str() <= start);
            if is_before || !self.is_ours(&file.path) || !self.is_news(seen, &file) {
                continue;
            }
            let found = if is_hinted { Found::Hint } else { look.looked.reach.found(&file.path) };
            look.found.insert(file.path.clone(), Candidate { file, found });
        }
        look.looked.names += names;
        look.looked.lists += names.div_ceil(NAMES_PER_LIST).max(1);
        Ok(())
    }

    /// Streams what lies below a folder. Only without its subfolders, and only from its beginning,
    /// can a store leave the rest out; it then answers in one piece.
    async fn stream(
        &mut self,
        prefix: Option<&Path>,
        start: Option<&str>,
    ) -> object_store::Result<BoxStream<'static, object_store::Result<ObjectMeta>>> {
        let store = &self.source.store;
        Ok(match start {
            Some(start) => store.list_with_offset(prefix, &Path::parse(start)?),
            None if self.discovery.is_recursive => store.list(prefix),
            None => {
                let listed = store.list_with_delimiter(prefix).await?;
                stream::iter(listed.objects.into_iter().map(Ok)).boxed()
            }
        })
    }

    /// Makes what was found the answer, and remembers it for the next look.
    fn finish(&mut self, seen: &Seen, now: DateTime<Utc>, look: Look) -> Looked {
        let Look { found, mut looked, marks, unclear } = look;
        let mut before = std::mem::take(&mut self.waiting);
        for (path, candidate) in found {
            let file = &candidate.file;
            let last = before.get(&path);
            if last.is_none() && matches!(seen.news(file), News::New) {
                let age = (now - file.modified).to_std().unwrap_or_default();
                looked.latency_max = looked.latency_max.max(Some(age));
                looked.late += u64::from(looked.reach.is_late(&path));
            }
            let is_growing = self.source.is_local
                && last.is_some_and(|last| {
                    let last = &last.candidate.file;
                    last.size != file.size || last.modified != file.modified
                });
            if is_growing {
                looked.growing += 1;
            } else {
                looked.candidates.push(candidate.clone());
            }
            let is_young =
                (now - file.modified).to_std().is_ok_and(|age| age < self.discovery.age_min)
                    || now < file.modified;
            let is_unsure = self.source.is_local || is_young;
            // What the rules leave alone is told, and does not wait to be planned.
            let is_left =
                self.overwrites == Overwrites::Ignore && seen.news(file) == News::Overwritten;
            if !is_left {
                let ts_found = last.map_or(now, |last| last.ts_found);
                self.waiting.insert(path, Waiting { candidate, ts_found, is_unsure });
            }
        }
        for inbox in &mut self.inboxes {
            inbox.looked();
        }
        if let Reach::Everything(_) = looked.reach {
            before.unclear.clear();
            self.tries.clear();
            self.past = Past { ts_swept: Some(now), has_gap: false };
        }
        self.past.has_gap |= 0 < looked.unclear;
        self.waiting.unclear = before.unclear;
        self.waiting.unclear.extend(unclear);
        self.remember(marks);
        if 0 < looked.late {
            tracing::warn!(
                files = looked.late,
                window = self.discovery.window,
                "new files came in behind the listing window and waited for the full listing; \
                 raise `listingWindow`"
            );
        }
        looked
    }

    fn remember(&mut self, marks: Vec<String>) {
        if MARKS_MAX < self.marks.len().saturating_add(marks.len()) {
            self.marks.clear();
        }
        self.marks.extend(marks.into_iter().take(MARKS_MAX));
    }

    /// Whether a path names a file of this source, whatever is known of it.
    fn is_ours(&self, path: &str) -> bool {
        let root = self.source.prefix.as_ref().map_or("", AsRef::as_ref);
        // What the user names is no bookkeeping, whatever it is called.
        let is_named = !root.is_empty() && path == root;
        let is_below = below(path, root).is_some_and(|rest| {
            is_file(rest)
                && (self.discovery.is_recursive || !rest.contains('/'))
                && !(self.source.is_local && is_staged(rest))
        });
        (is_named || is_below) && (self.source.names)(path)
    }

    fn is_news(&self, seen: &Seen, file: &SourceFile) -> bool {
        seen.news(file) != News::Old && is_wanted(file, &self.discovery)
    }
}

/// What a look has so far.
struct Look {
    found: BTreeMap<String, Candidate>,
    looked: Looked,
    marks: Vec<String>,
    /// Objects that could not be looked at.
    unclear: Vec<String>,
}

/// Lets a failure of a queue pass that will pass by itself: the listing makes up for it.
fn pass(action: &'static str, error: HintError) -> Result<(), Error> {
    if error.kind == model::ErrorKind::Transient {
        tracing::warn!(%action, error = &error as &dyn std::error::Error, "a queue of hints does not answer");
        return Ok(());
    }
    Err(Error::Hints { action, source: error })
}

#[cfg(test)]
pub(super) mod tests;
