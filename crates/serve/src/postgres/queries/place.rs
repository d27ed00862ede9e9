//! Where in a statement a failure lies, as far as its message tells.

use lake::datafusion::sql::sqlparser::{
    dialect::PostgreSqlDialect,
    tokenizer::{Location, Token, Tokenizer},
};

/// A character of the text, lines and columns counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Self { line: at.line, column: at.column }
    }
}

/// Returns the message, without the place if that was part of it, and the place.
pub(super) fn find(message: String, text: &str) -> (String, Option<Place>) {
    if let Some((said, place)) = said(&message) {
        return (said, Some(place));
    }
    let place = named(&message).and_then(|name| mention(name, text));
    (message, place)
}

/// The parser's own words: `… at Line: 1, Column: 8`.
fn said(message: &str) -> Option<(String, Place)> {
    let (said, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let place = Place { line: line.parse().ok()?, column: column.trim().parse().ok()? };
    // Zero stands for "nowhere in particular".
    (place.line > 0).then(|| (said.trim_end().to_owned(), place))
}

/// The name that a message like `column x.y does not exist` is about.
fn named(message: &str) -> Option<&str> {
    let rest =
        ["column reference ", "column ", "relation ", "function ", "syntax error at or near "]
            .into_iter()
            .find_map(|start| message.strip_prefix(start))?;
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([' ', '(']).next()?,
    };
    // The last part of a name; of what has none, such as a dot, all of it.
    let part = name.rsplit('.').find(|part| !part.is_empty()).unwrap_or(name);
    (!part.is_empty()).then_some(part)
}

/// Where the text first mentions the name.
fn mention(name: &str, text: &str) -> Option<Place> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().ok()?;
    let found = tokens.into_iter().find(|token| match &token.token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        other => other.to_string() == name,
    })?;
    Some(found.span.start.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, text: &str, expected: (&str, Option<(u64, u64)>)) {
        let (said, place) = find(message.to_owned(), text);
        assert_eq!((said.as_str(), place.map(|at| (at.line, at.column))), expected);
    }

    #[test]
    fn a_place_is_taken_from_what_the_parser_says() {
        let said = "syntax error: Expected: an expression, found: from at Line: 2, Column: 8";
        let left = "syntax error: Expected: an expression, found: from";
        check(said, "", (left, Some((2, 8))));
        check(
            "it went wrong at Line: 0, Column: 0",
            "",
            ("it went wrong at Line: 0, Column: 0", None),
        );
        check("wrong at Line: x, Column: 0", "", ("wrong at Line: x, Column: 0", None));
    }

    #[test]
    fn else_it_is_where_the_text_first_mentions_the_name() {
        let text = "select 1,\n  b.\"clos\"\nfrom gold.bar_1m b";
        check("column b.clos does not exist", text, ("column b.clos does not exist", Some((2, 5))));
        let message = "relation \"gold.BAR_1m\" does not exist";
        check(message, text, (message, Some((3, 11))));
        check("function f does not exist", text, ("function f does not exist", None));
        check("out of memory", text, ("out of memory", None));
        check("column  does not exist", "'", ("column  does not exist", None));
    }
}
