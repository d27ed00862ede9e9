//! Whole documents: one, several, arrays of rows, or the array inside each that holds the rows.
//!
//! A document is never held as a whole: its path is walked, what lies beside it is passed over, and
//! each row is read as soon as it is there. So an error far behind shows after rows were handed on;
//! it is the file's, and whoever reads it drops what it brought.

use super::Records;
use crate::{
    decode::{
        scan::{ScanError, Shape, Span, Value, skip_space, string, value},
        value::unescape,
    },
    files::{
        decoded::BAD_BYTES_MAX,
        format::{
            FileProblem, TextReader,
            ahead::{Ahead, Invalid, PIECE_BYTES},
            encoding::ToUtf8,
            lines::RECORD_BYTES_MAX,
            rows::bad,
            stretches::Stretches,
        },
    },
};

/// How far the scanner looks ahead: an error this near to the end may be for want of more.
const LOOKAHEAD: usize = 12;

/// Reads whole documents.
#[derive(Debug)]
pub(super) struct Documents {
    utf8: ToUtf8,
    walk: Walk,
}

/// Where reading is, and the text that is not read yet.
#[derive(Debug)]
struct Walk {
    records: Records,
    /// The way to the array of rows; `None`: a document is a row, or an array of them.
    path: Option<Vec<String>>,
    ahead: Ahead,
    /// Read up to here.
    at: usize,
    open: Vec<Open>,
    document: Document,
    rewritten: String,
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An array of documents.
    Documents,
    /// An array of rows.
    Rows,
    /// The object in which the path's part of this number is looked for.
    Object(usize),
}

/// What may come in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A part, or the end.
    First,
    /// A comma, or the end.
    Comma,
    /// A part.
    Part,
}

/// The document that is open.
#[derive(Debug, Default)]
struct Document {
    line: u64,
    offset: u64,
    /// Its text as far as that is gone, cut to what is kept of a bad record.
    head: String,
    /// Where the rest of it begins in the text.
    start: usize,
    has_rows: bool,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Went,
    NeedsMore,
    Done,
}

/// A value that was found.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// It stands in the text.
    Strict(Value),
    /// It was rewritten; it ends here in the text.
    Rewritten(usize),
}

impl Documents {
    pub(super) fn new(utf8: ToUtf8, records: Records, path: Option<Vec<String>>) -> Self {
        let walk = Walk {
            records,
            path: path.filter(|path| !path.is_empty()),
            ahead: Ahead::default(),
            at: 0,
            open: Vec::new(),
            document: Document::default(),
            rewritten: String::new(),
        };
        Self { utf8, walk }
    }
}

impl TextReader for Documents {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, walk } = self;
        utf8.push(bytes, &mut |bytes| walk.push(bytes, out))
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let Self { utf8, walk } = self;
        utf8.finish(&mut |bytes| walk.push(bytes, out))?;
        walk.finish(out)
    }
}

impl Walk {
    fn push(&mut self, bytes: &[u8], out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        bytes.chunks(PIECE_BYTES).try_for_each(|piece| {
            let taken = self.ahead.push(piece, Invalid::Refused);
            taken.map_err(|_| self.broken(self.len(), "not UTF-8"))?;
            if self.ahead.is_enough() { self.run(false, out) } else { Ok(()) }
        })
    }

    fn finish(&mut self, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        let ended = self.ahead.finish(Invalid::Refused);
        ended.map_err(|_| self.broken(self.len(), "not UTF-8: a character is cut off"))?;
        self.run(true, out)?;
        if self.at < self.len() || !self.open.is_empty() {
            return Err(self.broken(self.len(), "the document is cut off"));
        }
        self.records.rows.flush(out);
        Ok(())
    }

