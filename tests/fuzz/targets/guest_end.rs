#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("guest_end"), |data: &[u8]| pvelens_tests::fuzz::run("guest_end", data));
