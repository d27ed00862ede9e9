//! `COPY … TO STDOUT`: a query whose rows leave as text, CSV or PostgreSQL's binary file format.
//!
//! Both spellings of the options are read into one list, which is then checked as a whole.

use lake::datafusion::sql::sqlparser::{
    ast::Query,
    tokenizer::{Token, TokenWithSpan},
};

use super::{query_of, scan::Scan, text_tokens};
use crate::postgres::failure::Failure;

/// A query, and how its rows are written.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Copy {
    pub(in crate::postgres) query: Box<Query>,
    pub(in crate::postgres) form: CopyForm,
}

/// How rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum CopyForm {
    Binary,
    Text(Plain),
    Csv { plain: Plain, quote: u8, escape: u8, force_quote: Columns },
}

impl CopyForm {
    /// What text and CSV have in common; `None` in binary.
    pub(in crate::postgres) const fn plain(&self) -> Option<&Plain> {
        match self {
            Self::Binary => None,
            Self::Text(plain) | Self::Csv { plain, .. } => Some(plain),
        }
    }
}

/// What text and CSV have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct Plain {
    pub(in crate::postgres) delimiter: u8,
    pub(in crate::postgres) null: String,
    pub(in crate::postgres) has_header: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Columns {
    All,
    Named(Vec<String>),
}

/// One option and what stands behind it.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Nothing,
    Text(String),
    Columns(Columns),
}

/// Reads the statement, which begins with `COPY`.
pub(super) fn copy(tokens: &[TokenWithSpan]) -> Result<Copy, Failure> {
    let mut scan = Scan::new(tokens);
    scan.next();
    let query = source(&mut scan, tokens)?;
    if scan.take_keyword("from") {
        return Err(Failure::read_only("COPY FROM"));
    }
    if !scan.take_keyword("to") {
        return Err(scan.unexpected());
    }
    if !scan.take_keyword("stdout") {
        return Err(Failure::new("42501", "permission denied to COPY to or from a file"));
    }
    scan.take_keyword("with");
    let options = if scan.take_symbol(&Token::LParen) {
        new_options(&mut scan)?
    } else {
        old_options(&mut scan)?
    };
    scan.end()?;
    let form = form(options)?;
    Ok(Copy { query: query_of(query)?, form })
}

/// `(query)`, or `table [(columns)]` as the query that reads it.
fn source(scan: &mut Scan<'_>, tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>, Failure> {
    let start = scan.position();
    if scan.take_symbol(&Token::LParen) {
        let mut depth = 1_usize;
        while depth > 0 {
            match scan.next() {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                Some(_) => (),
                None => return Err(scan.unexpected()),
            }
        }
        return Ok(tokens[start + 1..scan.position() - 1].to_vec());
    }
    scan.name()?;
    while scan.take_symbol(&Token::Period) {
        scan.name()?;
    }
    let table = &tokens[start..scan.position()];
    let mut query = text_tokens("select")?;
    if scan.take_symbol(&Token::LParen) {
        // In quotes, for `interval from …` would be read as a value.
        let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
        let columns: Vec<String> = names(scan)?.into_iter().map(quoted).collect();
        query.extend(text_tokens(&columns.join(","))?);
    } else {
        query.extend(text_tokens("*")?);
    }
    query.extend(text_tokens("from")?);
    query.extend_from_slice(table);
    Ok(query)
}

/// Names with commas between them.
fn list(scan: &mut Scan<'_>) -> Result<Vec<String>, Failure> {
    let mut names = vec![scan.name()?];
    while scan.take_symbol(&Token::Comma) {
        names.push(scan.name()?);
    }
    Ok(names)
}

/// A list up to the parenthesis that closes it.
fn names(scan: &mut Scan<'_>) -> Result<Vec<String>, Failure> {
    let names = list(scan)?;
    if scan.take_symbol(&Token::RParen) { Ok(names) } else { Err(scan.unexpected()) }
}

