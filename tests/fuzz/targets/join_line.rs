#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("join_line"), |data: &[u8]| pvelens_tests::fuzz::run("join_line", data));
