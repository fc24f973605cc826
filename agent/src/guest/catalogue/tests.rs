use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use proptest::{prelude::*, sample};

use super::{Catalogue, CatalogueError, Command, PreparedCall, System, parameter::Kind, template};
use crate::guest::rule::{Rule, Rules};

/// Read once: it is large.
static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

fn embedded() -> &'static Catalogue {
    &EMBEDDED
}

#[test]
fn it_covers_what_an_administrator_asks_first() {
    let catalogue = embedded();
    let of = |system| {
        let commands = catalogue.commands().iter();
        commands
            .filter(|command| command.systems.contains(&system))
            .count()
    };
    assert!(of(System::Linux) >= 60, "{}", of(System::Linux));
    assert!(of(System::Windows) >= 20, "{}", of(System::Windows));
    let groups: BTreeSet<&str> = catalogue
        .commands()
        .iter()
        .map(|c| c.group.as_str())
        .collect();
    let wanted = [
        "containers",
        "databases",
        "disk",
        "dns",
        "hardware",
        "identity",
        "io",
        "load",
        "logs",
        "memory",
        "network",
        "packages",
        "security",
        "services",
        "time",
        "users",
    ];
    assert_eq!(groups, wanted.into_iter().collect());
}

/// How the arguments of programs begin that could do more than read. A program that is
/// not here or in [`READERS`] is not in the catalogue, and whoever adds one says which
/// of its arguments only read.
const VERBS: &[(&str, &[&[&str]])] = &[
    (
        "systemctl",
        &[
            &["list-units"],
            &["list-timers"],
            &["is-system-running"],
            &["show"],
        ],
    ),
    (
        "systemd-analyze",
        &[&["--no-pager", "time"], &["--no-pager", "blame"]],
    ),
    ("journalctl", &[&["--boot"], &["--boot=-1"]]),
    ("timedatectl", &[&["show"]]),
    ("resolvectl", &[&["--no-pager", "status"]]),
    ("chronyc", &[&["-n", "tracking"], &["-n", "sources"]]),
    ("ntpq", &[&["-p", "-n"]]),
    (
        "ip",
        &[
            &["-o", "address"],
            &["-s", "link"],
            &["route"],
            &["-6", "route"],
            &["neighbour"],
        ],
    ),
    ("ss", &[&["-H", "-l"], &["-H", "-n"], &["-s"]]),
    ("nstat", &[&["-a", "-z", "-s"]]),
    ("ethtool", &[&["{interface}"]]),
    ("nft", &[&["list", "ruleset"]]),
    ("date", &[&["-u", "+%Y-%m-%dT%H:%M:%SZ"]]),
    ("dmesg", &[&["--level=emerg,alert,crit,err,warn"], &[]]),
    ("tail", &[&["-n", "{lines}", "{log}"]]),
    ("lvs", &[&["--readonly"]]),
    ("vgs", &[&["--readonly"]]),
    ("zpool", &[&["status", "-x"]]),
    (
        "apt-get",
        &[&["-s", "-q", "-o", "Debug::NoLocking=1", "upgrade"]],
    ),
    ("dpkg", &[&["--audit"]]),
    ("dpkg-query", &[&["--show"]]),
    ("rpm", &[&["-qa", "--last"]]),
    ("dnf", &[&["-C", "-q", "check-update"]]),
    ("apk", &[&["version"]]),
    ("rc-status", &[&["--all"]]),
    (
        "docker",
        &[
            &["ps"],
            &["stats", "--no-stream"],
            &["logs", "--timestamps", "--tail={lines}"],
        ],
    ),
    ("podman", &[&["ps"]]),
    ("mariadb-admin", &[&["--connect-timeout=5", "status"]]),
    ("mysqladmin", &[&["--connect-timeout=5", "status"]]),
    ("redis-cli", &[&["info", "memory"]]),
    ("valkey-cli", &[&["info", "memory"]]),
    ("bcdedit.exe", &[&["/enum"]]),
    ("sc.exe", &[&["queryex"], &["qc"]]),
    ("schtasks.exe", &[&["/Query"]]),
    (
        "fsutil.exe",
        &[&["volume", "diskfree"], &["dirty", "query"]],
    ),
    ("vssadmin.exe", &[&["list"]]),
    ("ipconfig.exe", &[&["/all"]]),
    ("route.exe", &[&["print"]]),
    ("arp.exe", &[&["-a"]]),
    ("netsh.exe", &[&["advfirewall", "show", "allprofiles"]]),
    ("w32tm.exe", &[&["/query"]]),
    ("wevtutil.exe", &[&["qe"]]),
];

