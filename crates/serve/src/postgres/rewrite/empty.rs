//! Queries over catalog tables that are always empty here: their columns, and no rows.

use lake::datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, Ident, Join, JoinOperator, Select, SelectItem,
    TableFactor,
};

use super::{boolean, names, null, table_name};
use crate::postgres::catalog;

/// True when an inner join over an always empty catalog table leaves nothing, and no aggregate
/// makes a row out of nothing.
pub(super) fn is_always(select: &Select) -> bool {
    let named = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            !names::is_aggregate(expr)
        }
        _ => false,
    };
    // HAVING without groups is about the one group of all rows, even of none.
    if !select.projection.iter().all(named) || select.having.is_some() {
        return false;
    }
    select.from.iter().any(|from| {
        let inner = |op: &JoinOperator| {
            matches!(
                op,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            )
        };
        let keeps_first = from.joins.iter().all(|join| {
            inner(&join.join_operator)
                || matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_))
        });
        let inner_empty =
            |join: &Join| inner(&join.join_operator) && is_empty_table(&join.relation);
        keeps_first && (is_empty_table(&from.relation) || from.joins.iter().any(inner_empty))
    })
}

fn is_empty_table(factor: &TableFactor) -> bool {
    // But for the columns of keys, arrays in the catalog are always NULL here, and only catalog
    // queries write `pg_catalog.` before a function.
    if let TableFactor::Table { name, args: Some(arguments), .. } = factor {
        let is_key = |argument: &FunctionArg| {
            let text = argument.to_string().to_ascii_lowercase();
            ["conkey", "confkey", "indkey"].iter().any(|column| text.ends_with(column))
        };
        return name.to_string().eq_ignore_ascii_case("pg_catalog.unnest")
            && !arguments.args.iter().any(is_key);
    }
    match table_name(factor).as_slice() {
        [table] => catalog::is_always_empty(None, table),
        [schema, table] => catalog::is_always_empty(Some(schema), table),
        _ => false,
    }
}

/// Keeps the names of the columns and nothing else.
pub(super) fn make(select: &mut Select) {
    let mut taken = names::Taken::default();
    for item in &mut select.projection {
        let (SelectItem::ExprWithAlias { .. } | SelectItem::UnnamedExpr(_)) = item else {
            continue;
        };
        let name = names::item_name(item).unwrap_or_default();
        let text = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(null()),
            data_type: DataType::Text,
            array: false,
            format: None,
        };
        let alias = Ident::with_quote('"', names::unique(&name, &mut taken));
        *item = SelectItem::ExprWithAlias { expr: text, alias };
    }
    select.from.clear();
    select.selection = Some(boolean(false));
    select.having = None;
    select.distinct = None;
}
