//! Sealed values: bytes out of nowhere, and changes of a good one.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::sealed_cookie(input));