/// Programs that only read, with any of the arguments they have here; their output goes
/// to standard output alone.
const READERS: &[&str] = &[
    "cat",
    "head",
    "uname",
    "uptime",
    "vmstat",
    "ps",
    "free",
    "df",
    "du",
    "lsblk",
    "lsof",
    "iostat",
    "pg_isready",
    "lscpu",
    "lspci",
    "who",
    "last",
    "getenforce",
    "ls",
    "systeminfo.exe",
    "hostname.exe",
    "tasklist.exe",
    "typeperf.exe",
    "netstat.exe",
    "quser.exe",
    "driverquery.exe",
];

#[test]
fn every_program_only_reads_with_the_arguments_it_has() {
    for command in embedded().commands() {
        for program in &command.program {
            let name = program.rsplit(['/', '\\']).next().unwrap();
            if READERS.contains(&name) {
                continue;
            }
            let verbs = VERBS.iter().find(|(known, _)| *known == name);
            let (_, verbs) = verbs.unwrap_or_else(|| panic!("{}: {name} is new", command.id));
            let begins = |verb: &&[&str]| {
                command
                    .arguments
                    .iter()
                    .map(String::as_str)
                    .take(verb.len())
                    .eq(verb.iter().copied())
            };
            let any = verbs.iter().filter(|verb| !verb.is_empty()).any(begins);
            let none = command.arguments.is_empty() && verbs.contains(&&[][..]);
            assert!(any || none, "{}: {:?}", command.id, command.arguments);
        }
    }
}

/// An entry with one thing changed.
fn with(line: &str) -> Result<Catalogue, CatalogueError> {
    let mut entry = BTreeMap::from([
        ("id", "id = \"x\""),
        ("title", "title = \"X\""),
        ("group", "group = \"load\""),
        ("systems", "systems = [\"linux\"]"),
        ("program", "program = [\"/usr/bin/cat\"]"),
        ("arguments", "arguments = [\"/proc/loadavg\"]"),
        ("timeout_seconds", "timeout_seconds = 5"),
        ("output_limit_bytes", "output_limit_bytes = 4096"),
        ("reads", "reads = \"text\""),
        (
            "allow",
            "allow = [{ argv = [\"/usr/bin/cat\", \"/proc/loadavg\"] }]",
        ),
    ]);
    let mut more = String::new();
    for line in line.lines() {
        let key = line.split(' ').next().unwrap();
        if entry.insert(key, line).is_none() {
            entry.remove(key);
            more.push_str(line);
            more.push('\n');
        }
    }
    let lines: Vec<&str> = entry.into_values().collect();
    Catalogue::parse(&format!("[[command]]\n{}\n{more}", lines.join("\n")))
}

