//! Separated values, as Spark's reader has them.
//!
//! | record | what becomes of it |
//! |---|---|
//! | fewer values than the header names | the columns that are missing are null |
//! | more values | those behind are fields `_c7`, `_c8`, …: rescued, or dropped |
//! | a value that does not fit | rescued as its text, or the record is bad |
//! | the text of `nullValue`, quoted or not, or nothing | null |
//! | nothing in quotes | the text of `emptyValue` |
//! | a header that cannot be read | the file cannot be read |

use std::sync::Arc;

use super::{
    FileProblem, ReadTimes, TextReader,
    encoding::ToUtf8,
    lines::{Line, Lines, RECORD_BYTES_MAX},
    rows::{Rows, bad},
    stretches::Stretches,
};
use crate::{
    decode::columns::{Fit, Rules},
    files::{
        decoded::{BadRecord, ReadSchema},
        options::CsvOptions,
        schema::Observed,
    },
};

mod header;
mod machine;
mod records;

#[cfg(test)]
mod tests;

use header::Layout;
use machine::{CsvError, Machine, Pieces, RecordEnd};
use records::Records;

/// Reads a CSV file.
#[derive(Debug)]
pub(super) struct CsvReader {
    utf8: ToUtf8,
    source: Source,
    sink: Sink,
}

/// Where records are split.
#[derive(Debug)]
enum Source {
    /// At line ends, wherever they are.
    Lines(Lines),
    /// At line ends outside of quotes.
    Records(Records),
}

impl CsvReader {
    pub(super) fn new(
        options: &CsvOptions,
        schema: Arc<ReadSchema>,
        times: Arc<dyn ReadTimes>,
    ) -> Result<Self, FileProblem> {
        let record_end = options.is_multi_line.then(|| match &options.line_sep {
            Some(end) if !end.is_empty() => RecordEnd::Text(end.clone()),
            _ => RecordEnd::Any,
        });
        let source = match &record_end {
            Some(_) => Source::Records(Records::default()),
            None => Source::Lines(Lines::new(options.line_sep.as_deref())),
        };
        Ok(Self {
            utf8: ToUtf8::new(options.text.encoding),
            source,
            sink: Sink::new(options, Machine::new(options, record_end), schema, times)?,
        })
    }
}

impl TextReader for CsvReader {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, source, sink } = self;
        utf8.push(bytes, &mut |text| push(source, sink, text, out))
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, source, sink } = self;
        utf8.finish(&mut |text| push(source, sink, text, out))?;
        match source {
            Source::Lines(lines) => lines.finish(&mut |line| sink.line(line, out)),
            Source::Records(records) => records.finish(sink, out)?,
        }
        sink.rows.flush(out);
        Ok(())
    }

    fn header(&self) -> &[String] {
        &self.sink.header
    }
}

fn push(
    source: &mut Source,
    sink: &mut Sink,
    text: &[u8],
    out: &mut Stretches<'_>,
) -> Result<(), FileProblem> {
    match source {
        Source::Lines(lines) => lines.push(text, &mut |line| sink.line(line, out)),
        Source::Records(records) => records.push(text, sink, out)?,
    }
    Ok(())
}

/// Turns records into rows; the first of them into the header.
#[derive(Debug)]
struct Sink {
    machine: Machine,
    rows: Rows,
    pieces: Pieces,
    /// `None`: the header has not come.
    layout: Option<Layout>,
    has_header: bool,
    /// The names of columns, as far as they are known.
    header: Vec<String>,
    comment: Option<char>,
    null: String,
    empty: String,
    /// Lines still to be passed over.
    skip: u64,
}

/// A record that is split into values.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    /// The text it is part of.
    text: &'a str,
    /// The part.
    raw: &'a str,
    line: u64,
    offset: u64,
}

impl Sink {
    fn new(
        options: &CsvOptions,
        machine: Machine,
        schema: Arc<ReadSchema>,
        times: Arc<dyn ReadTimes>,
    ) -> Result<Self, FileProblem> {
        let layout = (!options.has_header).then(|| Layout::by_places(&schema));
        let non_finite = options.non_finite.clone().map(|text| vec![text]);
        Ok(Self {
            machine,
            rows: Rows::new(schema, Rules { non_finite, times })?,
            pieces: Pieces::default(),
            layout,
            has_header: options.has_header,
            header: Vec::new(),
            comment: options.comment,
            null: options.null.clone(),
            empty: options.empty.clone(),
            skip: options.skip_rows,
        })
    }

    /// Whether a record that begins so is none.
    fn is_comment(&self, text: &str) -> bool {
        self.comment.is_some_and(|comment| text.starts_with(comment))
    }

