//! From SQL text to what this server does: a deny-by-default gate in front of the engine.
//!
//! The text is cut into statements by tokens, and each is judged by its first word. What belongs
//! to the connection (transactions, settings, cursors) is answered here without the engine; only
//! a statement that parses as one query reaches it.

use std::ops::ControlFlow;

use lake::datafusion::sql::sqlparser::{
    ast::{Query, SetExpr, Statement, Visit as _, Visitor},
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use super::{
    catalog,
    failure::{Failure, parser_message},
};

mod complexity;
mod copy;
mod cursor;
mod dialect;
mod expansion;
mod fingerprint;
mod scan;

pub(crate) use complexity::COLUMNS_MAX;
pub(super) use copy::{Columns, CopyForm};
pub(super) use cursor::{Declare, Fetch, Position};
pub(crate) use fingerprint::Fingerprint;
use scan::Scan;

/// The longest statement text: far beyond what BI tools write, and quick to parse.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Statements in one simple query. Pool resets send seven.
const STATEMENTS_MAX: usize = 100;

/// Deeper than this the parser gives up; sqlparser's own default.
const DEPTH_MAX: usize = 50;

/// One statement, judged.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Query(Box<Query>),
    Explain(Box<Query>),
    Begin,
    Commit,
    Rollback,
    /// Savepoints: nothing can be written, so there is nothing to undo.
    Savepoint {
        tag: &'static str,
    },
    Set {
        name: String,
        value: Option<String>,
    },
    /// `SET TRANSACTION …`, `SET SESSION AUTHORIZATION DEFAULT`: what already holds.
    SetNothing,
    Show {
        name: String,
    },
    Reset {
        name: Option<String>,
    },
    /// `DISCARD ALL` resets everything, the narrower forms have nothing to discard.
    Discard {
        tag: &'static str,
    },
    Declare(Box<Declare>),
    /// `FETCH` and `MOVE`.
    Fetch(Fetch),
    /// One cursor, or all.
    Close {
        name: Option<String>,
    },
    /// `COPY … TO STDOUT`.
    Copy(Box<copy::Copy>),
    /// One prepared statement, or all.
    Deallocate {
        name: Option<String>,
    },
    Unlisten,
}

/// Cuts `text` into statements, without the empty ones.
pub(super) fn split(text: &str) -> Result<Vec<Vec<TokenWithSpan>>, Failure> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Failure::new("54000", "the statement text is longer than 256 KiB"));
    }
    let tokens = text_tokens(text)?;
    let mut statements = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::SemiColon => statements.push(Vec::new()),
            Token::Whitespace(_) | Token::EOF => (),
            _ => {
                if let Some(statement) = statements.last_mut() {
                    statement.push(token);
                }
            }
        }
    }
    statements.retain(|statement| !statement.is_empty());
    if statements.len() > STATEMENTS_MAX {
        return Err(Failure::new("54000", "more than 100 statements in one message"));
    }
    Ok(statements)
}

/// True when a word of the statement suggests that it asks about the catalog.
pub(super) fn touches_catalog(tokens: &[TokenWithSpan]) -> bool {
    let next = tokens.iter().skip(1).map(Some).chain([None]);
    tokens.iter().zip(next).any(|(token, next)| match &token.token {
        Token::Word(word) => {
            let word = word.value.to_ascii_lowercase();
            let is_call = || next.is_some_and(|next| next.token == Token::LParen);
            word.starts_with("pg_")
                || word.starts_with("reg")
                || word == "information_schema"
                || (catalog::is_function(&word) && is_call())
        }
        _ => false,
    })
}

