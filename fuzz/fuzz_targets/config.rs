//! The text of a configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::config(input));
