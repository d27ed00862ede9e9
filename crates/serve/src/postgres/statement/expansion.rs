//! How large the engine's plan of a query becomes, found out before it is made.
//!
//! A short text can stand for a plan without end, in three ways:
//!
//! - The plan of a CTE is put wherever its name is used. In a chain of CTEs, each of which uses
//!   the one before it twice, the number of tables doubles with every link.
//! - Each join has the columns of both sides, so that columns grow with the square of the tables.
//! - A condition is moved down to the table it is about, and each column in it is replaced by its
//!   expression on the way. Where that has the column below it twice, as in `x + x as x`, the
//!   condition doubles with every level.
//!
//! What is not known here, such as the columns of a table, is taken for what is usual; where names
//! are ambiguous, the greatest of their meanings counts.

use std::{collections::HashMap, ops::ControlFlow, rc::Rc};

use lake::datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, Visit, Visitor,
};

use super::complexity::values_width;
use crate::postgres::{failure::Failure, rewrite::names};

/// Tables in one statement, each as often as the engine copies it. BI tools write some dozens.
const TABLES_MAX: u64 = 200;

/// Tables that a view of the schema `bi` reads from.
const TABLES_OF_VIEW: u64 = 5;

/// Columns that all tables, subqueries and joins of a statement hand on, each as often as the
/// engine copies it. A hundred tables in one FROM come to 162,000: the first join hands on 64
/// columns, the last 3,200. They are planned in about a second.
const COLUMNS_MAX: u64 = 200_000;

/// Columns of tables that one expression stands for after every column in it was replaced by its
/// own expression, down to the tables.
const REFERENCES_MAX: u64 = 10_000;

/// Columns of a table of the lake, some more than most of them have.
const TABLE_COLUMNS: u64 = 32;

