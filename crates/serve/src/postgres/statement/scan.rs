//! Reads a statement token by token, for the commands whose grammar is PostgreSQL's alone.

use lake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::postgres::failure::Failure;

/// A place within a statement.
pub(super) struct Scan<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) const fn new(tokens: &'a [TokenWithSpan]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    /// The next token, whatever it is.
    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// True when only one token is left.
    pub(super) const fn is_last(&self) -> bool {
        self.at + 1 == self.tokens.len()
    }

    /// How many tokens have been read.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The next token as an unquoted word in lower case; nothing else is a keyword.
    pub(super) fn peek_keyword(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                Some(word.value.to_ascii_lowercase())
            }
            _ => None,
        }
    }

    /// Reads `keyword` if it comes next.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek_keyword().is_some_and(|word| word == keyword);
        self.at += usize::from(found);
        found
    }

    /// Reads `symbol` if it comes next.
    pub(super) fn take_symbol(&mut self, symbol: &Token) -> bool {
        let found = self.peek() == Some(symbol);
        self.at += usize::from(found);
        found
    }

    /// Reads a name; one that is not quoted is in lower case, as everywhere in PostgreSQL.
    pub(super) fn name(&mut self) -> Result<String, Failure> {
        let name = match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                word.value.to_ascii_lowercase()
            }
            Some(Token::Word(word)) if !word.value.is_empty() => word.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(name)
    }

    /// Reads a string literal if one comes next.
    pub(super) fn take_string(&mut self) -> Option<String> {
        match self.peek()? {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                self.at += 1;
                Some(text.clone())
            }
            _ => None,
        }
    }

    /// Reads a whole number with its sign if one comes next. One that is too large for the type
    /// is as large as the type allows: nobody counts so far.
    pub(super) fn take_integer(&mut self) -> Result<Option<i64>, Failure> {
        let start = self.at;
        let is_negative = self.take_symbol(&Token::Minus);
        if !is_negative {
            self.take_symbol(&Token::Plus);
        }
        let Some(Token::Number(digits, _)) = self.peek() else {
            if self.at > start {
                return Err(self.unexpected());
            }
            return Ok(None);
        };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        self.at += 1;
        let value = digits.parse().unwrap_or(i64::MAX);
        Ok(Some(if is_negative { -value } else { value }))
    }

    /// Fails unless everything has been read.
    pub(super) fn end(&self) -> Result<(), Failure> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// What is wrong with the next token.
    pub(super) fn unexpected(&self) -> Failure {
        match self.peek() {
            Some(token) => Failure::syntax(format!("syntax error at or near \"{token}\"")),
            None => Failure::syntax("syntax error at end of input"),
        }
    }
}