#[test]
fn entries_that_could_do_more_than_read_are_refused() {
    with("id = \"good\"").unwrap();
    let long = format!("id = \"{}\"", "x".repeat(41));
    for wrong in [
        "program = [\"/bin/sh\"]",
        "program = [\"/usr/bin/bash5\"]",
        "program = [\"/usr/bin/python3.13\"]",
        "program = [\"/usr/bin/find\"]",
        "program = [\"/usr/bin/env\"]",
        "program = [\"/bin/busybox\"]",
        "program = [\"/usr/bin/ld.so\"]",
        "program = [\"cat\"]",
        "program = [\"/tmp/cat\"]",
        "program = [\"/usr/bin/../../tmp/cat\"]",
        "program = [\"/usr/bin/-x\"]",
        "program = [\"/usr/bin/\"]",
        "program = [\"/usr/local/bin/cat\"]",
        "program = [\"C:\\\\Windows\\\\System32\\\\sc.exe\"]",
        "program = []",
        "systems = [\"windows\"]",
        "systems = [\"windows\"]\nprogram = [\"C:\\\\Windows\\\\System32\\\\cmd.exe\"]",
        "systems = [\"windows\"]\nprogram = [\"C:\\\\Windows\\\\System32\\\\..\\\\x.exe\"]",
        "systems = [\"windows\"]\nprogram = [\"C:\\\\Windows\\\\System32\\\\a.bat\"]",
        "systems = [\"other\"]",
        "systems = [\"linux\", \"windows\"]",
        "systems = []",
        "rpc = \"guest-ping\"",
        "rpc = \"guest-file-open\"\nprogram = []\narguments = []",
        "rpc = \"guest-shutdown\"\nprogram = []\narguments = []",
        "arguments = [\"{file}\"]",
        "timeout_seconds = 0",
        "timeout_seconds = 61",
        "output_limit_bytes = 1023",
        "output_limit_bytes = 262145",
        "success = []",
        "id = \"X Y\"",
        &long,
        "title = \"\"",
        "group = \"\"",
        "reads = \"a b\"",
        "shell = true",
        "allow = []",
        "allow = [{ argv = [\"/usr/bin/cat\", \"/etc/shadow\"] }]",
        "deny = [{ rule = \"not_a_count\" }]",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn parameters_that_could_do_more_than_choose_are_refused() {
    let parameter = |definition: &str, value: &str| {
        with(&format!(
            "arguments = [\"{{what}}\"]\n\
             allow = [{{ parameters = {{ what = \"{value}\" }}, argv = [\"/usr/bin/cat\", \"{value}\"] }}]\n\
             deny = [{{ rule = \"missing_parameter\" }}]\n\
             parameters = {{ what = {{ title = \"x\", {definition} }} }}"
        ))
    };
    parameter("type = \"unit\"", "a.service").unwrap();
    parameter("type = \"choice\", choices = { a = \"a\" }", "a").unwrap();
    for (wrong, value) in [
        ("type = \"path\"", "/etc/passwd"),
        ("type = \"text\"", "x"),
        ("type = \"choice\"", "x"),
        ("type = \"choice\", choices = { a = \"-a\" }", "a"),
        ("type = \"choice\", choices = { a = \"\" }", "a"),
        ("type = \"count\"", "1"),
        ("type = \"count\", minimum = 5, maximum = 1", "1"),
        ("type = \"unit\", minimum = 1, maximum = 2", "a.service"),
        ("type = \"unit\", choices = { a = \"a\" }", "a.service"),
        ("type = \"unit\", default = \"-x\"", "a.service"),
        ("type = \"unit\", glob = true", "a.service"),
    ] {
        assert!(parameter(wrong, value).is_err(), "{wrong}");
    }
    assert!(with("parameters = { what = { title = \"x\", type = \"unit\" } }").is_err());
}

#[test]
fn what_is_no_slot_stands_for_itself() {
    let filled = |argument| template::fill(argument, &[("a", "{b}"), ("b", "x"), ("a_b", "y")]);
    assert_eq!(filled("{{json .}}"), "{{json .}}");
    assert_eq!(filled("--x={a}{b}{a_b}"), "--x={b}xy");
    assert_eq!(filled("{A}{}{a-b}{"), "{A}{}{a-b}{");
    assert_eq!(filled("äö{b}ü"), "äöxü");
}

/// Another way to fill slots than that of the program.
fn expected(command: &Command, values: &BTreeMap<String, String>) -> Vec<String> {
    let template = command.template();
    let filled = template.iter().enumerate().map(|(at, part)| match at {
        0 => part.clone(),
        _ => {
            let slots: Vec<&str> = template::slots(part).collect();
            assert!(slots.len() <= 1, "one argument has one slot at most");
            match slots.first() {
                Some(slot) => part.replacen(&format!("{{{slot}}}"), &values[*slot], 1),
                None => part.clone(),
            }
        }
    });
    filled.collect()
}

/// Values that are near to what is allowed.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[a-z0-9._@:$\\\\-]{0,140}",
        "[0-9]{0,25}",
        "-{1,2}[a-z]{1,9}(=[a-z/]{0,9})?",
        "[a-z]{1,8}\\.(service|socket|target|timer|mount)",
        "[a-z][a-z0-9.]{0,14}",
        sample::select(vec![
            "cpu", "memory", "error", "warning", "var-log", "syslog", "c", "{lines}", "{unit}",
            "a b", "a;b", "$(id)", "`id`", "a\nb", "a\0b", "..", "/", "", "*", "?", "[a]", "a|b",
            "\u{202e}", "lo", "100", "1",
        ])
        .prop_map(str::to_owned),
    ]
}

