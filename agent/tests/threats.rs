//! The threat model names tests: each of them exists.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the sources are read, not a node"
)]

use std::{fs, path::Path};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = include_str!("../THREATS.md");
    let mut named = 0;
    for (path, test) in text
        .split('`')
        .filter_map(|piece| piece.split_once(".rs: "))
    {
        let source = fs::read_to_string(root.join(format!("{path}.rs")))
            .unwrap_or_else(|error| panic!("{path}.rs: {error}"));
        assert!(
            source.contains(&format!("fn {test}(")),
            "{path}.rs has no {test}"
        );
        named += 1;
    }
    assert!(named > 30, "{named}");
}

#[test]
fn it_counts_the_cases_as_they_are() {
    let cases: usize = [
        include_str!("deny/free-text.toml"),
        include_str!("deny/guests.toml"),
        include_str!("deny/parameters.toml"),
        include_str!("deny/policy.toml"),
        include_str!("deny/requests.toml"),
    ]
    .iter()
    .map(|text| text.matches("\n    { name = ").count())
    .sum();
    let said = format!("{cases} cases");
    assert!(include_str!("../THREATS.md").contains(&said), "{said}");
}
