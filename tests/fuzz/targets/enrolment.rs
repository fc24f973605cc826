#![no_main]
libfuzzer_sys::fuzz_target!(init: pvelens_tests::fuzz::seed("enrolment"), |data: &[u8]| pvelens_tests::fuzz::run("enrolment", data));
