//! Running one plan: read and decide unless somebody did, then commit what was decided.

use super::{Stream, target_error};
use crate::{
    files::{
        error::Error,
        plan::{Action, FileOutcome, FilePlan, Outcome, PlannedFile},
        target::{Change, FileTarget},
    },
    target::Appended,
};

impl<T: FileTarget> Stream<T> {
    /// Brings `plan` into the target, whoever made it and however far it came before.
    pub(super) async fn run(
        &mut self,
        plan: &FilePlan,
    ) -> Result<(Outcome, Appended), Error<T::Error>> {
        let decided = self.memory.outcome(plan.batch).await.map_err(|error| self.state(error))?;
        let outcome = match decided {
            Some(decided) => decided,
            None => {
                let outcome = self.decide(plan).await?;
                // Where another process decided first, its word and its rows hold; ours are litter.
                self.memory.create_outcome(outcome).await.map_err(|error| self.state(error))?
            }
        };
        let appended = self.commit(plan, &outcome).await?;
        Ok((outcome, appended))
    }

    /// Commits what was decided: quarantine first, so that a second run finds it there.
    async fn commit(
        &mut self,
        plan: &FilePlan,
        outcome: &Outcome,
    ) -> Result<Appended, Error<T::Error>> {
        let committing = |error| target_error::<T>("committing", plan.batch.before(), error);
        if let Some(bad) = &outcome.quarantine {
            let Some(quarantine) = &mut self.quarantine else {
                return Err(self.disagreement(format!(
                    "another process put records of batch {} into quarantine, and this one has none: \
                     run it with the same options",
                    plan.batch
                )));
            };
            let change = Change { may_skip: true, ..Change::default() };
            quarantine.commit_once(plan.batch, Some(bad), &change).await.map_err(committing)?;
        }
        let change = change(&self.config.source, plan, outcome);
        let rows = outcome.rows.as_ref();
        self.target.commit_once(plan.batch, rows, &change).await.map_err(committing)
    }
}

/// Returns what a decided batch does to the table besides appending. Pure.
pub(super) fn change(source: &str, plan: &FilePlan, outcome: &Outcome) -> Change {
    let is_read = |planned: &PlannedFile| {
        outcome.files.get(&planned.file.path).is_some_and(|found| found.set_aside.is_none())
    };
    let is_removed = |planned: &&PlannedFile| match planned.action {
        Action::Remove => true,
        // The rows of before stay as long as there are no others.
        Action::Replace => is_read(planned),
        Action::Append | Action::Skip => false,
    };
    let removed = plan.files.iter().filter(is_removed);
    let count = |count: fn(&FileOutcome) -> u64| outcome.files.values().map(count).sum();
    Change {
        removes: removed.map(|planned| url(source, &planned.file.path)).collect(),
        may_skip: false,
        metrics: vec![
            ("marketlake.files".to_owned(), count(|found| found.set_aside.is_none().into())),
            (
                "marketlake.files_set_aside".to_owned(),
                count(|found| found.set_aside.is_some().into()),
            ),
            ("marketlake.rows".to_owned(), count(|found| found.rows)),
            ("marketlake.records_bad".to_owned(), count(|found| found.records_bad)),
        ],
    }
}

/// Returns what rows say as the path of their file.
pub(super) fn url(source: &str, path: &str) -> String {
    format!("{source}{path}")
}
