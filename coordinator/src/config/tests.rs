use proptest::prelude::*;
use toml::Table;

use super::*;

const SHIPPED: &str = include_str!("../../../packaging/conf/pvelens.toml");

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
fn the_shipped_file_shows_every_key_of_a_profile() {
    let uncommented: String = SHIPPED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let shown: Table = uncommented.parse().unwrap();
    assert_eq!(
        shown["profile"]["lab"].as_table().unwrap(),
        &Table::try_from(ClusterProfile::default()).unwrap()
    );
    assert!(parse(&uncommented).is_ok());
}

#[test]
fn an_unknown_key_is_an_error_with_its_place_and_a_suggestion() {
    assert_eq!(
        parse("# x\n[http]\n  lisen = \"127.0.0.1:1\"\n").unwrap_err(),
        "unknown key `http.lisen` at line 3, column 3; did you mean `http.listen`?"
    );
    assert_eq!(
        parse("[agnets]\nsockets = []\n").unwrap_err(),
        "unknown key `agnets` at line 1, column 2; did you mean `agents`?"
    );
    assert_eq!(
        parse("[log]\nsomething_else = 1\n").unwrap_err(),
        "unknown key `log.something_else` at line 2, column 1"
    );
    assert_eq!(
        parse("[profile.lab]\nhostin = true\n").unwrap_err(),
        "unknown key `profile.lab.hostin` at line 2, column 1; did you mean `profile.lab.hosting`?"
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    for (text, part) in [
        ("[log]\nlevel = 7\n", "line 2, column 9"),
        ("[log]\nlevel = \"loud\"\n", "`error`, `warn`"),
        ("[http]\nlisten = \"here\"\n", "line 2"),
        ("[agents]\nsockets = [\"local.sock\"]\n", "absolute"),
        ("[agents]\nrescan_seconds = 0\n", "from 1 to 3600"),
        ("[store]\nwrite_interval_seconds = 0\n", "from 1 to 600"),
        ("[store]\nlimit_mebibytes = 1\n", "from 64 to 10485760"),
        ("[sockets]\ndirectory = \"x\"\n", "absolute"),
        (
            "[evaluation]\nmaximum_interval_seconds = 900\n",
            "from 1 to 60",
        ),
        ("[profile.lab]\nprofile = \"lax\"\n", "line 2"),
        ("profile = 1\n", "line 1"),
        ("agents = 1\n", "line 1"),
        ("[agents\n", "line 1"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn only_loopback_is_served_without_encryption() {
    for address in ["0.0.0.0:8442", "192.168.1.2:80", "[::]:8442"] {
        let error = parse(&format!("[http]\nlisten = \"{address}\"\n")).unwrap_err();
        assert!(error.contains(address) && error.contains("TLS"), "{error}");
    }
    assert!(parse("[http]\nlisten = \"[::1]:0\"\n").is_ok());
}

#[test]
fn a_declared_profile_reaches_the_checks() {
    let config = parse("[profile.lab]\nprofile = \"homelab\"\nhosting = true\n").unwrap();
    let params = config.params();
    assert_eq!(
        params.profiles["lab"],
        DeclaredProfile {
            profile: crate::check::Profile::Homelab,
            hosting: true
        }
    );
}

#[test]
fn the_environment_wins_and_a_misspelt_variable_is_an_error() {
    assert!(!with("PVELENS_HTTP__ENABLED", "false").unwrap().http.enabled);
    assert_eq!(
        with("PVELENS_AGENTS__SOCKETS", "/a.sock:/b.sock")
            .unwrap()
            .agents
            .sockets,
        [PathBuf::from("/a.sock"), PathBuf::from("/b.sock")]
    );
    assert_eq!(
        with("PVELENS_PROFILE__LAB__PROFILE", "strict")
            .unwrap()
            .profile["lab"]
            .profile,
        Profile::Strict
    );
    // Not settings: a variable of the command line, the agent's, another program's.
    for other in ["PVELENS_SOCKET", "PVELENS_AGENT__ROOT", "HOME"] {
        assert_eq!(with(other, "x").unwrap(), Config::default());
    }
    assert_eq!(
        with("PVELENS_HTTP__LISEN", "x").unwrap_err(),
        "unknown key `PVELENS_HTTP__LISEN`; did you mean `PVELENS_HTTP__LISTEN`?"
    );
    assert_eq!(
        with("PVELENS_HTPT__LISTEN", "x").unwrap_err(),
        "unknown key `PVELENS_HTPT__LISTEN`; did you mean `PVELENS_HTTP__LISTEN`?"
    );
    assert!(with("PVELENS_HTTP__ENABLED", "x").is_err());
    assert!(with("PVELENS_AGENTS__RESCAN_SECONDS", "x").is_err());
    assert!(with("PVELENS_PROFILE__LAB", "x").is_err());
}

#[test]
fn only_the_default_file_may_be_missing() {
    let path = Path::new("/nonexistent/pvelens.toml");
    let error = Config::load(Some(path), std::iter::empty()).unwrap_err();
    assert_eq!(error.to_string(), "reading /nonexistent/pvelens.toml");
}

#[test]
fn an_error_names_the_file_or_the_environment() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("pvelens.toml");
    let variable = || std::iter::once(("PVELENS_HTTP__LISTEN".to_owned(), "x".to_owned()));
    std::fs::write(&path, "").unwrap();
    let error = Config::load(Some(&path), variable()).unwrap_err();
    assert_eq!(error.to_string(), "in the environment");
    std::fs::write(&path, "x = 1").unwrap();
    let error = Config::load(Some(&path), variable()).unwrap_err();
    assert_eq!(error.to_string(), format!("in {}", path.display()));
}

proptest! {
    #[test]
    fn any_text_is_settings_or_an_error(text in "(\\[?(agents|log|profile|profile.x)\\]?\n|(directory|level|profile|x) ?= ?(\"\\PC{0,5}\"|[0-9]{1,4}|\\{\\})\n|\\PC{0,9}\n){0,5}", value in "\\PC{0,5}") {
        let variable = ("PVELENS_PROFILE__X__PROFILE".to_owned(), value);
        drop(Config::parse(&text, std::iter::once(variable)));
    }
}
