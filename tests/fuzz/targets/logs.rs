#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("logs"), |data: &[u8]| pvelens_tests::fuzz::run("logs", data));
