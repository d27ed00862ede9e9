//! What a stream knows: brought to where its target is, and checked against how it began.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    RELEASE, Stream,
    memory::{Manifest, Proof},
    rows::table_columns,
    target_error,
};
use crate::{
    files::{
        error::Error,
        options::{Overwrites, changed},
        plan::{Action, FORMAT, FilePlan, PlannedFile},
        target::FileTarget,
    },
    target::BatchId,
};

/// A proof is written down when it is so much younger than the last one: a start lists everything
/// at most so much sooner than it has to, and an idle stream writes little.
const PROOFS_APART: TimeDelta = TimeDelta::minutes(10);

impl<T: FileTarget> Stream<T> {
    /// Brings what is known to where the target is.
    ///
    /// What is known changes between awaits only, batch by batch, so that it is whole whenever the
    /// future is dropped.
    pub(super) async fn catch_up(&mut self) -> Result<(), Error<T::Error>> {
        if !self.is_started {
            self.recognise().await?;
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
        let before = self.settled;
        if let Some(last) = last
            && let Some(snapshot) =
                self.memory.snapshot(self.settled, last).await.map_err(|e| self.state(e))?
        {
            (self.seen, self.settled, self.notes) =
                (Arc::new(snapshot.seen), Some(snapshot.batch), snapshot.notes);
            self.backfill = None;
            self.found.forget_all_planned(&self.seen);
        }
        while self.settled < last {
            self.settle_next().await?;
        }
        if !self.is_started {
            self.take_in_notes().await?;
            self.is_started = true;
        }
        if before < self.settled {
            self.tell_planned(None).await?;
        }
        Ok(())
    }

    /// Tells whoever finds files what is planned, and keeps what follows for the next start.
    pub(super) async fn tell_planned(
        &mut self,
        plan: Option<&FilePlan>,
    ) -> Result<(), Error<T::Error>> {
        let proven = self.discover.planned(&self.seen, plan).await?;
        let is_news = |ts_proven: &DateTime<Utc>| {
            self.ts_proven.is_none_or(|last| PROOFS_APART <= *ts_proven - last)
        };
        if let Some(ts_proven) = proven.filter(is_news).filter(|_| !self.config.is_dry) {
            let looks_for = self.config.looks_for();
            self.memory.note_proof(&Proof { format: FORMAT, ts_proven, looks_for }).await;
            self.ts_proven = Some(ts_proven);
        }
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
        Arc::make_mut(&mut self.seen).settle(&plan, &outcome);
        self.settled = Some(next);
        Ok(())
    }

    /// Notes what a plan settles, whoever made it.
    pub(super) fn note_plan(&mut self, plan: &FilePlan) {
        Arc::make_mut(&mut self.seen).plan(plan);
        self.found.forget_planned(plan);
        let planned: HashMap<&str, Action> =
            plan.files.iter().map(|planned| (planned.file.path.as_str(), planned.action)).collect();
        let is_done = |asked: &PlannedFile| {
            planned.get(asked.file.path.as_str()).is_some_and(|action| *action == asked.action)
        };
        self.asked.retain(|asked| !is_done(asked));
    }

    /// Checks that the stream is the one that began, if one did.
    async fn recognise(&mut self) -> Result<(), Error<T::Error>> {
        if !self.config.keeps_metadata && self.config.overwrites == Overwrites::Replace {
            return Err(self.settings(
                "`overwrites` is `replace`, and rows do not say which file they are from: give a \
                 `metadataColumn`"
                    .to_owned(),
            ));
        }
        match self.memory.told().await.map_err(|error| self.state(error))? {
            Some(began) => self.check(&began),
            // What will be the first start has nothing to agree with.
            None => Ok(()),
        }
    }

    /// Begins the stream with a batch of `files`, or checks that it is the one that began meanwhile.
    ///
    /// From here on its options count. Those that go neither with the files nor with the table are
    /// refused before, so that whoever mistook one may say another.
    pub(super) async fn begin(&mut self, files: &[PlannedFile]) -> Result<(), Error<T::Error>> {
        let read = files.iter().filter(|planned| planned.action.is_reading());
        let read: Vec<_> = read.map(|planned| planned.file.clone()).collect();
        let shape = self.schemas.prepare(&read).await?;
        if let Some(shape) = shape.filter(|_| !read.is_empty()) {
            let fits = self.target.begin(table_columns(&shape)).await.map(drop);
            fits.map_err(|error| target_error::<T>("staging", self.settled, error))?;
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
        self.check(&began)
    }

    /// Checks that the stream is told what it was when it began.
    fn check(&mut self, began: &Manifest) -> Result<(), Error<T::Error>> {
        if began.source != self.config.source {
            return Err(self.settings(format!(
                "it began with source `{}` and is now told `{}`; rows and state know files by the \
                 former: begin a new stream, and `import` what it need not read again",
                began.source, self.config.source
            )));
        }
        changed(&began.pinned, &self.config.pinned)
            .map_err(|changes| self.settings(changes.to_string()))?;
        self.has_begun = true;
        Ok(())
    }
}
