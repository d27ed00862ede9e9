//! Determinism: everything random is a hash of the seed and of what it is about.
//!
//! The generators of general-purpose libraries may change their streams between releases; a
//! recorded seed has to mean the same market for years, so the mixing function stands here.

/// One step of the splitmix64 sequence: the published constants, every bit avalanches.
const fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a hash of `seed` and `parts`, in order.
pub(crate) fn mix(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(splitmix(seed), |state, part| splitmix(state ^ splitmix(*part)))
}

/// Returns a hash of `text` (FNV-1a), the same on every platform.
pub(crate) fn text_hash(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Returns whether an event of probability `rate` happens for this hash.
pub(crate) fn chance(hash: u64, rate: f64) -> bool {
    // The top 32 bits, as a fraction of 2^32: exact in a float.
    f64::from(u32::try_from(hash >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0 < rate
}

/// A reproducible sequence of numbers.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, parts: &[u64]) -> Self {
        Self { state: mix(seed, parts) }
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        splitmix(self.state)
    }

    /// Returns a number of `[low, high]`; `low` when the range is empty.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let roll = self.roll();
        if high <= low {
            return low;
        }
        let span = high.abs_diff(low) + 1;
        low.saturating_add_unsigned(roll % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_means_the_same_numbers() {
        assert_eq!(mix(7, &[1, 2]), mix(7, &[1, 2]));
        assert_ne!(mix(7, &[1, 2]), mix(7, &[2, 1]), "the order matters");
        assert_ne!(mix(7, &[1]), mix(8, &[1]));
    }

    #[test]
    fn chance_follows_its_rate() {
        let hits = (0..10_000).filter(|n| chance(mix(1, &[*n]), 0.1)).count();
        assert!((900..1_100).contains(&hits), "{hits} of 10000 at rate 0.1");
        assert!((0..1_000).all(|n| !chance(mix(1, &[n]), 0.0)));
        assert!((0..1_000).all(|n| chance(mix(1, &[n]), 1.0)));
    }

    #[test]
    fn dice_stay_in_their_range() {
        let mut dice = Dice::new(3, &[]);
        assert!((0..1_000).all(|_| (-5..=5).contains(&dice.between(-5, 5))));
        assert_eq!(dice.between(4, 4), 4);
    }
}
