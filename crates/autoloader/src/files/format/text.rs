//! Text files: a row for each line, or one for the file, in the one column: `value`, if
//! no schema calls it otherwise.

use std::sync::Arc;

use super::{
    FileProblem, ReadTimes, TextReader,
    encoding::ToUtf8,
    lines::{Line, Lines, RECORD_BYTES_MAX},
    rows::{Rows, bad},
    stretches::Stretches,
};
use crate::{decode::columns::Rules, files::decoded::ReadSchema};

/// Largest file that becomes one row: what the offsets of a text column address, with room to
/// spare for its neighbours.
const WHOLE_BYTES_MAX: usize = 1 << 30;

/// Reads a text file.
#[derive(Debug)]
pub(super) struct TextFile {
    utf8: ToUtf8,
    body: Body,
}

/// The file as UTF-8.
#[derive(Debug)]
struct Body {
    rows: Rows,
    lines: Lines,
    /// The file so far, if it is one row.
    whole: Option<Vec<u8>>,
}

impl TextFile {
    pub(super) fn new(
        is_whole: bool,
        line_sep: Option<&str>,
        utf8: ToUtf8,
        schema: Arc<ReadSchema>,
        times: Arc<dyn ReadTimes>,
    ) -> Result<Self, FileProblem> {
        let rules = Rules { non_finite: Default::default(), times };
        let body = Body {
            rows: Rows::new(schema, rules)?,
            lines: Lines::new(line_sep),
            whole: is_whole.then(Vec::new),
        };
        Ok(Self { utf8, body })
    }
}

impl TextReader for TextFile {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, body } = self;
        utf8.push(bytes, &mut |bytes| body.push(bytes, out))
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, body } = self;
        utf8.finish(&mut |bytes| body.push(bytes, out))?;
        body.finish(out);
        Ok(())
    }
}

impl Body {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { rows, lines, whole } = self;
        match whole {
            Some(whole) if WHOLE_BYTES_MAX < whole.len() + bytes.len() => {
                Err(FileProblem::TooLarge { what: "a file as one row", max: WHOLE_BYTES_MAX })
            }
            Some(whole) => {
                whole.extend_from_slice(bytes);
                Ok(())
            }
            None => {
                lines.push(bytes, &mut |line| append(rows, line, out));
                Ok(())
            }
        }
    }

    fn finish(&mut self, out: &mut Stretches<'_>) {
        let Self { rows, lines, whole } = self;
        match whole.take() {
            Some(whole) => {
                let line = Line { bytes: &whole, number: 1, offset: 0, is_overlong: false };
                append(rows, line, out);
            }
            None => lines.finish(&mut |line| append(rows, line, out)),
        }
        rows.flush(out);
    }
}

fn append(rows: &mut Rows, line: Line<'_>, out: &mut Stretches<'_>) {
    if out.is_over() {
        return;
    }
    let reason = match std::str::from_utf8(line.bytes) {
        _ if line.is_overlong => format!("longer than {RECORD_BYTES_MAX} bytes"),
        Err(error) => format!("not UTF-8 at byte {}", error.valid_up_to()),
        Ok(text) => {
            // There is one column, or none if the path spells it.
            for column in &mut rows.columns {
                column.append_text(text, &rows.rules);
            }
            return rows.end_row(line.number, text.len(), out);
        }
    };
    out.bad(bad(line.number, line.offset, reason, line.bytes));
}
