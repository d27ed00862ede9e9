//! The syntaxes that are nearly JSON, rewritten into JSON, for the one scanner that there is.
//!
//! Only what strict reading refused comes here, and what comes out of here is read strictly: so
//! this decides nothing but what the options allow beyond JSON.

use crate::{
    decode::scan::{DEPTH_MAX, ScanError},
    files::options::JsonOptions,
};

/// What is allowed beyond JSON.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Spark's own")]
pub(super) struct Relaxed {
    comments: bool,
    single_quotes: bool,
    unquoted_names: bool,
    non_numeric: bool,
    leading_zeros: bool,
    any_escape: bool,
    control_chars: bool,
}

impl Relaxed {
    /// Returns what the options allow, if it is more than JSON.
    pub(super) const fn of(options: &JsonOptions) -> Option<Self> {
        let relaxed = Self {
            comments: options.allow_comments,
            single_quotes: options.allow_single_quotes,
            unquoted_names: options.allow_unquoted_names,
            non_numeric: options.allow_non_numeric,
            leading_zeros: options.allow_leading_zeros,
            any_escape: options.allow_any_escape,
            control_chars: options.allow_control_chars,
        };
        let is_any = relaxed.comments
            || relaxed.single_quotes
            || relaxed.unquoted_names
            || relaxed.non_numeric
            || relaxed.leading_zeros
            || relaxed.any_escape
            || relaxed.control_chars;
        if is_any { Some(relaxed) } else { None }
    }

    /// Rewrites a text that is nothing but one value, or nothing at all.
    pub(super) fn rewrite_all(self, text: &str, out: &mut String) -> Result<(), ScanError> {
        let start = self.space(text, 0)?;
        if start == text.len() {
            return Ok(());
        }
        let end = self.rewrite(text, start, out)?;
        let end = self.space(text, end)?;
        if end == text.len() { Ok(()) } else { Err(ScanError::Syntax(end)) }
    }

    /// Rewrites the value at `start` into `out`; returns where it ends.
    ///
    /// A text that ends too early is a syntax error at its end.
    pub(super) fn rewrite(
        self,
        text: &str,
        start: usize,
        out: &mut String,
    ) -> Result<usize, ScanError> {
        self.value(text, start, 1, out)
    }

