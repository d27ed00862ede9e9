//! Cuts JSON text into the spans of its values without changing or judging them.
//!
//! A general JSON reader refuses a page because of one broken row. This one only finds where each
//! value begins and ends, so a row that is not UTF-8, nests ten thousand deep or holds `NaN` is
//! handed on as the vendor's bytes, to be quarantined with its reason downstream. A body that ends
//! early is still noticed: its brackets do not close.

use std::ops::Range;

/// The kinds of value that can be cut further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Scalar,
}

/// Returns the kind of the value that `span` of `text` holds.
pub(super) fn kind(text: &[u8], span: &Range<usize>) -> Kind {
    match text.get(span.start) {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        _ => Kind::Scalar,
    }
}

/// Returns the span of the only value of `text`, white space around it aside.
pub(super) fn whole(text: &[u8]) -> Option<Range<usize>> {
    let start = skip_space(text, 0);
    let end = value_end(text, start)?;
    (skip_space(text, end) == text.len()).then_some(start..end)
}

/// Returns the spans of an array's items.
pub(super) fn items(text: &[u8], span: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut items = Vec::new();
    let mut at = skip_space(text, span.start + 1);
    if byte(text, at)? == b']' {
        return (at + 1 == span.end).then_some(items);
    }
    loop {
        let end = value_end(text, at)?;
        items.push(at..end);
        at = skip_space(text, end);
        match byte(text, at)? {
            b',' => at = skip_space(text, at + 1),
            b']' => return (at + 1 == span.end).then_some(items),
            _ => return None,
        }
    }
}

/// A field's name and the span of its value.
pub(super) type Field<'a> = (&'a [u8], Range<usize>);

/// Returns an object's fields: the bytes of each name, unescaped no further, and its value's span.
pub(super) fn fields<'a>(text: &'a [u8], span: &Range<usize>) -> Option<Vec<Field<'a>>> {
    let mut fields = Vec::new();
    let mut at = skip_space(text, span.start + 1);
    if byte(text, at)? == b'}' {
        return (at + 1 == span.end).then_some(fields);
    }
    loop {
        if byte(text, at)? != b'"' {
            return None;
        }
        let name_end = string_end(text, at)?;
        let name = text.get(at + 1..name_end - 1)?;
        at = skip_space(text, name_end);
        if byte(text, at)? != b':' {
            return None;
        }
        at = skip_space(text, at + 1);
        let end = value_end(text, at)?;
        fields.push((name, at..end));
        at = skip_space(text, end);
        match byte(text, at)? {
            b',' => at = skip_space(text, at + 1),
            b'}' => return (at + 1 == span.end).then_some(fields),
            _ => return None,
        }
    }
}

fn byte(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).copied()
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(byte(text, at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Returns the position behind the value that starts at `at`; `None` when it does not end.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match byte(text, at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => brackets_end(text, at),
        b',' | b':' | b']' | b'}' => None,
        _ => {
            let length = text
                .get(at..)?
                .iter()
                .position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n'));
            Some(length.map_or(text.len(), |length| at + length))
        }
    }
}

fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match byte(text, at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Follows nesting with a list, not with recursion: depth costs memory, bounded by the body's cap.
fn brackets_end(text: &[u8], at: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = at;
    loop {
        match byte(text, at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            closing @ (b'}' | b']') => {
                if open.pop()? != closing {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            _ => (),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Option<&[&[u8]]>) {
        let found = whole(text)
            .and_then(|span| items(text, &span))
            .map(|items| items.into_iter().map(|item| text[item].to_vec()).collect::<Vec<_>>());
        let expected = expected.map(|rows| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn every_item_keeps_its_bytes() {
        check(b"[]", Some(&[]));
        check(
            b" [ {\"a\": 1.50 } ,[ ],NaN, \"x,]\\\"\" ]\n",
            Some(&[b"{\"a\": 1.50 }", b"[ ]", b"NaN", b"\"x,]\\\"\""]),
        );
        check(b"[\"\xff\xfe\",1e400]", Some(&[b"\"\xff\xfe\"", b"1e400"]));
    }

    #[test]
    fn a_body_that_ends_early_is_noticed() {
        for text in [
            &b"[{\"a\":1},"[..],
            b"[{\"a\":1}",
            b"[{\"a\":\"",
            b"[{\"a\":1]]",
            b"[1,,2]",
            b"[1]x",
            b"[1 2]",
            b"[\"a\\",
            b"",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let mut text = vec![b'['; 100_000];
        text.extend(vec![b']'; 100_000]);
        assert_eq!(whole(&text), Some(0..200_000));
    }

    #[test]
    fn fields_are_found_in_order() {
        let text = br#"{ "a" : 1 , "data":[{"data":2}], "":"}" }"#;
        let span = whole(text).unwrap();
        let found: Vec<(&[u8], &[u8])> =
            fields(text, &span).unwrap().into_iter().map(|(name, at)| (name, &text[at])).collect();
        assert_eq!(
            found,
            [(&b"a"[..], &b"1"[..]), (b"data", br#"[{"data":2}]"#), (b"", br#""}""#)]
        );
        assert_eq!(fields(b"{a:1}", &(0..5)), None);
        assert_eq!(fields(b"{\"a\" 1}", &(0..7)), None);
    }
}
