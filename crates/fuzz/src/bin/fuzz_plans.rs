//! Searches for inputs that break `fuzz::plans`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::plans(input));