/// Judges one statement.
pub(super) fn judge(tokens: Vec<TokenWithSpan>) -> Result<Command, Failure> {
    complexity::check_tokens(&tokens)?;
    let words = words(&tokens);
    let word = |index: usize| words.get(index).map(String::as_str).unwrap_or_default();
    Ok(match word(0) {
        "select" | "with" | "values" | "(" | "table" => Command::Query(query_of(tokens)?),
        "explain" => return explain(tokens, &words),
        "begin" | "start" => {
            if words.iter().any(|word| word == "write") {
                return Err(Failure::new(
                    "25006",
                    "cannot set transaction read-write mode: this server is read-only",
                ));
            }
            Command::Begin
        }
        "commit" | "end" => Command::Commit,
        "rollback" if words.iter().any(|word| word == "to") => {
            Command::Savepoint { tag: "ROLLBACK" }
        }
        "rollback" | "abort" => Command::Rollback,
        "savepoint" => Command::Savepoint { tag: "SAVEPOINT" },
        "release" => Command::Savepoint { tag: "RELEASE" },
        "set" => return set(&tokens, &words),
        "show" => Command::Show { name: show_name(&words) },
        "reset" => Command::Reset {
            name: Some(show_name(&words)).filter(|name| name != "all" && !name.is_empty()),
        },
        "discard" => Command::Discard {
            tag: match word(1) {
                "all" => "DISCARD ALL",
                "plans" => "DISCARD PLANS",
                "sequences" => "DISCARD SEQUENCES",
                "temp" | "temporary" => "DISCARD TEMP",
                _ => {
                    return Err(Failure::syntax(
                        "syntax error: expected ALL, PLANS, SEQUENCES or TEMP",
                    ));
                }
            },
        },
        "declare" => Command::Declare(Box::new(cursor::declare(tokens)?)),
        "fetch" => Command::Fetch(cursor::fetch(&tokens, false)?),
        "move" => Command::Fetch(cursor::fetch(&tokens, true)?),
        "close" => Command::Close { name: cursor::close(&tokens)? },
        "copy" => Command::Copy(Box::new(copy::copy(&tokens)?)),
        "deallocate" => {
            let name = if word(1) == "prepare" { word(2) } else { word(1) };
            Command::Deallocate { name: Some(name.to_owned()).filter(|name| name != "all") }
        }
        "unlisten" => Command::Unlisten,
        other => return Err(refuse(other, &words, tokens)),
    })
}

/// The words of a statement in lower case; quoted ones keep their case.
fn words(tokens: &[TokenWithSpan]) -> Vec<String> {
    tokens
        .iter()
        .map(|token| match &token.token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            Token::Word(word) => word.value.clone(),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        })
        .collect()
}

fn refuse(first: &str, words: &[String], tokens: Vec<TokenWithSpan>) -> Failure {
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    match first {
        "insert" | "update" | "delete" | "merge" | "truncate" | "grant" | "revoke" | "comment"
        | "vacuum" | "reindex" | "cluster" | "refresh" | "security" | "reassign" | "import" => {
            Failure::read_only(&first.to_ascii_uppercase())
        }
        "create" | "drop" | "alter" => {
            let kind = if second == "or" { "" } else { second };
            Failure::read_only(format!("{first} {kind}").trim().to_ascii_uppercase().as_str())
        }
        "do" | "call" | "execute" | "prepare" | "listen" | "notify" | "lock" | "load"
        | "analyze" | "checkpoint" => Failure::unsupported(format!(
            "{} is not supported by this read-only server",
            first.to_ascii_uppercase()
        )),
        _ => match parse(tokens) {
            Err(failure) => failure,
            Ok(_) => Failure::unsupported(format!(
                "{} is not supported by this read-only server",
                first.to_ascii_uppercase()
            )),
        },
    }
}

fn parse(tokens: Vec<TokenWithSpan>) -> Result<Statement, Failure> {
    let dialect = dialect::GateDialect::default();
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            Failure::new("54001", "the statement is nested too deeply")
        }
        error => Failure::syntax(parser_message(&error.to_string())),
    })?;
    match &parser.peek_token().token {
        Token::EOF => Ok(statement),
        token => Err(Failure::syntax(format!("syntax error at or near \"{token}\""))),
    }
}

fn text_tokens(text: &str) -> Result<Vec<TokenWithSpan>, Failure> {
    Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| Failure::syntax(parser_message(&error.to_string())))
}

/// A query that is a statement, or within one that is not a query itself.
fn query_of(mut tokens: Vec<TokenWithSpan>) -> Result<Box<Query>, Failure> {
    let scan = Scan::new(&tokens);
    match scan.peek_keyword().as_deref() {
        Some("select" | "with" | "values") => (),
        // Short for this, with all that may follow it.
        Some("table") => drop(tokens.splice(..1, text_tokens("select*from")?)),
        _ if scan.peek() == Some(&Token::LParen) => (),
        _ => return Err(scan.unexpected()),
    }
    let Statement::Query(query) = parse(tokens)? else {
        return Err(Failure::syntax("syntax error: not a query"));
    };
    if let ControlFlow::Break(failure) = query.visit(&mut Writes) {
        return Err(*failure);
    }
    complexity::check_lists(&query)?;
    expansion::check(&query)?;
    Ok(query)
}

/// Finds the parts of a query that would write: data-modifying CTEs, SELECT INTO, row locks.
struct Writes;

impl Visitor for Writes {
    type Break = Box<Failure>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if query.locks.is_empty() {
            check_body(&query.body)
        } else {
            ControlFlow::Break(Box::new(Failure::read_only("SELECT FOR UPDATE")))
        }
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Self::Break> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Box::new(Failure::read_only("a data-modifying statement"))),
        }
    }
}

