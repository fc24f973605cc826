use toml::Table;

use super::*;
use crate::intent::StatementKind;

const SHIPPED: &str = include_str!("../../../../packaging/conf/intent.toml");

fn parse(text: &str) -> Result<Declared, String> {
    Declared::parse(text).map_err(|error| error.to_string())
}

/// With every example in effect.
fn uncommented() -> String {
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SHIPPED.lines().map(shown).collect()
}

#[test]
fn the_shipped_file_states_nothing_and_shows_every_key() {
    assert_eq!(parse(SHIPPED).unwrap(), Declared::default());
    assert_eq!(parse("").unwrap(), Declared::default());
    let shown: Table = uncommented().parse().unwrap();
    let known = Table::try_from(example()).unwrap();
    assert_eq!(shown["tags"], known["tags"]);
    // Every key of every example, and no other.
    fn keys(value: &toml::Value) -> Vec<String> {
        match value {
            toml::Value::Table(table) => {
                let mut names: Vec<String> = Vec::new();
                for (key, value) in table {
                    names.push(key.clone());
                    names.extend(keys(value).iter().map(|below| format!("{key}.{below}")));
                }
                names
            }
            toml::Value::Array(items) => items.first().map(keys).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
    let (mut shown, mut known) = (
        keys(&toml::Value::Table(shown)),
        keys(&toml::Value::Table(known)),
    );
    shown.sort();
    known.sort();
    assert_eq!(shown, known);
    let declared = parse(&uncommented()).unwrap();
    let kinds: Vec<StatementKind> = declared
        .statements
        .iter()
        .map(|statement| statement.what.kind())
        .collect();
    assert_eq!(
        kinds,
        [
            StatementKind::Suppressed,
            StatementKind::Acknowledged,
            StatementKind::Maintenance,
            StatementKind::Off,
            StatementKind::Rotated,
            StatementKind::NoBackup,
        ]
    );
    let first = &declared.statements[0];
    assert_eq!(first.id, "file.suppressions.1");
    assert_eq!(first.from.to_string(), "2026-11-20T00:00:00Z");
    assert_eq!(
        declared.statements[2].until.unwrap().to_string(),
        "2026-11-20T22:00:00Z"
    );
}

#[test]
fn an_unknown_key_is_an_error_with_its_place_and_a_suggestion() {
    for (text, expected) in [
        (
            "[[supressions]]\n",
            "unknown key `supressions` at line 1, column 3; did you mean `suppressions`?",
        ),
        (
            "[[suppressions]]\nchek = 'x'\n",
            "unknown key `suppressions.chek` at line 2, column 1; did you mean `suppressions.check`?",
        ),
        (
            "[tags]\nlabb = []\n",
            "unknown key `tags.labb` at line 2, column 1; did you mean `tags.lab`?",
        ),
        (
            "[maintenance]\nwindow = []\n",
            "unknown key `maintenance.window` at line 2, column 1; did you mean `maintenance.windows`?",
        ),
        // Nothing reads it yet, so nobody shall believe in it.
        (
            "[guests]\nstop_intended = [104]\n",
            "unknown key `guests` at line 1, column 2",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), expected);
    }
}

#[test]
fn a_statement_that_cannot_hold_is_an_error() {
    let decision = |kind: &str, check: &str, object: &str, until: &str| {
        format!(
            "[[{kind}]]\ncheck = '{check}'\nobject = '{object}'\nauthor = 'a'\nreason = 'r'\n\
             from = 2026-01-01\nuntil = {until}\n"
        )
    };
    let suppress = |check: &str, object: &str, until: &str| {
        parse(&decision("suppressions", check, object, until))
    };
    assert!(suppress("storage.pool.space", "storage/tank", "2026-02-01").is_ok());
    for (check, object, until, part) in [
        (
            "storage.pool.spice",
            "*",
            "2026-02-01",
            "did you mean `storage.pool.space`?",
        ),
        (
            "storage.pool.space",
            "tank",
            "2026-02-01",
            "names no object",
        ),
        (
            "storage.pool.space",
            "*",
            "2025-12-31",
            "ends before it begins",
        ),
        ("storage.pool.space", "*", "'soon'", "not a date or time"),
        ("storage.pool.space", "*", "'7d'", "not a date or time"),
        // Data at risk, and security for longer than a year.
        (
            "storage.lvmthin.data_full",
            "*",
            "2026-02-01",
            "never hidden",
        ),
        ("ct.privileged", "*", "2027-01-02", "at most 365 days"),
    ] {
        let error = suppress(check, object, until).unwrap_err();
        assert!(error.contains(part), "{check} {object} {until}: {error}");
    }
    assert!(suppress("ct.privileged", "*", "2027-01-01").is_ok());
    let floor = "storage.lvmthin.data_full";
    assert!(parse(&decision("acknowledgements", floor, "*", "2026-02-01")).is_ok());
    for (text, part) in [
        (
            "[[maintenance.windows]]\nobjects = ['guest/104']\nauthor = 'a'\nreason = 'r'\nfrom = 2026-01-01\nuntil = 2026-01-02\n",
            "nothing reads this about guest/104",
        ),
        (
            "[[maintenance.windows]]\nobjects = []\nauthor = 'a'\nreason = 'r'\nfrom = 2026-01-01\nuntil = 2026-01-02\n",
            "names no object",
        ),
        (
            "[[backup.exempt]]\nmatch = ['node/pve1']\nauthor = 'a'\nreason = 'r'\n",
            "it is for guests",
        ),
        (
            "[[backup.exempt]]\nmatch = ['*']\nauthor = ' '\nreason = 'r'\n",
            "`backup.exempt.1.author` is empty",
        ),
        (
            "[[backup.exempt]]\nmatch = ['*']\nauthor = 'a'\n",
            "missing field `reason`",
        ),
        (
            "[[storages.rotated]]\nstorage = 'usb'\nevery_days = 0\nauthor = 'a'\nreason = 'r'\n",
            "1 to 400 days",
        ),
        (
            "[[schedules.off]]\nobjects = ['*']\ncalendar = 'nights'\nauthor = 'a'\nreason = 'r'\n",
            "is no calendar",
        ),
        ("[tags]\nbatch = ['node/pve1']\n", "it is for guests"),
        ("[tags]\nlab = ['shelf/3']\n", "names no object"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(parse("[tags]\nlab = ['test', 'node/pve9']\n").is_ok());
}

#[test]
fn what_people_write_is_one_line_of_bounded_length() {
    let reason = "x".repeat(2 * REASON_LIMIT);
    let text = format!(
        "[[backup.exempt]]\nmatch = ['*']\nauthor = \"eve\\u001b[31m\"\nreason = \"a\\nb{reason}\"\n"
    );
    let declared = parse(&text).unwrap();
    let statement = &declared.statements[0];
    assert_eq!(statement.author, "eve\u{fffd}[31m");
    assert!(statement.reason.starts_with("a\u{fffd}bx"));
    assert_eq!(statement.reason.chars().count(), REASON_LIMIT);
}

#[test]
fn the_file_lies_beside_the_settings_and_may_be_missing() {
    assert_eq!(path(None), Path::new("/etc/pvelens/intent.toml"));
    let directory = tempfile::TempDir::new().unwrap();
    let settings = directory.path().join("pvelens.toml");
    assert_eq!(
        Declared::load(Some(&settings)).unwrap(),
        Declared::default()
    );
    std::fs::write(directory.path().join(FILE), "x = 1").unwrap();
    let error = Declared::load(Some(&settings)).unwrap_err();
    assert!(error.to_string().contains("intent.toml"), "{error}");
}