    fn run(&mut self, is_end: bool, out: &mut Stretches<'_>) -> Result<(), FileProblem> {
        while !out.is_over() && self.step(is_end, out)? == Step::Went {}
        if self.path.is_some() && !self.open.is_empty() && !self.document.has_rows {
            self.document.head = self.document_text();
            self.document.start = 0;
        }
        self.ahead.let_go(self.at);
        self.at = 0;
        if self.ahead.is_overlong() {
            let reason = format!("a value is longer than {RECORD_BYTES_MAX} bytes");
            return Err(self.broken(0, &reason));
        }
        Ok(())
    }

    fn text(&self) -> &str {
        &self.ahead.text
    }

    fn len(&self) -> usize {
        self.ahead.text.len()
    }

    /// Returns the open document up to here, cut to what is kept of a bad record.
    fn document_text(&mut self) -> String {
        let mut text = std::mem::take(&mut self.document.head);
        let rest = self.text().get(self.document.start..self.at).unwrap_or_default();
        let room = BAD_BYTES_MAX.saturating_sub(text.len());
        text.push_str(rest.get(..rest.floor_char_boundary(room)).unwrap_or_default());
        text
    }

    /// Reads as much as decides what comes next; changes nothing when that is not there yet.
    fn step(&mut self, is_end: bool, out: &mut Stretches<'_>) -> Result<Step, FileProblem> {
        let Some(at) = self.space(self.at, is_end)? else { return Ok(Step::NeedsMore) };
        let Some(byte) = self.text().as_bytes().get(at).copied() else {
            self.at = at;
            let is_over = is_end && self.open.is_empty();
            return Ok(if is_over { Step::Done } else { Step::NeedsMore });
        };
        let Some(open) = self.open.last().copied() else {
            return self.begin_document(at, byte, is_end, out);
        };
        let close = if matches!(open.kind, Kind::Object(_)) { b'}' } else { b']' };
        match open.next {
            Next::First | Next::Comma if byte == close => {
                self.at = at + 1;
                self.open.pop();
                self.end_document(out);
                Ok(Step::Went)
            }
            Next::Comma if byte == b',' => {
                self.at = at + 1;
                self.expect(Next::Part);
                Ok(Step::Went)
            }
            Next::Comma => Err(self.broken(at, "no comma and no end of the array or object")),
            Next::First | Next::Part => match open.kind {
                Kind::Documents => self.begin_document(at, byte, is_end, out),
                Kind::Rows => self.row(at, is_end, out),
                Kind::Object(level) => self.member(at, level, is_end),
            },
        }
    }

    fn begin_document(
        &mut self,
        at: usize,
        byte: u8,
        is_end: bool,
        out: &mut Stretches<'_>,
    ) -> Result<Step, FileProblem> {
        let is_inside = !self.open.is_empty();
        self.document = Document {
            line: self.ahead.line_at(at),
            offset: self.ahead.offset(at),
            start: at,
            ..Document::default()
        };
        let kind = match (byte, &self.path) {
            (b'{', None) => return self.row(at, is_end, out),
            (b'{', Some(_)) => Kind::Object(0),
            (b'[', None) => Kind::Rows,
            (b'[', Some(_)) if !is_inside => Kind::Documents,
            // Read as a row that is none.
            _ if is_inside => {
                self.document = Document::default();
                return self.row(at, is_end, out);
            }
            _ => return Err(self.broken(at, "no object, and no array of them")),
        };
        if kind == Kind::Documents {
            // It holds documents and is none.
            self.document = Document::default();
        }
        self.at = at + 1;
        self.open(kind);
        Ok(Step::Went)
    }

