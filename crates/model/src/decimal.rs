//! Exact decimals: the text of a JSON number becomes an integer and a scale, never a float.

/// The unscaled value of a fixed-point decimal; divide by ten to the power of the scale.
pub type Unscaled = i128;

/// Decimal digits and scale of a column, as SQL's `decimal(precision, scale)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalType {
    /// Most significant digits.
    pub precision: u8,
    /// Digits after the point.
    pub scale: i8,
}

/// Prices in the quote currency: `decimal(18,6)`.
pub const PRICE: DecimalType = DecimalType { precision: 18, scale: 6 };
/// Prices the vendor adjusted, which come with ten decimals: `decimal(20,10)`.
pub const ADJUSTED_PRICE: DecimalType = DecimalType { precision: 20, scale: 10 };
/// Volumes, fractional shares included: `decimal(20,4)`.
pub const VOLUME: DecimalType = DecimalType { precision: 20, scale: 4 };

/// Why a text is not a value of a decimal type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not plain decimal digits. An exponent is refused too: no vendor sends one.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// More digits after the point than the type keeps, the excess not all zero.
    #[error("more decimals than the column keeps")]
    TooPrecise,
    /// More digits than the type's precision.
    #[error("out of the column's range")]
    OutOfRange,
}

impl DecimalType {
    /// Parses plain decimal text such as `189.43`; zeros beyond the scale are dropped, other
    /// digits there are refused.
    ///
    /// # Errors
    /// The text is no plain decimal, is more precise than the type, or does not fit.
    pub fn parse(self, text: &str) -> Result<Unscaled, InvalidDecimal> {
        self.parse_bytes(text.as_bytes())
    }

    /// Parses as [`Self::parse`] does, from bytes.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_bytes(self, text: &[u8]) -> Result<Unscaled, InvalidDecimal> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let scale = u32::from(self.scale.unsigned_abs());
        let mut value: Unscaled = 0;
        let mut whole_digits = 0_u32;
        let mut fraction_digits = 0_u32;
        let mut in_fraction = false;
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    if in_fraction {
                        fraction_digits += 1;
                        if scale < fraction_digits {
                            if byte != b'0' {
                                return Err(InvalidDecimal::TooPrecise);
                            }
                            continue;
                        }
                    } else {
                        whole_digits += 1;
                    }
                    value = value
                        .checked_mul(10)
                        .and_then(|shifted| shifted.checked_add(Unscaled::from(byte - b'0')))
                        .ok_or(InvalidDecimal::OutOfRange)?;
                }
                b'.' if !in_fraction && whole_digits != 0 => in_fraction = true,
                _ => return Err(InvalidDecimal::NotDecimal),
            }
        }
        if whole_digits == 0 || (in_fraction && fraction_digits == 0) {
            return Err(InvalidDecimal::NotDecimal);
        }
        let missing = scale.saturating_sub(fraction_digits);
        let value = 10_i128
            .checked_pow(missing)
            .and_then(|factor| value.checked_mul(factor))
            .filter(|value| *value < self.limit())
            .ok_or(InvalidDecimal::OutOfRange)?;
        Ok(if negative { -value } else { value })
    }

    /// Returns `value` as decimal text without needless zeros: `189.43`, `7`, `-0.000001`.
    #[must_use]
    pub fn format(self, value: Unscaled) -> String {
        let scale = u32::from(self.scale.unsigned_abs());
        let factor = 10_u128.pow(scale);
        let magnitude = value.unsigned_abs();
        let (whole, fraction) = (magnitude / factor, magnitude % factor);
        let sign = if value < 0 { "-" } else { "" };
        if fraction == 0 {
            return format!("{sign}{whole}");
        }
        let width = usize::from(self.scale.unsigned_abs());
        let fraction = format!("{fraction:0width$}");
        format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }

    /// The smallest magnitude that no longer fits.
    const fn limit(self) -> Unscaled {
        10_i128.pow(self.precision as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidDecimal>) {
        let shown = PRICE.parse(text).map(|value| PRICE.format(value));
        assert_eq!(shown, expected.map(str::to_owned), "input {text:?}");
    }

    #[test]
    fn keeps_every_decimal_the_exchange_sent() {
        check("189.43", Ok("189.43"));
        check("0.000001", Ok("0.000001"));
        check("-7", Ok("-7"));
        check("4.0", Ok("4"));
        check("1.10000000000", Ok("1.1"));
        check("999999999999.999999", Ok("999999999999.999999"));
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        check("1.2345678", Err(InvalidDecimal::TooPrecise));
        check("1000000000000", Err(InvalidDecimal::OutOfRange));
        check("99999999999999999999999999999999999999999999", Err(InvalidDecimal::OutOfRange));
        for text in ["1e5", "", "-", ".5", "1.", "1.2.3", "NaN", "+1", " 1", "１"] {
            check(text, Err(InvalidDecimal::NotDecimal));
        }
    }
}
