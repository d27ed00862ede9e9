//! Rust source cut into code, text and comments: enough to look for words where they count.

/// What a piece of source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything that is neither of the others, character literals included.
    Code,
    /// A string literal; the piece's text is its content as written, without quotes.
    Text,
    /// A comment, with its slashes.
    Comment,
}

/// A piece of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    /// The line it begins in, from 1.
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// Cuts `source` into pieces. Source that does not compile gives some pieces, never an error.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let bytes = source.as_bytes();
    let mut pieces = Vec::new();
    let (mut at, mut code_from, mut line) = (0, 0, 1);
    let push = |pieces: &mut Vec<_>, kind, from: usize, to: usize, line: &mut usize| {
        let text = source.get(from..to).unwrap_or_default();
        if !text.is_empty() || kind == Kind::Text {
            pieces.push(Piece { kind, line: *line, text });
        }
        *line += text.matches('\n').count();
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        if let Some(length) = comment(rest) {
            push(&mut pieces, Kind::Code, code_from, at, &mut line);
            push(&mut pieces, Kind::Comment, at, at + length, &mut line);
            at += length;
            code_from = at;
        } else if let Some((from, to, length)) = literal(rest, at.checked_sub(1).map(|i| bytes[i]))
        {
            push(&mut pieces, Kind::Code, code_from, at + from, &mut line);
            push(&mut pieces, Kind::Text, at + from, at + to, &mut line);
            code_from = at + to;
            at += length;
        } else {
            at += character(rest).unwrap_or(1);
        }
    }
    push(&mut pieces, Kind::Code, code_from, bytes.len(), &mut line);
    pieces
}

/// Returns the length of the comment at the beginning.
fn comment(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"//") {
        return Some(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with(b"/*") {
        return None;
    }
    let (mut at, mut depth) = (2, 1);
    while at < rest.len() && 0 < depth {
        match rest.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}

/// Returns where the content of the string literal at the beginning starts and ends, and the
/// length of the whole.
fn literal(rest: &[u8], before: Option<u8>) -> Option<(usize, usize, usize)> {
    if rest.first() == Some(&b'"') {
        let mut at = 1;
        while at < rest.len() && rest[at] != b'"' {
            at += if rest[at] == b'\\' { 2 } else { 1 };
        }
        let end = at.min(rest.len());
        return Some((1, end, (end + 1).min(rest.len())));
    }
    // `r` is a prefix only where no identifier ends: `br"…"` is one, `over"…"` is no Rust.
    let is_prefix = before.is_none_or(|byte| byte == b'b' || !is_word(byte));
    if rest.first() != Some(&b'r') || !is_prefix {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    let from = hashes + 2;
    if rest.get(hashes + 1) != Some(&b'"') {
        return None;
    }
    let mut closing = vec![b'"'];
    closing.resize(hashes + 1, b'#');
    let found = rest[from..].windows(closing.len()).position(|window| window == closing);
    let to = found.map_or(rest.len(), |length| from + length);
    Some((from, to, (to + closing.len()).min(rest.len())))
}

/// Returns the length of the character literal at the beginning; a lifetime is none.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'\'') {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'')?;
        return Some(end + 4);
    }
    // One character is at most four bytes long.
    let end = rest.iter().skip(2).take(4).position(|byte| *byte == b'\'')? + 2;
    let text = std::str::from_utf8(rest.get(1..end)?).ok()?;
    (text.chars().count() == 1).then_some(end + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::{Kind, pieces};

    #[track_caller]
    fn check(source: &str, expected: &[(Kind, usize, &str)]) {
        let found = pieces(source);
        let found: Vec<_> =
            found.iter().map(|piece| (piece.kind, piece.line, piece.text)).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn tells_code_text_and_comments_apart() {
        use Kind::{Code, Comment, Text};
        check(
            "let a = \"x // y\"; // z\nb",
            &[
                (Code, 1, "let a = \""),
                (Text, 1, "x // y"),
                (Code, 1, "\"; "),
                (Comment, 1, "// z"),
                (Code, 1, "\nb"),
            ],
        );
        check(
            "a /* x /* y */ \n */ b",
            &[(Code, 1, "a "), (Comment, 1, "/* x /* y */ \n */"), (Code, 2, " b")],
        );
        check(r#""a\"b""#, &[(Code, 1, "\""), (Text, 1, r#"a\"b"#), (Code, 1, "\"")]);
        check(r##"r#"a"b"#"##, &[(Code, 1, "r#\""), (Text, 1, "a\"b"), (Code, 1, "\"#")]);
        check(r#"'"' '\'' 'a"#, &[(Code, 1, r#"'"' '\'' 'a"#)]);
        check("'…' \"\"", &[(Code, 1, "'…' \""), (Text, 1, ""), (Code, 1, "\"")]);
    }

    #[test]
    fn unfinished_source_is_no_error() {
        for source in ["\"", "\"\\", "r#\"", "/*", "'", "'\\", "r", "r#"] {
            let length: usize = pieces(source).iter().map(|piece| piece.text.len()).sum();
            assert_eq!(length, source.len(), "{source}");
        }
    }
}