    /// Reads the row at `at`.
    fn row(
        &mut self,
        at: usize,
        is_end: bool,
        out: &mut Stretches<'_>,
    ) -> Result<Step, FileProblem> {
        let (line, offset) = (self.ahead.line_at(at), self.ahead.offset(at));
        // The quick way: an object that is there as a whole.
        if self.text().as_bytes().get(at) == Some(&b'{')
            && let Ok(end) = self.records.scan(&self.ahead.text, at)
        {
            self.records.append(&self.ahead.text, Span { start: at, end }, line, offset, out);
            self.at = end;
            self.expect(Next::Comma);
            return Ok(Step::Went);
        }
        match self.find(at, is_end)? {
            None => return Ok(Step::NeedsMore),
            Some(Found::Strict(found)) => {
                self.records.element(&self.ahead.text, found, line, offset, out);
                self.at = found.span.end;
            }
            Some(Found::Rewritten(end)) => {
                let found = value(self.rewritten.as_bytes(), 0, 1)
                    .map_err(|_| self.broken(at, "not JSON"))?;
                self.records.is_rewritten = true;
                self.records.element(&self.rewritten, found, line, offset, out);
                self.records.is_rewritten = false;
                self.at = end;
            }
        }
        self.expect(Next::Comma);
        Ok(Step::Went)
    }

    /// Reads a member of an object on the path: goes into it, or passes it over.
    fn member(&mut self, at: usize, level: usize, is_end: bool) -> Result<Step, FileProblem> {
        let Some((name, end)) = self.name(at, is_end)? else { return Ok(Step::NeedsMore) };
        let Some(colon) = self.space(end, is_end)? else { return Ok(Step::NeedsMore) };
        let start = match self.text().as_bytes().get(colon) {
            Some(b':') => self.space(colon + 1, is_end)?,
            Some(_) => return Err(self.broken(colon, "no colon behind a name")),
            None => None,
        };
        let Some(start) = start else { return self.more(is_end) };
        let Some(byte) = self.text().as_bytes().get(start).copied() else {
            return self.more(is_end);
        };
        let path = self.path.as_deref().unwrap_or_default();
        let is_on_path = path.get(level).is_some_and(|part| *part == name);
        let is_last = path.len() == level + 1;
        let kind = match byte {
            b'[' if is_on_path && is_last => Kind::Rows,
            b'{' if is_on_path && !is_last => Kind::Object(level + 1),
            _ => {
                let Some(found) = self.find(start, is_end)? else { return Ok(Step::NeedsMore) };
                self.at = match found {
                    Found::Strict(value) => {
                        // No rows are as many as an empty array has.
                        self.document.has_rows |=
                            is_on_path && is_last && value.shape == Shape::Null;
                        value.span.end
                    }
                    Found::Rewritten(end) => end,
                };
                self.expect(Next::Comma);
                return Ok(Step::Went);
            }
        };
        self.at = start + 1;
        self.document.has_rows |= kind == Kind::Rows;
        self.open(kind);
        Ok(Step::Went)
    }

    /// Notes a document that ended without the array of its rows.
    fn end_document(&mut self, out: &mut Stretches<'_>) {
        let is_over = self.open.last().is_none_or(|open| open.kind == Kind::Documents);
        let Some(path) = self.path.as_ref().filter(|_| is_over) else { return };
        // The array of all documents ends behind the last of them, which was seen to.
        if self.document.has_rows || self.document.line == 0 {
            return;
        }
        let reason = format!("no array at `{}`", path.join("."));
        let text = self.document_text();
        let Document { line, offset, .. } = self.document;
        out.bad(bad(line, offset, reason, text.as_bytes()));
        self.document = Document::default();
    }

