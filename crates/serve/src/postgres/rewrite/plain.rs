//! PostgreSQL's own functions and notations in those that the engine has.

use lake::datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Query, SetExpr, Subscript, TableAliasColumnDef,
    TableFactor, TableWithJoins, UnaryOperator, Value, ValueWithSpan,
};

use super::{boolean, call, integer, last_part, parse_expression, string, take, with_argument};
use crate::postgres::{failure::Failure, interval};

/// The catalog's columns whose items are counted from 0.
const VECTORS: [&str; 5] = ["indkey", "indoption", "indclass", "indcollation", "proargtypes"];

/// Returns what stands instead of the call of `name`, if anything.
pub(super) fn function(name: &str, function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments: Vec<&Expr> = list
        .args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    match (name, arguments.as_slice()) {
        ("mod", [left, right]) => Some(binary(left, BinaryOperator::Modulo, right)),
        ("div", [left, right]) => call("trunc", binary(left, BinaryOperator::Divide, right)),
        // It stands twice in what takes its place: only a column, or calls in calls would double and
        // double again.
        ("_pg_expandarray", [array]) if is_column(array) => {
            let zipped = with_argument(call("arrays_zip", (*array).clone())?, positions(array)?);
            call("unnest", zipped)
        }
        ("generate_subscripts", [array, _]) => call("unnest", positions(array)?),
        ("array_upper", [array, _]) => Some(match length_of(array) {
            Some(length) => integer(length),
            None => call("array_length", (*array).clone())?,
        }),
        // The engine counts without a sign, for which PostgreSQL has no type.
        ("row_number" | "rank" | "dense_rank", []) if function.over.is_some() => {
            Some(cast(Expr::Function(function.clone()), DataType::BigInt(None)))
        }
        ("ntile", [_]) if function.over.is_some() => {
            Some(cast(Expr::Function(function.clone()), DataType::Integer(None)))
        }
        ("sign", [number]) => call("signum", (*number).clone()),
        ("array_lower", [_, _]) => Some(integer(1)),
        _ => None,
    }
}

/// The length of an array that is written down: functions in FROM take numbers only.
fn length_of(array: &Expr) -> Option<i32> {
    match array {
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
            if last_part(name) == "make_array" =>
        {
            i32::try_from(list.args.len()).ok()
        }
        Expr::Nested(inner) => length_of(inner),
        _ => None,
    }
}

/// The column of a series has the name that the series has, as every function in FROM that returns
/// one value; the keywords are a table.
pub(super) fn table_function(factor: &mut TableFactor) {
    let TableFactor::Table { name, args: args @ Some(_), alias, .. } = factor else { return };
    match (last_part(name).as_str(), alias) {
        ("generate_series", Some(alias)) if alias.columns.is_empty() => {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
        ("pg_get_keywords", _) => *args = None,
        _ => (),
    }
}

/// `SELECT EXISTS (…)`: whether the query has a row, which the engine only asks beside rows.
pub(super) fn exists(expr: &mut Expr, is_alone: bool) {
    if let Expr::Exists { subquery, negated } = expr
        && is_alone
        && let Some(mut counted) =
            parse_expression("(SELECT count(*) > 0 FROM (SELECT 1 LIMIT 1) AS found)")
        && let Expr::Subquery(query) = &mut counted
        && let SetExpr::Select(select) = query.body.as_mut()
        && let Some(TableWithJoins {
            relation: TableFactor::Derived { subquery: inner, .. }, ..
        }) = select.from.first_mut()
    {
        let is_negated = *negated;
        if subquery.limit_clause.is_none() && subquery.fetch.is_none() {
            subquery.limit_clause = inner.limit_clause.take();
        }
        std::mem::swap(inner, subquery);
        *expr = if is_negated {
            Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(counted) }
        } else {
            counted
        };
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Nested(inner) => is_column(inner),
        _ => false,
    }
}

/// `1, 2, …` up to the length of the array.
fn positions(array: &Expr) -> Option<Expr> {
    let length = call("array_length", array.clone())?;
    let end = binary(&length, BinaryOperator::Plus, &integer(1));
    Some(with_argument(call("range", integer(1))?, cast(end, DataType::BigInt(None))))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    let kind = CastKind::Cast;
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    Expr::Nested(Box::new(Expr::BinaryOp { left: nested(left), op, right: nested(right) }))
}

/// `interval '1 day' * n`, either way around, and `interval '1 day' / n`.
pub(super) fn times(left: &mut Expr, op: &BinaryOperator, right: &mut Expr) -> Option<Expr> {
    let (interval, factor) = match op {
        BinaryOperator::Multiply if is_interval(left) => (take(left), take(right)),
        BinaryOperator::Multiply if is_interval(right) => (take(right), take(left)),
        BinaryOperator::Divide if is_interval(left) => {
            let one = cast(integer(1), DataType::DoublePrecision);
            (take(left), binary(&one, BinaryOperator::Divide, right))
        }
        _ => return None,
    };
    let factor = cast(factor, DataType::DoublePrecision);
    Some(with_argument(call(interval::FUNCTION, interval)?, factor))
}

fn is_interval(expr: &Expr) -> bool {
    match expr {
        Expr::Interval(_) => true,
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Interval { .. }),
        Expr::Function(function) => last_part(&function.name) == interval::FUNCTION,
        Expr::Nested(inner) => is_interval(inner),
        _ => false,
    }
}

