//! One partition's lander: find the chain's end, gather records, seal, repeat.

use std::time::Duration;

use model::landing::{Footer, LandingKey};

use super::{
    Context, LandingConfig, OnGap, Progress,
    chain::{self, Created},
    draft::{Draft, Sealed, seal_gap},
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

#[derive(Debug)]
pub(super) struct PartitionLander {
    index: u32,
    /// The last link known; listing begins behind it.
    tail: Option<LandingKey>,
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
}

impl PartitionLander {
    pub(super) const fn new(index: u32) -> Self {
        Self { index, tail: None, next: None, draft: None, unused: Vec::new() }
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
        if self.next.is_none() {
            self.recover(context).await?;
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
            // The records before the gap first; the next call meets the gap itself.
            (Gathered::Full | Gathered::GoneUntil(_), _) => {
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

    /// Reads the chain's end and checks that the topic still is the one it came from.
    async fn recover(&mut self, context: &Context) -> Result<(), Error> {
        self.forget();
        let config = &context.config;
        let chain = (config.generation, config.topic.as_str(), self.index);
        let tail = chain::tail_after(&context.store, chain, self.tail.as_ref()).await?;
        let Some((key, footer)) = tail else {
            self.next = Some(0);
            return Ok(());
        };
        if let Some(problem) = self.find_divergence(context, &footer).await? {
            return Err(self.diverged(context, footer.next, problem));
        }
        self.tail = Some(key);
        self.next = Some(footer.next);
        Ok(())
    }

    /// Says how the topic contradicts the last link, if it does.
    async fn find_divergence(
        &self,
        context: &Context,
        footer: &Footer,
    ) -> Result<Option<String>, Error> {
        let topic = &context.config.topic;
        let mut looks = 1;
        loop {
            let end = context.reader.end_offset(topic, self.index).await?;
            if footer.next <= end {
                break;
            }
            if looks == END_LOOKS_MAX {
                return Ok(Some(format!("the topic ends at {end}: it lost its tail")));
            }
            looks += 1;
            context.clock.sleep(END_PAUSE).await;
        }
        if chain::is_gap(footer) {
            return Ok(None);
        }
        let last = footer.next - 1;
        let found = match context.reader.read(topic, self.index, last, 1).await? {
            Fetched::Records(records) => records.into_iter().next(),
            // Retention took it: nothing to compare with.
            Fetched::OutOfRange { .. } => None,
        };
        let contradicts = found.is_some_and(|record| {
            record.offset == last && crc32fast::hash(&record.value) != footer.last_record_crc
        });
        Ok(contradicts.then(|| {
            format!("the record at {last} is not the one that landed: offsets were used again")
        }))
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
                    Fetched::OutOfRange { next_offset, .. } => {
                        let problem = format!("the topic ends at {next_offset}: it lost its tail");
                        return Err(self.diverged(context, position, problem));
                    }
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
                let problem = format!("it answered offset {} out of order", record.offset);
                return Err(self.diverged(context, from, problem));
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
        let sealed = draft.seal().map_err(|error| self.unsealable(context, &error))?;
        let created = self.land(context, first, &sealed).await?;
        Ok(progress(created, &sealed))
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
