//! Arrays: `ARRAY(select …)` as the aggregate that makes the same array, and lists as parameters.

use lake::datafusion::sql::sqlparser::ast::{
    DataType, Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr,
    Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    Value,
};

use super::{call, names, null, null_array, parse_expression, string};

/// The column of the subquery whose values the array holds; its keys are `k1`, `k2`, ….
const ITEM: &str = "item";

/// `kind = ANY($1)` in a query about the catalog, where the parameter is an array in text form:
/// `{"r", "v"}`. Kinds are letters, with no commas or spaces in them.
pub(super) fn of_catalog_parameter(placeholder: &str) -> Option<Expr> {
    let items = format!("btrim(CAST({placeholder} AS TEXT), '{{}}')");
    let items = format!("replace(replace({items}, '\"', ''), ' ', '')");
    parse_expression(&format!("string_to_array({items}, ',')"))
}

/// The items of an array that is written down, `'{a,"b c"}'::text[]`, for `= ANY` and `<> ALL`.
pub(super) fn items(array: &Expr) -> Option<Vec<Expr>> {
    let Expr::Cast { expr, data_type: DataType::Array(_), .. } = array else { return None };
    let Expr::Value(value) = expr.as_ref() else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let item = match rest.strip_prefix('"') {
            // Characters behind a backslash are for arrays that no tool writes down.
            Some(quoted) => {
                let (item, after) =
                    quoted.split_once('"').filter(|(item, _)| !item.contains('\\'))?;
                rest = after;
                string(item)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let item = rest[..end].trim();
                rest = &rest[end..];
                if item.is_empty() || item.contains(['{', '}', '"', '\\']) {
                    return None;
                }
                if item.eq_ignore_ascii_case("null") { null() } else { string(item) }
            }
        };
        items.push(item);
        rest = match rest.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => more,
            Some(_) => return None,
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(items)
}

/// Returns the subquery that makes the array. The order is said to the aggregate, because the
/// engine does not keep that of a subquery.
pub(super) fn array_of(query: &mut Box<Query>) -> Expr {
    let keys = match query.order_by.take() {
        Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) => keys,
        _ => Vec::new(),
    };
    if query.limit_clause.is_none()
        && query.fetch.is_none()
        && let SetExpr::Select(select) = query.body.as_mut()
        && is_plain(select)
    {
        return in_place(query, keys);
    }
    around(query, keys)
}

/// True where one row of the result is one row of the tables. Only then can the aggregate take the
/// place of the column, which the engine needs for subqueries that look at the outer row.
fn is_plain(select: &Select) -> bool {
    let is_grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
        GroupByExpr::All(_) => true,
    };
    let is_row = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            !names::is_aggregate(expr) && !names::is_window(expr)
        }
        _ => false,
    };
    select.distinct.is_none()
        && !is_grouped
        && select.having.is_none()
        && select.qualify.is_none()
        && select.projection.len() == 1
        && select.projection.iter().all(is_row)
}

fn in_place(query: &mut Box<Query>, mut keys: Vec<OrderByExpr>) -> Expr {
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(column) = select.projection.first_mut()
    {
        let named: Vec<bool> = keys.iter().map(|key| names_column(key, Some(column))).collect();
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = column {
            for (key, is_column) in keys.iter_mut().zip(named) {
                if is_column {
                    key.expr = expr.clone();
                }
            }
            *expr = aggregate(expr.clone(), keys).unwrap_or_else(null_array);
        }
    }
    Expr::Subquery(query.clone())
}

/// `(SELECT array_agg(item ORDER BY k1) FROM (…) AS rows (item, k1))`
fn around(query: &mut Query, keys: Vec<OrderByExpr>) -> Expr {
    let mut columns = vec![Ident::new(ITEM)];
    let mut outer_keys = Vec::new();
    let mut needs_order = query.limit_clause.is_some() || query.fetch.is_some();
    for (number, key) in (1..).zip(&keys) {
        let column = match query.body.as_mut() {
            // Under DISTINCT and in set operations there is nothing but the column to order by.
            SetExpr::Select(select)
                if !matches!(select.distinct, Some(Distinct::Distinct))
                    && !names_column(key, select.projection.first()) =>
            {
                needs_order |= select.distinct.is_some();
                let alias = Ident::new(format!("k{number}"));
                let expr = key.expr.clone();
                select.projection.push(SelectItem::ExprWithAlias { expr, alias: alias.clone() });
                columns.push(alias.clone());
                alias
            }
            _ => Ident::new(ITEM),
        };
        outer_keys.push(OrderByExpr { expr: Expr::Identifier(column), ..key.clone() });
    }
    // Which rows there are can depend on the order, too.
    if needs_order && !keys.is_empty() {
        let kind = OrderByKind::Expressions(keys);
        query.order_by = Some(OrderBy { kind, interpolate: None });
    }
    frame(query, &columns, outer_keys).unwrap_or_else(null_array)
}

fn frame(query: &Query, columns: &[Ident], keys: Vec<OrderByExpr>) -> Option<Expr> {
    let columns = columns.iter().map(Ident::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!("(SELECT x FROM (SELECT 1) AS rows ({columns}))");
    let mut frame = parse_expression(&sql)?;
    let Expr::Subquery(outer) = &mut frame else { return None };
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    let item = Expr::Identifier(Ident::new(ITEM));
    select.projection = vec![SelectItem::UnnamedExpr(aggregate(item, keys)?)];
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **subquery = query.clone();
    Some(frame)
}

/// True for a key that is the column, by position or by alias.
fn names_column(key: &OrderByExpr, column: Option<&SelectItem>) -> bool {
    match (&key.expr, column) {
        (Expr::Value(value), _) => matches!(&value.value, Value::Number(text, _) if text == "1"),
        (Expr::Identifier(ident), Some(SelectItem::ExprWithAlias { alias, .. })) => {
            alias.value == ident.value
        }
        _ => false,
    }
}

/// `array_agg(expr ORDER BY keys)`
fn aggregate(expr: Expr, keys: Vec<OrderByExpr>) -> Option<Expr> {
    let mut array = call("array_agg", expr)?;
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut array
        && !keys.is_empty()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(keys));
    }
    Some(array)
}