/// `(FORMAT csv, HEADER, FORCE_QUOTE (a, b))`, without the first parenthesis.
fn new_options(scan: &mut Scan<'_>) -> Result<Vec<(String, Value)>, Failure> {
    let mut options = Vec::new();
    loop {
        let name = scan.name()?;
        let value = if scan.take_symbol(&Token::LParen) {
            Value::Columns(Columns::Named(names(scan)?))
        } else if scan.take_symbol(&Token::Mul) {
            Value::Columns(Columns::All)
        } else if let Some(text) = scan.take_string() {
            Value::Text(text)
        } else if let Some(number) = scan.take_integer()? {
            Value::Text(number.to_string())
        } else if matches!(scan.peek(), Some(Token::Word(_))) {
            Value::Text(scan.name()?)
        } else {
            Value::Nothing
        };
        options.push((name, value));
        if scan.take_symbol(&Token::RParen) {
            return Ok(options);
        }
        if !scan.take_symbol(&Token::Comma) {
            return Err(scan.unexpected());
        }
    }
}

/// `CSV HEADER DELIMITER AS ';' FORCE QUOTE a, b`, as before PostgreSQL 9.0 and in psql's `\copy`.
fn old_options(scan: &mut Scan<'_>) -> Result<Vec<(String, Value)>, Failure> {
    let mut options = Vec::new();
    while scan.peek().is_some() {
        let name = scan.name()?;
        let option = match name.as_str() {
            "binary" | "csv" => ("format".to_owned(), Value::Text(name)),
            "header" => (name, Value::Nothing),
            "delimiter" | "null" | "quote" | "escape" | "encoding" => {
                scan.take_keyword("as");
                let text = scan.take_string().ok_or_else(|| scan.unexpected())?;
                (name, Value::Text(text))
            }
            "force" if scan.take_keyword("quote") => {
                let columns = if scan.take_symbol(&Token::Mul) {
                    Columns::All
                } else {
                    Columns::Named(list(scan)?)
                };
                ("force_quote".to_owned(), Value::Columns(columns))
            }
            _ => return Err(Failure::syntax(format!("syntax error at or near \"{name}\""))),
        };
        options.push(option);
    }
    Ok(options)
}

/// The options as written.
#[derive(Default)]
struct Written {
    format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Columns>,
    encoding: Option<String>,
}

fn form(options: Vec<(String, Value)>) -> Result<CopyForm, Failure> {
    let mut written = Written::default();
    for (name, value) in options {
        let is_new = match name.as_str() {
            "format" => put(&mut written.format, text(&name, value)?),
            "delimiter" => put(&mut written.delimiter, text(&name, value)?),
            "null" => put(&mut written.null, text(&name, value)?),
            "header" => put(&mut written.header, boolean(value)?),
            "quote" => put(&mut written.quote, text(&name, value)?),
            "escape" => put(&mut written.escape, text(&name, value)?),
            "encoding" => put(&mut written.encoding, text(&name, value)?),
            "force_quote" => {
                let Value::Columns(columns) = value else {
                    let text = "argument to option \"force_quote\" must be a list of column names";
                    return Err(Failure::new("22023", text));
                };
                put(&mut written.force_quote, columns)
            }
            "force_null" | "force_not_null" | "freeze" => {
                let text = format!("COPY {name} only available using COPY FROM");
                return Err(Failure::unsupported(text));
            }
            _ => return Err(Failure::syntax(format!("option \"{name}\" not recognized"))),
        };
        if !is_new {
            return Err(Failure::syntax("conflicting or redundant options"));
        }
    }
    let encoding = written.encoding.as_deref().unwrap_or("utf8").to_ascii_lowercase();
    if !matches!(encoding.as_str(), "utf8" | "utf-8" | "unicode") {
        return Err(Failure::unsupported("COPY writes UTF8 and no other encoding"));
    }
    match written.format.as_deref().unwrap_or("text") {
        "text" => written.into_text(),
        "csv" => written.into_csv(),
        "binary" => written.into_binary(),
        other => Err(Failure::new("22023", format!("COPY format \"{other}\" not recognized"))),
    }
}

/// Puts `value` where nothing was yet; `false` when there was something.
fn put<T>(place: &mut Option<T>, value: T) -> bool {
    place.replace(value).is_none()
}

fn text(name: &str, value: Value) -> Result<String, Failure> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Failure::syntax(format!("{name} requires a parameter"))),
    }
}

fn boolean(value: Value) -> Result<bool, Failure> {
    let text = match value {
        Value::Nothing => return Ok(true),
        Value::Text(text) => text.to_ascii_lowercase(),
        Value::Columns(_) => String::new(),
    };
    match text.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        "match" => Err(Failure::unsupported("cannot use \"match\" with HEADER in COPY TO")),
        _ => Err(Failure::syntax("header requires a Boolean value or \"match\"")),
    }
}

