//! PostgreSQL's dialect → what the engine understands, on the syntax tree.
//!
//! Three kinds of changes: functions about the connection become values (`current_user`), PostgreSQL-only
//! notation becomes plain (`OPERATOR(pg_catalog.~)`, `::regclass`, `AT TIME ZONE`), and subqueries
//! over catalog tables that are always empty here become NULL, which spares the engine the
//! correlated forms that only catalogs use.

use std::ops::ControlFlow;

use lake::datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
        ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value,
        VisitMut as _, VisitorMut,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    catalog::{self, Inventory},
    failure::Failure,
    settings::{DATABASE, Settings},
    zone,
};

mod arrays;
mod empty;
mod formats;
pub(super) mod names;
mod numbers;
mod plain;
mod types;

/// Who asks, for the functions that answer about the connection.
pub(super) struct Asker<'a> {
    pub(super) user: &'a str,
    pub(super) pid: i32,
    pub(super) settings: &'a Settings,
    pub(super) inventory: Option<&'a Inventory>,
}

/// Changes `query` in place.
pub(super) fn rewrite(query: &mut Query, asker: &Asker<'_>) -> Result<(), Failure> {
    if let SetExpr::Select(select) = query.body.as_mut() {
        names::alias_beside_wildcard(&mut select.projection);
        for item in &mut select.projection {
            // Further down, such columns are compared, and reckoned with.
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                if asker.inventory.is_some()
                    && let Some(name) = types::name_of_function(expr)
                {
                    *expr = name;
                }
                numbers::narrow(expr);
                plain::exists(expr, select.from.is_empty());
            }
        }
    }
    match query.visit(&mut Rewriter { asker }) {
        ControlFlow::Break(failure) => Err(*failure),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter<'a> {
    asker: &'a Asker<'a>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<Failure>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let SetExpr::Select(select) = query.body.as_ref() {
            if empty::is_always(select) {
                query.order_by = None;
            } else if select.distinct.is_some() {
                order_by_position(select, query.order_by.as_mut());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        if empty::is_always(select) {
            empty::make(select);
        }
        names::alias_projection(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        // The engine takes the first part of the name for the name of the function.
        if let TableFactor::Table { name, args: Some(_), .. } = factor
            && name.0.len() == 2
            && name.0[0].as_ident().is_some_and(|schema| schema.value == "pg_catalog")
        {
            name.0.remove(0);
        }
        plain::table_function(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let is_empty = |query: &Query| match query.body.as_ref() {
            SetExpr::Select(select) => empty::is_always(select),
            _ => false,
        };
        match expr {
            Expr::InSubquery { expr: wanted, subquery, negated } => {
                let path = self.asker.settings.search_path();
                if let Some(list) = plain::search_path_loop(subquery, &path) {
                    let expr_is = Box::new(take(wanted));
                    *expr = Expr::InList { expr: expr_is, list, negated: *negated };
                }
            }
            Expr::Subquery(query) if is_empty(query) => *expr = null(),
            Expr::Subquery(query) => aggregate_lookup(query),
            Expr::Exists { subquery, negated } if is_empty(subquery) => {
                *expr = boolean(*negated);
            }
            Expr::Function(function) => {
                plain::subscripts(function);
                if let FunctionArguments::Subquery(query) = &mut function.args
                    && last_part(&function.name) == "array"
                {
                    *expr = if is_empty(query) { null_array() } else { arrays::array_of(query) };
                }
            }
            Expr::Cast { expr: inner, data_type, .. } => {
                if let Err(failure) = numbers::spare_floats(inner, data_type) {
                    return ControlFlow::Break(Box::new(failure));
                }
            }
            _ => (),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match self.replace(expr) {
            Ok(Some(replacement)) => *expr = replacement,
            Ok(None) => (),
            Err(failure) => return ControlFlow::Break(Box::new(failure)),
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn replace(&self, expr: &mut Expr) -> Result<Option<Expr>, Failure> {
        Ok(match expr {
            Expr::Collate { expr, .. } => Some(take(expr)),
            Expr::BinaryOp { left, op, right } => {
                if let BinaryOperator::PGCustomBinaryOperator(path) = op
                    && let Some(plain) = path.last().and_then(|symbol| plain_operator(symbol))
                {
                    *op = plain;
                }
                plain::truth(left, right);
                plain::times(left, op, right)
            }
            Expr::Value(value) => match &value.value {
                Value::EscapedStringLiteral(text) => Some(string(text)),
                Value::Number(text, _) => numbers::exact(text)?,
                _ => None,
            },
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. }
                if let Some(items) = arrays::items(right) =>
            {
                Some(in_list(left, items, false))
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right }
                if let Some(items) = arrays::items(right) =>
            {
                Some(in_list(left, items, true))
            }
            Expr::AnyOp { right, .. } if self.asker.inventory.is_some() => {
                if let Expr::Value(value) = right.as_ref()
                    && let Value::Placeholder(name) = &value.value
                    && let Some(list) = arrays::of_catalog_parameter(name)
                {
                    **right = list;
                }
                None
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                if let Expr::Value(value) = time_zone.as_ref()
                    && let Value::SingleQuotedString(name) = &value.value
                {
                    zone::find(name)?;
                }
                let at = call(zone::FUNCTION, take(time_zone));
                at.map(|at| with_argument(at, take(timestamp)))
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                match ident.value.to_ascii_lowercase().as_str() {
                    name @ ("current_schema" | "current_catalog" | "current_user"
                    | "session_user" | "current_role") => self.connection_function(name, &[]),
                    _ => None,
                }
            }
            Expr::Function(function) => self.function(function)?,
            Expr::CompoundFieldAccess { root, access_chain } => plain::access(root, access_chain),
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                plain::like(pattern, escape_char)?;
                None
            }
            Expr::Cast { kind, expr: inner, data_type, .. } => {
                if *kind == CastKind::DoubleColon {
                    *kind = CastKind::Cast;
                }
                types::cast(inner, data_type, self.asker.inventory)?
            }
            _ => None,
        })
    }

    fn function(&self, function: &mut Function) -> Result<Option<Expr>, Failure> {
        let parts = &mut function.name.0;
        let is_qualified = parts.len() == 2
            && parts[0].as_ident().is_some_and(|schema| {
                matches!(schema.value.as_str(), "pg_catalog" | "information_schema")
            });
        if is_qualified {
            parts.remove(0);
        }
        let name = match parts.as_slice() {
            [part] => part.as_ident().map(|name| name.value.to_ascii_lowercase()),
            _ => None,
        };
        let Some(name) = name else { return Ok(None) };
        formats::translate(&name, function)?;
        let arguments: Vec<String> = match &function.args {
            FunctionArguments::List(list) => list.args.iter().map(literal_text).collect(),
            _ => Vec::new(),
        };
        let value = self.connection_function(&name, &arguments);
        Ok(value.or_else(|| plain::function(&name, function)))
    }

    /// Functions whose value is known before the statement runs.
    fn connection_function(&self, name: &str, arguments: &[String]) -> Option<Expr> {
        let asker = self.asker;
        let first_schema = || {
            let path = asker.settings.search_path();
            path.first().map_or_else(null, |schema| string(schema))
        };
        Some(match name {
            "version" => string(&catalog::version_text()),
            "current_database" | "current_catalog" => string(DATABASE),
            "current_schema" => first_schema(),
            "current_schemas" => {
                let with_system = arguments.first().is_some_and(|text| text == "true");
                let system = with_system.then(|| "pg_catalog".to_owned());
                let path = asker.settings.search_path();
                let names: Vec<String> =
                    system.into_iter().chain(path).map(|name| string(&name).to_string()).collect();
                parse_expression(&format!("make_array({})", names.join(", ")))?
            }
            "current_user" | "session_user" | "user" | "current_role" => string(asker.user),
            "pg_backend_pid" => integer(asker.pid),
            "current_setting" => {
                let value = asker.settings.show(arguments.first()?).ok();
                value.map_or_else(null, |value| string(&value))
            }
            // Clients of pools set what is set already; SET is what changes a setting here.
            "set_config" => {
                let [name, value, _] = arguments else { return None };
                let is_set = asker.settings.show(name).is_ok_and(|set| set == *value);
                return is_set.then(|| string(value));
            }
            "pg_is_in_recovery" | "pg_try_advisory_lock" | "pg_is_wal_replay_paused" => {
                boolean(false)
            }
            "pg_advisory_unlock_all" => null(),
            "pg_my_temp_schema" => integer(0),
            "inet_server_addr" | "inet_client_addr" => null(),
            "txid_current" => integer(1),
            _ => return None,
        })
    }
}

/// `expr IN (…)`, which the engine has no words for when there is nothing in it.
fn in_list(expr: &mut Expr, list: Vec<Expr>, negated: bool) -> Expr {
    if list.is_empty() {
        return boolean(negated);
    }
    Expr::InList { expr: Box::new(take(expr)), list, negated }
}

/// The text of a literal argument; of anything else, its SQL.
fn literal_text(argument: &FunctionArg) -> String {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

fn plain_operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn table_name(factor: &TableFactor) -> Vec<String> {
    let TableFactor::Table { name, args: None, .. } = factor else { return Vec::new() };
    name.0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        })
        .collect()
}

/// A correlated lookup in the catalog, `(select x from pg_class c where c.oid = t.relid)`, finds
/// one row at most; the engine wants to see that, in the form of an aggregate.
fn aggregate_lookup(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let is_catalog = select.from.iter().all(|from| {
        table_name(&from.relation).last().is_some_and(|table| table.starts_with("pg_"))
    });
    let is_plain = query.limit_clause.is_none() && select.distinct.is_none();
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    else {
        return;
    };
    if is_catalog
        && is_plain
        && !select.from.is_empty()
        && !names::is_aggregate(expr)
        && let Some(call) = call("min", expr.clone())
    {
        *expr = call;
        query.order_by = None;
    }
}

/// Under DISTINCT the engine finds a column of ORDER BY by its position, not by its expression.
fn order_by_position(select: &Select, order_by: Option<&mut OrderBy>) {
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order_by else { return };
    for key in keys {
        let position = select.projection.iter().position(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                *expr == key.expr && !matches!(expr, Expr::Value(_))
            }
            _ => false,
        });
        let position = position.and_then(|position| i32::try_from(position + 1).ok());
        let has_wildcard = select.projection.iter().any(|item| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        });
        if let Some(position) = position.filter(|_| !has_wildcard) {
            key.expr = integer(position);
        }
    }
}

pub(super) fn parse_expression(sql: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).ok()?.parse_expr().ok()
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}

fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn integer(value: i32) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// An array that is NULL, for functions that insist on an array.
fn null_array() -> Expr {
    parse_expression("CAST(NULL AS TEXT[])").unwrap_or_else(null)
}

/// A call `name(argument)`.
fn call(name: &str, argument: Expr) -> Option<Expr> {
    let call = parse_expression(&format!("{name}()"))?;
    Some(with_argument(call, argument))
}

fn with_argument(mut call: Expr, argument: Expr) -> Expr {
    if let Expr::Function(function) = &mut call
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    }
    call
}

/// The last part of a possibly qualified name, in lower case.
fn last_part(name: &ObjectName) -> String {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .map(|ident| ident.value.to_ascii_lowercase())
        .unwrap_or_default()
}
