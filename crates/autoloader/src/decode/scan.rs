//! The JSON scanner: finds where each value of a row is, and that the row is JSON at all.
//!
//! Accepts exactly what `serde_json` accepts as a raw value, which the property tests prove; bytes
//! must be UTF-8 already. Both readers of JSON share it: landing lines and the files of others.

use std::collections::HashMap;

use super::number::{Digits, HIGHS, ONES, Short, word};

mod expected;

use expected::Expected;

/// Deepest nesting of a row, the row itself being 1. Vendors nest two deep; a parser that follows
/// a malicious row down its own stack must stop somewhere.
pub const DEPTH_MAX: usize = 64;

/// Most members of a row. The widest vendor row has some 40; without a limit one line of 16 MiB
/// could name a million.
pub const FIELDS_MAX: usize = 4096;

/// A piece of a line, from the first byte to the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// Returns the piece of `text`, whose scan gave this span.
    pub(crate) fn of(self, text: &str) -> &str {
        // Spans begin and end at ASCII bytes, so they never cut a character.
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A string without escapes: its text is what stands between the quotes.
    Plain,
    /// A string with escapes.
    Escaped,
    Number,
    True,
    False,
    Null,
    /// An object or array.
    Nested,
}

/// A value and where it is; a string's span includes its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub span: Span,
    pub shape: Shape,
    /// What a number says, where the scan could tell.
    pub short: Option<Short>,
}

/// A member of the row; the key's span includes its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub key: Span,
    pub value: Value,
}

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("more than {FIELDS_MAX} fields")]
    TooManyFields,
}

/// Which column reads which key.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    columns: HashMap<String, usize>,
    count: usize,
    is_case_sensitive: bool,
}

impl FieldIndex {
    pub(crate) fn new<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        Self::with_case(fields, true)
    }

    /// Creates an index; of fields that only case tells apart the first one reads, if it does not
    /// matter.
    pub(crate) fn with_case<'a>(
        fields: impl Iterator<Item = &'a str>,
        is_case_sensitive: bool,
    ) -> Self {
        let mut columns = HashMap::new();
        let mut count = 0;
        for field in fields {
            let key = if is_case_sensitive { field.to_owned() } else { field.to_lowercase() };
            columns.entry(key).or_insert(count);
            count += 1;
        }
        Self { columns, count, is_case_sensitive }
    }

    /// Returns the column that reads `key`.
    pub(crate) fn column(&self, key: &str) -> Option<usize> {
        if self.is_case_sensitive {
            self.columns.get(key).copied()
        } else {
            self.columns.get(&key.to_lowercase()).copied()
        }
    }
}

/// The members of one row, and what the next row is expected to look like.
///
/// A vendor serves all rows with the same keys in the same order. So the key at each place is
/// compared with the one the previous row had there: one comparison of bytes, no hashing.
#[derive(Debug)]
pub(crate) struct RowScan {
    /// For each column the last member with its key.
    pub slots: Vec<Option<Member>>,
    /// Members without a column, and earlier ones of a repeated key.
    pub extra: Vec<Member>,
    expected: Expected,
    scratch: String,
}

impl RowScan {
    pub(crate) fn new(fields: &FieldIndex) -> Self {
        Self {
            slots: vec![None; fields.count],
            extra: Vec::new(),
            expected: Expected::default(),
            scratch: String::new(),
        }
    }

