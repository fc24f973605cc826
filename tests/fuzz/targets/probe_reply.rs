#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("probe_reply"), |data: &[u8]| pvelens_tests::fuzz::run("probe_reply", data));
