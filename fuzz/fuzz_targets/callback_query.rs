//! What a provider sends back with the browser.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vestibule::fuzzing::callback_query(input));
