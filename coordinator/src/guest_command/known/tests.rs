use std::{collections::BTreeMap, sync::LazyLock};

use toml::Value;

use super::*;

/// The catalogue that the agent carries.
static CATALOGUE: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let text = include_str!("../../../../agent/guest-commands.toml");
    let catalogue: toml::Table = text.parse().unwrap();
    let commands = catalogue["command"].as_array().unwrap();
    let by_id = commands
        .iter()
        .map(|command| (command["id"].as_str().unwrap().to_owned(), command.clone()));
    by_id.collect()
});

const INTERFACES: usize = 15;
const VALUES: usize = 128;
const KINDS: &[&str] = &[
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "swap",
    "path",
    "slice",
    "scope",
    "device",
];

/// Asserts that a node would take a request: the command is in the catalogue and for
/// the system, every parameter that needs a value has one, and every value is of its
/// type.
pub(crate) fn assert_may_be_asked(command: &str, arguments: &[(String, String)], system: System) {
    let entry = CATALOGUE
        .get(command)
        .unwrap_or_else(|| panic!("{command} is not in the catalogue"));
    let family = match system.family {
        GuestSystem::Linux => "linux",
        GuestSystem::Windows => "windows",
        GuestSystem::Other => "other",
        GuestSystem::Unknown => "unknown",
    };
    let systems = entry["systems"].as_array().unwrap();
    let is_for_all = systems.len() == 3;
    assert!(
        is_for_all || systems.iter().any(|one| one.as_str() == Some(family)),
        "{command} is not for {family}"
    );
    let parameters = entry.get("parameters").and_then(Value::as_table);
    let parameter = |name: &str| parameters.and_then(|all| all.get(name));
    for (name, value) in arguments {
        let parameter =
            parameter(name).unwrap_or_else(|| panic!("{command} has no parameter {name}"));
        assert!(is_of_type(value, parameter), "{command} {name}={value:?}");
    }
    for (name, parameter) in parameters.into_iter().flatten() {
        let is_given = arguments.iter().filter(|(given, _)| given == name).count();
        let has_default = parameter.get("default").is_some();
        assert!(
            is_given == 1 || (is_given == 0 && has_default),
            "{command} {name}"
        );
    }
}

/// The rules of the node for values, once more.
fn is_of_type(value: &str, parameter: &Value) -> bool {
    let is_name = |others: &[u8]| {
        let bytes = value.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte))
    };
    let bound = |name: &str| parameter[name].as_integer().unwrap();
    value.len() <= VALUES
        && match parameter["type"].as_str().unwrap() {
            "count" => value
                .parse::<i64>()
                .is_ok_and(|number| (bound("minimum")..=bound("maximum")).contains(&number)),
            "choice" => parameter["choices"].get(value).is_some(),
            "interface" => value.len() <= INTERFACES && is_name(b"_.-"),
            "service" => is_name(b"_.-$"),
            "container" => is_name(b"_.-"),
            "unit" => value.rsplit_once('.').is_some_and(|(stem, kind)| {
                let first = stem.as_bytes().first();
                KINDS.contains(&kind)
                    && first.is_some_and(|first| first.is_ascii_alphanumeric() || *first == b'_')
                    && stem
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b":_.@-".contains(&byte))
            }),
            other => panic!("the type {other} is not known"),
        }
}

#[test]
fn what_is_known_is_what_the_catalogue_says() {
    assert_eq!(COMMANDS.len(), CATALOGUE.len());
    for known in COMMANDS {
        let entry = &CATALOGUE[known.id];
        assert_eq!(entry["title"].as_str(), Some(known.title), "{}", known.id);
        let systems: Vec<&str> = entry["systems"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let own: &[&str] = match known.systems {
            All => &["linux", "windows", "other"],
            Linux => &["linux"],
            LinuxAndWindows => &["linux", "windows"],
            Windows => &["windows"],
        };
        assert_eq!(systems, own, "{}", known.id);
        assert_eq!(
            entry.get("rpc").is_some(),
            known.is_question,
            "{}",
            known.id
        );
        let is_text = entry["reads"].as_str() == Some("text");
        assert_eq!(is_text, known.is_text, "{}", known.id);
    }
}

#[test]
fn defaults_are_those_of_the_catalogue() {
    for (command, parameter, value) in DEFAULTS {
        let parameter = &CATALOGUE[*command]["parameters"][*parameter];
        assert_eq!(parameter["default"].as_str(), Some(*value), "{command}");
    }
    for (id, entry) in CATALOGUE.iter() {
        let parameters = entry.get("parameters").and_then(Value::as_table);
        for (name, parameter) in parameters.into_iter().flatten() {
            let is_count = parameter["type"].as_str() == Some("count");
            assert_eq!(is_count, AMOUNTS.contains(&name.as_str()), "{id} {name}");
            if let (false, Some(default)) = (is_count, parameter.get("default")) {
                let default = default.as_str().unwrap();
                assert!(DEFAULTS.contains(&(id, name, default)), "{id} {name}");
            }
        }
    }
}

#[test]
fn defaults_and_amounts_do_not_make_another_question() {
    let of = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert!(asked("processes", &of(&[("by", "cpu")])).is_empty());
    assert!(asked("vmstat", &of(&[("samples", "5")])).is_empty());
    assert_eq!(
        asked("processes", &of(&[("by", "memory")])),
        [("by", "memory")]
    );
    assert_eq!(
        asked(
            "unit-journal",
            &of(&[("unit", "a.service"), ("lines", "20")])
        ),
        [("unit", "a.service")]
    );
}

#[test]
fn distributions_decide_what_fits() {
    let fits = |id: &str, distribution| find(id).unwrap().fits(System::linux(distribution));
    assert!(fits("failed-units", Distribution::Debian));
    assert!(fits("failed-units", Distribution::Unknown));
    assert!(!fits("failed-units", Distribution::Alpine));
    assert!(fits("openrc-status", Distribution::Alpine));
    assert!(!fits("openrc-status", Distribution::Ubuntu));
    assert!(!fits("dnf-updates", Distribution::Ubuntu));
    let unknown = System::default();
    assert!(find("ping").unwrap().fits(unknown));
    assert!(!find("load").unwrap().fits(unknown));
    assert!(
        !find("load-average")
            .unwrap()
            .fits(System::of(GuestSystem::Other))
    );
}
