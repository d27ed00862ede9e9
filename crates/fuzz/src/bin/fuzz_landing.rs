//! Searches for inputs that break `fuzz::landing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::landing(input));
