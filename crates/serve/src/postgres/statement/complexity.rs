//! How deep one statement may be, found out before it is parsed: walks of a tree cost stack.

use lake::datafusion::sql::sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

use crate::postgres::failure::Failure;

/// Operators in one statement. Each can add a level to the tree, and every walk of the tree costs
/// stack (see `STACK_BYTES` of the server) and time: the engine's planning is quadratic in them.
const OPERATORS_MAX: usize = 1_000;

/// Set operations in one statement: each is a level with a whole query in it.
const SET_OPERATIONS_MAX: usize = 200;

/// Refuses what would become a tree too deep to walk. The parser's own limit does not see chains
/// such as `1+1+1…`, which it builds in a loop.
pub(super) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<(), Failure> {
    let mut operators = 0;
    let mut set_operations = 0;
    for token in tokens {
        match &token.token {
            Token::Word(word) => match word.keyword {
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => set_operations += 1,
                keyword if is_flat(keyword) => (),
                _ => operators += 1,
            },
            Token::Comma
            | Token::Period
            | Token::LParen
            | Token::RParen
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Placeholder(_) => (),
            _ => operators += 1,
        }
    }
    if operators > OPERATORS_MAX || set_operations > SET_OPERATIONS_MAX {
        return Err(Failure::new("54001", "the statement is too complex")
            .with_hint("Use an IN list instead of a long chain of operators."));
    }
    Ok(())
}

/// True for words that long lists are made of and that nest only within parentheses, where the
/// parser itself counts. Every other keyword counts as an operator: which of them are, now and in
/// the parser's next release, need not be known here.
fn is_flat(keyword: Keyword) -> bool {
    match keyword {
        Keyword::NoKeyword => true,
        // The parts of a query.
        Keyword::SELECT
        | Keyword::DISTINCT
        | Keyword::FROM
        | Keyword::AS
        | Keyword::WHERE
        | Keyword::GROUP
        | Keyword::ORDER
        | Keyword::BY
        | Keyword::ASC
        | Keyword::DESC
        | Keyword::VALUES => true,
        // A list of cases.
        Keyword::CASE | Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::END => true,
        // Values, and what stands before them.
        Keyword::NULL
        | Keyword::TRUE
        | Keyword::FALSE
        | Keyword::DATE
        | Keyword::TIME
        | Keyword::TIMESTAMP
        | Keyword::TIMESTAMPTZ
        | Keyword::INTERVAL => true,
        // Casts and their types.
        Keyword::CAST
        | Keyword::BIGINT
        | Keyword::BOOLEAN
        | Keyword::DECIMAL
        | Keyword::DOUBLE
        | Keyword::INT
        | Keyword::INTEGER
        | Keyword::NUMERIC
        | Keyword::PRECISION
        | Keyword::TEXT
        | Keyword::VARCHAR => true,
        // Functions that lists of columns are made of.
        Keyword::AVG
        | Keyword::COALESCE
        | Keyword::COUNT
        | Keyword::MAX
        | Keyword::MIN
        | Keyword::SUM => true,
        // Columns of our tables.
        Keyword::ACTION
        | Keyword::CLOSE
        | Keyword::EXCHANGE
        | Keyword::FILE
        | Keyword::NAME
        | Keyword::OPEN
        | Keyword::SOURCE
        | Keyword::VOLUME => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
