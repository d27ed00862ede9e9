//! How the pages that are packed by ourselves are compressed: all as zstd, which every reader knows.

use std::io;

use deltalake_core::parquet::basic::ZstdLevel;
use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, ParamSwitch},
};

/// Whether values of a column come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recurrence {
    /// They do, or nothing tells.
    Repeated,
    /// Among thousands hardly one does, as with prices.
    New,
}

/// A compressor of pages.
pub(super) struct PageCompressor {
    zstd: Compressor<'static>,
    /// What it is set for.
    recurrence: Recurrence,
}

/// Returns how densely a file is compressed: the fastest of the usual levels.
pub(super) fn level() -> ZstdLevel {
    ZstdLevel::try_new(1).unwrap_or_default()
}

/// How much larger a page may be, in percent, if no search was made: prices in the order of days are
/// about a seventh, and numbers that follow a rule several times as large.
const LARGER_MAX: usize = 25;

impl PageCompressor {
    pub(super) fn new() -> io::Result<Self> {
        let zstd = Compressor::new(level().compression_level())?;
        Ok(Self { zstd, recurrence: Recurrence::Repeated })
    }

    /// Compresses a page of such values.
    pub(super) fn compress(&mut self, page: &[u8], recurrence: Recurrence) -> io::Result<Vec<u8>> {
        if self.recurrence != recurrence {
            for parameter in parameters(recurrence) {
                self.zstd.set_parameter(parameter)?;
            }
            self.recurrence = recurrence;
        }
        self.zstd.compress(page)
    }

    /// Compresses a page in both ways, and returns it with the one that suits it. Values of which none
    /// comes again may follow each other, or come again later than a sample shows.
    pub(super) fn try_both(&mut self, page: &[u8]) -> io::Result<(Vec<u8>, Recurrence)> {
        let searched = self.compress(page, Recurrence::Repeated)?;
        let counted = self.compress(page, Recurrence::New)?;
        let is_new = counted.len() * 100 <= searched.len() * (100 + LARGER_MAX);
        Ok(if is_new { (counted, Recurrence::New) } else { (searched, Recurrence::Repeated) })
    }
}

/// Returns what is said to zstd beside the level.
///
/// It looks for stretches that came before, which takes most of its time and finds little where values
/// are new. There it takes long strides, and writes all bytes by how frequent they are: prices are packed in
/// half the time, and are read faster.
const fn parameters(recurrence: Recurrence) -> [CParameter; 4] {
    match recurrence {
        // What the level says.
        Recurrence::Repeated => [
            CParameter::TargetLength(0),
            CParameter::MinMatch(0),
            CParameter::HashLog(0),
            CParameter::LiteralCompressionMode(ParamSwitch::Auto),
        ],
        Recurrence::New => [
            CParameter::TargetLength(64),
            CParameter::MinMatch(7),
            CParameter::HashLog(6),
            CParameter::LiteralCompressionMode(ParamSwitch::Enable),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a page of so many numbers.
    fn page(count: u64, number: impl Fn(u64) -> u64) -> Vec<u8> {
        (0..count).flat_map(|n| number(n).to_le_bytes()).collect()
    }

    /// A number of twenty bits that tells nothing of the one before it: SplitMix64.
    fn price(n: u64) -> u64 {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) >> 44
    }

    #[test]
    fn what_is_said_for_one_page_does_not_hold_for_the_next() {
        let page = page(20_000, |n| price(n) * 10_000);
        let mut compressor = PageCompressor::new().expect("memory");
        let pages = [Recurrence::Repeated, Recurrence::New, Recurrence::Repeated, Recurrence::New]
            .map(|recurrence| compressor.compress(&page, recurrence).expect("memory"));
        for compressed in &pages {
            let read = zstd::bulk::decompress(compressed, page.len()).expect("zstd");
            assert!(read == page, "the page comes back");
        }
        let [repeated, new, repeated_again, new_again] = pages;
        assert!(repeated == repeated_again && new == new_again, "each is compressed alike");
        assert!(repeated != new, "and they differ");
    }

    #[test]
    fn pages_that_a_search_makes_much_smaller_are_searched() {
        let mut compressor = PageCompressor::new().expect("memory");
        for (name, page, expected) in [
            ("prices", page(20_000, |n| price(n) * 10_000), Recurrence::New),
            ("one after the other", page(20_000, |n| n), Recurrence::Repeated),
            ("the same after 5000", page(20_000, |n| price(n % 5000)), Recurrence::Repeated),
        ] {
            let (compressed, found) = compressor.try_both(&page).expect("memory");
            assert_eq!(found, expected, "{name}");
            let read = zstd::bulk::decompress(&compressed, page.len()).expect("zstd");
            assert!(read == page, "{name}: the page comes back");
        }
    }
}
