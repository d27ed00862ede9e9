//! The volume-weighted average price: turnover by volume. Pure and exact.
//!
//! `vwap = Σ price·volume / Σ volume`. What comes in later can be taken out again, so a window that
//! moves costs no more than the rows that enter and leave it.

use arrow::datatypes::i256;

use super::exact::{OutOfRange, add, divide, multiply, subtract};

/// What is summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vwap {
    /// Σ price·volume, with the decimals of both.
    pub turnover: i256,
    /// Σ volume.
    pub volume: i256,
}

impl Vwap {
    pub(super) fn of(price: i128, volume: i128) -> Result<Self, OutOfRange> {
        let wide = i256::from_i128(volume);
        let turnover = match price.checked_mul(volume) {
            Some(turnover) => i256::from_i128(turnover),
            // Beyond 38 digits, which no market trades in a row.
            None => multiply(i256::from_i128(price), wide)?,
        };
        Ok(Self { turnover, volume: wide })
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), OutOfRange> {
        self.turnover = add(self.turnover, other.turnover)?;
        self.volume = add(self.volume, other.volume)?;
        Ok(())
    }

    pub(super) fn retract(&mut self, other: &Self) -> Result<(), OutOfRange> {
        self.turnover = subtract(self.turnover, other.turnover)?;
        self.volume = subtract(self.volume, other.volume)?;
        Ok(())
    }

    /// Returns the average with `scale_up` times the digits of a price; nothing where nothing was
    /// traded.
    pub(super) fn value(&self, scale_up: i256) -> Result<Option<i256>, OutOfRange> {
        if self.volume == i256::ZERO {
            return Ok(None);
        }
        divide(multiply(self.turnover, scale_up)?, self.volume).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(rows: &[(i128, i128)]) -> Vwap {
        let mut sum = Vwap::default();
        for (price, volume) in rows {
            sum.add(&Vwap::of(*price, *volume).unwrap()).unwrap();
        }
        sum
    }

    #[test]
    fn volume_is_the_weight() {
        let up = i256::from_i128(10_000);
        let value = |rows: &[(i128, i128)]| sum(rows).value(up).unwrap();
        // (10·1 + 20·3) / 4 = 17.5
        assert_eq!(value(&[(10, 1), (20, 3)]), Some(i256::from_i128(175_000)));
        assert_eq!(value(&[(10, 1), (20, 2)]), Some(i256::from_i128(166_667)));
        assert_eq!(value(&[(10, 0), (20, 0)]), None);
        assert_eq!(value(&[]), None);
    }

    proptest! {
        #[test]
        fn order_is_nothing_and_taking_out_undoes_putting_in(
            mut rows in prop::collection::vec((-10_i128.pow(18)..10_i128.pow(18), 0..10_i128.pow(20)), 1..40),
            cut in 0_usize..40,
        ) {
            let whole = sum(&rows);
            let cut = cut.min(rows.len());
            let mut rest = whole;
            for (price, volume) in &rows[..cut] {
                rest.retract(&Vwap::of(*price, *volume).unwrap()).unwrap();
            }
            prop_assert_eq!(rest, sum(&rows[cut..]));
            rows.reverse();
            prop_assert_eq!(whole, sum(&rows));
            let mut merged = sum(&rows[..cut]);
            merged.add(&sum(&rows[cut..])).unwrap();
            prop_assert_eq!(whole, merged);
        }
    }
}