    /// Finds the value at `at`; `None`: its end has not come.
    fn find(&mut self, at: usize, is_end: bool) -> Result<Option<Found>, FileProblem> {
        let bytes = self.text().as_bytes();
        let error = match value(bytes, at, 1) {
            // A number at the end may have more digits to come.
            Ok(value) if value.span.end < bytes.len() || is_end => {
                return Ok(Some(Found::Strict(value)));
            }
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        if self.is_early(error, is_end) {
            return Ok(None);
        }
        let Some(relaxed) = self.records.relaxed else {
            return Err(self.broken(position(error, at), &named(error)));
        };
        self.rewritten.clear();
        match relaxed.rewrite(&self.ahead.text, at, &mut self.rewritten) {
            Ok(end) if end < self.len() || is_end => {
                // Rewriting checks little: what it brought has to be JSON.
                match value(self.rewritten.as_bytes(), 0, 1) {
                    Ok(whole) if whole.span.end == self.rewritten.len() => {
                        Ok(Some(Found::Rewritten(end)))
                    }
                    _ => Err(self.broken(position(error, at), &named(error))),
                }
            }
            Ok(_) => Ok(None),
            Err(error) if self.is_early(error, is_end) => Ok(None),
            Err(error) => Err(self.broken(position(error, at), &named(error))),
        }
    }

    /// Reads the name at `at`; returns it and where it ends.
    fn name(&mut self, at: usize, is_end: bool) -> Result<Option<(String, usize)>, FileProblem> {
        let bytes = self.text().as_bytes();
        let strict = match bytes.get(at) {
            Some(b'"') => string(bytes, at).map(|(end, _)| end),
            _ => Err(ScanError::Syntax(at)),
        };
        self.rewritten.clear();
        let read = match (strict, self.records.relaxed) {
            (Ok(end), _) => {
                self.rewritten.push_str(self.ahead.text.get(at..end).unwrap_or_default());
                Ok(end)
            }
            (Err(error), Some(relaxed)) if !self.is_early(error, is_end) => {
                relaxed.name(&self.ahead.text, at, &mut self.rewritten)
            }
            (strict, _) => strict,
        };
        match read {
            Ok(end) if end < self.len() || is_end => {
                let quoted = &self.rewritten;
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                let mut name = String::new();
                if !unescape(inner, &mut name) {
                    inner.clone_into(&mut name);
                }
                Ok(Some((name, end)))
            }
            Ok(_) => Ok(None),
            Err(error) if self.is_early(error, is_end) => Ok(None),
            Err(error) => Err(self.broken(position(error, at), &named(error))),
        }
    }

    /// Skips white space and comments; `None`: their end has not come.
    fn space(&self, at: usize, is_end: bool) -> Result<Option<usize>, FileProblem> {
        let Some(relaxed) = self.records.relaxed else {
            return Ok(Some(skip_space(self.text().as_bytes(), at)));
        };
        match relaxed.space(self.text(), at) {
            // A comment to the end of its line may go on.
            Ok(end) => Ok((is_end || end < self.len()).then_some(end)),
            Err(error) if self.is_early(error, is_end) => Ok(None),
            Err(error) => Err(self.broken(position(error, at), &named(error))),
        }
    }

    /// Whether an error may be for want of more text.
    fn is_early(&self, error: ScanError, is_end: bool) -> bool {
        match error {
            ScanError::Syntax(at) => !is_end && self.len() < at + LOOKAHEAD,
            _ => false,
        }
    }

    fn more(&self, is_end: bool) -> Result<Step, FileProblem> {
        if is_end {
            return Err(self.broken(self.len(), "the document is cut off"));
        }
        Ok(Step::NeedsMore)
    }

    fn open(&mut self, kind: Kind) {
        self.expect(Next::Comma);
        self.open.push(Open { kind, next: Next::First });
    }

    fn expect(&mut self, next: Next) {
        if let Some(open) = self.open.last_mut() {
            open.next = next;
        }
    }

    /// The file ends here: what is wrong at `at` of the text.
    fn broken(&self, at: usize, reason: &str) -> FileProblem {
        let (line, offset) = (self.ahead.peek_line(at), self.ahead.offset(at));
        let text = self.text().get(self.at..).unwrap_or_default();
        FileProblem::Document(Box::new(bad(line, offset, reason.to_owned(), cut(text).as_bytes())))
    }
}

/// Returns what of a text is kept of a bad record.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(BAD_BYTES_MAX)).unwrap_or(text)
}

/// Returns where an error is; errors about a value as a whole are where it begins.
const fn position(error: ScanError, at: usize) -> usize {
    match error {
        ScanError::Syntax(at) => at,
        _ => at,
    }
}

/// Names an error whose place is said by other means.
fn named(error: ScanError) -> String {
    match error {
        ScanError::Syntax(_) => "not JSON".to_owned(),
        other => other.to_string(),
    }
}
