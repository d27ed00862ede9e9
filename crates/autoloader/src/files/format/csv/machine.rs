//! Separated values of one record: where each is, and what it is without quotes and escapes.
//!
//! The rules are those of the reader that Spark uses. Values are pieces of the text wherever they
//! can be; only what had escapes is copied.

use memchr::{memchr, memchr_iter, memchr3};

use crate::files::options::{CsvOptions, UnescapedQuotes};

/// What splits records and values.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    separator: String,
    quote: Option<char>,
    escape: Option<char>,
    /// What escapes the escape in front of a quote.
    escape_escape: Option<char>,
    is_leading_space_ignored: bool,
    is_trailing_space_ignored: bool,
    unescaped: UnescapedQuotes,
    columns_max: usize,
    chars_max: Option<usize>,
    /// What ends a record in the text; `None`: the text is one record.
    record_end: Option<RecordEnd>,
    /// How much has to follow a place for it to be told what is there.
    lookahead: usize,
}

/// What ends a record.
#[derive(Clone, Debug)]
pub(super) enum RecordEnd {
    /// `\n`, `\r\n` or `\r`.
    Any,
    /// This text.
    Text(String),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    start: usize,
    end: usize,
    /// Whether it was copied.
    is_copied: bool,
    pub is_quoted: bool,
    /// Whether it is null whatever it held: `SKIP_VALUE`.
    pub is_skipped: bool,
}

/// The values of one record.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub pieces: Vec<Piece>,
    copies: String,
}

impl Pieces {
    /// Returns the value of a piece of `text`.
    pub(super) fn value<'a>(&'a self, text: &'a str, piece: Piece) -> &'a str {
        let from = if piece.is_copied { &self.copies } else { text };
        from.get(piece.start..piece.end).unwrap_or_default()
    }
}

/// Why a record is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CsvError {
    #[error("an unescaped quote {0} bytes into its value")]
    Quote(usize),
    #[error("more than {0} columns")]
    Columns(usize),
    #[error("a value of more than {0} characters")]
    Characters(usize),
}

/// What reading a record came to.
pub(super) type Read = Result<Option<usize>, CsvError>;

/// What stands behind a value.
enum Behind {
    Separator(usize),
    RecordEnd(usize),
    TextEnd,
    Other,
}

impl Machine {
    pub(super) fn new(options: &CsvOptions, record_end: Option<RecordEnd>) -> Self {
        let longest = match &record_end {
            Some(RecordEnd::Text(text)) => text.len(),
            _ => 2,
        };
        Self {
            separator: options.separator.clone(),
            quote: options.quote,
            escape: options.escape,
            // The escape escapes itself, unless it is the quote, or something else is to do so.
            escape_escape: options
                .escape_of_escape
                .or_else(|| options.escape.filter(|escape| options.quote != Some(*escape))),
            is_leading_space_ignored: options.is_leading_space_ignored,
            is_trailing_space_ignored: options.is_trailing_space_ignored,
            unescaped: options.unescaped_quotes,
            columns_max: options.columns_max,
            chars_max: options.chars_max,
            lookahead: longest.max(options.separator.len()).max(char::MAX.len_utf8()),
            record_end,
        }
    }

    /// Reads the record at `start`; returns where the next one begins, or `None` when its end has
    /// not come.
    pub(super) fn record(&self, text: &str, start: usize, is_end: bool, out: &mut Pieces) -> Read {
        out.pieces.clear();
        out.copies.clear();
        if self.is_plain(text) {
            return self.plain(text, start, out);
        }
        let mut at = start;
        loop {
            if out.pieces.len() == self.columns_max {
                return Err(CsvError::Columns(self.columns_max));
            }
            let Some((piece, behind)) = self.value(text, at, is_end, out)? else {
                return Ok(None);
            };
            if let Some(max) = self.chars_max
                && out.value(text, piece).chars().nth(max).is_some()
            {
                return Err(CsvError::Characters(max));
            }
            out.pieces.push(piece);
            if !is_end && text.len() < behind + self.lookahead {
                return Ok(None);
            }
            match self.behind(text, behind) {
                Behind::Separator(next) => at = next,
                Behind::RecordEnd(next) => return Ok(Some(next)),
                Behind::TextEnd | Behind::Other => return Ok(Some(text.len())),
            }
        }
    }

