//! Searches for inputs that break `fuzz::parquet`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzz::expect_panics(),
    |input: &[u8]| fuzz::parquet(input)
);
