//! The table functions of a query as the queries they stand for. Pure.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Function, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Statement,
        TableAlias, TableFactor, Value, VisitMut, VisitorMut, WindowType,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::Token,
};

use super::{
    MarketError, as_of,
    functions::{AS_OF, MOVING, RESAMPLE},
    resample,
};

/// Replaces every `resample(…)` and `as_of(…)` in the statement or query.
///
/// # Errors
/// One is called in a way that has no answer, or a moving average has no order, or a filter.
pub fn expand(part: &mut impl VisitMut) -> Result<(), MarketError> {
    match part.visit(&mut Expander) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Returns whether a function in FROM is one of ours.
#[must_use]
pub fn is_table_function(name: &str) -> bool {
    [RESAMPLE, AS_OF].contains(&name)
}

struct Expander;

impl VisitorMut for Expander {
    type Break = MarketError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<MarketError> {
        // What takes its place is visited next, with the functions in it.
        match expanded(factor) {
            Ok(Some(query)) => *factor = query,
            Ok(None) => (),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<MarketError> {
        if let Expr::Function(Function { name, over, filter, .. }) = expr
            && (filter.is_some() || !is_ordered(over.as_ref()))
            && let [part] = name.0.as_slice()
            && let Some(name) = part.as_ident()
            && let Some((function, _)) =
                MOVING.iter().find(|(known, _)| name.value.eq_ignore_ascii_case(known))
        {
            return ControlFlow::Break(MarketError::WithoutOver { function });
        }
        ControlFlow::Continue(())
    }
}

/// Whether rows come in an order that the statement says. What a named window says is seen where it
/// is named.
fn is_ordered(over: Option<&WindowType>) -> bool {
    match over {
        None => false,
        Some(WindowType::NamedWindow(_)) => true,
        Some(WindowType::WindowSpec(spec)) => {
            spec.window_name.is_some() || !spec.order_by.is_empty()
        }
    }
}

fn expanded(factor: &TableFactor) -> Result<Option<TableFactor>, MarketError> {
    let TableFactor::Table { name, args: Some(arguments), alias, sample, .. } = factor else {
        return Ok(None);
    };
    let [part] = name.0.as_slice() else { return Ok(None) };
    let name = part.as_ident().map(|name| name.value.to_ascii_lowercase()).unwrap_or_default();
    let query = match name.as_str() {
        RESAMPLE => resample::query(&expressions(&arguments.args))?,
        AS_OF => as_of::query(&expressions(&arguments.args))?,
        _ => return Ok(None),
    };
    let alias = alias.clone().unwrap_or_else(|| alias_of(&name));
    let (subquery, sample) = (Box::new(query), sample.clone());
    Ok(Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample }))
}

/// The arguments; of another kind than plain ones, none, which no function takes.
fn expressions(arguments: &[FunctionArg]) -> Vec<Expr> {
    let plain = arguments.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect::<Option<Vec<Expr>>>().unwrap_or_default()
}

fn alias_of(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

/// A query to read from.
pub(super) fn derived(query: Query) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: None, sample: None }
}

/// What is put into a query of ours.
pub(super) struct Template<'a> {
    /// What is read from instead of `__bars`.
    pub bars: Option<&'a TableFactor>,
    /// What stands instead of the column of a name.
    pub values: &'a [(&'a str, &'a Expr)],
}

impl Template<'_> {
    /// Returns the query. The text is ours, and a test parses each.
    pub(super) fn fill(mut self, sql: &str) -> Option<Query> {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).ok()?;
        let Ok(Statement::Query(mut query)) = parser.parse_statement() else { return None };
        // Neither part ever breaks off.
        let ControlFlow::Continue(()) = query.visit(&mut self);
        Some(*query)
    }
}

impl VisitorMut for Template<'_> {
    type Break = std::convert::Infallible;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let (TableFactor::Table { name, .. }, Some(bars)) = (&*factor, self.bars)
            && name.to_string() == "__bars"
        {
            *factor = bars.clone();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Identifier(ident) = &*expr
            && let Some((_, value)) = self.values.iter().find(|(name, _)| ident.value == *name)
        {
            *expr = Expr::clone(value);
        }
        ControlFlow::Continue(())
    }
}

/// The name of a table, written as a name or as a text.
pub(super) fn table_name(expr: &Expr) -> Option<ObjectName> {
    match expr {
        Expr::Identifier(ident) => Some(ObjectName::from(vec![ident.clone()])),
        Expr::CompoundIdentifier(parts) => Some(ObjectName::from(parts.clone())),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => {
                let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).ok()?;
                let name = parser.parse_object_name(false).ok()?;
                let is_whole = parser.peek_token().token == Token::EOF;
                is_whole.then_some(name)
            }
            _ => None,
        },
        _ => None,
    }
}

/// A table to read from.
pub(super) fn table(name: ObjectName) -> Option<TableFactor> {
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&name.to_string()).ok()?;
    parser.parse_table_factor().ok()
}

/// Schema and name of a table, in lower case where they are not quoted; the lake's name before
/// them is left out.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    let mut parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        })
        .collect();
    if parts.len() == 3 && parts[0] == "marketlake" {
        parts.remove(0);
    }
    parts
}
