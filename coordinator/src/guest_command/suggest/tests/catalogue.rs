//! Whatever is suggested is in the catalogue, for the system and with its parameters.

use toml::{Table, Value};

use super::{
    super::topics::{Ask, GENERAL, TOPICS, asks},
    *,
};

const WORKFLOWS: [&str; 7] = [
    "slow-guest",
    "disk-full",
    "no-network",
    "service-down",
    "high-memory",
    "time-drift",
    "will-not-boot",
];
const CATALOGUE: &str = include_str!("../../../../../agent/guest-commands.toml");

fn catalogue() -> Vec<Table> {
    let catalogue: Table = toml::from_str(CATALOGUE).expect("the catalogue is TOML");
    let commands = catalogue["command"].as_array().expect("commands").iter();
    commands
        .map(|command| command.as_table().expect("a table").clone())
        .collect()
}

/// What is wrong with a suggestion on a system.
fn flaw(catalogue: &[Table], system: &str, ask: &Ask) -> Option<String> {
    let mut commands = catalogue.iter();
    let Some(command) = commands.find(|command| command["id"].as_str() == Some(ask.command)) else {
        return Some(format!("{} is not there", ask.command));
    };
    let systems = command["systems"].as_array().expect("systems");
    if !systems.iter().any(|known| known.as_str() == Some(system)) {
        return Some(format!("{} is not for {system}", ask.command));
    }
    let none = Table::new();
    let parameters = command
        .get("parameters")
        .and_then(Value::as_table)
        .unwrap_or(&none);
    for (name, value) in &ask.arguments {
        let Some(parameter) = parameters.get(*name) else {
            return Some(format!("{} has no parameter {name}", ask.command));
        };
        let is_choice = parameter["type"].as_str() == Some("choice");
        if is_choice && parameter["choices"].get(value).is_none() {
            return Some(format!("{} has no choice {value}", ask.command));
        }
    }
    let needed = parameters
        .iter()
        .filter(|(_, parameter)| parameter.get("default").is_none());
    let given = |name: &str| ask.arguments.iter().any(|(given, _)| *given == name);
    let missing = needed.map(|(name, _)| name).find(|name| !given(name));
    missing.map(|name| format!("{} wants {name}", ask.command))
}

#[test]
fn the_table_has_only_commands_of_the_catalogue() {
    let catalogue = catalogue();
    let mut flaws = Vec::new();
    for topic in TOPICS.iter().chain([&GENERAL]) {
        let systems = [
            ("linux", topic.linux),
            ("windows", topic.windows),
            ("linux", topic.any),
            ("windows", topic.any),
            ("other", topic.any),
        ];
        for (system, list) in systems {
            flaws.extend(asks(list).filter_map(|ask| flaw(&catalogue, system, &ask)));
        }
        if let Some(workflow) = topic.workflow {
            assert!(WORKFLOWS.contains(&workflow), "{workflow}");
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn names_fit_the_catalogue() {
    let catalogue = catalogue();
    let systems = [
        (GuestSystem::Linux, "linux"),
        (GuestSystem::Windows, "windows"),
    ];
    let issues = [
        "nginx, foo.mount, eth0 and /var/lib/docker/x, /var/cache /opt",
        "iis and the print spooler on D: and e:\\data",
    ];
    for (system, name) in systems {
        for issue in issues {
            for one in of(system, issue).commands {
                let ask = Ask {
                    command: one.command,
                    arguments: one.arguments,
                };
                assert_eq!(flaw(&catalogue, name, &ask), None);
            }
        }
    }
}