    /// Rewrites the name at `start` into `out`, in quotes; returns where it ends.
    pub(super) fn name(
        self,
        text: &str,
        start: usize,
        out: &mut String,
    ) -> Result<usize, ScanError> {
        match text.as_bytes().get(start) {
            Some(b'"' | b'\'') => self.string(text, start, out),
            _ if self.unquoted_names => {
                let rest = text.get(start..).unwrap_or_default();
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '@');
                let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
                if length == 0 {
                    return Err(ScanError::Syntax(start));
                }
                out.push('"');
                out.push_str(rest.get(..length).unwrap_or_default());
                out.push('"');
                Ok(start + length)
            }
            _ => Err(ScanError::Syntax(start)),
        }
    }

    /// Skips white space and, where they are allowed, comments.
    pub(super) fn space(self, text: &str, start: usize) -> Result<usize, ScanError> {
        let mut at = start;
        loop {
            at = crate::decode::scan::skip_space(text.as_bytes(), at);
            let rest = text.get(at..).unwrap_or_default();
            if !self.comments || !rest.starts_with('/') {
                return Ok(at);
            }
            let end = match rest.as_bytes().get(1) {
                Some(b'*') => rest.find("*/").filter(|end| *end >= 2).map(|end| at + end + 2),
                // The end of the text ends a comment too.
                Some(b'/') => Some(at + rest.find('\n').unwrap_or(rest.len())),
                Some(_) => return Err(ScanError::Syntax(at)),
                None => None,
            };
            at = end.ok_or(ScanError::Syntax(text.len()))?;
        }
    }

    fn value(
        self,
        text: &str,
        start: usize,
        depth: usize,
        out: &mut String,
    ) -> Result<usize, ScanError> {
        match text.as_bytes().get(start) {
            Some(b'{') => self.container(text, start, depth, out),
            Some(b'[') => self.container(text, start, depth, out),
            Some(b'"' | b'\'') => self.string(text, start, out),
            Some(_) => self.word(text, start, out),
            None => Err(ScanError::Syntax(text.len())),
        }
    }

    fn container(
        self,
        text: &str,
        start: usize,
        depth: usize,
        out: &mut String,
    ) -> Result<usize, ScanError> {
        if DEPTH_MAX < depth {
            return Err(ScanError::TooDeep);
        }
        let bytes = text.as_bytes();
        let is_object = bytes.get(start) == Some(&b'{');
        let (open, close) = if is_object { ('{', b'}') } else { ('[', b']') };
        out.push(open);
        let mut at = self.space(text, start + 1)?;
        if bytes.get(at) == Some(&close) {
            out.push(char::from(close));
            return Ok(at + 1);
        }
        loop {
            if is_object {
                at = self.name(text, at, out)?;
                at = self.space(text, at)?;
                if bytes.get(at) != Some(&b':') {
                    return Err(ScanError::Syntax(at));
                }
                out.push(':');
                at = self.space(text, at + 1)?;
            }
            at = self.value(text, at, depth + 1, out)?;
            at = self.space(text, at)?;
            match bytes.get(at) {
                Some(b',') => {
                    out.push(',');
                    at = self.space(text, at + 1)?;
                }
                Some(byte) if *byte == close => {
                    out.push(char::from(close));
                    return Ok(at + 1);
                }
                _ => return Err(ScanError::Syntax(at)),
            }
        }
    }

    fn string(self, text: &str, start: usize, out: &mut String) -> Result<usize, ScanError> {
        let quote = match text.as_bytes().get(start) {
            Some(b'\'') if self.single_quotes => '\'',
            Some(b'"') => '"',
            _ => return Err(ScanError::Syntax(start)),
        };
        out.push('"');
        let mut characters = text.get(start + 1..).unwrap_or_default().char_indices();
        while let Some((at, character)) = characters.next() {
            let at = start + 1 + at;
            match character {
                '\\' => {
                    let (_, escaped) = characters.next().ok_or(ScanError::Syntax(text.len()))?;
                    match escaped {
                        '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u' => {
                            out.push('\\');
                            out.push(escaped);
                        }
                        '\'' if quote == '\'' => out.push('\''),
                        other if self.any_escape => push_plain(out, other),
                        _ => return Err(ScanError::Syntax(at)),
                    }
                }
                _ if character == quote => {
                    out.push('"');
                    return Ok(at + 1);
                }
                '\0'..='\u{1f}' if !self.control_chars => return Err(ScanError::Syntax(at)),
                other => push_plain(out, other),
            }
        }
        Err(ScanError::Syntax(text.len()))
    }

    /// Rewrites a number or a word. Words that are no finite numbers become text, which is what
    /// columns of floats know them by.
    fn word(self, text: &str, start: usize, out: &mut String) -> Result<usize, ScanError> {
        let rest = text.get(start..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        match word {
            "" => return Err(ScanError::Syntax(start)),
            "NaN" | "Infinity" | "+Infinity" | "-Infinity" | "+INF" | "-INF"
                if self.non_numeric =>
            {
                out.push('"');
                out.push_str(word);
                out.push('"');
            }
            _ => {
                let (sign, digits) = match word.strip_prefix('-') {
                    Some(digits) => ("-", digits),
                    None => ("", word),
                };
                let zeros = digits.len() - digits.trim_start_matches('0').len();
                let after = digits.as_bytes().get(zeros);
                // One zero stays where no other digit follows.
                let needless = if after.is_some_and(u8::is_ascii_digit) {
                    zeros
                } else {
                    zeros.saturating_sub(1)
                };
                let needless = if self.leading_zeros { needless } else { 0 };
                out.push_str(sign);
                out.push_str(digits.get(needless..).unwrap_or_default());
            }
        }
        Ok(start + length)
    }
}

/// Writes a character that stands for itself.
fn push_plain(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\0'..='\u{1f}' => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let code = character as usize;
            out.push_str("\\u00");
            out.push(char::from(DIGITS[code >> 4 & 15]));
            out.push(char::from(DIGITS[code & 15]));
        }
        other => out.push(other),
    }
}