/// Refuses a query whose plan would be too large.
pub(super) fn check(query: &Query) -> Result<(), Failure> {
    match query.visit(&mut Expansion::default()) {
        ControlFlow::Break(failure) => Err(*failure),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// What a query or a table is to whoever reads from it.
#[derive(Clone, Debug, Default)]
struct Relation {
    /// With all that is in the CTEs that it reads.
    whole: Size,
    /// As it is written.
    own: Size,
    /// Its own columns.
    width: u64,
    references: References,
}

impl Relation {
    /// Something of which only the name is known.
    fn table() -> Self {
        let one = Size { tables: 1, columns: 0 };
        let references = References::default();
        Self { whole: one, own: one, width: TABLE_COLUMNS, references }
    }
}

/// What a query consists of.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    tables: u64,
    /// What is handed on inside of it.
    columns: u64,
}

impl Size {
    fn add(&mut self, tables: u64, columns: u64) {
        self.tables = self.tables.saturating_add(tables);
        self.columns = self.columns.saturating_add(columns);
    }
}

/// How many columns of tables each column stands for.
#[derive(Clone, Debug, Default)]
struct References {
    by_name: HashMap<String, u64>,
    /// For all other names.
    otherwise: u64,
}

impl References {
    fn of(&self, name: &str) -> u64 {
        self.by_name.get(name).copied().unwrap_or_default().max(self.otherwise).max(1)
    }

    fn add(&mut self, name: String, count: u64) {
        // Most columns stand for themselves: they need no entry.
        if count > 1 {
            let known = self.by_name.entry(name).or_default();
            *known = count.max(*known);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.otherwise = self.otherwise.max(other.otherwise);
        for (name, count) in &other.by_name {
            self.add(name.clone(), *count);
        }
    }

    /// Forgets which column is which, as where they get other names.
    fn flatten(&mut self) {
        let greatest = self.by_name.drain().map(|(_, count)| count).max().unwrap_or_default();
        self.otherwise = self.otherwise.max(greatest);
    }
}

/// A query on whose inside the walk is.
#[derive(Default)]
struct OpenQuery {
    relation: Relation,
    /// Names of the query's CTEs that were not visited yet, the next one last, and whether their
    /// columns are renamed. They are visited before everything else in a query, in the order in
    /// which they are written.
    unvisited: Vec<(String, bool)>,
    /// How many CTEs could be seen outside of it.
    outer_ctes: usize,
    /// What the current SELECT reads from so far, by the name it has there.
    from: Vec<(String, Relation)>,
}

#[derive(Default)]
struct Expansion {
    /// The queries around the current place, outermost first.
    open: Vec<OpenQuery>,
    /// The CTEs that can be seen from here.
    ctes: Vec<(String, Rc<Relation>)>,
    /// The query that was left last.
    closed: Relation,
}

type Walk = ControlFlow<Box<Failure>>;

impl Expansion {
    /// Counts what a part adds to the query around it.
    fn add(&mut self, whole: Size, own: Size) -> Walk {
        let Some(query) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        let relation = &mut query.relation;
        relation.whole.add(whole.tables, whole.columns);
        relation.own.add(own.tables, own.columns);
        let hint = "A WITH query counts with all that it reads, each time its name is used.";
        if relation.whole.tables > TABLES_MAX {
            let text = format!("the statement reads more than {TABLES_MAX} tables");
            return refuse(text, hint);
        }
        if relation.whole.columns > COLUMNS_MAX {
            return refuse("the statement joins too many columns", hint);
        }
        ControlFlow::Continue(())
    }

    /// What a name in FROM stands for: a CTE, else a table.
    fn named(&self, name: &ObjectName) -> Relation {
        let name = key(name.0.iter().filter_map(|part| part.as_ident()));
        let mut all = self.ctes.iter().filter(|(cte, _)| *cte == name);
        let Some((_, first)) = all.next() else {
            return Relation::table();
        };
        let mut relation = Relation::clone(first);
        for (_, other) in all {
            relation.whole.tables = relation.whole.tables.max(other.whole.tables);
            relation.whole.columns = relation.whole.columns.max(other.whole.columns);
            relation.width = relation.width.max(other.width);
            relation.references.merge(&other.references);
        }
        relation
    }

    /// Adds to what the current SELECT reads from, and joins it to what is there.
    fn read_from(
        &mut self,
        name: String,
        alias: Option<&TableAlias>,
        mut relation: Relation,
    ) -> Walk {
        if alias.is_some_and(|alias| !alias.columns.is_empty()) {
            relation.references.flatten();
        }
        let name = alias.map_or(name, alias_key);
        let Some(query) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        query.from.push((name, relation));
        let joined = Size { tables: 0, columns: width_of_all(&query.from) };
        self.add(joined, joined)
    }
}

fn width_of_all(from: &[(String, Relation)]) -> u64 {
    from.iter().fold(0, |width, (_, relation)| width.saturating_add(relation.width))
}

/// A name without quotes and case.
fn key<'a>(parts: impl Iterator<Item = &'a Ident>) -> String {
    let parts: Vec<String> = parts.map(|ident| ident.value.to_lowercase()).collect();
    parts.join(".")
}

fn alias_key(alias: &TableAlias) -> String {
    key(std::iter::once(&alias.name))
}

fn refuse(text: impl Into<String>, hint: &str) -> Walk {
    ControlFlow::Break(Box::new(Failure::new("54001", text).with_hint(hint)))
}

impl Visitor for Expansion {
    type Break = Box<Failure>;

    fn pre_visit_query(&mut self, query: &Query) -> Walk {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables).rev();
        let alias = |alias: &TableAlias| (alias_key(alias), !alias.columns.is_empty());
        let unvisited = ctes.map(|cte| alias(&cte.alias)).collect();
        let outer_ctes = self.ctes.len();
        self.open.push(OpenQuery { unvisited, outer_ctes, ..OpenQuery::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> Walk {
        let Some(OpenQuery { mut relation, outer_ctes, .. }) = self.open.pop() else {
            return ControlFlow::Continue(());
        };
        self.ctes.truncate(outer_ctes);
        // A query without a table is work, too.
        relation.whole.tables = relation.whole.tables.max(1);
        relation.own.tables = relation.own.tables.max(1);
        if !matches!(query.body.as_ref(), SetExpr::Select(_)) {
            let width = u64::try_from(values_width(&query.body)).unwrap_or(u64::MAX);
            relation.width = relation.width.max(width);
            // The parts of a set operation share positions, not names.
            relation.references.flatten();
        }
        let (whole, own) = (relation.whole, relation.own);
        match self.open.last_mut().and_then(|outer| outer.unvisited.pop()) {
            Some((name, renames)) => {
                if renames {
                    relation.references.flatten();
                }
                self.ctes.push((name, Rc::new(relation)));
                // It is planned here, on top of the plans of those that it reads.
                self.add(own, own)
            }
            None => {
                self.closed = relation;
                self.add(whole, own)
            }
        }
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> Walk {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let relation = self.named(name);
                let last = key(name.0.iter().filter_map(|part| part.as_ident()).rev().take(1));
                let is_query =
                    lake::bi::view(&last).is_some() || lake::market::is_table_function(&last);
                let tables = if is_query { TABLES_OF_VIEW } else { 1 };
                self.add(relation.whole, Size { tables, columns: 0 })?;
                self.read_from(last, alias.as_ref(), relation)
            }
            TableFactor::Derived { sample: Some(_), .. } => {
                let failure = Failure::unsupported("TABLESAMPLE of a subquery is not supported");
                ControlFlow::Break(Box::new(failure))
            }
            TableFactor::Derived { alias, .. } => {
                // It was counted when it was left.
                let relation = std::mem::take(&mut self.closed);
                self.read_from(String::new(), alias.as_ref(), relation)
            }
            // What is inside was read from already.
            TableFactor::NestedJoin { alias: None, .. } => ControlFlow::Continue(()),
            TableFactor::NestedJoin { alias: Some(_), .. } => {
                for (_, relation) in self.open.last_mut().into_iter().flat_map(|q| &mut q.from) {
                    relation.references.flatten();
                }
                ControlFlow::Continue(())
            }
            _ => {
                let relation = Relation::table();
                self.add(relation.whole, relation.own)?;
                self.read_from(String::new(), None, relation)
            }
        }
    }

    fn post_visit_select(&mut self, select: &Select) -> Walk {
        let Some(query) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        let from = std::mem::take(&mut query.from);
        let mut known = References::default();
        for (_, relation) in &from {
            known.merge(&relation.references);
        }
        let width_of_all = width_of_all(&from);
        let width_of = |name: &ObjectName| {
            let name = key(name.0.iter().filter_map(|part| part.as_ident()).rev().take(1));
            let named = from.iter().filter(|(known, _)| *known == name);
            named.map(|(_, relation)| relation.width).max().unwrap_or(width_of_all)
        };

        let (mut width, mut references) = (0_u64, References::default());
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) => {
                    width = width.saturating_add(width_of_all);
                    references.merge(&known);
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    width = width.saturating_add(match kind {
                        SelectItemQualifiedWildcardKind::ObjectName(name) => width_of(name),
                        SelectItemQualifiedWildcardKind::Expr(_) => width_of_all,
                    });
                    references.merge(&known);
                }
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    width = width.saturating_add(1);
                    let count = count(expr, &known)?;
                    let name = names::item_name(item).unwrap_or_default();
                    references.add(name.to_lowercase(), count);
                }
                SelectItem::ExprWithAliases { expr, aliases } => {
                    width = width.saturating_add(u64::try_from(aliases.len()).unwrap_or(u64::MAX));
                    let count = count(expr, &known)?;
                    references.otherwise = references.otherwise.max(count);
                }
            }
        }
        for condition in select.selection.iter().chain(&select.having) {
            count(condition, &known)?;
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            count(&join.join_operator, &known)?;
        }
        let relation = &mut query.relation;
        relation.width = relation.width.max(width);
        relation.references.merge(&references);
        ControlFlow::Continue(())
    }
}

/// Counts what the columns in a part of the tree stand for.
fn count(part: &impl Visit, known: &References) -> ControlFlow<Box<Failure>, u64> {
    let mut counter = Counter { known, count: 0 };
    match part.visit(&mut counter) {
        ControlFlow::Break(failure) => ControlFlow::Break(failure),
        ControlFlow::Continue(()) => ControlFlow::Continue(counter.count),
    }
}

struct Counter<'a> {
    known: &'a References,
    count: u64,
}

impl Visitor for Counter<'_> {
    type Break = Box<Failure>;

    fn pre_visit_expr(&mut self, expr: &Expr) -> Walk {
        let name = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if let Some(name) = name {
            self.count = self.count.saturating_add(self.known.of(&name.value.to_lowercase()));
        }
        if self.count <= REFERENCES_MAX {
            return ControlFlow::Continue(());
        }
        refuse(
            "the statement is too complex",
            "An expression of nested queries grows with every query that uses a column twice.",
        )
    }
}

#[cfg(test)]
mod tests;
