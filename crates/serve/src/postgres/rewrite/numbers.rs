//! Number literals: exact decimals, as PostgreSQL reads them.

use lake::datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, UnaryOperator, Value};

use super::{last_part, parse_expression, string};
use crate::postgres::failure::Failure;

/// The digits of the engine's decimals.
const DIGITS_MAX: usize = 38;

/// Returns what stands instead of the literal `text`, if anything: the engine would take
/// `1e6` for a decimal of one digit whose scale is below zero, and `7.` for an integer.
pub(super) fn exact(text: &str) -> Result<Option<Expr>, Failure> {
    let too_long = || {
        Failure::new("22003", format!("number {text} has more than {DIGITS_MAX} digits"))
            .with_hint(format!("As a float it is '{text}'::double precision."))
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().map_err(|_| too_long())?;
    let digits = format!("{whole}{fraction}");
    let mut digits = digits.trim_start_matches('0').to_owned();
    let mut scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    // Only zeros are given up, and only where there is no room for them.
    while scale > 0 && needed(&digits, scale) > DIGITS_MAX && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    if digits.is_empty() {
        scale = scale.clamp(0, i64::try_from(DIGITS_MAX).unwrap_or(i64::MAX));
    }
    if needed(&digits, scale) > DIGITS_MAX {
        return Err(too_long());
    }
    // Bounded by the check above.
    let zeros = usize::try_from(-scale).unwrap_or(0);
    let scale = usize::try_from(scale).unwrap_or(0);
    digits.extend(std::iter::repeat_n('0', zeros));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Ok(match (mantissa.len() == text.len(), mantissa.split_once('.')) {
        // As the engine reads it: an integer, or with digits behind the point.
        (true, None) => None,
        (true, Some((_, after))) if after.len() == scale && scale > 0 => None,
        _ if scale > 0 => parse_expression(&format!("{whole}.{fraction}")),
        _ => parse_expression(&format!("CAST({whole} AS NUMERIC({}, 0))", whole.len())),
    })
}

/// Makes a column of the result that is a whole number and nothing else the type that PostgreSQL
/// gives it. Drivers ask `SELECT 1` and want an `int4`. Numbers that are reckoned with stay what
/// they are: PostgreSQL's own type overflows.
pub(super) fn narrow(expr: &mut Expr) {
    let literal = match &*expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => expr.as_ref(),
        other => other,
    };
    if let Expr::Value(value) = literal
        && let Value::Number(text, _) = &value.value
        && text.parse::<i32>().is_ok()
    {
        let inner = Box::new(super::take(expr));
        let (kind, data_type) = (CastKind::Cast, DataType::Integer(None));
        *expr = Expr::Cast { kind, expr: inner, data_type, array: false, format: None };
    }
}

/// How many digits a decimal needs that has `scale` of them behind the point.
fn needed(digits: &str, scale: i64) -> usize {
    if scale < 0 {
        let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
        // Zero stays zero, whatever its exponent.
        return if digits.is_empty() { 0 } else { digits.len().saturating_add(zeros) };
    }
    digits.len().max(usize::try_from(scale).unwrap_or(usize::MAX))
}

/// Leaves the literal in `1e300::float8` to the cast, so that it never has to be a decimal.
pub(super) fn spare_floats(inner: &mut Expr, data_type: &DataType) -> Result<(), Failure> {
    let is_float = match data_type {
        DataType::Real
        | DataType::Float(_)
        | DataType::Float4
        | DataType::Float8
        | DataType::Double(_)
        | DataType::DoublePrecision => true,
        DataType::Custom(name, _) => matches!(last_part(name).as_str(), "float4" | "float8"),
        _ => false,
    };
    let Expr::Value(value) = inner else { return Ok(()) };
    let Value::Number(text, _) = &value.value else { return Ok(()) };
    if !is_float {
        return Ok(());
    }
    let is_zero =
        !text.bytes().take_while(|b| !b"eE".contains(b)).any(|b| (b'1'..=b'9').contains(&b));
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() && (float != 0.0 || is_zero) => {
            *inner = string(text);
            Ok(())
        }
        _ => Err(Failure::new(
            "22003",
            format!("\"{text}\" is out of range for type double precision"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let shown = exact(text).map(|expr| expr.map(|expr| expr.to_string()));
        assert_eq!(shown.unwrap(), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn a_literal_becomes_what_the_engine_reads_exactly() {
        check("42", None);
        check("8.03", None);
        check(".5", None);
        check("0.0", None);
        check("18446744073709551616", None);
        check("1e6", Some("CAST(1000000 AS NUMERIC(7,0))"));
        check("1.5E3", Some("CAST(1500 AS NUMERIC(4,0))"));
        check("7.", Some("CAST(7 AS NUMERIC(1,0))"));
        check("1.25e-3", Some("0.00125"));
        check("1.25e1", Some("12.5"));
        check("0e400", Some("CAST(0 AS NUMERIC(1,0))"));
        check(&format!("1.{}", "0".repeat(60)), Some(&format!("1.{}", "0".repeat(37))));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let long = format!("0.{}1", "0".repeat(45));
        let wide = "9".repeat(39);
        for text in ["1e38", "1e400", "1e-39", "1e99999999999999999999", "1e-400", &long, &wide] {
            assert_eq!(exact(text).unwrap_err().code, "22003", "{text}");
        }
        check("1e37", Some(&format!("CAST(1{} AS NUMERIC(38,0))", "0".repeat(37))));
        check("1e-38", Some(&format!("0.{}1", "0".repeat(37))));
    }
}
