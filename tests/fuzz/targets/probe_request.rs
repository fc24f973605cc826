#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("probe_request"), |data: &[u8]| pvelens_tests::fuzz::run("probe_request", data));