    /// Whether the text is one record, and nothing in it means anything but the separator.
    fn is_plain(&self, text: &str) -> bool {
        let is_split_only = self.record_end.is_none()
            && self.separator.len() == 1
            && !self.is_leading_space_ignored
            && !self.is_trailing_space_ignored
            && self.chars_max.is_none();
        is_split_only && self.quote.is_none_or(|quote| !text.contains(quote))
    }

    /// Reads a plain record: most are.
    fn plain(&self, text: &str, start: usize, out: &mut Pieces) -> Read {
        let separator = self.separator.as_bytes().first().copied().unwrap_or_default();
        let bytes = text.as_bytes().get(start..).unwrap_or_default();
        let ends = memchr_iter(separator, bytes).map(|end| start + end);
        let mut start = start;
        for end in ends.chain([text.len()]) {
            if out.pieces.len() == self.columns_max {
                return Err(CsvError::Columns(self.columns_max));
            }
            let (is_copied, is_quoted, is_skipped) = (false, false, false);
            out.pieces.push(Piece { start, end, is_copied, is_quoted, is_skipped });
            start = end + 1;
        }
        Ok(Some(text.len()))
    }

    /// Returns where the record that cannot be read ends, as far as lines tell.
    pub(super) fn skip(&self, text: &str, start: usize) -> Option<usize> {
        let end = self.record_end.as_ref()?.find(text, start)?;
        match self.behind(text, end) {
            Behind::RecordEnd(next) => Some(next),
            _ => None,
        }
    }

    /// Returns where the record that begins with a line's end really begins: lines without
    /// anything are no records.
    pub(super) fn skip_empty(&self, text: &str, start: usize) -> usize {
        let mut at = start;
        if self.record_end.is_some() {
            while let Behind::RecordEnd(next) = self.behind(text, at) {
                at = next;
            }
        }
        at
    }

