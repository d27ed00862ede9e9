//! How deep one statement may be, and how long its lists: found out before it is planned.
//!
//! Planning runs without a pause in which a timeout or a cancel request could end it, and walks of
//! a tree cost stack. What the engine makes of the tree is counted in `expansion`.

use std::ops::ControlFlow;

use lake::datafusion::sql::sqlparser::{
    ast::{Expr, GroupByExpr, OrderByKind, Query, Select, SetExpr, Visit as _, Visitor},
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

use crate::postgres::failure::Failure;

/// Operators in one statement. Each can add a level to the tree, and every walk of the tree costs
/// stack (see `STACK_BYTES` of the server) and time: the engine's planning is quadratic in them.
const OPERATORS_MAX: usize = 1_000;

/// Set operations in one statement: each is a level with a whole query in it.
const SET_OPERATIONS_MAX: usize = 200;

/// Items in one list of columns: PostgreSQL's own limit. The protocol counts columns in 16 bits,
/// and the engine compares each with each.
pub(crate) const COLUMNS_MAX: usize = 1_664;

/// Columns of one CUBE, as in PostgreSQL: it stands for two to the power of their number of
/// groupings.
const CUBE_MAX: usize = 12;

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

/// Refuses a tree whose lists are too long.
pub(super) fn check_lists(query: &Query) -> Result<(), Failure> {
    match query.visit(&mut Lists) {
        ControlFlow::Break(failure) => Err(*failure),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Lists;

impl Visitor for Lists {
    type Break = Box<Failure>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        check_columns(values_width(&query.body), "VALUES lists")?;
        match query.order_by.as_ref().map(|order_by| &order_by.kind) {
            Some(OrderByKind::Expressions(keys)) => check_columns(keys.len(), "ORDER BY lists"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        check_columns(select.projection.len(), "target lists")?;
        match &select.group_by {
            GroupByExpr::Expressions(keys, _) => check_columns(keys.len(), "GROUP BY lists"),
            GroupByExpr::All(_) => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Cube(columns) if columns.len() > CUBE_MAX => {
                let text = format!("CUBE is limited to {CUBE_MAX} elements");
                ControlFlow::Break(Box::new(Failure::new("54011", text)))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The columns of VALUES, also as a part of a set operation, whose depth is bounded.
pub(super) fn values_width(body: &SetExpr) -> usize {
    match body {
        SetExpr::Values(values) => {
            values.rows.iter().map(|row| row.content.len()).max().unwrap_or_default()
        }
        SetExpr::SetOperation { left, right, .. } => values_width(left).max(values_width(right)),
        _ => 0,
    }
}

fn check_columns(count: usize, what: &str) -> ControlFlow<Box<Failure>> {
    if count <= COLUMNS_MAX {
        return ControlFlow::Continue(());
    }
    let text = format!("{what} can have at most {COLUMNS_MAX} entries");
    ControlFlow::Break(Box::new(Failure::new("54011", text)))
}

#[cfg(test)]
mod tests;
