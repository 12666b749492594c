#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ramgate_mirror::fuzzing::manifest(data));
