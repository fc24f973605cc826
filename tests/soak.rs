//! A short soak; `tests/soak` is the long one.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

use pvelens_tests::soak::{self, Options};

#[test]
fn what_breaks_is_told_and_what_is_mended_is_read_again() {
    let outcome = soak::run(&Options {
        cycles: 300,
        seed: 3,
        program: env!("CARGO_BIN_EXE_pvelens-soak").into(),
    })
    .unwrap();
    assert!(
        outcome.wrong.is_empty(),
        "{}\n{}",
        outcome.text,
        outcome.wrong.join("\n")
    );
    // Needs the right to mount. CI skips nothing.
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(outcome.has_hung || !in_ci, "no read was let hang");
}
