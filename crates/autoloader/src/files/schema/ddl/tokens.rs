//! Words, names in backquotes, texts and symbols of DDL, each with where it stands.

use std::fmt;

use super::InvalidDdl;

/// A piece of the text.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    /// The character it begins at, from 1.
    pub position: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A keyword, bare name or number.
    Word(&'a str),
    /// A name that stood in backquotes.
    Name(String),
    /// Text in quotes; what it says concerns nobody.
    Text,
    /// One of `<>(),:.`.
    Symbol(char),
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(out, "`{word}`"),
            Self::Name(name) => write!(out, "the name `{name}`"),
            Self::Text => out.write_str("text in quotes"),
            Self::Symbol(symbol) => write!(out, "`{symbol}`"),
        }
    }
}

/// Splits `text`; white space and SQL comments vanish.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, InvalidDdl> {
    let mut reader = Reader { rest: text, position: 1 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_space()?;
        let position = reader.position;
        let Some(first) = reader.rest.chars().next() else {
            return Ok(tokens);
        };
        let kind = match first {
            '`' => Kind::Name(reader.quoted('`', "a closing backquote")?),
            '\'' | '"' => {
                reader.text(first)?;
                Kind::Text
            }
            '<' | '>' | '(' | ')' | ',' | ':' | '.' => {
                reader.advance(1);
                Kind::Symbol(first)
            }
            _ if is_word(first) => {
                let length = reader.rest.find(|next| !is_word(next)).unwrap_or(reader.rest.len());
                Kind::Word(reader.advance(length))
            }
            _ => {
                return Err(InvalidDdl {
                    position,
                    expected: "a name, which needs backquotes if it is unusual, or a type"
                        .to_owned(),
                    found: format!("`{first}`"),
                });
            }
        };
        tokens.push(Token { kind, position });
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

struct Reader<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    /// Goes past `length` bytes, which must end between characters, and returns them.
    fn advance(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.position += taken.chars().count();
        self.rest = rest;
        taken
    }

    /// Goes past what ends with `end`, that included.
    fn past(&mut self, end: &str, expected: &str) -> Result<(), InvalidDdl> {
        let Some(at) = self.rest.find(end) else {
            return Err(self.unclosed(expected));
        };
        self.advance(at + end.len());
        Ok(())
    }

    fn unclosed(&mut self, expected: &str) -> InvalidDdl {
        self.advance(self.rest.len());
        InvalidDdl {
            position: self.position,
            expected: expected.to_owned(),
            found: "the end".to_owned(),
        }
    }

    fn skip_space(&mut self) -> Result<(), InvalidDdl> {
        loop {
            let trimmed = self.rest.trim_start();
            self.advance(self.rest.len() - trimmed.len());
            if self.rest.starts_with("--") {
                let length = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(length);
            } else if self.rest.starts_with("/*") {
                self.advance(2);
                self.past("*/", "`*/`, the end of the comment")?;
            } else {
                return Ok(());
            }
        }
    }

    /// Reads what stands between `quote`s; two in a row stand for one.
    fn quoted(&mut self, quote: char, expected: &str) -> Result<String, InvalidDdl> {
        self.advance(1);
        let mut text = String::new();
        loop {
            let Some(length) = self.rest.find(quote) else {
                return Err(self.unclosed(expected));
            };
            text.push_str(self.advance(length));
            self.advance(1);
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            self.advance(1);
            text.push(quote);
        }
    }

    /// Goes past a text in quotes, in which a backslash takes the next character's meaning.
    fn text(&mut self, quote: char) -> Result<(), InvalidDdl> {
        self.advance(1);
        let mut is_escaped = false;
        for (at, character) in self.rest.char_indices() {
            if !is_escaped && character == quote {
                self.advance(at + 1);
                return Ok(());
            }
            is_escaped = !is_escaped && character == '\\';
        }
        Err(self.unclosed("a closing quote"))
    }
}
