//! How the pages that are packed by ourselves are compressed: all as zstd, which every reader knows.

use std::io;

use deltalake_core::parquet::basic::ZstdLevel;
use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, ParamSwitch},
};

/// Whether the values of a column come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Many do, and so do stretches of them.
    Repeated,
    /// They hardly ever do, as prices: some of their bytes are frequent, and that is all.
    New,
}

/// A compressor of pages.
pub(super) struct PageCompressor {
    zstd: Compressor<'static>,
    /// What it is set for.
    values: Values,
}

/// Returns how densely a file is compressed: the fastest of the usual levels.
pub(super) fn level() -> ZstdLevel {
    ZstdLevel::try_new(1).unwrap_or_default()
}

impl PageCompressor {
    pub(super) fn new() -> io::Result<Self> {
        let zstd = Compressor::new(level().compression_level())?;
        Ok(Self { zstd, values: Values::Repeated })
    }

    /// Compresses a page of such values.
    pub(super) fn compress(&mut self, page: &[u8], values: Values) -> io::Result<Vec<u8>> {
        if self.values != values {
            for parameter in parameters(values) {
                self.zstd.set_parameter(parameter)?;
            }
            self.values = values;
        }
        self.zstd.compress(page)
    }
}

/// Returns what is said to zstd beside the level.
///
/// It looks for stretches that came before, which takes most of its time and finds next to none among
/// values that are new. There it takes long strides, and writes all bytes by how frequent they are:
/// prices take a twentieth more room, are packed in half the time, and are read faster.
const fn parameters(values: Values) -> [CParameter; 4] {
    match values {
        // What the level says.
        Values::Repeated => [
            CParameter::TargetLength(0),
            CParameter::MinMatch(0),
            CParameter::HashLog(0),
            CParameter::LiteralCompressionMode(ParamSwitch::Auto),
        ],
        Values::New => [
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

    #[test]
    fn what_is_said_for_one_page_does_not_hold_for_the_next() {
        let page: Vec<u8> =
            (0..100_000_u32).flat_map(|n| (n * 7919 % 65_521).to_le_bytes()).collect();
        let mut compressor = PageCompressor::new().expect("memory");
        let pages = [Values::Repeated, Values::New, Values::Repeated, Values::New]
            .map(|values| compressor.compress(&page, values).expect("memory"));
        for compressed in &pages {
            let read = zstd::bulk::decompress(compressed, page.len()).expect("zstd");
            assert!(read == page, "the page comes back");
        }
        let [repeated, new, repeated_again, new_again] = pages;
        assert!(repeated == repeated_again && new == new_again, "each kind is compressed alike");
        assert!(repeated != new, "and the kinds differ");
    }
}
