//! Records whose quoted values may hold line ends.

use super::{Record, Sink};
use crate::files::format::{
    FileProblem,
    ahead::{Ahead, Invalid, PIECE_BYTES},
    lines::RECORD_BYTES_MAX,
    rows::bad,
    stretches::Stretches,
};

/// The text of records that are not read yet. Bytes that are none become the replacement character,
/// as records cannot be told apart in anything but text.
#[derive(Debug, Default)]
pub(super) struct Records {
    ahead: Ahead,
}

impl Records {
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        bytes.chunks(PIECE_BYTES).try_for_each(|piece| {
            self.ahead.push(piece, Invalid::Replaced).unwrap_or_default();
            if self.ahead.is_enough() { self.run(false, sink, out) } else { Ok(()) }
        })
    }

    pub(super) fn finish(
        &mut self,
        sink: &mut Sink,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        self.ahead.finish(Invalid::Replaced).unwrap_or_default();
        self.run(true, sink, out)
    }

    fn run(
        &mut self,
        is_end: bool,
        sink: &mut Sink,
        out: &mut Stretches<'_>,
    ) -> Result<(), FileProblem> {
        let mut at = 0;
        while at < self.ahead.text.len() && !out.is_over() {
            let Some(next) = self.record(at, is_end, sink, out) else { break };
            at = next;
        }
        self.ahead.let_go(at);
        if self.ahead.is_overlong() {
            let reason = format!("a record is longer than {RECORD_BYTES_MAX} bytes");
            let (line, offset) = (self.ahead.peek_line(0), self.ahead.offset(0));
            let head = self.ahead.text.as_bytes();
            return Err(FileProblem::Document(Box::new(bad(line, offset, reason, head))));
        }
        Ok(())
    }

    /// Reads the record at `at`; returns where the next one begins, or `None` when its end has not
    /// come.
    fn record(
        &mut self,
        at: usize,
        is_end: bool,
        sink: &mut Sink,
        out: &mut Stretches<'_>,
    ) -> Option<usize> {
        let (line, offset) = (self.ahead.line_at(at), self.ahead.offset(at));
        let text = &self.ahead.text;
        // A `\r` at the end may be half of what ends a record.
        let is_whole = |next: &usize| is_end || *next < text.len();
        let line_end = || {
            let next = sink.machine.skip(text, at).filter(is_whole);
            next.or_else(|| is_end.then_some(text.len()))
        };
        if sink.skip != 0 || sink.is_comment(text.get(at..).unwrap_or_default()) {
            let next = line_end()?;
            sink.skip = sink.skip.saturating_sub(1);
            return Some(next);
        }
        let start = sink.machine.skip_empty(text, at);
        if start != at {
            return Some(start).filter(is_whole);
        }
        let read = sink.machine.record(text, at, is_end, &mut sink.pieces);
        let next = match &read {
            Ok(next) => (*next)?,
            // Records go on with the next line.
            Err(_) => line_end()?,
        };
        let raw = text.get(at..next).unwrap_or_default().trim_end_matches(['\r', '\n']);
        let record = Record { text, raw, line, offset };
        if let Err(error) = read.and_then(|_| sink.record(record, out)) {
            sink.bad(bad(line, offset, error.to_string(), raw.as_bytes()), out);
        }
        Some(next)
    }
}
