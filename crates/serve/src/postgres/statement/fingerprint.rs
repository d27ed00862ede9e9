//! What a statement asks, without what it asks for: every value becomes `?`.

use std::{fmt::Write as _, time::Duration};

use lake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use sha2::{Digest as _, Sha256};

use super::split;
use crate::audit::{Act, Outcome};

/// Enough to recognize a statement; a tool's longest are generated, and alike at their beginning.
const TEXT_BYTES_MAX: usize = 1_000;

/// A statement whose values are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The same for statements that differ in values only, however many a list has.
    pub(in crate::postgres) hash: String,
    /// The statement, cut to a bound.
    pub(in crate::postgres) text: String,
}

impl Fingerprint {
    /// What the audit says of a statement that has ended; `about` is nothing where it could not be
    /// read.
    pub(crate) fn act(
        about: Option<&Self>,
        (rows, took): (u64, Duration),
        outcome: Outcome,
    ) -> Act {
        let Self { hash, mut text } =
            about.cloned().unwrap_or_else(|| Self { hash: String::new(), text: String::new() });
        if is_unreadable(outcome) {
            // Nobody knows what in it was meant as a value.
            text.clear();
        }
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Act::Statement { fingerprint: hash, statement: text, rows, duration_us }
    }

    /// Of one statement.
    pub(in crate::postgres) fn of(tokens: &[TokenWithSpan]) -> Self {
        let mut words: Vec<String> = Vec::with_capacity(tokens.len());
        for token in tokens {
            let word = word(&token.token);
            // `?, ?, ?` says no more than `?`.
            if word == "?" && words.ends_with(&["?".to_owned(), ",".to_owned()]) {
                words.pop();
            } else {
                words.push(word);
            }
        }
        let mut text = words.join(" ");
        let hash = hash(&text);
        let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        Self { hash, text }
    }

    /// Of a text of one statement; `None` if it cannot be read as any.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let statements = split(text).ok()?;
        Some(Self::of(&statements.concat()))
    }
}

fn is_unreadable(outcome: Outcome) -> bool {
    // In double quotes a value is the name of a column, which is not there.
    matches!(outcome, Outcome::Refused { code: "42601" | "42703" })
}

fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        Token::Word(_) => token.to_string(),
        _ => {
            let text = token.to_string();
            // Whatever is no operator is a value, of kinds that are still to be invented, too.
            let is_operator =
                text.bytes().all(|byte| byte.is_ascii_punctuation() && !b"'\"`$".contains(&byte));
            if is_operator { text } else { "?".to_owned() }
        }
    }
}

/// 64 bits tell apart all statements that tools of one lake make.
fn hash(text: &str) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(text).iter().take(8) {
        write!(hash, "{byte:02x}").expect("writing to a text cannot fail");
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        assert_eq!(Fingerprint::of_text(sql).unwrap().text, expected, "{sql}");
    }

    #[test]
    fn every_kind_of_value_is_gone() {
        for value in [
            "'cnry'",
            "'!!!'",
            "$$!!!$$",
            "E'cnry\\n'",
            "N'cnry'",
            "X'c0de'",
            "B'0101'",
            "U&'cnry'",
            "$$cnry$$",
            "$tag$cnry$tag$",
            "'it''s cnry'",
            "$1",
            "42",
            "1e5",
            ".5",
        ] {
            check(&format!("SELECT a FROM T WHERE x = {value}"), "select a from t where x = ?");
        }
        check("select -- cnry\n /* cnry */ 1", "select ?");
        check("alter user x password 'cnry'", "alter user x password ?");
    }

    #[test]
    fn names_stay_as_they_are() {
        check("select \"Close\" from bi.bars_daily", "select \"Close\" from bi . bars_daily");
        check("select count(*)::int8", "select count ( * ) :: int8");
    }

    #[test]
    fn statements_that_differ_in_values_only_have_one_hash() {
        let of = |sql: &str| Fingerprint::of_text(sql).unwrap().hash;
        let first = of("select * from t where s in ('A', 'B') and d > 5");
        assert_eq!(first, of("SELECT  * FROM t WHERE s IN ('C','D','E')\nAND d > 7;"));
        assert_ne!(first, of("select * from t where s in ('A', 'B') and d < 5"));
        assert_eq!(first.len(), 16);
    }

    #[test]
    fn a_long_statement_is_cut_and_still_told_apart() {
        let long = |tail: &str| format!("select {} {tail}", "ä, ".repeat(2_000));
        let (first, second) =
            (Fingerprint::of_text(&long("a")).unwrap(), Fingerprint::of_text(&long("b")).unwrap());
        assert!(first.text.len() <= TEXT_BYTES_MAX && first.text == second.text);
        assert_ne!(first.hash, second.hash);
        assert_eq!(Fingerprint::of_text("select 'unfinished"), None);
    }
}
