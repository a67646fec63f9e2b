//! A signed token, up to its signature.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::id_token(input));
