//! Files read ahead: some at a time, by tasks of their own, handed on in the order of the plan.

use std::{collections::VecDeque, sync::Arc};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::files::{
    decoded::{Decoded, ReadSchema},
    plan::PlannedFile,
    ports::{ReadError, ReadRows},
};

/// Files read at the same time: hides a bucket's latency where files are small.
const READS_MAX: usize = 4;

/// Bytes of the files that are read before their turn, if they are several: each large one holds
/// some stretches, and one of them keeps a core busy.
const AHEAD_BYTES_MAX: u64 = 8 << 20;

/// Stretches of one file that wait to be staged: with one being decoded and one being written, as
/// many as two cores can use.
const STRETCHES_MAX: usize = 1;

/// The files of a plan that are still to come.
pub(super) struct Ahead<'a> {
    wanted: VecDeque<&'a PlannedFile>,
    begun: VecDeque<(&'a PlannedFile, Worker)>,
    reader: Arc<dyn ReadRows>,
    schema: Arc<ReadSchema>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(
        wanted: impl Iterator<Item = &'a PlannedFile>,
        reader: Arc<dyn ReadRows>,
        schema: Arc<ReadSchema>,
    ) -> Self {
        let begun = VecDeque::with_capacity(READS_MAX);
        Self { wanted: wanted.collect(), begun, reader, schema }
    }
}

impl<'a> Iterator for Ahead<'a> {
    type Item = (&'a PlannedFile, Worker);

    /// Returns the next file, being read, and begins those that it makes room for.
    fn next(&mut self) -> Option<Self::Item> {
        while self.begun.len() < READS_MAX
            && let Some(planned) = self.wanted.pop_front_if(|next| has_room(&self.begun, next))
        {
            self.begun.push_back((planned, Worker::start(&self.reader, &self.schema, planned)));
        }
        self.begun.pop_front()
    }
}

/// Whether `next` may be begun beside those that are: the first of them is about to be taken.
fn has_room(begun: &VecDeque<(&PlannedFile, Worker)>, next: &PlannedFile) -> bool {
    let ahead = begun.iter().skip(1).map(|(planned, _)| planned.file.size);
    begun.len() < 2 || ahead.fold(next.file.size, u64::saturating_add) <= AHEAD_BYTES_MAX
}

/// A file being read by a task, which ends with whoever waits for it.
pub(super) struct Worker {
    pub(super) stretches: mpsc::Receiver<Decoded>,
    task: JoinHandle<Result<(), ReadError>>,
}

/// How a reading ended that was not read to its end.
pub(super) enum Ended {
    /// For a reason of the file's.
    Failed(ReadError),
    /// The process ends.
    Cancelled,
}

impl Worker {
    fn start(reader: &Arc<dyn ReadRows>, schema: &Arc<ReadSchema>, planned: &PlannedFile) -> Self {
        let (sender, stretches) = mpsc::channel(STRETCHES_MAX);
        let (reader, schema) = (Arc::clone(reader), Arc::clone(schema));
        let file = planned.file.clone();
        let task = tokio::spawn(async move { reader.read(&file, schema, &sender).await });
        Self { stretches, task }
    }

    /// Waits for the end, after the last stretch.
    pub(super) async fn end(&mut self) -> Result<(), Ended> {
        match (&mut self.task).await {
            Ok(ended) => ended.map_err(Ended::Failed),
            // A file that kills its reader is as broken as one that it refuses, and must not stop
            // the others.
            Err(died) if died.is_panic() => Err(Ended::Failed(ReadError::Broken {
                offset: 0,
                reason: "the reader died of it; this is a bug of ours".to_owned(),
            })),
            Err(_) => Err(Ended::Cancelled),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
