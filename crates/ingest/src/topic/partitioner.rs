//! Which partition a key belongs to: the same answer as Kafka's default partitioner gives.
//!
//! Both implementations of the topic must agree, or moving from one to the other would spread the
//! rows of one symbol over two partitions and lose their order.

/// Kafka's seed for murmur2; another seed is another partitioner.
const SEED: u32 = 0x9747_b28c;
/// Murmur2's multiplier and shift, from its definition.
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Returns the partition of `key` among `partitions`; 0 when there are none.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    // Kafka clears the sign bit instead of taking the absolute value.
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

/// Murmur2, 32 bit, as Kafka's clients compute it.
fn murmur2(data: &[u8]) -> u32 {
    let scramble = |word: u32| {
        let word = word.wrapping_mul(M);
        (word ^ (word >> R)).wrapping_mul(M)
    };
    // The length enters modulo 2^32; keys are far shorter.
    let length = u32::try_from(data.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        hash = hash.wrapping_mul(M) ^ scramble(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut tail = [0; 4];
        tail[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(tail)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: i32) {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "key {key:?}");
    }

    #[test]
    fn agrees_with_kafka() {
        // The values that Kafka's own clients are tested with.
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }

    #[test]
    fn every_key_has_a_partition() {
        for key in ["", "AAPL", "MSFT", "BRK.B"] {
            assert!(partition_of(key.as_bytes(), 3) < 3, "key {key:?}");
            assert_eq!(partition_of(key.as_bytes(), 0), 0, "key {key:?}");
        }
    }
}
