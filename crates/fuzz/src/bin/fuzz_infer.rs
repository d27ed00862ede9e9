//! Searches for inputs that break `fuzz::infer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::infer(input));
