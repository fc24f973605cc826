#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("qga"), |data: &[u8]| pvelens_tests::fuzz::run("qga", data));
