//! What the next batch is: what people asked for, what new columns ask for, or what was found.

use std::{mem, sync::Arc};

use chrono::{DateTime, Utc};

use super::{RELEASE, Stream, backfill::Backfill};
use crate::{
    files::{
        choice::{Backlog, Candidate, Choice, choose_asked},
        command::still_wanted,
        error::Error,
        options::LoadTrigger,
        plan::{Action, FORMAT, FilePlan, PlannedFile},
        seen::Seen,
        target::FileTarget,
    },
    target::BatchId,
};

/// What to do next.
pub(super) enum Next {
    /// What was planned before.
    Planned(FilePlan),
    Plan(Chosen),
    Nothing {
        ripe_at: Option<DateTime<Utc>>,
    },
}

/// The files of a batch to come.
pub(super) struct Chosen {
    files: Vec<PlannedFile>,
    pub(super) waiting: (u64, u64),
    found_at: Option<DateTime<Utc>>,
}

impl Next {
    /// Returns the files of the batch.
    pub(super) fn files(&self) -> &[PlannedFile] {
        match self {
            Self::Planned(plan) => &plan.files,
            Self::Plan(chosen) => &chosen.files,
            Self::Nothing { .. } => &[],
        }
    }

    /// The first batch of a stream that leaves out what is there: it only remembers it.
    fn of_existing(found: Vec<Candidate>, now: DateTime<Utc>) -> Self {
        let skip = |Candidate { file, found }| PlannedFile {
            file,
            action: Action::Skip,
            found,
            failures: 0,
        };
        let mut files: Vec<PlannedFile> = found.into_iter().map(skip).collect();
        files.sort_by(|a, b| (&a.file.path, b.file.modified).cmp(&(&b.file.path, a.file.modified)));
        files.dedup_by(|a, b| a.file.path == b.file.path);
        Self::Plan(Chosen { files, waiting: (0, 0), found_at: Some(now) })
    }
}

/// What one look found, less what was planned since.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    backlog: Backlog,
    /// The last batch that was known then: whatever a later one has, this look is too old for.
    after: Option<BatchId>,
    /// When it was; `None`: nobody looked yet.
    pub(super) at: Option<DateTime<Utc>>,
}

impl Sighting {
    /// Forgets files that were planned since: what was seen of them then may be old by now.
    pub(super) fn forget_planned(&mut self, plan: &FilePlan) {
        if self.after < Some(plan.batch) {
            plan.files.iter().for_each(|planned| self.backlog.forget(&planned.file.path));
        }
    }

    /// Does the same where there may have been any number of plans: one walk over all files.
    pub(super) fn forget_all_planned(&mut self, seen: &Seen) {
        let after = self.after;
        let is_newer = |path: &str| seen.get(path).is_some_and(|known| after < Some(known.batch));
        self.backlog.forget_all(is_newer);
    }
}

impl<T: FileTarget> Stream<T> {
    pub(super) const fn leaves_out_existing(&self, batch: BatchId) -> bool {
        batch.0 == BatchId::FIRST.0 && !self.config.discovery.includes_existing
    }

    /// Decides what the next batch is.
    pub(super) async fn choose(&mut self, batch: BatchId) -> Result<Next, Error<T::Error>> {
        if self.leaves_out_existing(batch) {
            let now = self.clock.now();
            let found = self.discover.look(&self.seen, now).await?;
            self.found = Sighting { after: self.settled, at: Some(now), ..Sighting::default() };
            return Ok(Next::of_existing(found, now));
        }
        let asked = self.choose_asked().await?;
        if !asked.is_empty() {
            return Ok(Next::Plan(Chosen { files: asked, waiting: (0, 0), found_at: None }));
        }
        let is_bound = self.config.trigger == LoadTrigger::AvailableNow && self.found.at.is_some();
        let mut choice = self.choose_found();
        if choice.files.is_empty() && !is_bound {
            self.look_again().await?;
            choice = self.choose_found();
        }
        if let Some(path) = choice.refused {
            return Err(Error::Overwritten { path });
        }
        if choice.files.is_empty() {
            return Ok(Next::Nothing { ripe_at: choice.ripe_at });
        }
        let Choice { files, waiting, .. } = choice;
        Ok(Next::Plan(Chosen { files, waiting, found_at: self.found.at }))
    }

    /// Returns what somebody asked for, or else what new columns do.
    async fn choose_asked(&mut self) -> Result<Vec<PlannedFile>, Error<T::Error>> {
        let asked = mem::take(&mut self.asked);
        self.asked = asked.into_iter().filter_map(|it| still_wanted(&self.seen, it)).collect();
        let asked = choose_asked(&self.asked, self.config.limits);
        if !asked.is_empty() || !self.config.backfills || !self.config.keeps_metadata {
            return Ok(asked);
        }
        let Some(version) = self.seen.schema_version() else { return Ok(asked) };
        let backfill = match &mut self.backfill {
            Some(backfill) if backfill.version == version => backfill,
            backfill => {
                let shape = self.schemas.version(version).await?;
                backfill.insert(Backfill::new(version, Arc::clone(&shape.read.columns)))
            }
        };
        Ok(backfill.choose(&self.seen, self.config.limits))
    }

    fn choose_found(&mut self) -> Choice {
        self.found.backlog.choose(&self.seen, self.config.rules(self.clock.now()))
    }

    async fn look_again(&mut self) -> Result<(), Error<T::Error>> {
        let now = self.clock.now();
        let found = self.discover.look(&self.seen, now).await?;
        let backlog = Backlog::new(found, &self.seen, self.config.rules(now));
        for path in backlog.overwritten() {
            tracing::debug!(path, "a file was overwritten after it was loaded; it is left alone");
        }
        self.found = Sighting { backlog, after: self.settled, at: Some(now) };
        Ok(())
    }

    /// Makes the choice final, or takes the one that another process made first.
    pub(super) async fn create(
        &mut self,
        batch: BatchId,
        chosen: Chosen,
    ) -> Result<FilePlan, Error<T::Error>> {
        let Chosen { mut files, found_at, .. } = chosen;
        files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
        let plan = FilePlan {
            format: FORMAT,
            release: RELEASE.to_owned(),
            stream: self.config.name.clone(),
            batch,
            planned_at: self.clock.now(),
            found_at,
            files,
        };
        self.memory.create_plan(plan).await.map_err(|error| self.state(error))
    }
}
