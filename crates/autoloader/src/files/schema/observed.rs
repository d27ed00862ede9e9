//! What values a field held, as a lattice: merging is associative, commutative and idempotent, so
//! the order of files and records decides nothing.

use std::collections::BTreeMap;

/// The least that holds every value seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Nothing, or nulls only.
    #[default]
    Nothing,
    /// Truth values.
    Bool,
    /// Numbers: the most digits in front of the point, and behind it.
    Number {
        /// Digits in front of the point, leading zeros not counted.
        whole: u32,
        /// Digits behind it, trailing zeros not counted.
        fraction: u32,
        /// Whether a value was written with an exponent, or is not finite.
        is_float: bool,
    },
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Text, or values that have nothing else in common.
    Text,
    /// Objects, their members by name.
    Object(BTreeMap<String, Self>),
    /// Lists, their elements as one.
    List(Box<Self>),
}

impl Observed {
    /// Takes in what was seen elsewhere.
    pub fn merge(&mut self, other: Self) {
        let ours = std::mem::take(self);
        *self = match (ours, other) {
            (Self::Nothing, other) => other,
            (ours, _) => ours,
        };
    }
}
