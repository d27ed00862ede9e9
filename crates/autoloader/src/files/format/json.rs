//! JSON: a record a line, or whole documents and the rows inside them.

use std::sync::Arc;

use super::{
    FileProblem, ReadTimes, TextReader,
    encoding::ToUtf8,
    lines::{Line, Lines, RECORD_BYTES_MAX},
    rows::bad,
    stretches::Stretches,
};
use crate::{
    decode::scan::{Parts, ScanError, Shape, Span, skip_space, value},
    files::{decoded::ReadSchema, options::JsonOptions},
};

mod documents;
mod records;
mod relaxed;

#[cfg(test)]
mod tests;

use documents::Documents;
use records::Records;

/// Opens a JSON file.
pub(super) fn open(
    options: &JsonOptions,
    schema: Arc<ReadSchema>,
    times: Arc<dyn ReadTimes>,
) -> Result<Box<dyn TextReader>, FileProblem> {
    let utf8 = ToUtf8::new(options.text.encoding);
    let records = Records::new(options, schema, times)?;
    Ok(if options.is_multi_line || options.rows.is_some() {
        Box::new(Documents::new(utf8, records, options.rows.clone()))
    } else {
        let lines = Lines::new(options.line_sep.as_deref());
        Box::new(JsonLines { utf8, lines, records, rewritten: String::new() })
    })
}

/// Reads a record a line. A line that holds an array has a record in each element.
#[derive(Debug)]
struct JsonLines {
    utf8: ToUtf8,
    lines: Lines,
    records: Records,
    rewritten: String,
}

impl JsonLines {
    fn lines(&mut self, bytes: Option<&[u8]>, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, lines, records, rewritten } = self;
        let mut each = |line: Line<'_>| {
            if !out.is_over() {
                read_line(records, rewritten, line, out);
            }
        };
        match bytes {
            Some(bytes) => utf8.push(bytes, &mut |text| {
                lines.push(text, &mut each);
                Ok(())
            })?,
            None => {
                utf8.finish(&mut |text| {
                    lines.push(text, &mut each);
                    Ok(())
                })?;
                lines.finish(&mut each);
            }
        }
        Ok(())
    }
}

impl TextReader for JsonLines {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        self.lines(Some(bytes), out)
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        self.lines(None, out)?;
        self.records.rows.flush(out);
        Ok(())
    }
}

/// Reads what a line holds; a bad one is noted, and the next one is read as if it were not there.
fn read_line(
    records: &mut Records,
    rewritten: &mut String,
    line: Line<'_>,
    out: &mut Stretches<'_>,
) {
    let read = match std::str::from_utf8(line.bytes) {
        _ if line.is_overlong => Err(format!("longer than {RECORD_BYTES_MAX} bytes")),
        Err(error) => Err(format!("not UTF-8 at byte {}", error.valid_up_to())),
        Ok(text) => {
            let strict = read_text(records, text, line, out);
            match (strict, records.relaxed) {
                (Err(ScanError::Syntax(at)), Some(relaxed)) => {
                    rewritten.clear();
                    match relaxed.rewrite_all(text, rewritten) {
                        // Where it is wrong is said of the line as it stands.
                        Ok(()) => {
                            records.is_rewritten = true;
                            let read = read_text(records, rewritten, line, out);
                            records.is_rewritten = false;
                            read.map_err(|error| match error {
                                ScanError::Syntax(_) => ScanError::Syntax(at),
                                other => other,
                            })
                        }
                        Err(error) => Err(error),
                    }
                }
                (strict, _) => strict,
            }
            .map_err(|error| error.to_string())
        }
    };
    if let Err(reason) = read {
        out.bad(bad(line.number, line.offset, reason, line.bytes));
    }
}

/// Reads a line that is strict JSON; nothing is appended unless all of it is.
fn read_text(
    records: &mut Records,
    text: &str,
    line: Line<'_>,
    out: &mut Stretches<'_>,
) -> Result<(), ScanError> {
    let bytes = text.as_bytes();
    let start = skip_space(bytes, 0);
    let (end, is_array) = match bytes.get(start) {
        // An empty line is no record.
        None => return Ok(()),
        Some(b'{') if records.append_alike(text, start, line.number, out) => return Ok(()),
        Some(b'{') => (records.scan(text, start)?, false),
        Some(_) => {
            let whole = value(bytes, start, 1)?;
            (whole.span.end, whole.shape == Shape::Nested)
        }
    };
    let rest = skip_space(bytes, end);
    if rest < bytes.len() {
        return Err(ScanError::Syntax(rest));
    }
    let span = Span { start, end };
    if bytes.get(start) == Some(&b'{') {
        records.append(text, span, line.number, line.offset, out);
    } else if is_array {
        for element in Parts::of(text, span) {
            if out.is_over() {
                break;
            }
            let offset = line.offset + element.value.span.start as u64;
            records.element(text, element.value, line.number, offset, out);
        }
    } else {
        let reason = "no object, and no array of them".to_owned();
        out.bad(bad(line.number, line.offset, reason, line.bytes));
    }
    Ok(())
}
