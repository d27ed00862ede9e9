//! The names PostgreSQL gives to result columns that have none: `count`, `?column?`.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::LazyLock,
};

use lake::datafusion::{
    functions_aggregate::all_default_aggregate_functions,
    sql::sqlparser::ast::{
        AccessExpr, DataType, Expr, Function, Ident, Query, SelectItem, SetExpr, Visit as _,
        Visitor,
    },
};

use super::last_part;

const UNKNOWN: &str = "?column?";

/// Returns the name PostgreSQL would show, or nothing where it shows `?column?`.
pub(super) fn figure(expr: &Expr) -> Option<String> {
    let shown = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    };
    match expr {
        Expr::Identifier(ident) => Some(shown(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(shown),
        Expr::Function(function) => Some(last_part(&function.name)),
        Expr::Cast { expr, data_type, .. } => figure(expr).or_else(|| Some(type_name(data_type))),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Case { else_result, .. } => {
            let named = else_result.as_ref().and_then(|result| figure(result));
            Some(named.unwrap_or_else(|| "case".to_owned()))
        }
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type)),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(shown(field)),
            _ => figure(root),
        },
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.projection.first().and_then(item_name),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the name of an item's column; nothing for a wildcard.
pub(in crate::postgres) fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(match alias.quote_style {
            Some(_) => alias.value.clone(),
            None => alias.value.to_ascii_lowercase(),
        }),
        SelectItem::UnnamedExpr(expr) => Some(figure(expr).unwrap_or_else(|| UNKNOWN.to_owned())),
        _ => None,
    }
}

/// Returns the names of the result's columns, `None` where the engine's own name holds
/// (wildcards, set operations over them). `width` is the number of columns of the result.
pub(in crate::postgres) fn of_result(query: &Query, width: usize) -> Vec<Option<String>> {
    let mut names = vec![None; width];
    let mut body = query.body.as_ref();
    // A set operation takes the names of its first part; the parser bounds the depth.
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            _ => return names,
        }
    };
    let items = &select.projection;
    let named: Vec<Option<String>> = items.iter().map(item_name).collect();
    let front = named.iter().take_while(|name| name.is_some()).count();
    for (slot, name) in names.iter_mut().zip(&named[..front]) {
        slot.clone_from(name);
    }
    // After a single wildcard, count from the end.
    let back = named.iter().rev().take_while(|name| name.is_some()).count();
    if front + back == named.len().saturating_sub(1) && width >= front + back {
        for (slot, name) in names.iter_mut().rev().zip(named.iter().rev().take(back)) {
            slot.clone_from(name);
        }
    }
    names
}

/// Gives unnamed expressions the names PostgreSQL would, so that outer queries find them and the
/// engine accepts the same expression twice.
pub(super) fn alias_projection(items: &mut [SelectItem]) {
    let mut taken = Taken::default();
    for name in items.iter().filter(|item| !needs_alias(item)).filter_map(item_name) {
        taken.0.entry(name).or_insert(2);
    }
    for item in items.iter_mut() {
        if !needs_alias(item) {
            continue;
        }
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let name = figure(expr).unwrap_or_else(|| UNKNOWN.to_owned());
        let alias = unique(&name, &mut taken);
        let expr = std::mem::replace(expr, super::null());
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
    }
}

/// Sets the columns of a result that are named beside a wildcard apart from those behind it:
/// `SELECT n.oid, n.*` has two that are called `oid`. The result shows the plain names.
pub(super) fn alias_beside_wildcard(items: &mut [SelectItem]) {
    let is_wildcard = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    if !items.iter().any(is_wildcard) {
        return;
    }
    for (number, item) in (1..).zip(items.iter_mut()) {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let Some(name) = figure(expr).filter(|_| !needs_alias_of(expr)) else { continue };
        let expr = std::mem::replace(expr, super::null());
        let alias = Ident::with_quote('"', format!("{name} {number}"));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

/// The names of a list so far, each with the number that its next namesake tries first.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<String, u32>);

/// Returns `name`, or `name` with a number when it is taken. The number only keeps the engine's
/// names apart: a result shows the plain one.
pub(super) fn unique(name: &str, taken: &mut Taken) -> String {
    let Some(mut number) = taken.0.get(name).copied() else {
        taken.0.insert(name.to_owned(), 2);
        return name.to_owned();
    };
    // Skips what somebody wrote as a name, each at most once.
    let alias = loop {
        let alias = format!("{name} {number}");
        number = number.saturating_add(1);
        if !taken.0.contains_key(&alias) {
            break alias;
        }
    };
    taken.0.insert(name.to_owned(), number);
    taken.0.insert(alias.clone(), 2);
    alias
}

/// The catalog's name of a type as somebody wrote it: `int` is `int4`.
fn type_name(data_type: &DataType) -> String {
    let written = data_type.to_string().to_ascii_lowercase();
    let bare = written.split('(').next().unwrap_or_default().trim();
    let name = match bare {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "double precision" | "double" | "float" => "float8",
        "real" => "float4",
        "decimal" | "dec" => "numeric",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    };
    name.to_owned()
}

fn needs_alias(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) => needs_alias_of(expr),
        _ => false,
    }
}

fn needs_alias_of(expr: &Expr) -> bool {
    !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// True when a call in `expr` makes one row out of none. Subqueries count for themselves.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    has_call(expr, |function| {
        function.over.is_none() && AGGREGATES.contains(last_part(&function.name).as_str())
    })
}

/// True when a call in `expr` looks at other rows of the result.
pub(super) fn is_window(expr: &Expr) -> bool {
    has_call(expr, |function| function.over.is_some())
}

/// The engine's aggregates and their other names.
static AGGREGATES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    all_default_aggregate_functions()
        .iter()
        .flat_map(|function| {
            std::iter::once(function.name().to_owned()).chain(function.aliases().iter().cloned())
        })
        .collect()
});

fn has_call(expr: &Expr, wanted: impl Fn(&Function) -> bool) -> bool {
    struct Search<F> {
        wanted: F,
        /// How many subqueries are around what is visited.
        depth: usize,
    }

    impl<F: Fn(&Function) -> bool> Visitor for Search<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.depth == 0 && (self.wanted)(function) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }

    expr.visit(&mut Search { wanted, depth: 0 }).is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_the_next_free_number() {
        let mut taken = Taken::default();
        let mut next = |name: &str| unique(name, &mut taken);
        assert_eq!(next("count"), "count");
        assert_eq!(next("count 3"), "count 3");
        assert_eq!(next("count"), "count 2");
        assert_eq!(next("count"), "count 4");
        assert_eq!(next("count 2"), "count 2 2");
        assert_eq!(next("sum"), "sum");
    }
}