impl Written {
    fn into_binary(self) -> Result<CopyForm, Failure> {
        for (is_there, name) in
            [(self.delimiter.is_some(), "DELIMITER"), (self.null.is_some(), "NULL")]
        {
            if is_there {
                return Err(Failure::syntax(format!("cannot specify {name} in BINARY mode")));
            }
        }
        if self.header == Some(true) {
            return Err(Failure::unsupported("cannot specify HEADER in BINARY mode"));
        }
        self.refuse_csv_options()?;
        Ok(CopyForm::Binary)
    }

    fn into_text(self) -> Result<CopyForm, Failure> {
        self.refuse_csv_options()?;
        let plain = self.plain("\t", "\\N")?;
        // These begin or end what a backslash or `\.` means.
        let delimiter = char::from(plain.delimiter);
        if matches!(delimiter, '\\' | '.' | 'a'..='z' | '0'..='9') {
            let text = format!("COPY delimiter cannot be \"{delimiter}\"");
            return Err(Failure::new("22023", text));
        }
        Ok(CopyForm::Text(plain))
    }

    fn into_csv(self) -> Result<CopyForm, Failure> {
        let plain = self.plain(",", "")?;
        let quote = one_byte("quote", self.quote.as_deref().unwrap_or("\""))?;
        let escape = match &self.escape {
            Some(escape) => one_byte("escape", escape)?,
            None => quote,
        };
        if quote == plain.delimiter {
            return Err(Failure::new("22023", "COPY delimiter and quote must be different"));
        }
        if plain.null.as_bytes().contains(&quote) {
            let text = "CSV quote character must not appear in the NULL specification";
            return Err(Failure::unsupported(text));
        }
        let force_quote = self.force_quote.unwrap_or(Columns::Named(Vec::new()));
        Ok(CopyForm::Csv { plain, quote, escape, force_quote })
    }

    fn plain(&self, delimiter: &str, null: &str) -> Result<Plain, Failure> {
        let delimiter = one_byte("delimiter", self.delimiter.as_deref().unwrap_or(delimiter))?;
        if matches!(delimiter, b'\n' | b'\r') {
            let text = "COPY delimiter cannot be newline or carriage return";
            return Err(Failure::new("22023", text));
        }
        let null = self.null.as_deref().unwrap_or(null);
        if null.contains(['\n', '\r']) {
            let text = "COPY null representation cannot use newline or carriage return";
            return Err(Failure::new("22023", text));
        }
        if null.as_bytes().contains(&delimiter) {
            let text = "COPY delimiter must not appear in the NULL specification";
            return Err(Failure::unsupported(text));
        }
        let has_header = self.header.unwrap_or(false);
        Ok(Plain { delimiter, null: null.to_owned(), has_header })
    }

    fn refuse_csv_options(&self) -> Result<(), Failure> {
        for (is_there, name) in [
            (self.quote.is_some(), "quote"),
            (self.escape.is_some(), "escape"),
            (self.force_quote.is_some(), "force quote"),
        ] {
            if is_there {
                let text = format!("COPY {name} available only in CSV mode");
                return Err(Failure::unsupported(text));
            }
        }
        Ok(())
    }
}

