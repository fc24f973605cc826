#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("node_update"), |data: &[u8]| pvelens_tests::fuzz::run("node_update", data));
