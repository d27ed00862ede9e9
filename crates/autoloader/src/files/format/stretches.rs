//! Where readers put what a file brings: it is handed on as soon as it makes a stretch.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;

use super::FileProblem;
use crate::files::{
    decoded::{BadRecord, Decoded},
    schema::Observed,
};

/// Most rows, or bad records, of a stretch: enough to keep buffers busy, few enough to be written
/// early.
pub(super) const STRETCH_ROWS_MAX: usize = 1 << 16;

/// Bytes after which a stretch is handed on. What a reader holds is this and its columns.
pub(super) const STRETCH_BYTES_MAX: usize = 8 << 20;

/// Takes what a reader brings. Nothing of it waits longer than for a stretch to be full.
pub struct Stretches<'a> {
    held: Decoded,
    /// Of the bad records held.
    bad_bytes: usize,
    /// Returns whether more is wanted.
    hand_on: &'a mut dyn FnMut(Decoded) -> bool,
    is_wanted: bool,
    problem: Result<(), FileProblem>,
}

impl std::fmt::Debug for Stretches<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stretches").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Stretches<'_> {
    /// Lets `work` bring what it has, and hands it on to `each` stretch by stretch.
    ///
    /// # Errors
    /// What `each` returned, who is then not asked again; else what `work` did.
    pub fn each<E: From<FileProblem>>(
        each: &mut dyn FnMut(Decoded) -> Result<(), E>,
        work: impl FnOnce(&mut Stretches<'_>) -> Result<(), FileProblem>,
    ) -> Result<(), E> {
        let mut refused = None;
        let mut hand_on = |decoded| match each(decoded) {
            Ok(()) => true,
            Err(why) => {
                refused = Some(why);
                false
            }
        };
        let mut out = Stretches {
            held: Decoded::default(),
            bad_bytes: 0,
            hand_on: &mut hand_on,
            is_wanted: true,
            problem: Ok(()),
        };
        let done = work(&mut out).and_then(|()| {
            out.hand_on();
            std::mem::replace(&mut out.problem, Ok(()))
        });
        match refused {
            Some(why) => Err(why),
            None => done.map_err(E::from),
        }
    }

    /// Whether nothing that is still to come is wanted: readers may stop where they are.
    pub(super) const fn is_over(&self) -> bool {
        !self.is_wanted || self.problem.is_err()
    }

    /// Takes rows, which end a stretch.
    pub(super) fn batch(&mut self, rows: RecordBatch) {
        if rows.num_rows() != 0 {
            self.held.batches.push(rows);
        }
        self.hand_on();
    }

    /// Takes a record that is none.
    pub(super) fn bad(&mut self, bad: BadRecord) {
        self.bad_bytes += size_of::<BadRecord>() + bad.reason.len() + bad.record.len();
        self.held.bad.push(bad);
        if STRETCH_BYTES_MAX <= self.bad_bytes || STRETCH_ROWS_MAX <= self.held.bad.len() {
            self.hand_on();
        }
    }

    /// Takes what unknown fields held.
    pub(super) fn unknown(&mut self, seen: Observed) {
        self.held.unknown.merge(seen);
    }

    /// Takes how many rows of the batch that comes next have rescued fields, and which.
    pub(super) fn rescued(&mut self, rows: u64, fields: BTreeSet<String>) {
        self.held.rows_rescued += rows;
        self.held.rescued_fields.extend(fields);
    }

    /// Takes why the file cannot be read; what comes behind it does not count.
    pub(super) fn fail(&mut self, problem: FileProblem) {
        if self.problem.is_ok() {
            self.problem = Err(problem);
        }
    }

    fn hand_on(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.bad_bytes = 0;
        if !self.is_over() && !held.is_empty() {
            self.is_wanted = (self.hand_on)(held);
        }
    }
}