    fn behind(&self, text: &str, at: usize) -> Behind {
        let rest = text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Behind::TextEnd;
        }
        if !self.separator.is_empty() && rest.starts_with(&self.separator) {
            return Behind::Separator(at + self.separator.len());
        }
        match &self.record_end {
            Some(RecordEnd::Any) if rest.starts_with("\r\n") => Behind::RecordEnd(at + 2),
            Some(RecordEnd::Any) if rest.starts_with(['\n', '\r']) => Behind::RecordEnd(at + 1),
            Some(RecordEnd::Text(end)) if rest.starts_with(end.as_str()) => {
                Behind::RecordEnd(at + end.len())
            }
            _ => Behind::Other,
        }
    }

    /// Returns the first place from `at` on where an unquoted value ends.
    fn stop(&self, text: &str, at: usize) -> usize {
        let bytes = text.as_bytes();
        let first = self.separator.as_bytes().first().copied().unwrap_or(b'\n');
        let mut from = at;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let found = match &self.record_end {
                None => memchr(first, rest),
                Some(RecordEnd::Any) => memchr3(first, b'\n', b'\r', rest),
                Some(RecordEnd::Text(end)) => {
                    let end = end.as_bytes().first().copied().unwrap_or(b'\n');
                    memchr3(first, end, end, rest)
                }
            };
            let Some(found) = found.map(|found| from + found) else { return text.len() };
            if matches!(self.behind(text, found), Behind::Separator(_) | Behind::RecordEnd(_)) {
                return found;
            }
            from = found + 1;
        }
    }

    /// Reads the value at `at`; returns it and what is behind it.
    fn value(
        &self,
        text: &str,
        at: usize,
        is_end: bool,
        out: &mut Pieces,
    ) -> Result<Option<(Piece, usize)>, CsvError> {
        let begin = if self.is_leading_space_ignored { self.skip_space(text, at) } else { at };
        let rest = text.get(begin..).unwrap_or_default();
        if rest.is_empty() && !is_end {
            return Ok(None);
        }
        if let Some(quote) = self.quote
            && rest.starts_with(quote)
        {
            return self.quoted(text, begin, quote, is_end, out);
        }
        Ok(self.unquoted(text, begin, is_end))
    }

    fn unquoted(&self, text: &str, begin: usize, is_end: bool) -> Option<(Piece, usize)> {
        let stop = self.stop(text, begin);
        if stop == text.len() && !is_end {
            return None;
        }
        let end = if self.is_trailing_space_ignored {
            begin + text.get(begin..stop).unwrap_or_default().trim_end_matches(is_space).len()
        } else {
            stop
        };
        Some((
            Piece { start: begin, end, is_copied: false, is_quoted: false, is_skipped: false },
            stop,
        ))
    }

    /// Reads the quoted value whose quote is at `begin`.
    fn quoted(
        &self,
        text: &str,
        begin: usize,
        quote: char,
        is_end: bool,
        out: &mut Pieces,
    ) -> Result<Option<(Piece, usize)>, CsvError> {
        let mut value = Copying { start: out.copies.len(), from: begin + quote.len_utf8() };
        let specials = [self.escape, self.escape_escape].map(|special| special.unwrap_or(quote));
        let specials = [quote, specials[0], specials[1]];
        let mut at = value.from;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let found = find_any(rest, specials).map(|found| at + found);
            let Some(found) = found.filter(|found| is_end || found + 4 < text.len()) else {
                // The text ends inside the quotes: what is there is the value.
                let ended = || (value.end(text, text.len(), &mut out.copies), text.len());
                return Ok(is_end.then(ended));
            };
            let rest = text.get(found..).unwrap_or_default();
            let special = rest.chars().next().unwrap_or(quote);
            let mut after = found + special.len_utf8();
            let follower = text.get(after..).and_then(|rest| rest.chars().next());
            let is_escape = Some(special) == self.escape && follower == Some(quote);
            let is_escape_of_escape = Some(special) == self.escape_escape
                && follower.is_some()
                && follower == self.escape;
            if is_escape || is_escape_of_escape {
                value.copy(text, found, after, &mut out.copies);
                at = after + follower.map_or(0, char::len_utf8);
                continue;
            }
            if special != quote {
                at = after;
                continue;
            }
            if let Some(behind) = self.closes(text, after, is_end) {
                let Some(behind) = behind else { return Ok(None) };
                return Ok(Some((value.end(text, found, &mut out.copies), behind)));
            }
            // Of several quotes in front of a separator the last is the end, the others are text.
            if follower == Some(quote) {
                after = run_end(text, after, quote);
                if let Some(behind) = self.closes(text, after, is_end) {
                    let Some(behind) = behind else { return Ok(None) };
                    let last = after - quote.len_utf8();
                    return Ok(Some((value.end(text, last, &mut out.copies), behind)));
                }
            }
            if self.unescaped != UnescapedQuotes::StopAtClosingQuote {
                return self.stray(text, (begin, found), value, is_end, out);
            }
            at = after;
        }
    }

    /// Ends a quoted value in which the quote at `stray` stands for nothing.
    fn stray(
        &self,
        text: &str,
        (begin, stray): (usize, usize),
        value: Copying,
        is_end: bool,
        out: &mut Pieces,
    ) -> Result<Option<(Piece, usize)>, CsvError> {
        match self.unescaped {
            UnescapedQuotes::RaiseError => Err(CsvError::Quote(stray - begin)),
            UnescapedQuotes::BackToDelimiter => Ok(self.unquoted(text, begin, is_end)),
            UnescapedQuotes::SkipValue => {
                let piece = self.unquoted(text, stray, is_end);
                Ok(piece.map(|(piece, behind)| (Piece { is_skipped: true, ..piece }, behind)))
            }
            UnescapedQuotes::StopAtDelimiter | UnescapedQuotes::StopAtClosingQuote => {
                let Some((rest, behind)) = self.unquoted(text, stray, is_end) else {
                    return Ok(None);
                };
                // The opening quote belongs to the value, too.
                if value.start == out.copies.len() {
                    return Ok(Some((Piece { start: begin, ..rest }, behind)));
                }
                let opening = text.get(begin..value.opening(text, begin)).unwrap_or_default();
                out.copies.insert_str(value.start, opening);
                let piece = value.end(text, rest.end, &mut out.copies);
                Ok(Some((Piece { is_quoted: false, ..piece }, behind)))
            }
        }
    }

    /// Whether a quoted value may end at `at`: nothing but white space before a separator or an
    /// end. Returns where that is; `Some(None)`: it has not come.
    fn closes(&self, text: &str, at: usize, is_end: bool) -> Option<Option<usize>> {
        let behind = self.skip_space(text, at);
        if !is_end && text.len() < behind + self.lookahead {
            return Some(None);
        }
        match self.behind(text, behind) {
            Behind::Other => None,
            _ => Some(Some(behind)),
        }
    }

    /// Skips white space that is neither separator nor end of a record.
    fn skip_space(&self, text: &str, at: usize) -> usize {
        let mut at = at;
        while text.as_bytes().get(at).is_some_and(|byte| *byte <= b' ')
            && matches!(self.behind(text, at), Behind::Other)
        {
            at += 1;
        }
        at
    }
}

