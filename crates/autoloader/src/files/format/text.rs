//! Text files: a row for each line, or one for the file, in the column `value`.

use std::sync::Arc;

use super::{
    FileProblem, ReadTimes, TextReader,
    encoding::ToUtf8,
    lines::{Line, Lines, RECORD_BYTES_MAX},
    rows::{Rows, bad},
};
use crate::{
    decode::columns::Rules,
    files::decoded::{Decoded, ReadSchema},
};

/// Largest file that becomes one row: what the offsets of a text column address, with room to
/// spare for its neighbours.
const WHOLE_BYTES_MAX: usize = 1 << 30;

/// The column of a text file.
const VALUE: &str = "value";

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
    fn push(&mut self, bytes: &[u8], out: &mut Decoded) -> Result<(), FileProblem> {
        let Self { utf8, body } = self;
        utf8.push(bytes, &mut |bytes| body.push(bytes, out))
    }

    fn finish(&mut self, out: &mut Decoded) -> Result<(), FileProblem> {
        let Self { utf8, body } = self;
        utf8.finish(&mut |bytes| body.push(bytes, out))?;
        body.finish(out)
    }
}

impl Body {
    fn push(&mut self, bytes: &[u8], out: &mut Decoded) -> Result<(), FileProblem> {
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
                let mut problem = Ok(());
                lines.push(bytes, &mut |line| append(rows, line, out, &mut problem));
                problem
            }
        }
    }

    fn finish(&mut self, out: &mut Decoded) -> Result<(), FileProblem> {
        let Self { rows, lines, whole } = self;
        let mut problem = Ok(());
        match whole.take() {
            Some(whole) => {
                let line = Line { bytes: &whole, number: 1, offset: 0, is_overlong: false };
                append(rows, line, out, &mut problem);
            }
            None => lines.finish(&mut |line| append(rows, line, out, &mut problem)),
        }
        problem?;
        rows.flush(out)
    }
}

fn append(
    rows: &mut Rows,
    line: Line<'_>,
    out: &mut Decoded,
    problem: &mut Result<(), FileProblem>,
) {
    let reason = match std::str::from_utf8(line.bytes) {
        _ if line.is_overlong => format!("longer than {RECORD_BYTES_MAX} bytes"),
        Err(error) => format!("not UTF-8 at byte {}", error.valid_up_to()),
        Ok(text) => {
            let names = rows.schema.columns.fields().iter().map(|field| field.name() == VALUE);
            for (column, is_value) in rows.columns.iter_mut().zip(names) {
                if is_value {
                    column.append_text(text, &rows.rules);
                } else {
                    column.append_null();
                }
            }
            rows.end_row(line.number, text.len());
            if problem.is_ok() && rows.is_full() {
                *problem = rows.flush(out);
            }
            return;
        }
    };
    out.bad.push(bad(line.number, line.offset, reason, line.bytes));
}
