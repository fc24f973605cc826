use toml::{Table, Value};

use super::*;

fn pages(program: &Program) -> Vec<(String, String)> {
    program
        .pages("2026-01-31")
        .unwrap()
        .into_iter()
        .map(|page| (page.file_name, String::from_utf8(page.text).unwrap()))
        .collect()
}

fn page(program: &Program, file_name: &str) -> String {
    let pages = pages(program);
    let found = pages.iter().find(|(name, _)| name == file_name);
    found.unwrap_or_else(|| panic!("no {file_name}")).1.clone()
}

/// Names of the pages of a command and of those below it.
fn names(command: &Command, prefix: &str, section: &str) -> Vec<String> {
    let mut all = vec![format!("{prefix}.{section}")];
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        all.extend(names(
            below,
            &format!("{prefix}-{}", below.get_name()),
            section,
        ));
    }
    all
}

#[test]
fn every_command_that_is_shown_has_a_page() {
    for program in PROGRAMS {
        let mut expected = names(&(program.command)(), program.name, program.section);
        expected.extend(program.written().map(|file| format!("{}.5", file.page)));
        let found: Vec<_> = pages(program).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, expected);
        assert!(found.len() > 5, "{found:?}");
    }
}

#[test]
fn a_page_has_what_a_reader_looks_for() {
    let common = ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"];
    for program in PROGRAMS {
        for (name, text) in pages(program) {
            let own: &[&str] = match name.strip_suffix(program.section) {
                Some(page) if page.trim_end_matches('.') == program.name => {
                    &["COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS"]
                }
                Some(_) => &["OPTIONS", "EXIT STATUS"],
                None => &["SETTINGS"],
            };
            for heading in common.iter().chain(own) {
                let quoted = text.contains(&format!("\n.SH \"{heading}\"\n"));
                assert!(
                    quoted || text.contains(&format!("\n.SH {heading}\n")),
                    "{name} has no {heading}"
                );
            }
            // Words in backquotes are bold, not quoted.
            assert!(!text.contains('`'), "{name}");
        }
    }
}

#[test]
fn every_setting_with_a_default_is_on_the_page_with_it() {
    let defaults = [
        Table::try_from(pvelens_agent::config::Config::default()).unwrap(),
        Table::try_from(pvelens::config::Config::default()).unwrap(),
    ];
    for (program, defaults) in PROGRAMS.iter().zip(defaults) {
        let text = page(program, &format!("{}.5", program.settings.page));
        let mut keys = 0;
        for (section, values) in &defaults {
            assert!(text.contains(&format!(".SS [{section}]")), "{section}");
            let Value::Table(values) = values else {
                panic!("{section} is no section");
            };
            for key in values.keys() {
                let shown = text.contains(&format!("\\fB{key}\\fR = "));
                assert!(shown, "{section}.{key}: {text}");
                keys += 1;
            }
        }
        assert!(keys > 3);
    }
}

#[test]
fn every_statement_that_operators_can_make_is_on_the_page_with_an_example() {
    let [_, coordinator] = PROGRAMS else {
        panic!("two programs");
    };
    let file = &coordinator.beside[0];
    let text = page(coordinator, "pvelens-intent.toml.5");
    // As TOML the file itself says what there is, with its examples set.
    let set: Vec<String> = file
        .text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.starts_with(' ') => example.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let set: Table = set.join("\n").parse().unwrap();
    let mut statements = 0;
    for (section, value) in &set {
        let lists = match value {
            Value::Array(list) => vec![(section.clone(), list.clone())],
            Value::Table(table) if section == "tags" => {
                for key in table.keys() {
                    // A hyphen is one to copy.
                    let key = key.replace('-', "\\-");
                    assert!(text.contains(&format!("\\fB{key}\\fR = ")), "{key}: {text}");
                }
                continue;
            }
            Value::Table(table) => table
                .iter()
                .map(|(name, value)| {
                    let list = value.as_array().unwrap().clone();
                    (format!("{section}.{name}"), list)
                })
                .collect(),
            _ => panic!("{section} is no section"),
        };
        for (name, list) in lists {
            assert!(text.contains(&format!("\n[[{name}]]\n")), "{name}: {text}");
            for key in list[0].as_table().unwrap().keys() {
                assert!(
                    text.contains(&format!("\n{key} = ")),
                    "{name}.{key}: {text}"
                );
            }
            statements += 1;
        }
    }
    assert!(statements > 4);
}

#[test]
fn the_reader_of_a_script_finds_what_the_exit_status_means() {
    let [agent, coordinator] = PROGRAMS else {
        panic!("two programs");
    };
    let health = page(coordinator, "pvelens-health.1");
    assert!(
        health.contains("\\fB3\\fR\ncould not be assessed\n"),
        "{health}"
    );
    let collect = page(agent, "pvelens-agent-collect.8");
    assert!(collect.contains("\\fB3\\fR\nsome source"), "{collect}");
}

#[test]
fn the_variables_are_those_of_the_options() {
    let [_, coordinator] = PROGRAMS else {
        panic!("two programs");
    };
    let text = page(coordinator, "pvelens.1");
    for variable in ["PVELENS_SOCKET", "PVELENS_MCP_SOCKET", "PVELENS_CONFIG"] {
        assert_eq!(
            text.matches(&format!("\\fB{variable}\\fR")).count(),
            1,
            "{variable}"
        );
    }
}

#[test]
fn each_shell_completes_the_commands() {
    for program in PROGRAMS {
        let files = program.completions();
        let names: Vec<_> = files.iter().map(|file| file.file_name.clone()).collect();
        let name = program.name;
        assert_eq!(
            names,
            [
                format!("{name}.bash"),
                format!("_{name}"),
                format!("{name}.fish")
            ]
        );
        for file in files {
            assert!(String::from_utf8(file.text).unwrap().contains("check"));
        }
    }
}
