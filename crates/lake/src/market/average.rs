//! Moving averages: simple, weighted, exponential. Pure.
//!
//! Each takes one value after the other and answers from the `n`-th on; before that the average is
//! not known. Values that are missing are the caller's business: they are passed over.
//!
//! - simple: `Σ x(i) / n`, over the last `n`;
//! - weighted: `Σ i·x(i) / (n·(n+1)/2)`, over the last `n`, the newest being number `n`;
//! - exponential: `e = α·x + (1 − α)·e`, with `α = 2 / (n + 1)`. The first is the simple average of
//!   the first `n`, as in TA-Lib.

use std::collections::VecDeque;

use arrow::datatypes::i256;

use super::exact::{OutOfRange, add, divide, multiply, subtract};

/// How the last `n` values weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Weights {
    Equal,
    /// The newest most.
    Rising,
}

/// A simple or weighted average of decimals: exact, at the same cost for every `n`.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    weights: Weights,
    n: usize,
    window: VecDeque<i128>,
    sum: i256,
    /// `Σ i·x(i)`, the oldest being number 1.
    rising: i256,
}

impl Exact {
    pub(super) const fn new(weights: Weights, n: usize) -> Self {
        Self { weights, n, window: VecDeque::new(), sum: i256::ZERO, rising: i256::ZERO }
    }

    /// Returns the average with `scale_up` times the digits of the values.
    pub(super) fn push(&mut self, value: i128, scale_up: i256) -> Result<Option<i256>, OutOfRange> {
        let exact = i256::from_i128(value);
        if self.window.len() == self.n {
            let oldest = self.window.pop_front().unwrap_or_default();
            // Every value goes down by one number, and the oldest from 1 to none.
            self.rising = subtract(self.rising, self.sum)?;
            self.sum = subtract(self.sum, i256::from_i128(oldest))?;
        }
        self.window.push_back(value);
        let number = whole(self.window.len());
        self.rising = add(self.rising, multiply(exact, number)?)?;
        self.sum = add(self.sum, exact)?;
        if self.window.len() < self.n {
            return Ok(None);
        }
        let (sum, weight) = match self.weights {
            Weights::Equal => (self.sum, whole(self.n)),
            Weights::Rising => (self.rising, whole(self.n * (self.n + 1) / 2)),
        };
        divide(multiply(sum, scale_up)?, weight).map(Some)
    }
}

fn whole(count: usize) -> i256 {
    i256::from_i128(i128::try_from(count).unwrap_or(i128::MAX))
}

/// A simple or weighted average of floats. It is summed up anew for every value: a running sum
/// would carry its errors along.
#[derive(Clone, Debug)]
pub(super) struct Inexact {
    weights: Weights,
    n: usize,
    window: VecDeque<f64>,
}

impl Inexact {
    pub(super) const fn new(weights: Weights, n: usize) -> Self {
        Self { weights, n, window: VecDeque::new() }
    }

    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        if self.window.len() == self.n {
            self.window.pop_front();
        }
        self.window.push_back(value);
        if self.window.len() < self.n {
            return None;
        }
        let (mut sum, mut weight, mut total) = (0.0, 0.0, 0.0);
        for value in &self.window {
            weight = match self.weights {
                Weights::Equal => 1.0,
                Weights::Rising => weight + 1.0,
            };
            sum += value * weight;
            total += weight;
        }
        Some(sum / total)
    }
}

/// An exponential average: floats, since its fractions have no end.
#[derive(Clone, Debug)]
pub(super) struct Exponential {
    /// Becomes the first average.
    seed: Inexact,
    alpha: f64,
    last: Option<f64>,
}

impl Exponential {
    pub(super) fn new(n: usize) -> Self {
        let periods = u32::try_from(n).map_or(f64::INFINITY, f64::from);
        let seed = Inexact::new(Weights::Equal, n);
        Self { seed, alpha: 2.0 / (periods + 1.0), last: None }
    }

    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        self.last = match self.last {
            Some(last) => Some(self.alpha.mul_add(value - last, last)),
            None => self.seed.push(value),
        };
        if self.last.is_some() {
            self.seed.window = VecDeque::new();
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UP: i128 = 10_000;

    fn exact(weights: Weights, n: usize, values: &[i128]) -> Vec<Option<i128>> {
        let mut average = Exact::new(weights, n);
        let up = i256::from_i128(UP);
        let push = |value: &i128| average.push(*value, up).unwrap().map(|value| value.as_i128());
        values.iter().map(push).collect()
    }

    #[test]
    fn an_average_begins_with_the_nth_value() {
        let values = [1, 2, 3, 4];
        assert_eq!(
            exact(Weights::Equal, 2, &values),
            [None, Some(15_000), Some(25_000), Some(35_000)]
        );
        // (1·1 + 2·2) / 3, (1·2 + 2·3) / 3, …
        assert_eq!(
            exact(Weights::Rising, 2, &values),
            [None, Some(16_667), Some(26_667), Some(36_667)]
        );
        assert_eq!(exact(Weights::Rising, 1, &[5]), [Some(50_000)]);
    }

    #[test]
    fn an_exponential_average_begins_with_a_simple_one() {
        let mut average = Exponential::new(3);
        let values: Vec<Option<f64>> =
            [1.0, 2.0, 6.0, 7.0, 1.0].into_iter().map(|value| average.push(value)).collect();
        assert_eq!(values, [None, None, Some(3.0), Some(5.0), Some(3.0)]);
    }

    fn slowly(weights: Weights, window: &[i128]) -> i128 {
        let weight = |at: usize| if weights == Weights::Equal { 1 } else { at as i128 + 1 };
        let sum = window.iter().enumerate().map(|(at, value)| weight(at) * value).sum::<i128>();
        let total = (0..window.len()).map(weight).sum::<i128>();
        divide(i256::from_i128(sum * UP), i256::from_i128(total)).unwrap().as_i128()
    }

    proptest! {
        #[test]
        fn a_running_average_is_as_if_worked_out_anew(
            values in prop::collection::vec(-10_i128.pow(18)..10_i128.pow(18), 1..60),
            n in 1_usize..12,
        ) {
            for weights in [Weights::Equal, Weights::Rising] {
                for (at, average) in exact(weights, n, &values).into_iter().enumerate() {
                    let first = (at + 1).checked_sub(n);
                    let expected = first.map(|first| slowly(weights, &values[first..=at]));
                    prop_assert_eq!(average, expected);
                }
            }
        }

        #[test]
        fn floats_average_like_decimals(
            values in prop::collection::vec(-1_000_000_i32..1_000_000, 1..40),
            n in 1_usize..12,
        ) {
            let whole: Vec<i128> = values.iter().map(|value| i128::from(*value)).collect();
            for weights in [Weights::Equal, Weights::Rising] {
                let mut average = Inexact::new(weights, n);
                for (value, exact) in values.iter().zip(exact(weights, n, &whole)) {
                    let inexact = average.push(f64::from(*value));
                    prop_assert_eq!(inexact.is_some(), exact.is_some());
                    if let (Some(inexact), Some(exact)) = (inexact, exact) {
                        let exact = exact as f64 / UP as f64;
                        prop_assert!((inexact - exact).abs() < 1e-3, "{inexact} {exact}");
                    }
                }
            }
        }
    }
}
