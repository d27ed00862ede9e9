//! What a stream knows: brought to where its target is, and checked against how it began.

use std::collections::BTreeMap;

use super::{RELEASE, Stream, memory::Manifest, target_error};
use crate::{
    files::{
        error::Error,
        options::Overwrites,
        plan::{FORMAT, FilePlan, PlannedFile},
        target::FileTarget,
    },
    target::BatchId,
};

impl<T: FileTarget> Stream<T> {
    /// Brings what is known to where the target is.
    ///
    /// What is known changes between awaits only, batch by batch, so that it is whole whenever the
    /// future is dropped.
    pub(super) async fn catch_up(&mut self) -> Result<(), Error<T::Error>> {
        if !self.is_started {
            self.begin().await?;
        }
        let last = self.target.last_batch().await;
        let last = last.map_err(|error| {
            target_error::<T>("asking the target for what precedes", self.settled, error)
        })?;
        if last < self.settled {
            let (known, now) = (BatchId::after(self.settled), BatchId::after(last));
            return Err(self.disagreement(format!(
                "batches up to {known} were in its table, and now the next one is {now}: the table \
                 was restored or replaced; bring back the one that belongs to this state, or begin a \
                 new stream"
            )));
        }
        if let Some(last) = last
            && let Some(snapshot) =
                self.memory.snapshot(self.settled, last).await.map_err(|e| self.state(e))?
        {
            (self.seen, self.settled, self.notes) =
                (snapshot.seen, Some(snapshot.batch), snapshot.notes);
        }
        while self.settled < last {
            self.settle_next().await?;
        }
        if !self.is_started {
            self.take_in_notes().await?;
            self.is_started = true;
        }
        self.found.forget_planned(&self.seen);
        Ok(())
    }

    /// Takes in one batch that is in the target already.
    async fn settle_next(&mut self) -> Result<(), Error<T::Error>> {
        let next = BatchId::after(self.settled);
        let known = futures::future::try_join(self.memory.plan(next), self.memory.outcome(next));
        let (Some(plan), Some(outcome)) = known.await.map_err(|error| self.state(error))? else {
            return Err(self.disagreement(format!(
                "its table has batch {next}, and no plan and outcome say what that was: bring back \
                 the state that belongs to this table, or begin a new stream"
            )));
        };
        self.note_plan(&plan);
        self.seen.settle(&plan, &outcome);
        self.settled = Some(next);
        Ok(())
    }

    /// Notes what a plan settles, whoever made it.
    pub(super) fn note_plan(&mut self, plan: &FilePlan) {
        self.seen.plan(plan);
        self.found.forget_planned(&self.seen);
        self.asked.retain(|asked| {
            let is_it = |planned: &PlannedFile| {
                (&planned.file.path, planned.action) == (&asked.file.path, asked.action)
            };
            !plan.files.iter().any(is_it)
        });
    }

    /// Begins the stream, or checks that it is the one that began.
    async fn begin(&mut self) -> Result<(), Error<T::Error>> {
        if !self.config.keeps_metadata && self.config.overwrites == Overwrites::Replace {
            return Err(self.settings(
                "`overwrites` is `replace`, and rows do not say which file they are from: give a \
                 `metadataColumn`"
                    .to_owned(),
            ));
        }
        let manifest = Manifest {
            format: FORMAT,
            release: RELEASE.to_owned(),
            stream: self.config.name.clone(),
            source: self.config.source.clone(),
            began_at: self.clock.now(),
            pinned: self.config.pinned.clone(),
        };
        let began = self.memory.begin(manifest).await.map_err(|error| self.state(error))?;
        if began.source != self.config.source {
            return Err(self.settings(format!(
                "it began with source `{}` and is now told `{}`; rows and state know files by the \
                 former: begin a new stream, and `import` what it need not read again",
                began.source, self.config.source
            )));
        }
        let told = |pinned: &BTreeMap<String, String>, option: &String| {
            pinned.get(option).map_or_else(|| "not given".to_owned(), |value| format!("`{value}`"))
        };
        let options = began.pinned.keys().chain(self.config.pinned.keys());
        let differs =
            |option: &&String| began.pinned.get(*option) != self.config.pinned.get(*option);
        if let Some(option) = options.filter(differs).min() {
            return Err(self.settings(format!(
                "option `{option}` counts when a stream begins; it was {} then and is {} now: leave \
                 it as it was, or begin a new stream",
                told(&began.pinned, option),
                told(&self.config.pinned, option)
            )));
        }
        Ok(())
    }
}