fn check_body(body: &SetExpr) -> ControlFlow<Box<Failure>> {
    let command = match body {
        SetExpr::Select(select) if select.into.is_some() => "SELECT INTO",
        SetExpr::SetOperation { left, right, .. } => {
            check_body(left)?;
            return check_body(right);
        }
        SetExpr::Insert(_) => "INSERT",
        SetExpr::Update(_) => "UPDATE",
        SetExpr::Delete(_) => "DELETE",
        SetExpr::Merge(_) => "MERGE",
        _ => return ControlFlow::Continue(()),
    };
    ControlFlow::Break(Box::new(Failure::read_only(command)))
}

/// `EXPLAIN [(options)] query`. Running the query for it is not supported.
fn explain(mut tokens: Vec<TokenWithSpan>, words: &[String]) -> Result<Command, Failure> {
    let mut start = 1;
    if words.get(1).is_some_and(|word| word == "(")
        && words
            .get(2)
            .is_some_and(|word| !matches!(word.as_str(), "select" | "with" | "values" | "("))
    {
        let close = words.iter().position(|word| word == ")");
        start = close.ok_or_else(|| Failure::syntax("syntax error: expected )"))? + 1;
    } else {
        while words
            .get(start)
            .is_some_and(|word| matches!(word.as_str(), "verbose" | "analyze" | "analyse"))
        {
            start += 1;
        }
    }
    if words.iter().take(start).any(|word| matches!(word.as_str(), "analyze" | "analyse")) {
        return Err(Failure::unsupported("EXPLAIN ANALYZE is not supported; use EXPLAIN"));
    }
    // Not judged by the same rules again: a text can be EXPLAIN thousands of times over.
    if words.get(start).is_some_and(|word| word == "explain") {
        return Err(Failure::unsupported("only queries can be explained"));
    }
    tokens.drain(..start.min(tokens.len()));
    match judge(tokens)? {
        Command::Query(query) => Ok(Command::Explain(query)),
        _ => Err(Failure::unsupported("only queries can be explained")),
    }
}

/// `SHOW x`, with the two spellings of several words.
fn show_name(words: &[String]) -> String {
    match words.get(1).map(String::as_str).unwrap_or_default() {
        "time" => "timezone".to_owned(),
        "transaction" => "transaction_isolation".to_owned(),
        "session" => "session_authorization".to_owned(),
        name => {
            let tail = words.get(2..).unwrap_or_default().concat();
            format!("{}{}", name.to_ascii_lowercase(), tail.to_ascii_lowercase())
        }
    }
}

/// `SET [SESSION | LOCAL] name { = | TO } value`, and the forms with their own grammar.
fn set(tokens: &[TokenWithSpan], words: &[String]) -> Result<Command, Failure> {
    let word = |index: usize| words.get(index).map(String::as_str).unwrap_or_default();
    let mut at = 1;
    if matches!(word(1), "session" | "local") {
        at = 2;
    }
    match word(at) {
        "authorization" | "characteristics" | "transaction" => {
            if words.iter().any(|word| word == "write") {
                return Err(Failure::new(
                    "25006",
                    "cannot set transaction read-write mode: this server is read-only",
                ));
            }
            return match word(at) {
                "authorization" if word(at + 1) != "default" => {
                    Err(Failure::new("42501", "permission denied to set session authorization"))
                }
                _ => Ok(Command::SetNothing),
            };
        }
        "time" if word(at + 1) == "zone" => {
            let value = Some(word(at + 2).to_owned()).filter(|value| value != "default");
            return Ok(Command::Set { name: "timezone".to_owned(), value });
        }
        "names" => {
            let value = Some(word(at + 1).to_owned()).filter(|value| !value.is_empty());
            return Ok(Command::Set { name: "client_encoding".to_owned(), value });
        }
        "role" => return Err(Failure::new("42501", "permission denied to set role")),
        _ => (),
    }
    let assign = (at..tokens.len()).find(|index| matches!(word(*index), "=" | "to"));
    let Some(assign) = assign.filter(|assign| *assign > at && assign + 1 < words.len()) else {
        return Err(Failure::syntax("syntax error: expected SET name = value"));
    };
    let name = words[at..assign].concat().to_ascii_lowercase();
    let values = &words[assign + 1..];
    let value = match values {
        [only] if only == "default" => None,
        _ => Some(values.concat().replace(',', ", ")),
    };
    Ok(Command::Set { name, value })
}

#[cfg(test)]
mod tests;
