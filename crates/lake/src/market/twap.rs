//! The time-weighted average price: each price weighs as long as it stood. Pure and exact.
//!
//! `twap = Σ price(i)·(t(i+1) − t(i)) / (t(n) − t(1))`, over the moments in their order, whatever
//! order they come in. The last price weighs nothing: nobody has seen how long it stood. Prices of
//! one moment count as one, their mean; where there is one moment only, that is the result.
//!
//! The area under the prices is kept up to date with every row that enters or leaves, at the cost
//! of finding its neighbours.

use std::{collections::BTreeMap, ops::Bound};

use arrow::datatypes::i256;

use super::exact::{OutOfRange, add, divide, multiply, subtract};

/// The prices of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prices {
    pub sum: i256,
    pub count: i64,
}

impl Prices {
    pub(super) fn of(price: i128) -> Self {
        Self { sum: i256::from_i128(price), count: 1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    prices: Prices,
    /// With the digits of the result, so that no order of rows changes how it is rounded.
    mean: i256,
}

/// The prices by their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Twap {
    moments: BTreeMap<i64, Moment>,
    /// Σ mean·duration, over all moments but the last.
    area: i256,
    scale_up: i256,
}

impl Twap {
    /// Nothing yet; results have `scale_up` times the digits of prices.
    pub(super) const fn new(scale_up: i256) -> Self {
        Self { moments: BTreeMap::new(), area: i256::ZERO, scale_up }
    }

    pub(super) fn add(&mut self, time: i64, prices: Prices) -> Result<(), OutOfRange> {
        let known = self.moments.get(&time).map(|moment| moment.prices);
        let known = known.unwrap_or(Prices { sum: i256::ZERO, count: 0 });
        let count = known.count.checked_add(prices.count).ok_or(OutOfRange)?;
        self.set(time, Prices { sum: add(known.sum, prices.sum)?, count })
    }

    /// Takes out what was added; what never was is passed over.
    pub(super) fn retract(&mut self, time: i64, prices: Prices) -> Result<(), OutOfRange> {
        let Some(known) = self.moments.get(&time).map(|moment| moment.prices) else {
            return Ok(());
        };
        let count = known.count.saturating_sub(prices.count);
        self.set(time, Prices { sum: subtract(known.sum, prices.sum)?, count })
    }

    fn set(&mut self, time: i64, prices: Prices) -> Result<(), OutOfRange> {
        let earlier = self.moments.range(..time).next_back();
        let earlier = earlier.map(|(time, moment)| (*time, moment.mean));
        let later = self.moments.range((Bound::Excluded(time), Bound::Unbounded)).next();
        let later = later.map(|(time, _)| *time);
        let old = self.moments.get(&time).map(|moment| moment.mean);
        let new = if prices.count > 0 {
            let sum = multiply(prices.sum, self.scale_up)?;
            Some(divide(sum, i256::from_i128(i128::from(prices.count)))?)
        } else {
            None
        };
        let area = |mean| area_between(earlier, (time, mean), later);
        self.area = add(subtract(self.area, area(old)?)?, area(new)?)?;
        match new {
            Some(mean) => self.moments.insert(time, Moment { prices, mean }),
            None => self.moments.remove(&time),
        };
        Ok(())
    }

    pub(super) fn value(&self) -> Result<Option<i256>, OutOfRange> {
        let (Some((first, moment)), Some((last, _))) =
            (self.moments.first_key_value(), self.moments.last_key_value())
        else {
            return Ok(None);
        };
        if first == last {
            return Ok(Some(moment.mean));
        }
        divide(self.area, duration(*first, *last)).map(Some)
    }

    pub(super) fn moments(&self) -> impl Iterator<Item = (i64, Prices)> {
        self.moments.iter().map(|(time, moment)| (*time, moment.prices))
    }

    /// The memory it takes, about: a node of the tree is on average three quarters full.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.moments.len() * (size_of::<(i64, Moment)>() * 4 / 3)
    }
}

