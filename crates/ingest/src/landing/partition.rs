//! One partition's lander: find the chain's end, gather records, seal, repeat.

use std::time::Duration;

use model::landing::LandingKey;

use super::{
    Context, LandingConfig, OnGap, Progress,
    chain::{self, Created},
    draft::{Draft, Sealed, seal_gap},
    generation,
    mark::{Mark, Seen},
};
use crate::{
    error::Error,
    topic::{Fetched, Record},
};

/// Content of one read, 4 MiB: a quarter of a full object, so that memory stays small and the
/// topic's overhead per read does not count.
const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// From this content on, 256 KiB, gathering is worth a blocking thread: about a millisecond of
/// work, while below it the hop costs more than it spares others.
const INLINE_BYTES_MAX: u64 = 256 * 1024;

/// A topic that ends before the chain does is looked at this often before it counts as diverged: a
/// Kafka partition may report an old end for a moment after its leader moved.
const END_LOOKS_MAX: u32 = 3;
const END_PAUSE: Duration = Duration::from_secs(1);

/// How often it is checked that the topic is still the one that landed. One that was made anew and
/// filled beyond our place within a moment looks the same there. A minute costs nothing, and until
/// then nothing is lost: what lands is real, and the oldest record tells where to begin anew.
const CHECK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct PartitionLander {
    index: u32,
    /// The last link known; listing begins behind it.
    tail: Option<LandingKey>,
    /// The last record landed, to recognise the topic by; `None` behind a gap.
    mark: Option<Mark>,
    /// The oldest one landed that the topic had when it was last looked for.
    anchor: Option<Mark>,
    checked_at: Duration,
    /// It was said that the topic is not there.
    is_missed: bool,
    /// The offset that names the next link; `None` until the chain's end was read.
    next: Option<u64>,
    draft: Option<Draft>,
    /// Read from the topic but not gathered: what follows the draft, or `next` without one.
    unused: Vec<Record>,
}

/// Where gathering stopped.
enum Gathered {
    /// The draft has reached a limit.
    Full,
    /// The topic has no more.
    AtEnd,
    /// The topic no longer has the next record, the oldest it has is at this offset.
    GoneUntil(u64),
    /// The topic ends before the next record.
    BehindEnd,
}

/// What a topic says of the chain.
enum Finding {
    /// It may well be the one that landed.
    Same,
    /// It is another one.
    Diverged(String),
    /// It is not there, and then nothing can be lost by waiting for it.
    Missing,
}

impl PartitionLander {
    pub(super) const fn new(index: u32) -> Self {
        Self {
            index,
            tail: None,
            mark: None,
            anchor: None,
            checked_at: Duration::ZERO,
            is_missed: false,
            next: None,
            draft: None,
            unused: Vec::new(),
        }
    }

    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    pub(super) const fn landed(&self) -> Option<u64> {
        self.next
    }

    /// Returns the offset of the next record to ask the topic for.
    pub(super) fn read_position(&self) -> u64 {
        let gathered = self.draft.as_ref().map(Draft::next).or(self.next).unwrap_or(0);
        self.unused.last().map_or(gathered, |record| record.offset.saturating_add(1))
    }

    pub(super) fn seal_in(&self, config: &LandingConfig, now: Duration) -> Option<Duration> {
        self.draft.as_ref().map(|draft| draft.due_in(config.age_max, now))
    }

