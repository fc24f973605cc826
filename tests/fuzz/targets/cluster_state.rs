#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("cluster_state"), |data: &[u8]| pvelens_tests::fuzz::run("cluster_state", data));