    /// Scans the object that begins at `start`, and returns where it ends.
    pub(crate) fn scan(
        &mut self,
        fields: &FieldIndex,
        text: &str,
        start: usize,
    ) -> Result<usize, ScanError> {
        self.slots.fill(None);
        self.extra.clear();
        let bytes = text.as_bytes();
        if bytes.get(start) != Some(&b'{') {
            return Err(ScanError::Syntax(start));
        }
        let mut at = skip_space(bytes, start + 1);
        if bytes.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        for place in 0..FIELDS_MAX {
            let (key, column, after_colon) = self.key(fields, text, at, place)?;
            let value = value(bytes, skip_space(bytes, after_colon), 2)?;
            self.keep(column, Member { key, value });
            at = skip_space(bytes, value.span.end);
            match bytes.get(at) {
                Some(b',') => at = skip_space(bytes, at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(ScanError::Syntax(at)),
            }
        }
        Err(ScanError::TooManyFields)
    }

    /// Scans an object that has the keys of the last one in their order, which are all columns.
    /// Returns where the object ends. `take` is told a column and where its value begins, and returns
    /// where the value ends.
    ///
    /// `None`: it is another object, or a value was not taken. [`Self::slots`] stay as they were.
    #[inline]
    pub(crate) fn scan_alike(
        &mut self,
        text: &str,
        start: usize,
        mut take: impl FnMut(usize, usize) -> Option<usize>,
    ) -> Option<usize> {
        let bytes = text.as_bytes();
        let keys = self.expected.all_columns(self.slots.len())?;
        let (mut at, mut before) = (start, b'{');
        for key in keys {
            if bytes.get(at) != Some(&before) {
                return None;
            }
            at = skip_space(bytes, at + 1);
            if !key.begins(bytes.get(at..)?) {
                return None;
            }
            at = take(key.column?, skip_space(bytes, at + key.text.len()))?;
            at = skip_space(bytes, at);
            before = b',';
        }
        (bytes.get(at) == Some(&b'}')).then_some(at + 1)
    }

    fn keep(&mut self, column: Option<usize>, member: Member) {
        match column.and_then(|column| self.slots.get_mut(column)) {
            Some(slot @ None) => *slot = Some(member),
            // The last of a repeated key wins, as it does for every JSON parser.
            Some(Some(earlier)) => self.extra.push(std::mem::replace(earlier, member)),
            None => self.extra.push(member),
        }
    }

    /// Reads the key at `at` and its colon; returns the key, its column and where the colon ends.
    fn key(
        &mut self,
        fields: &FieldIndex,
        text: &str,
        at: usize,
        place: usize,
    ) -> Result<(Span, Option<usize>, usize), ScanError> {
        let bytes = text.as_bytes();
        if let Some(expected) = self.expected.key(place)
            && expected.begins(&bytes[at..])
        {
            let key = Span { start: at, end: at + expected.key_len };
            return Ok((key, expected.column, at + expected.text.len()));
        }
        if bytes.get(at) != Some(&b'"') {
            return Err(ScanError::Syntax(at));
        }
        let (end, shape) = string(bytes, at)?;
        let key = Span { start: at, end };
        let colon = skip_space(bytes, end);
        if bytes.get(colon) != Some(&b':') {
            return Err(ScanError::Syntax(colon));
        }
        let inner = Span { start: at + 1, end: end - 1 }.of(text);
        let column = if shape == Shape::Plain {
            fields.column(inner)
        } else {
            super::value::unescape(inner, &mut self.scratch)
                .then(|| fields.column(&self.scratch))
                .flatten()
        };
        self.expected.set(place, &bytes[at..=colon], end - at, column);
        Ok((key, column, colon + 1))
    }
}

#[inline]
pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The parts of a nested value that was scanned before: elements of an array, members of an object.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
    is_object: bool,
}

impl<'a> Parts<'a> {
    /// Returns the parts of the array or object at `span` of `text`.
    pub(crate) fn of(text: &'a str, span: Span) -> Self {
        let bytes = text.as_bytes();
        Self { bytes, at: span.start, is_object: bytes.get(span.start) == Some(&b'{') }
    }
}

impl Iterator for Parts<'_> {
    /// The key, an empty span in arrays, and the value.
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        // `at` is on the bracket or comma in front of the part.
        let mut at = skip_space(self.bytes, self.at + 1);
        let mut key = Span { start: at, end: at };
        if self.is_object {
            key.end = (self.bytes.get(at) == Some(&b'"')).then(|| string(self.bytes, at).ok())??.0;
            at = skip_space(self.bytes, skip_space(self.bytes, key.end) + 1);
        }
        // An empty container ends here: its closing bracket is no value.
        let value = value(self.bytes, at, 1).ok()?;
        self.at = skip_space(self.bytes, value.span.end);
        Some(Member { key, value })
    }
}

/// Scans the value that begins at `at`; a container there is `depth` deep.
#[inline]
pub(crate) fn value(bytes: &[u8], at: usize, depth: usize) -> Result<Value, ScanError> {
    let (end, shape, short) = match bytes.get(at) {
        Some(b'-' | b'0'..=b'9') => {
            let (end, short) = number(bytes, at)?;
            (end, Shape::Number, short)
        }
        Some(b'"') => {
            let (end, shape) = string(bytes, at)?;
            (end, shape, None)
        }
        _ => {
            let (end, shape) = rarer(bytes, at, depth)?;
            (end, shape, None)
        }
    };
    Ok(Value { span: Span { start: at, end }, shape, short })
}

/// Scans a value that is neither number nor text.
fn rarer(bytes: &[u8], at: usize, depth: usize) -> Result<(usize, Shape), ScanError> {
    Ok(match bytes.get(at) {
        Some(b't') => (literal(bytes, at, b"true")?, Shape::True),
        Some(b'f') => (literal(bytes, at, b"false")?, Shape::False),
        Some(b'n') => (literal(bytes, at, b"null")?, Shape::Null),
        Some(b'{') => (container(bytes, at, b'}', depth)?, Shape::Nested),
        Some(b'[') => (container(bytes, at, b']', depth)?, Shape::Nested),
        _ => return Err(ScanError::Syntax(at)),
    })
}