/// The area from the moment before to the one after, given whether there is one in between.
fn area_between(
    earlier: Option<(i64, i256)>,
    (time, mean): (i64, Option<i256>),
    later: Option<i64>,
) -> Result<i256, OutOfRange> {
    let until = |from: i64, mean, to| multiply(mean, duration(from, to));
    match (earlier, mean, later) {
        (Some((from, before)), Some(mean), Some(to)) => {
            add(until(from, before, time)?, until(time, mean, to)?)
        }
        (Some((from, before)), Some(_), None) => until(from, before, time),
        (None, Some(mean), Some(to)) => until(time, mean, to),
        (Some((from, before)), None, Some(to)) => until(from, before, to),
        _ => Ok(i256::ZERO),
    }
}

fn duration(from: i64, to: i64) -> i256 {
    i256::from_i128(i128::from(to) - i128::from(from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UP: i128 = 10_000;

    fn filled(rows: &[(i64, i128)]) -> Twap {
        let mut twap = Twap::new(i256::from_i128(UP));
        for (time, price) in rows {
            twap.add(*time, Prices::of(*price)).unwrap();
        }
        twap
    }

    #[track_caller]
    fn check(rows: &[(i64, i128)], expected: Option<i128>) {
        let value = filled(rows).value();
        assert_eq!(value, Ok(expected.map(i256::from_i128)), "{rows:?}");
    }

    #[test]
    fn a_price_weighs_until_the_next() {
        check(&[], None);
        check(&[(5, 7)], Some(7 * UP));
        // 10 for one second, 20 for three; what 99 was worth, nobody knows.
        check(&[(0, 10), (1, 20), (4, 99)], Some(175_000));
        check(&[(4, 99), (0, 10), (1, 20)], Some(175_000));
        // Two prices at one moment are their mean.
        check(&[(0, 10), (0, 20), (2, 5)], Some(150_000));
        check(&[(3, 1), (3, 2)], Some(15_000));
        check(&[(i64::MIN, 1), (i64::MAX, 3)], Some(UP));
    }

    /// The formula, worked out from scratch.
    fn slowly(rows: &[(i64, i128)]) -> Option<i256> {
        let mut moments: BTreeMap<i64, Vec<i128>> = BTreeMap::new();
        for (time, price) in rows {
            moments.entry(*time).or_default().push(*price);
        }
        let means: Vec<(i64, i256)> = moments
            .into_iter()
            .map(|(time, prices)| {
                let (sum, count) = (prices.iter().sum::<i128>(), prices.len() as i128);
                (time, divide(i256::from_i128(sum * UP), i256::from_i128(count)).unwrap())
            })
            .collect();
        let (first, last) = (means.first()?, means.last()?);
        if first.0 == last.0 {
            return Some(first.1);
        }
        let area = means.windows(2).fold(i256::ZERO, |area, pair| {
            area.wrapping_add(pair[0].1.wrapping_mul(duration(pair[0].0, pair[1].0)))
        });
        Some(divide(area, duration(first.0, last.0)).unwrap())
    }

    proptest! {
        #[test]
        fn a_moving_window_is_as_if_worked_out_anew(
            // Few moments, so that many rows share one.
            rows in prop::collection::vec((0_i64..20, -10_i128.pow(12)..10_i128.pow(12)), 1..60),
            width in 1_usize..20,
        ) {
            let mut twap = Twap::new(i256::from_i128(UP));
            for (at, (time, price)) in rows.iter().enumerate() {
                twap.add(*time, Prices::of(*price)).unwrap();
                if let Some(left) = at.checked_sub(width) {
                    let (time, price) = rows[left];
                    twap.retract(time, Prices::of(price)).unwrap();
                }
                let window = &rows[(at + 1).saturating_sub(width)..=at];
                prop_assert_eq!(twap.value(), Ok(slowly(window)));
                prop_assert_eq!(&twap, &filled(window));
            }
        }

        #[test]
        fn parts_add_up_in_any_order(
            rows in prop::collection::vec((0_i64..1000, 0..10_i128.pow(12)), 0..60),
            cut in 0_usize..60,
        ) {
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let mut merged = filled(right);
            for (time, prices) in filled(left).moments() {
                merged.add(time, prices).unwrap();
            }
            prop_assert_eq!(merged, filled(&rows));
        }
    }
}
