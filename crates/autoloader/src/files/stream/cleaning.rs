//! A stream cleans its source: what is due goes, and a note of it is kept.

use std::sync::Arc;

use super::{Stream, memory::CleanNote};
use crate::files::{
    clean::{Cleaner, Fate, due},
    error::Error,
    options::CleanSource,
    seen::{Cleaned, Known},
    target::FileTarget,
};

/// Files cleaned in one go: the stream waits for it, and a note of so many is 100 kB.
const CLEANED_MAX: usize = 500;

/// What one go of cleaning did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// Files that are gone from the source.
    pub gone: u64,
    /// Files that hold other bytes than were loaded, and stay.
    pub kept: u64,
    /// Files that the store failed at; the next go tries them again.
    pub failed: u64,
    /// The path to go on behind; `None`: all were looked at.
    pub next: Option<String>,
}

impl<T: FileTarget> Stream<T> {
    /// Moves or deletes files that are due, some at a time, from behind the path `after`.
    ///
    /// # Errors
    /// The state could not be read or written, or another stream reads the same source: the faster
    /// one would take files away from the slower.
    pub async fn clean(
        &mut self,
        cleaner: &Cleaner,
        after: Option<&str>,
    ) -> Result<Cleaning, Error<T::Error>> {
        if *cleaner.rule() == CleanSource::Off {
            return Ok(Cleaning::default());
        }
        self.catch_up().await?;
        // What others cleaned is not there to be cleaned again.
        self.take_in_notes().await?;
        if after.is_none() || !self.is_alone {
            self.check_alone().await?;
        }
        let now = self.clock.now();
        let due: Vec<Known> =
            due(&self.seen, cleaner.rule(), now, after).take(CLEANED_MAX).cloned().collect();
        let mut done = Cleaning::default();
        if due.len() == CLEANED_MAX {
            done.next = due.last().map(|known| known.file.path.clone());
        }
        let mut notes = Vec::new();
        for known in due {
            let path = &known.file.path;
            match cleaner.clean(&known).await {
                Ok(Fate::Gone { moved_to }) => {
                    done.gone += 1;
                    let cleaned = Cleaned { cleaned_at: now, moved_to };
                    notes.push(CleanNote { path: path.clone(), batch: known.batch, cleaned });
                }
                Ok(Fate::Kept) => {
                    tracing::debug!(path, "a file was overwritten after it was loaded, and stays");
                    done.kept += 1;
                }
                Err(error) => {
                    tracing::warn!(path, %error, "a file was not cleaned; the next time it may be");
                    done.failed += 1;
                }
            }
        }
        self.note_cleaned(&notes).await?;
        Ok(done)
    }

    /// Refuses to clean what another stream may still have to read.
    async fn check_alone(&mut self) -> Result<(), Error<T::Error>> {
        self.is_alone = false;
        let others = self.memory.others_of(&self.config.source).await;
        if let Some((other, source)) = others.map_err(|error| self.state(error))?.first() {
            return Err(self.settings(format!(
                "`cleanSource` would take files away from stream `{other}`, which reads `{source}`: \
                 let one of them load and both tables follow, or switch it off"
            )));
        }
        self.is_alone = true;
        Ok(())
    }

    /// Keeps notes of what was cleaned, behind those of others.
    async fn note_cleaned(&mut self, notes: &[CleanNote]) -> Result<(), Error<T::Error>> {
        if notes.is_empty() {
            return Ok(());
        }
        loop {
            // Each round without success takes in a note that somebody else has made.
            self.take_in_notes().await?;
            let created = self.memory.create_notes(self.notes, notes).await;
            if created.map_err(|error| self.state(error))? {
                return self.take_in_notes().await;
            }
        }
    }

    /// Takes in notes that were made since the last time.
    pub(super) async fn take_in_notes(&mut self) -> Result<(), Error<T::Error>> {
        while let Some(notes) =
            self.memory.notes(self.notes).await.map_err(|error| self.state(error))?
        {
            for CleanNote { path, batch, cleaned } in notes {
                Arc::make_mut(&mut self.seen).clean(&path, batch, cleaned);
            }
            self.notes += 1;
        }
        Ok(())
    }
}