/// `generate_series(array_lower(a, 1), array_upper(a, 1))`, an older way to number a list.
pub(super) fn subscripts(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let lower = match list.args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(lower))))
            if list.args.len() == 2 && last_part(&lower.name) == "array_lower" =>
        {
            lower.clone()
        }
        _ => return,
    };
    if last_part(&function.name) == "generate_series" {
        function.name = ObjectName::from(vec![Ident::new("generate_subscripts")]);
        function.args = lower.args;
    }
}

/// `indisprimary = 't'`: a text beside a column of truth values is one.
pub(super) fn truth(left: &Expr, right: &mut Expr) {
    let column = match left {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    let is_truth =
        column.is_some_and(|ident| TRUTHS.contains(&ident.value.to_ascii_lowercase().as_str()));
    if is_truth
        && let Expr::Value(value) = right
        && let Value::SingleQuotedString(text) = &value.value
        && matches!(text.as_str(), "t" | "f")
    {
        *right = boolean(text == "t");
    }
}

/// Columns of the catalog that clients compare with `'t'`.
const TRUTHS: [&str; 8] = [
    "indisprimary",
    "indisunique",
    "indisclustered",
    "indisvalid",
    "attisdropped",
    "attnotnull",
    "atthasdef",
    "relhasindex",
];

/// Grafana asks whether a schema is on the search path by a loop over a list that the engine has
/// no words for. Returns the list that is meant.
pub(super) fn search_path_loop(subquery: &Query, path: &[String]) -> Option<Vec<Expr>> {
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    let is_loop = select.from.iter().any(|from| {
        let text = from.to_string().to_ascii_lowercase();
        text.starts_with("string_to_array(current_setting('search_path')")
    });
    is_loop.then(|| path.iter().map(|schema| string(schema)).collect())
}

/// `indkey[0]` is the first item; `(x).n` is a field.
pub(super) fn access(root: &mut Expr, chain: &mut [AccessExpr]) -> Option<Expr> {
    match chain {
        [AccessExpr::Subscript(Subscript::Index { index })] if is_vector(root) => {
            *index = binary(index, BinaryOperator::Plus, &integer(1));
            None
        }
        [.., AccessExpr::Dot(Expr::Identifier(column)), AccessExpr::Subscript(last)]
            if is_vector_name(column) =>
        {
            if let Subscript::Index { index } = last {
                *index = binary(index, BinaryOperator::Plus, &integer(1));
            }
            None
        }
        [AccessExpr::Dot(Expr::Identifier(field))] => field_of(root, field),
        _ => None,
    }
}

/// A field of what `_pg_expandarray` returns: the item is `x`, its number `n`.
fn field_of(root: &mut Expr, field: &Ident) -> Option<Expr> {
    let name = match field.value.to_ascii_lowercase().as_str() {
        "x" => "1",
        "n" => "2",
        _ => return None,
    };
    Some(with_argument(call("get_field", take(root))?, string(name)))
}

fn is_vector(root: &Expr) -> bool {
    let last = match root {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Nested(inner) => return is_vector(inner),
        _ => None,
    };
    last.is_some_and(is_vector_name)
}

fn is_vector_name(ident: &Ident) -> bool {
    VECTORS.contains(&ident.value.to_ascii_lowercase().as_str())
}

/// Makes the backslash the escape character of a pattern, the only one the engine knows.
pub(super) fn like(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<(), Failure> {
    let Some(ValueWithSpan { value, .. }) = escape.as_ref() else { return Ok(()) };
    let invalid = || Failure::new("22025", "invalid escape string");
    let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = value else {
        return Err(invalid());
    };
    let mut characters = text.chars();
    let character = match (characters.next(), characters.next()) {
        (character, None) => character,
        _ => return Err(invalid().with_hint("Escape string must be empty or one character.")),
    };
    if character != Some('\\') {
        *pattern = escaped_by_backslash(take(pattern), character).ok_or_else(invalid)?;
    }
    *escape = None;
    Ok(())
}

fn escaped_by_backslash(pattern: Expr, character: Option<char>) -> Option<Expr> {
    if let Expr::Value(value) = &pattern
        && let Value::SingleQuotedString(text) = &value.value
    {
        return Some(string(&escaped(text, character)));
    }
    // A pattern that is worked out: first the backslashes in it become plain, then every escape
    // character one; two of them are one plain character.
    let replace = |text: Expr, from: &str, to: &str| {
        Some(with_argument(with_argument(call("replace", text)?, string(from)), string(to)))
    };
    let plain = replace(pattern, "\\", "\\\\")?;
    let Some(character) = character else { return Some(plain) };
    // No text has this character: it is not one that Unicode will ever assign.
    const MARK: &str = "\u{fdd0}";
    let escape = character.to_string();
    let marked = replace(plain, &escape.repeat(2), MARK)?;
    let escaped = replace(marked, &escape, "\\")?;
    replace(escaped, MARK, &format!("\\{escape}"))
}

fn escaped(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            found if Some(found) == escape => {
                out.push('\\');
                out.extend(characters.next());
            }
            '\\' => out.push_str("\\\\"),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_gets_the_engines_escape_character() {
        for (pattern, escape, expected) in [
            ("50~%", Some('~'), "50\\%"),
            ("a~~b~_c%", Some('~'), "a\\~b\\_c%"),
            ("a\\b", Some('/'), "a\\\\b"),
            ("a\\_b", None, "a\\\\_b"),
            ("ä/%", Some('/'), "ä\\%"),
        ] {
            assert_eq!(escaped(pattern, escape), expected, "{pattern} by {escape:?}");
        }
    }
}
