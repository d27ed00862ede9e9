//! Types as text, as Spark writes them in DDL: `id BIGINT, price DECIMAL(18,6), tags ARRAY<STRING>`.

mod print;
mod tokens;

use arrow::datatypes::{DataType, FieldRef, Fields};

pub use print::{field_text, path_text, type_text};
use tokens::{Kind, Token, tokens};

use super::types::{self, field, list_of, map_of, position};
use crate::files::options::SchemaHint;

/// Deepest nesting of a type, and longest path, that a user may write; no table is that deep, and
/// the parser's stack must end somewhere.
const DEPTH_MAX: usize = 64;

/// Deepest nesting that is read back: a hint as deep as allowed, below a path as long as allowed,
/// inside of a document as deep as allowed, and some.
const STORED_DEPTH_MAX: usize = 4 * DEPTH_MAX;

/// Why a text is no type, path or list of columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at character {position}, found {found}")]
pub struct InvalidDdl {
    /// The character, from 1, where it goes wrong.
    pub position: usize,
    /// What could stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// Parses columns: `a BIGINT, b STRUCT<c: DATE> NOT NULL COMMENT 'why'`, or the same inside of
/// `STRUCT<…>`.
///
/// All of them are nullable, whatever the text says: files promise nothing. Comments are dropped.
///
/// # Errors
/// The text is no list of columns, or two have one name but for case.
pub fn parse_fields(text: &str) -> Result<Fields, InvalidDdl> {
    let mut parser = Parser::new(text, DEPTH_MAX)?;
    let is_struct = parser.is_word("struct") && parser.peek_after() == Some(&Kind::Symbol('<'));
    let fields = match is_struct {
        true => match parser.data_type()? {
            DataType::Struct(fields) => fields,
            _ => Fields::empty(),
        },
        false => parser.fields(None)?,
    };
    parser.end("`,` or the end")?;
    Ok(fields)
}

/// Parses one type: `MAP<STRING, ARRAY<INT>>`.
///
/// # Errors
/// The text is no type, or one that tables do not have.
pub fn parse_type(text: &str) -> Result<DataType, InvalidDdl> {
    whole_type(text, DEPTH_MAX)
}

/// Parses a type that we wrote ourselves, which may be deeper than users may write it.
pub(crate) fn parse_stored_type(text: &str) -> Result<DataType, InvalidDdl> {
    whole_type(text, STORED_DEPTH_MAX)
}

fn whole_type(text: &str, depth_max: usize) -> Result<DataType, InvalidDdl> {
    let mut parser = Parser::new(text, depth_max)?;
    let data_type = parser.data_type()?;
    parser.end("the end")?;
    Ok(data_type)
}

/// Parses `schemaHints`: columns whose names may be paths, such as `user.born DATE` or
/// `` rows.element.`last price` DECIMAL(18,6)``.
///
/// # Errors
/// The text is no list of hints, or two are for one path.
pub fn parse_hints(text: &str) -> Result<Vec<SchemaHint>, InvalidDdl> {
    let mut parser = Parser::new(text, DEPTH_MAX)?;
    let mut hints: Vec<SchemaHint> = Vec::new();
    if parser.peek().is_none() {
        return Ok(hints);
    }
    loop {
        let start = parser.at;
        let path = parser.path()?;
        let is_same = |hint: &SchemaHint| {
            hint.path.len() == path.len()
                && hint
                    .path
                    .iter()
                    .zip(&path)
                    .all(|(ours, theirs)| types::is_same_name(ours, theirs))
        };
        if hints.iter().any(is_same) {
            return Err(parser.unexpected_at(start, "another path: there is a hint for this one"));
        }
        parser.take(':');
        let data_type = parser.data_type()?;
        parser.remarks()?;
        hints.push(SchemaHint { path, data_type });
        if !parser.take(',') {
            break;
        }
    }
    parser.end("`,` or the end")?;
    Ok(hints)
}

/// Parses the path of a column and the way inside it, as [`path_text`] writes it.
///
/// # Errors
/// The text is no path.
pub fn parse_path(text: &str) -> Result<Vec<String>, InvalidDdl> {
    let mut parser = Parser::new(text, DEPTH_MAX)?;
    let path = parser.path()?;
    parser.end("`.` or the end")?;
    Ok(path)
}

/// The types without parameters, by their names.
const PRIMITIVES: [(&[&str], DataType); 10] = [
    (&["BOOLEAN", "BOOL"], DataType::Boolean),
    (&["TINYINT", "BYTE"], DataType::Int8),
    (&["SMALLINT", "SHORT"], DataType::Int16),
    (&["INT", "INTEGER"], DataType::Int32),
    (&["BIGINT", "LONG"], DataType::Int64),
    (&["FLOAT", "REAL"], DataType::Float32),
    (&["DOUBLE"], DataType::Float64),
    (&["STRING", "TEXT"], DataType::Utf8),
    (&["BINARY"], DataType::Binary),
    (&["DATE"], DataType::Date32),
];

const A_TYPE: &str =
    "a type such as BIGINT, DECIMAL(18,6), STRING, TIMESTAMP, ARRAY<…>, MAP<…> or STRUCT<…>";

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    /// Where the text ends, in characters from 1.
    end: usize,
    depth_left: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, depth_max: usize) -> Result<Self, InvalidDdl> {
        let end = text.chars().count() + 1;
        Ok(Self { tokens: tokens(text)?, at: 0, end, depth_left: depth_max })
    }

    fn peek(&self) -> Option<&Kind<'a>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn peek_after(&self) -> Option<&Kind<'a>> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Goes past `symbol` if it comes next.
    fn take(&mut self, symbol: char) -> bool {
        let is_next = self.peek() == Some(&Kind::Symbol(symbol));
        self.at += usize::from(is_next);
        is_next
    }

    /// Goes past `word` if it comes next.
    fn take_word(&mut self, word: &str) -> bool {
        let is_next = self.is_word(word);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, symbol: char) -> Result<(), InvalidDdl> {
        match self.take(symbol) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{symbol}`"))),
        }
    }

    fn end(&self, expected: &str) -> Result<(), InvalidDdl> {
        self.peek().map_or(Ok(()), |_| Err(self.unexpected(expected)))
    }

    fn unexpected(&self, expected: &str) -> InvalidDdl {
        self.unexpected_at(self.at, expected)
    }

    fn unexpected_at(&self, at: usize, expected: &str) -> InvalidDdl {
        let token = self.tokens.get(at);
        InvalidDdl {
            position: token.map_or(self.end, |token| token.position),
            expected: expected.to_owned(),
            found: token.map_or_else(|| "the end".to_owned(), |token| token.kind.to_string()),
        }
    }

    fn name(&mut self) -> Result<String, InvalidDdl> {
        let name = match self.peek() {
            Some(Kind::Word(word)) => (*word).to_owned(),
            Some(Kind::Name(name)) if !name.is_empty() => name.clone(),
            _ => return Err(self.unexpected("a name, in backquotes if it is unusual")),
        };
        self.at += 1;
        Ok(name)
    }

    fn path(&mut self) -> Result<Vec<String>, InvalidDdl> {
        let mut path = vec![self.name()?];
        while self.take('.') {
            if DEPTH_MAX <= path.len() {
                return Err(self.unexpected(&format!("a path of at most {DEPTH_MAX} names")));
            }
            path.push(self.name()?);
        }
        Ok(path)
    }

    /// Parses fields up to `closing`, which is left standing; without it, to where they end.
    fn fields(&mut self, closing: Option<char>) -> Result<Fields, InvalidDdl> {
        let mut fields: Vec<FieldRef> = Vec::new();
        if self.peek() == closing.map(Kind::Symbol).as_ref() {
            return Ok(Fields::empty());
        }
        loop {
            let start = self.at;
            let name = self.name()?;
            if position(&fields, &name).is_some() {
                return Err(self.unexpected_at(start, "another name: this one is there already"));
            }
            self.take(':');
            let data_type = self.data_type()?;
            self.remarks()?;
            fields.push(field(&name, data_type).into());
            if !self.take(',') {
                return Ok(fields.into());
            }
        }
    }

    /// Goes past `NOT NULL` and `COMMENT 'text'`.
    fn remarks(&mut self) -> Result<(), InvalidDdl> {
        loop {
            if self.take_word("not") {
                if !self.take_word("null") {
                    return Err(self.unexpected("`NULL`"));
                }
            } else if self.take_word("comment") {
                match self.peek() {
                    Some(Kind::Text) => self.at += 1,
                    _ => return Err(self.unexpected("a comment in quotes")),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn data_type(&mut self) -> Result<DataType, InvalidDdl> {
        if self.depth_left == 0 {
            return Err(self.unexpected("a type that is less deeply nested"));
        }
        self.depth_left -= 1;
        let data_type = self.shallow_or_deep();
        self.depth_left += 1;
        data_type
    }

    fn shallow_or_deep(&mut self) -> Result<DataType, InvalidDdl> {
        let start = self.at;
        let Some(Kind::Word(word)) = self.peek() else {
            return Err(self.unexpected(A_TYPE));
        };
        let word = word.to_ascii_uppercase();
        self.at += 1;
        let known = PRIMITIVES.iter().find(|(names, _)| names.contains(&word.as_str()));
        if let Some((_, data_type)) = known {
            return Ok(data_type.clone());
        }
        match word.as_str() {
            "TIMESTAMP" | "TIMESTAMP_LTZ" => Ok(types::timestamp()),
            "TIMESTAMP_NTZ" => Ok(types::ntz()),
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal(),
            "CHAR" | "CHARACTER" | "VARCHAR" => {
                self.expect('(')?;
                self.digits("a length", u32::MAX)?;
                self.expect(')')?;
                Ok(DataType::Utf8)
            }
            "ARRAY" => {
                self.expect('<')?;
                let element = self.data_type()?;
                self.remarks()?;
                self.expect('>')?;
                Ok(list_of(element))
            }
            "MAP" => {
                self.expect('<')?;
                let key = self.data_type()?;
                self.expect(',')?;
                let value = self.data_type()?;
                self.expect('>')?;
                Ok(map_of(key, value))
            }
            "STRUCT" => {
                self.expect('<')?;
                let fields = self.fields(Some('>'))?;
                if fields.is_empty() {
                    return Err(self.unexpected("a member: a struct without any cannot be stored"));
                }
                self.expect('>')?;
                Ok(DataType::Struct(fields))
            }
            "VARIANT" | "INTERVAL" | "VOID" | "NULL" => Err(self.unexpected_at(
                start,
                "a type that every reader of the table knows; use STRING, which keeps the text",
            )),
            _ => Err(self.unexpected_at(start, A_TYPE)),
        }
    }

    /// Parses what follows `DECIMAL`; without it, 10 digits and none behind the point.
    fn decimal(&mut self) -> Result<DataType, InvalidDdl> {
        let (mut precision, mut scale) = (10, 0);
        if self.take('(') {
            let start = self.at;
            precision = self.digits("a number of digits from 1 to 38", types::DIGITS_MAX)?;
            if precision == 0 {
                return Err(self.unexpected_at(start, "a number of digits from 1 to 38"));
            }
            if self.take(',') {
                scale = self.digits("digits behind the point, no more than all", precision)?;
            }
            self.expect(')')?;
        }
        types::decimal(precision - scale, scale).ok_or_else(|| self.unexpected(A_TYPE))
    }

    fn digits(&mut self, expected: &str, max: u32) -> Result<u32, InvalidDdl> {
        let digits = match self.peek() {
            Some(Kind::Word(word)) => word.parse().ok().filter(|digits| *digits <= max),
            _ => None,
        };
        let digits = digits.ok_or_else(|| self.unexpected(expected))?;
        self.at += 1;
        Ok(digits)
    }
}

#[cfg(test)]
mod tests;
