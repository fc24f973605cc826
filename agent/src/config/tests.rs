//! Settings, those that are shipped among them.

use proptest::prelude::*;

use super::*;

const SHIPPED: &str = include_str!("../../../packaging/conf/agent.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, std::iter::empty()).map_err(|error| error.to_string())
}

fn with(name: &str, value: &str) -> Result<Config, String> {
    let environment = [(name.to_owned(), value.to_owned())];
    Config::parse("", environment.into_iter()).map_err(|error| error.to_string())
}

#[test]
fn the_shipped_file_shows_every_key_with_its_default() {
    assert_eq!(parse(SHIPPED).unwrap(), Config::default());
    let shipped: Table = SHIPPED.parse().unwrap();
    assert_eq!(shipped, Table::try_from(Config::default()).unwrap());
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    assert_eq!(
        parse("[spool]\nlimit_mebibyte = 1\n").unwrap_err(),
        "unknown key `spool.limit_mebibyte`; did you mean `spool.limit_mebibytes`?"
    );
    assert_eq!(
        parse("[agnet]\nroot = \"/\"\n").unwrap_err(),
        "unknown key `agnet`; did you mean `agent`?"
    );
    assert_eq!(
        parse("[log]\nsomething_else = 1\n").unwrap_err(),
        "unknown key `log.something_else`"
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    assert!(parse("[log]\nlevel = 7\n").unwrap_err().contains("line 2"));
    assert_eq!(
        parse("[spool]\nlimit_mebibytes = 0\n").unwrap_err(),
        "`spool.limit_mebibytes` is not from 1 to 1024"
    );
    assert!(
        parse("[log]\nlevel = \"loud\"\n")
            .unwrap_err()
            .contains("error, warn")
    );
    assert!(parse("[agent]\nroot = \"x\"\n").is_err());
    assert_eq!(
        parse("[spool]\ndirectory = \"x\"\n").unwrap_err(),
        "`spool.directory` is not an absolute path"
    );
    assert!(parse("[spool]\ndirectory = \"\"\n").is_ok());
    assert_eq!(
        parse("[recorder]\nlimit_mebibytes = 65\n").unwrap_err(),
        "`recorder.limit_mebibytes` is not from 1 to 64"
    );
    assert_eq!(
        parse("[recorder]\ndirectory = \"x\"\n").unwrap_err(),
        "`recorder.directory` is not an absolute path"
    );
    assert!(parse("[recorder]\ndirectory = \"\"\n").is_ok());
    assert_eq!(
        parse("[audit]\nlimit_mebibytes = 0\n").unwrap_err(),
        "`audit.limit_mebibytes` is not from 1 to 1024"
    );
    assert_eq!(
        parse("[audit]\ndirectory = \"x\"\n").unwrap_err(),
        "`audit.directory` is not an absolute path"
    );
    assert!(parse("[audit]\ndirectory = \"\"\n").is_ok());
    assert!(parse("agent = 1\n").is_err());
    assert!(parse("[agent\n").is_err());
}

#[test]
fn the_environment_wins_and_leaves_other_programs_alone() {
    assert_eq!(
        with("PVELENS_SPOOL__LIMIT_MEBIBYTES", "7")
            .unwrap()
            .spool
            .limit_mebibytes,
        7
    );
    assert_eq!(with("PVELENS_STORE__PATH", "x").unwrap(), Config::default());
    assert_eq!(with("HOME", "x").unwrap(), Config::default());
    assert!(
        with("PVELENS_SPOOL__LIMIT", "7")
            .unwrap_err()
            .contains("PVELENS_SPOOL__LIMIT")
    );
    assert!(with("PVELENS_SPOOL__LIMIT_MEBIBYTES", "x").is_err());
}

#[test]
fn coordinators_are_a_list_in_the_file_and_separated_by_commas_in_the_environment() {
    let name = "PVELENS_LINK__COORDINATORS";
    let two = parse("[link]\ncoordinators = [\"mon\", \"[::1]:7\"]\n").unwrap();
    assert_eq!(two.link.coordinators.len(), 2);
    assert_eq!(with(name, "mon:8440, [::1]:7,").unwrap(), two);
    assert_eq!(with(name, "").unwrap(), Config::default());
    assert_eq!(
        with(name, "mon,MON:8440").unwrap_err(),
        "`link.coordinators` has mon:8440 twice"
    );
    let many: Vec<_> = (0..9).map(|number| format!("mon{number}")).collect();
    assert_eq!(
        with(name, &many.join(",")).unwrap_err(),
        "`link.coordinators` has more than 8"
    );
    assert!(
        with(name, "mon:0")
            .unwrap_err()
            .contains("`link.coordinators")
    );
    assert!(parse("[link]\nsocket = \"link.sock\"\n").is_err());
}

#[test]
fn only_the_default_file_may_be_missing() {
    let error = Config::load(
        Some(Path::new("/nonexistent/agent.toml")),
        std::iter::empty(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("/nonexistent/agent.toml")
    );
}

proptest! {
    #[test]
    fn any_text_is_settings_or_an_error(text in "(\\[?(agent|log|spool|x)\\]?\n|(root|level|x) ?= ?(\"\\PC{0,5}\"|[0-9]{1,4})\n|\\PC{0,9}\n){0,5}") {
        drop(parse(&text));
    }

    #[test]
    fn a_distance_is_one(a in "[a-z]{0,8}", b in "[a-z]{0,8}") {
        prop_assert_eq!(distance(&a, &b), distance(&b, &a));
        prop_assert_eq!(distance(&a, &b) == 0, a == b);
        prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
    }
}
