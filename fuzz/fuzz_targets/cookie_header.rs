//! The `Cookie` headers of a request: what is found in them, and what the upstream gets.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::cookie_header(input));