fn asked() -> impl Strategy<Value = (usize, Vec<(String, String)>)> {
    let names = [
        "lines",
        "unit",
        "priority",
        "interface",
        "samples",
        "by",
        "directory",
        "log",
        "container",
        "service",
        "drive",
        "count",
        "path",
    ];
    let name = sample::select(names.map(str::to_owned).to_vec());
    (
        0..embedded().commands().len(),
        prop::collection::vec((name, value()), 0..4),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn argv_is_the_template_with_values_in_its_slots((at, given) in asked()) {
        let catalogue = embedded();
        let command = &catalogue.commands()[at];
        // Of the parameters that the command has, too.
        let mut given = given;
        for parameter in &command.parameters {
            if let Some(first) = given.first().cloned()
                && !given.iter().any(|(name, _)| *name == parameter.name)
            {
                given.push((parameter.name.clone(), first.1));
            }
        }
        given.retain(|(name, _)| command.parameters.iter().any(|known| known.name == *name));
        if let Ok(prepared) = command.prepare(&given, Rules::default()) {
            let mut values = BTreeMap::new();
            for parameter in &command.parameters {
                let own = given.iter().find(|(name, _)| *name == parameter.name);
                let value = own.map(|(_, value)| value).or(parameter.default.as_ref()).unwrap();
                let argument = match &parameter.kind {
                    Kind::Choice(choices) => choices[value].clone(),
                    _ => value.clone(),
                };
                prop_assert!(!argument.starts_with(['-', '/', '\\']) || matches!(&parameter.kind, Kind::Choice(_)));
                prop_assert!(!argument.starts_with('-'));
                prop_assert!(!argument.is_empty() && argument.chars().all(|c| c.is_ascii_graphic()));
                prop_assert!(!argument.contains(['*', '?', '[', ';', '|', '&', '`', '\'', '"', '<', '>']));
                values.insert(parameter.name.clone(), argument);
            }
            prop_assert_eq!(prepared.argv(), expected(command, &values));
            if let PreparedCall::Exec { programs, .. } = &prepared.call {
                prop_assert_eq!(programs, &command.program);
            }
        }
    }

    #[test]
    fn whatever_is_let_through_stays_one_argument(text in value(), other in value()) {
        // Even without the rule that refuses it.
        let rules = Rules { without: Some(Rule::NotAUnit) };
        let catalogue = embedded();
        let command = catalogue.find("unit-status").unwrap();
        let given = [("unit".to_owned(), text.clone())];
        if let Ok(prepared) = command.prepare(&given, rules) {
            let argv = prepared.argv();
            prop_assert_eq!(argv.len(), command.template().len());
            prop_assert_eq!(argv.last().unwrap(), &text);
            prop_assert_eq!(&argv[argv.len() - 2], "--");
        }
        let filled = template::fill("{a}{b}", &[("a", &text), ("b", &other)]);
        prop_assert_eq!(filled, format!("{text}{other}"));
    }

    #[test]
    fn any_text_is_a_catalogue_or_none(text in ".{0,300}") {
        Catalogue::parse(&text).ok();
    }
}