fn literal(bytes: &[u8], at: usize, expected: &[u8]) -> Result<usize, ScanError> {
    if bytes[at..].starts_with(expected) {
        Ok(at + expected.len())
    } else {
        Err(ScanError::Syntax(at))
    }
}

/// Scans a nested object or array. Recursion is bounded by [`DEPTH_MAX`].
fn container(bytes: &[u8], start: usize, close: u8, depth: usize) -> Result<usize, ScanError> {
    if DEPTH_MAX < depth {
        return Err(ScanError::TooDeep);
    }
    let mut at = skip_space(bytes, start + 1);
    if bytes.get(at) == Some(&close) {
        return Ok(at + 1);
    }
    loop {
        if close == b'}' {
            if bytes.get(at) != Some(&b'"') {
                return Err(ScanError::Syntax(at));
            }
            let (end, _) = string(bytes, at)?;
            at = skip_space(bytes, end);
            if bytes.get(at) != Some(&b':') {
                return Err(ScanError::Syntax(at));
            }
            at = skip_space(bytes, at + 1);
        }
        at = skip_space(bytes, value(bytes, at, depth + 1)?.span.end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(byte) if *byte == close => return Ok(at + 1),
            _ => return Err(ScanError::Syntax(at)),
        }
    }
}

/// Scans the string whose opening quote is at `start`; returns where it ends.
pub(crate) fn string(bytes: &[u8], start: usize) -> Result<(usize, Shape), ScanError> {
    let mut at = start + 1;
    let mut shape = Shape::Plain;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, shape)),
            Some(b'\\') => {
                shape = Shape::Escaped;
                at = escape_end(bytes, at)?;
            }
            _ => return Err(ScanError::Syntax(at)),
        }
    }
}

/// Returns what is between the quotes of the string that begins at `start`, if it has no escapes.
#[inline]
pub(crate) fn plain(text: &str, start: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let end = plain_end(bytes, start + 1);
    if bytes.get(end) == Some(&b'"') { text.get(start + 1..end) } else { None }
}

/// Returns the first place from `at` on with a quote, a backslash or a control character.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at a time: a byte's high bit is set where it is the one looked for. Borrows can
    // set wrong bits only above a right one, and only the lowest counts.
    while let Some(word) = word(bytes, at) {
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let slash = word ^ (ONES * u64::from(b'\\'));
        let slash = slash.wrapping_sub(ONES) & !slash;
        let found = (control | quote | slash) & HIGHS;
        if found != 0 {
            // At most 7: one of eight bytes.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')) {
        at += 1;
    }
    at
}

fn escape_end(bytes: &[u8], at: usize) -> Result<usize, ScanError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(ScanError::Syntax(at)),
        },
        _ => Err(ScanError::Syntax(at)),
    }
}

/// Scans the number that begins at `start`; returns where it ends, and what it says if it is short.
#[inline]
pub(crate) fn number(bytes: &[u8], start: usize) -> Result<(usize, Option<Short>), ScanError> {
    match Short::at(bytes, start) {
        Some((short, end)) => Ok((end, Some(short))),
        None => number_in_parts(bytes, start),
    }
}

/// Scans a number of any length, piece by piece.
fn number_in_parts(bytes: &[u8], start: usize) -> Result<(usize, Option<Short>), ScanError> {
    let is_negative = bytes.get(start) == Some(&b'-');
    let begin = start + usize::from(is_negative);
    let mut digits = Digits::at(bytes, begin);
    let whole = digits.end - begin;
    // JSON has no leading zeros: after one the number's whole part is over.
    if whole == 0 || (bytes.get(begin) == Some(&b'0') && whole != 1) {
        return Err(ScanError::Syntax(digits.end));
    }
    let mut fraction = 0;
    if bytes.get(digits.end) == Some(&b'.') {
        let point = digits.end + 1;
        digits = digits.go_on(bytes, point);
        fraction = digits.end - point;
        if fraction == 0 {
            return Err(ScanError::Syntax(point));
        }
    }
    match bytes.get(digits.end) {
        Some(b'e' | b'E') => exponent_end(bytes, digits.end + 1).map(|end| (end, None)),
        _ => Ok((digits.end, Short::of(is_negative, digits, whole, fraction))),
    }
}

fn exponent_end(bytes: &[u8], mut at: usize) -> Result<usize, ScanError> {
    if let Some(b'+' | b'-') = bytes.get(at) {
        at += 1;
    }
    let end = Digits::at(bytes, at).end;
    if end == at { Err(ScanError::Syntax(at)) } else { Ok(end) }
}