fn one_byte(name: &str, text: &str) -> Result<u8, Failure> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => {
            let text = format!("COPY {name} must be a single one-byte character");
            Err(Failure::unsupported(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statement::{Command, judge, split};

    fn judged(text: &str) -> Result<Copy, Failure> {
        match judge(split(text)?.remove(0))? {
            Command::Copy(copy) => Ok(*copy),
            other => panic!("{text} passed as {other:?}"),
        }
    }

    fn csv() -> (Plain, u8, u8, Columns) {
        let plain = Plain { delimiter: b',', null: String::new(), has_header: false };
        (plain, b'"', b'"', Columns::Named(Vec::new()))
    }

    #[test]
    fn a_table_is_copied_by_the_query_that_reads_it() {
        for (text, query) in [
            ("copy gold.bar_1m to stdout", "SELECT * FROM gold.bar_1m"),
            ("copy \"T\" (a, \"B c\") to stdout", "SELECT \"a\", \"B c\" FROM \"T\""),
            ("copy t (symbol, interval) to stdout", "SELECT \"symbol\", \"interval\" FROM t"),
            ("COPY (select ')', (1)) TO STDOUT", "SELECT ')', (1)"),
            ("copy (with x as (select 1) table x) to stdout", "WITH x AS (SELECT 1) TABLE x"),
            ("copy (values (1)) to stdout binary", "VALUES (1)"),
        ] {
            assert_eq!(judged(text).unwrap().query.to_string(), query, "{text}");
        }
    }

    #[test]
    fn both_spellings_of_the_options_mean_the_same() {
        let (plain, quote, escape, force_quote) = csv();
        let written = CopyForm::Csv {
            plain: Plain { delimiter: b';', null: "-".to_owned(), has_header: true },
            quote: b'\'',
            escape: b'\\',
            force_quote: Columns::Named(vec!["a".to_owned(), "B".to_owned()]),
        };
        let tab = Plain { delimiter: b'\t', null: "\\N".to_owned(), has_header: false };
        for (options, form) in [
            ("", CopyForm::Text(tab.clone())),
            ("with (format text, header false, encoding 'utf-8')", CopyForm::Text(tab.clone())),
            ("(header)", CopyForm::Text(Plain { has_header: true, ..tab.clone() })),
            ("with delimiter as '|'", CopyForm::Text(Plain { delimiter: b'|', ..tab })),
            ("(format binary)", CopyForm::Binary),
            ("WITH BINARY", CopyForm::Binary),
            ("csv", CopyForm::Csv { plain: plain.clone(), quote, escape, force_quote }),
            (
                "(format 'csv', delimiter ';', null '-', header on, quote '''', \
                 escape E'\\\\', force_quote (a, \"B\"))",
                written.clone(),
            ),
            (
                "with csv header delimiter ';' null as '-' quote '''' escape '\\' \
                 force quote a, \"B\"",
                written,
            ),
            (
                "csv force quote *",
                CopyForm::Csv { plain, quote, escape, force_quote: Columns::All },
            ),
        ] {
            let text = format!("copy t to stdout {options}");
            assert_eq!(judged(&text).unwrap().form, form, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_copied_is_refused_as_in_postgresql() {
        for (text, code) in [
            ("copy t from stdin", "25006"),
            ("copy t (a) from '/etc/passwd'", "25006"),
            ("copy t to '/tmp/x'", "42501"),
            ("copy t to program 'sh'", "42501"),
            ("copy (select 1) to '/tmp/x'", "42501"),
            ("copy (insert into t values (1)) to stdout", "42601"),
            ("copy (select 1 into t) to stdout", "25006"),
            ("copy (copy (select 1) to stdout) to stdout", "42601"),
            ("copy (select 1", "42601"),
            ("copy () to stdout", "42601"),
            ("copy t () to stdout", "42601"),
            ("copy t (a + 1) to stdout", "42601"),
            ("copy t to stdout where a", "42601"),
            ("copy t to stdout ()", "42601"),
            ("copy t to stdout (format csv", "42601"),
            ("copy t to stdout (format xml)", "22023"),
            ("copy t to stdout (format csv, format csv)", "42601"),
            ("copy t to stdout (header match)", "0A000"),
            ("copy t to stdout (nonsense)", "42601"),
            ("copy t to stdout (freeze)", "0A000"),
            ("copy t to stdout (encoding 'latin1')", "0A000"),
            ("copy t to stdout (delimiter 'ab')", "0A000"),
            ("copy t to stdout (delimiter 'a')", "22023"),
            ("copy t to stdout (delimiter E'\\n')", "22023"),
            ("copy t to stdout (delimiter ';', null ';')", "0A000"),
            ("copy t to stdout (null E'\\n')", "22023"),
            ("copy t to stdout (quote '''')", "0A000"),
            ("copy t to stdout (force_quote *)", "0A000"),
            ("copy t to stdout (format csv, force_quote a)", "22023"),
            ("copy t to stdout (format csv, quote ',')", "22023"),
            ("copy t to stdout (format csv, null '\"')", "0A000"),
            ("copy t to stdout (format binary, delimiter ',')", "42601"),
            ("copy t to stdout (format binary, header)", "0A000"),
            ("copy t to stdout (format binary, quote 'x')", "0A000"),
        ] {
            assert_eq!(judged(text).unwrap_err().code, code, "{text}");
        }
    }
}