impl RecordEnd {
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let found = match self {
            Self::Any => rest.find(['\n', '\r']),
            Self::Text(end) => rest.find(end.as_str()),
        };
        found.map(|found| from + found)
    }
}

/// A quoted value in the making: a piece of the text until an escape makes it a copy.
#[derive(Clone, Copy)]
struct Copying {
    /// Where its copy begins.
    start: usize,
    /// What was not copied yet begins here.
    from: usize,
}

impl Copying {
    /// Copies up to `end`, and goes on behind the escape.
    fn copy(&mut self, text: &str, end: usize, next: usize, copies: &mut String) {
        copies.push_str(text.get(self.from..end).unwrap_or_default());
        self.from = next;
    }

    /// Returns where the opening quote at `begin` ends.
    fn opening(self, text: &str, begin: usize) -> usize {
        let quote = text.get(begin..).and_then(|rest| rest.chars().next());
        begin + quote.map_or(0, char::len_utf8)
    }

    /// Ends the value at `end`.
    fn end(self, text: &str, end: usize, copies: &mut String) -> Piece {
        let (is_quoted, is_skipped) = (true, false);
        if self.start == copies.len() {
            return Piece { start: self.from, end, is_copied: false, is_quoted, is_skipped };
        }
        copies.push_str(text.get(self.from..end).unwrap_or_default());
        let (start, end) = (self.start, copies.len());
        Piece { start, end, is_copied: true, is_quoted, is_skipped }
    }
}

/// White space is what is not above the blank.
const fn is_space(character: char) -> bool {
    character <= ' '
}

/// Returns where the quotes that stand one behind the other at `at` end.
fn run_end(text: &str, at: usize, quote: char) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_start_matches(quote).len()
}

/// Returns the first place of any of the characters.
fn find_any(text: &str, specials: [char; 3]) -> Option<usize> {
    let ascii = |special: char| u8::try_from(special).ok().filter(u8::is_ascii);
    match specials.map(ascii) {
        [Some(one), Some(two), Some(three)] if three == one || three == two => {
            memchr::memchr2(one, two, text.as_bytes())
        }
        [Some(one), Some(two), Some(three)] => memchr3(one, two, three, text.as_bytes()),
        _ => text.find(specials),
    }
}
