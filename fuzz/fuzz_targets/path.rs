//! The target of a request: the one canonical path.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::path(input));