    /// Reads a line that is a record.
    fn line(&mut self, line: Line<'_>, out: &mut Stretches<'_>) {
        if out.is_over() {
            return;
        }
        if self.skip != 0 {
            self.skip -= 1;
            return;
        }
        let reason = match std::str::from_utf8(line.bytes) {
            _ if line.is_overlong => format!("longer than {RECORD_BYTES_MAX} bytes"),
            Err(error) => format!("not UTF-8 at byte {}", error.valid_up_to()),
            Ok(text) if text.trim().is_empty() || self.is_comment(text) => return,
            Ok(text) => {
                let record = Record { text, raw: text, line: line.number, offset: line.offset };
                let read = self.machine.record(text, 0, true, &mut self.pieces);
                match read.and_then(|_| self.record(record, out)) {
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                }
            }
        };
        self.bad(bad(line.number, line.offset, reason, line.bytes), out);
    }

    /// Notes a bad record. Without a header nothing behind it has a meaning.
    fn bad(&self, bad: BadRecord, out: &mut Stretches<'_>) {
        if self.layout.is_some() {
            out.bad(bad);
        } else {
            out.fail(FileProblem::Document(Box::new(bad)));
        }
    }

    /// Reads the record whose values are in `pieces`.
    fn record(&mut self, record: Record<'_>, out: &mut Stretches<'_>) -> Result<(), CsvError> {
        let Some(layout) = self.layout.take() else {
            self.read_header(record.text);
            return Ok(());
        };
        if !self.has_header {
            let counted = self.header.len()..self.pieces.pieces.len();
            self.header.extend(counted.map(header::unnamed));
        }
        self.row(record, &layout, out);
        self.layout = Some(layout);
        Ok(())
    }

    fn read_header(&mut self, text: &str) {
        let values: Vec<Option<&str>> =
            (0..self.pieces.pieces.len()).map(|place| self.value(text, place)).collect();
        let schema = &self.rows.schema;
        let header = header::names(&values, schema.is_case_sensitive);
        self.layout = Some(Layout::by_names(&header, schema));
        self.header = header;
    }

    /// Returns the value at a place; `None`: it is null, or not there.
    fn value<'a>(&'a self, text: &'a str, place: usize) -> Option<&'a str> {
        value(&self.pieces, text, place, (&self.null, &self.empty))
    }

    fn row(&mut self, record: Record<'_>, layout: &Layout, out: &mut Stretches<'_>) {
        let Self { rows, pieces, null, empty, .. } = self;
        let words = (null.as_str(), empty.as_str());
        let schema = Arc::clone(&rows.schema);
        let mut misfit = None;
        for (index, place) in layout.places.iter().enumerate() {
            let Some(column) = rows.columns.get_mut(index) else { break };
            let text = place.and_then(|place| value(pieces, record.text, place, words));
            let Some(text) = text else {
                column.append_null();
                continue;
            };
            if column.append_text(text, &rows.rules) == Fit::Misfit {
                let name = schema.columns.field(index).name();
                misfit = misfit.or(Some(name));
                note(rows, name, text);
            }
        }
        // A bad record tells of new columns as any other does.
        for (place, name) in &layout.others {
            if let Some(text) = value(pieces, record.text, *place, words) {
                note(rows, name, text);
            }
        }
        for place in layout.width..pieces.pieces.len() {
            if let Some(text) = value(pieces, record.text, place, words) {
                note(rows, &header::unnamed(place), text);
            }
        }
        if let Some(name) = misfit.filter(|_| !schema.is_rescuing) {
            let reason = format!("`{name}` does not fit its column");
            out.bad(bad(record.line, record.offset, reason, record.raw.as_bytes()));
            return rows.leave_out(record.raw.len(), out);
        }
        rows.end_row(record.line, record.raw.len(), out);
    }
}

/// Returns the value at a place, if it is not null; `words` are those for null and for nothing.
fn value<'a>(
    pieces: &'a Pieces,
    text: &'a str,
    place: usize,
    (null, empty): (&str, &'a str),
) -> Option<&'a str> {
    let piece = pieces.pieces.get(place).filter(|piece| !piece.is_skipped)?;
    let value = pieces.value(text, *piece);
    let value = match (value.is_empty(), piece.is_quoted) {
        (true, true) => empty,
        (true, false) => return None,
        (false, _) => value,
    };
    (value != null).then_some(value)
}

/// Rescues and observes a field.
fn note(rows: &mut Rows, name: &str, text: &str) {
    let schema = &rows.schema;
    let (is_rescuing, is_observing) = (schema.is_rescuing, schema.is_observing);
    if is_rescuing {
        rows.rescue_text(name, text);
    }
    if is_observing {
        let seen = match rows.rules.non_finite(text) {
            Some(_) => Observed::FLOAT,
            None => Observed::of_csv(text, &*rows.rules.times),
        };
        rows.observe(name, seen);
    }
}
