//! Exact averages of decimals: sums that cannot wrap, and one rounding at the end.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, i256};
use model::decimal::DecimalType;

/// Digits behind the point that an average has beyond those of its values, as in the engine's own
/// `avg`.
const MORE_DIGITS: u8 = 4;

/// A sum or a quotient that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange;

/// Returns the type of an average of values of a type.
pub(super) fn average_type(value: DecimalType) -> DecimalType {
    let precision = DECIMAL128_MAX_PRECISION.min(value.precision.saturating_add(MORE_DIGITS));
    let scale = i8::try_from(MORE_DIGITS).unwrap_or_default().saturating_add(value.scale);
    DecimalType { precision, scale: scale.min(i8::try_from(precision).unwrap_or(i8::MAX)) }
}

/// Returns the integer by which values are multiplied to have the digits of their average.
pub(super) fn scale_up(value: DecimalType) -> i256 {
    let more = average_type(value).scale.saturating_sub(value.scale);
    power_of_ten(u32::try_from(more).unwrap_or_default())
}

fn power_of_ten(exponent: u32) -> i256 {
    i256::from_i128(10_i128.saturating_pow(exponent))
}

/// Returns the quotient, rounded to the nearest integer, halves away from zero, as PostgreSQL
/// rounds its `numeric`.
pub(super) fn divide(numerator: i256, denominator: i256) -> Result<i256, OutOfRange> {
    let quotient = numerator.checked_div(denominator).ok_or(OutOfRange)?;
    let rest = numerator.checked_rem(denominator).ok_or(OutOfRange)?;
    let doubled = add(rest, rest)?.checked_abs().ok_or(OutOfRange)?;
    if doubled < denominator.checked_abs().ok_or(OutOfRange)? {
        return Ok(quotient);
    }
    let is_negative = numerator.is_negative() != denominator.is_negative();
    add(quotient, if is_negative { i256::MINUS_ONE } else { i256::ONE })
}

/// Returns the value as a decimal of `kind` holds it.
pub(super) fn fit(value: i256, kind: DecimalType) -> Result<i128, OutOfRange> {
    let bound = power_of_ten(u32::from(kind.precision));
    let is_within = value.checked_abs().is_some_and(|value| value < bound);
    value.to_i128().filter(|_| is_within).ok_or(OutOfRange)
}

pub(super) fn add(left: i256, right: i256) -> Result<i256, OutOfRange> {
    left.checked_add(right).ok_or(OutOfRange)
}

pub(super) fn subtract(left: i256, right: i256) -> Result<i256, OutOfRange> {
    left.checked_sub(right).ok_or(OutOfRange)
}

pub(super) fn multiply(left: i256, right: i256) -> Result<i256, OutOfRange> {
    left.checked_mul(right).ok_or(OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numerator: i128, denominator: i128, expected: i128) {
        let quotient = divide(i256::from_i128(numerator), i256::from_i128(denominator));
        assert_eq!(quotient, Ok(i256::from_i128(expected)), "{numerator} / {denominator}");
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        check(5, 2, 3);
        check(-5, 2, -3);
        check(5, -2, -3);
        check(-5, -2, 3);
        check(7, 3, 2);
        check(8, 3, 3);
        check(0, 3, 0);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(divide(i256::ONE, i256::ZERO), Err(OutOfRange));
        assert_eq!(divide(i256::MIN, i256::MINUS_ONE), Err(OutOfRange));
        let kind = DecimalType { precision: 2, scale: 0 };
        assert_eq!(fit(i256::from_i128(99), kind), Ok(99));
        assert_eq!(fit(i256::from_i128(-100), kind), Err(OutOfRange));
        assert_eq!(fit(i256::MIN, kind), Err(OutOfRange));
    }

    #[test]
    fn an_average_has_four_digits_more() {
        let kind = |precision, scale| DecimalType { precision, scale };
        assert_eq!(average_type(kind(18, 6)), kind(22, 10));
        assert_eq!(average_type(kind(38, 6)), kind(38, 10));
        assert_eq!(average_type(kind(38, 38)), kind(38, 38));
        assert_eq!(scale_up(kind(18, 6)), i256::from_i128(10_000));
        assert_eq!(scale_up(kind(38, 38)), i256::ONE);
    }
}
