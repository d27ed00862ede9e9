//! Predicates in the small part of SQL that the protocol names: a column, a comparison, a constant.

use super::{Comparison, Literal, Predicate};

/// Reads a predicate; what is not understood proves nothing.
pub(super) fn parse(text: &str) -> Predicate {
    let Some(tokens) = tokens(text) else { return Predicate::Unknown };
    let negated = |predicate| Predicate::Not(Box::new(predicate));
    match tokens.as_slice() {
        [left, Token::Sign(sign), right] => compare(left, sign, right),
        [Token::Name(column), is, null] if is.is_word("is") && null.is_word("null") => {
            Predicate::IsNull { column: column.clone() }
        }
        [Token::Name(column), is, not, null]
            if is.is_word("is") && not.is_word("not") && null.is_word("null") =>
        {
            negated(Predicate::IsNull { column: column.clone() })
        }
        _ => Predicate::Unknown,
    }
}

fn compare(left: &Token, sign: &str, right: &Token) -> Predicate {
    let how = match sign {
        "=" | "==" | "<>" | "!=" => Comparison::Equal,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return Predicate::Unknown,
    };
    let (column, how, literal) = match (left, right) {
        (Token::Name(column), Token::Literal(literal)) => (column, how, literal),
        (Token::Literal(literal), Token::Name(column)) => (column, how.turned(), literal),
        _ => return Predicate::Unknown,
    };
    let compared = Predicate::Compare { column: column.clone(), how, literal: literal.clone() };
    match sign {
        "<>" | "!=" => Predicate::Not(Box::new(compared)),
        _ => compared,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A column, or a word that is none.
    Name(String),
    Sign(String),
    Literal(Literal),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Name(name) if name.eq_ignore_ascii_case(word))
    }
}

/// More tokens than any predicate that is understood has, with `DATE '…'` counted as two.
const TOKENS_MAX: usize = 6;

/// Cuts a text into tokens; `None` if it has others than these, or too many.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' => {
                let (text, after) = quoted(rest, '\'')?;
                (typed(&mut tokens, text)?, after)
            }
            '`' => {
                let (name, after) = quoted(rest, '`')?;
                (Token::Name(name), after)
            }
            '<' | '>' | '=' | '!' => {
                let (sign, after) = cut(rest, |char| "<>=!".contains(char));
                (Token::Sign(sign.to_owned()), after)
            }
            '0'..='9' | '-' | '+' => {
                let (number, after) =
                    cut(rest, |char| char.is_ascii_alphanumeric() || "+-.".contains(char));
                (Token::Literal(Literal::Number(number.to_owned())), after)
            }
            _ if first.is_alphabetic() || first == '_' => {
                let (word, after) = cut(rest, |char| char.is_alphanumeric() || char == '_');
                (named(word), after)
            }
            _ => return None,
        };
        tokens.push(token);
        if TOKENS_MAX < tokens.len() {
            return None;
        }
        rest = after.trim_start();
    }
    Some(tokens)
}

fn named(word: &str) -> Token {
    match word.to_ascii_lowercase().parse() {
        Ok(value) => Token::Literal(Literal::Bool(value)),
        Err(_) => Token::Name(word.to_owned()),
    }
}

/// Returns a text as a literal of the type that stands before it, as in `DATE '2026-01-05'`.
fn typed(before: &mut Vec<Token>, text: String) -> Option<Token> {
    let literal = match before.last() {
        Some(last) if last.is_word("date") => Literal::Date(text),
        Some(last) if last.is_word("timestamp") => Literal::Timestamp(text),
        // Any other word before a text makes something else of it.
        Some(Token::Name(_)) => return None,
        _ => return Some(Token::Literal(Literal::Text(text))),
    };
    before.pop();
    Some(Token::Literal(literal))
}

/// Returns what is between two quotes, and what is behind them. A text with a backslash or with two
/// quotes in a row may mean something else to every client, so it is none.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (part, after) = rest.split_once(quote)?;
        inner.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                if quote == '\'' {
                    return None;
                }
                inner.push(quote);
                rest = more;
            }
            None => return (!inner.contains('\\')).then_some((inner, after)),
        }
    }
}

fn cut(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|char| !is_part(char)).unwrap_or(text.len());
    text.split_at(end)
}