    /// Lands at most one object. Begins from the chain whenever the last call did not end well.
    pub(super) async fn run_once(&mut self, context: &Context) -> Result<Progress, Error> {
        let is_due = self.checked_at.saturating_add(CHECK_EVERY) <= context.clock.monotonic();
        let is_there = if self.next.is_none() {
            self.recover(context).await?
        } else if is_due && self.draft.is_none() {
            self.check_again(context).await?
        } else {
            true
        };
        if !is_there {
            return Ok(Progress::default());
        }
        let gathered = match self.gather(context).await {
            Ok(gathered) => gathered,
            // What came before the damage first; the next call meets the damage itself.
            Err(error) if error.is_damage() && self.draft.is_some() => Gathered::Full,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        let config = &context.config;
        let seal_in = self.seal_in(config, context.clock.monotonic());
        match (gathered, seal_in) {
            (Gathered::GoneUntil(first_offset), None) => self.land_gap(context, first_offset).await,
            // A broker may only be behind for a moment: looked at again, and longer.
            (Gathered::BehindEnd, None) => {
                self.recover(context).await?;
                Ok(Progress { is_behind: true, ..Progress::default() })
            }
            // First the records that were there; the next call meets the same again.
            (Gathered::Full | Gathered::GoneUntil(_) | Gathered::BehindEnd, _) => {
                let progress = self.land_draft(context).await?;
                Ok(Progress { is_behind: true, ..progress })
            }
            (Gathered::AtEnd, Some(Duration::ZERO)) => self.land_draft(context).await,
            (Gathered::AtEnd, seal_in) => Ok(Progress { seal_in, ..Progress::default() }),
        }
    }

    /// Forgets everything but the last known link: the chain will tell.
    pub(super) fn forget(&mut self) {
        self.next = None;
        self.draft = None;
        self.unused = Vec::new();
    }

    /// Reads the chain's end and checks that the topic still is the one it came from; returns
    /// whether there is a topic at all.
    async fn recover(&mut self, context: &Context) -> Result<bool, Error> {
        self.forget();
        let (generation, topic) = (context.current.generation, context.config.topic.as_str());
        // All of the chain while the oldest record has to be found, else what came since.
        let known = self.tail.as_ref().filter(|_| self.anchor.is_some());
        let keys = chain::list(&context.store, generation, topic, self.index, known).await?;
        let tail = keys.last().or(self.tail.as_ref()).cloned();
        let (next, mark) = match &tail {
            Some(key) => {
                let link = chain::require(&context.store, key).await?;
                (link.footer.next, Mark::of(&link))
            }
            None => {
                let mark = generation::before_chain(context, self.index).await?;
                (context.current.begins_at(self.index), mark)
            }
        };
        if !self.check(context, next, mark.as_ref()).await? {
            return Ok(false);
        }
        if self.anchor.is_none() && tail.is_some() {
            let first = generation::first_offset(context, self.index).await?;
            let oldest = generation::oldest_held(context, self.index, &keys, first).await?;
            self.anchor = oldest.map(|(_, mark)| mark);
            self.check_anchor(context, next).await?;
        }
        self.tail = tail;
        self.mark = mark;
        self.next = Some(next);
        Ok(true)
    }

    /// Checks again what [`Self::recover`] checked, without asking the store.
    async fn check_again(&mut self, context: &Context) -> Result<bool, Error> {
        let (next, mark) = (self.next.unwrap_or(0), self.mark.clone());
        let checked = self.check(context, next, mark.as_ref()).await;
        if !matches!(checked, Ok(true)) {
            self.forget();
        }
        checked
    }

    /// Returns whether there is a topic.
    async fn check(
        &mut self,
        context: &Context,
        next: u64,
        mark: Option<&Mark>,
    ) -> Result<bool, Error> {
        match self.compare(context, next, mark).await? {
            Finding::Diverged(problem) => return Err(self.diverged(context, next, problem)),
            Finding::Missing => {
                if !std::mem::replace(&mut self.is_missed, true) {
                    let (topic, partition) = (&context.config.topic, self.index);
                    tracing::warn!(topic, partition, next, "the topic is gone: waits for it");
                }
                return Ok(false);
            }
            Finding::Same => self.is_missed = false,
        }
        self.check_anchor(context, next).await?;
        self.checked_at = context.clock.monotonic();
        Ok(true)
    }

    /// Checks the oldest record that landed and was there; once retention took it, another.
    async fn check_anchor(&mut self, context: &Context, next: u64) -> Result<(), Error> {
        let Some(anchor) = &self.anchor else { return Ok(()) };
        match anchor.look(context, self.index).await? {
            Seen::Same => (),
            Seen::Gone => self.anchor.clone_from(&self.mark),
            Seen::Other | Seen::BehindEnd => {
                let problem = used_again(anchor.offset);
                return Err(self.diverged(context, next, problem));
            }
        }
        Ok(())
    }

    /// Says how the topic contradicts the last link, if it does.
    async fn compare(
        &self,
        context: &Context,
        next: u64,
        mark: Option<&Mark>,
    ) -> Result<Finding, Error> {
        let topic = &context.config.topic;
        let mut looks = 1;
        loop {
            let end = context.reader.end_offset(topic, self.index).await?;
            if next <= end {
                break;
            }
            if context.reader.partitions(topic).await? <= self.index {
                return Ok(Finding::Missing);
            }
            if looks == END_LOOKS_MAX {
                return Ok(Finding::Diverged(format!("the topic ends at {end}: it lost its tail")));
            }
            looks += 1;
            context.clock.sleep(END_PAUSE).await;
        }
        Ok(match mark {
            Some(mark) if mark.look(context, self.index).await? == Seen::Other => {
                Finding::Diverged(used_again(mark.offset))
            }
            _ => Finding::Same,
        })
    }

    fn diverged(&self, context: &Context, next: u64, problem: String) -> Error {
        let topic = context.config.topic.clone();
        Error::Diverged { topic, partition: self.index, next, problem }
    }

    /// Reads from the topic into the draft until it is full or nothing more can be read.
    async fn gather(&mut self, context: &Context) -> Result<Gathered, Error> {
        let config = &context.config;
        loop {
            if let Some(draft) = &self.draft
                && draft.is_full(config.bytes_max, config.rows_max)
            {
                return Ok(Gathered::Full);
            }
            let position = self.read_position();
            if self.unused.is_empty() {
                let read = context.reader.read(&config.topic, self.index, position, READ_BYTES_MAX);
                match read.await? {
                    Fetched::Records(records) if records.is_empty() => return Ok(Gathered::AtEnd),
                    Fetched::Records(records) => self.unused = records,
                    Fetched::OutOfRange { first_offset, .. } if position < first_offset => {
                        return Ok(Gathered::GoneUntil(first_offset));
                    }
                    Fetched::OutOfRange { .. } => return Ok(Gathered::BehindEnd),
                }
                self.check_order(context, position)?;
            }
            self.push_unused(context).await?;
        }
    }

    /// Refuses an answer that would break the chain: offsets before `from`, or not rising.
    fn check_order(&self, context: &Context, from: u64) -> Result<(), Error> {
        let mut expected_min = from;
        for record in &self.unused {
            if record.offset < expected_min || record.offset == u64::MAX {
                let topic = context.config.topic.clone();
                let (partition, offset) = (self.index, record.offset);
                return Err(Error::TopicDisorder { topic, partition, next: from, offset });
            }
            expected_min = record.offset + 1;
        }
        Ok(())
    }

    async fn push_unused(&mut self, context: &Context) -> Result<(), Error> {
        let doing = "gathering records";
        let (bytes_max, rows_max) = (context.config.bytes_max, context.config.rows_max);
        let first = self.next.unwrap_or(0);
        let opened =
            self.draft.take().map_or_else(|| Draft::new(first, context.clock.monotonic()), Ok);
        let mut draft = opened.map_err(|error| self.unsealable(context, &error))?;
        // Taken out while it is worked on: a call dropped here forgets both and reads them again.
        let mut records = std::mem::take(&mut self.unused);
        let bytes: u64 = records.iter().map(Record::content_bytes).sum();
        let push = move || {
            let mut used = 0;
            while used < records.len() && !draft.is_full(bytes_max, rows_max) {
                draft.push(&records[used])?;
                used += 1;
            }
            records.drain(..used);
            Ok::<_, std::io::Error>((draft, records))
        };
        let pushed = if bytes < INLINE_BYTES_MAX {
            push()
        } else {
            tokio::task::spawn_blocking(push)
                .await
                .map_err(|source| Error::TaskLost { doing, source })?
        };
        let (draft, records) = pushed.map_err(|error| self.unsealable(context, &error))?;
        (self.draft, self.unused) = (Some(draft), records);
        Ok(())
    }

    fn unsealable(&self, context: &Context, error: &std::io::Error) -> Error {
        let key = context.key(self.index, self.next.unwrap_or(0)).to_string();
        Error::LandingObject { key, problem: format!("it cannot be compressed: {error}") }
    }

    async fn land_draft(&mut self, context: &Context) -> Result<Progress, Error> {
        let Some(draft) = self.draft.take() else {
            return Ok(Progress::default());
        };
        let first = draft.first();
        if !context.reader.tells_of_truncation() {
            self.check_before_landing(context, first).await?;
        }
        let sealed = draft.seal().map_err(|error| self.unsealable(context, &error))?;
        let created = self.land(context, first, &sealed).await?;
        Ok(progress(created, &sealed))
    }

    /// Checks that the draft follows what landed: the record before it is still there, so nothing
    /// that was read after that one can come from another log.
    async fn check_before_landing(&mut self, context: &Context, first: u64) -> Result<(), Error> {
        let Some(mark) = self.mark.clone() else { return Ok(()) };
        let seen = mark.look(context, self.index).await;
        if matches!(seen, Ok(Seen::Same | Seen::Gone)) {
            return Ok(());
        }
        self.forget();
        seen.and_then(|_| Err(self.diverged(context, first, used_again(mark.offset))))
    }

    async fn land_gap(&mut self, context: &Context, first_offset: u64) -> Result<Progress, Error> {
        let (topic, partition) = (context.config.topic.clone(), self.index);
        let next = self.next.unwrap_or(0);
        if context.config.on_gap == OnGap::Stop {
            return Err(Error::RecordsGone { topic, partition, next, first_offset });
        }
        let sealed =
            seal_gap(next, first_offset).map_err(|error| self.unsealable(context, &error))?;
        let created = self.land(context, next, &sealed).await?;
        let mut progress = progress(created, &sealed);
        if created == Created::Ours {
            tracing::warn!(
                topic,
                partition,
                first_gone = next,
                first_left = first_offset,
                "records are lost: the topic dropped them before they landed; fetch their windows again"
            );
            progress.gaps = 1;
            progress.gap_records = first_offset - next;
        }
        progress.is_behind = true;
        Ok(progress)
    }

    /// Creates the link at `first`. Until it is known what came of it, nothing is remembered.
    async fn land(
        &mut self,
        context: &Context,
        first: u64,
        sealed: &Sealed,
    ) -> Result<Created, Error> {
        let unused = std::mem::take(&mut self.unused);
        self.forget();
        let key = context.key(self.index, first);
        let created = chain::create(&context.store, context.clock.as_ref(), &key, sealed).await?;
        match created {
            Created::Ours => {
                self.tail = Some(key);
                self.mark.clone_from(&sealed.mark);
                if self.anchor.is_none() {
                    self.anchor.clone_from(&sealed.mark);
                }
                self.next = Some(sealed.footer.next);
                self.unused = unused;
            }
            // The next call reads the chain from here on: the winner may be further already.
            Created::Others => {
                tracing::info!(key = %key, "another lander created this object first");
            }
        }
        Ok(created)
    }
}

fn used_again(offset: u64) -> String {
    format!("the record at {offset} is not the one that landed: offsets were used again")
}

fn progress(created: Created, sealed: &Sealed) -> Progress {
    match created {
        Created::Ours => Progress {
            records: sealed.footer.count,
            objects: 1,
            bytes: u64::try_from(sealed.payload.len()).unwrap_or(u64::MAX),
            ..Progress::default()
        },
        Created::Others => Progress { adopted: 1, is_behind: true, ..Progress::default() },
    }
}
