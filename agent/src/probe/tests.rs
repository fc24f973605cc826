//! The menu as a whole: what it runs, and what it lets nobody run.

use std::{collections::BTreeSet, fmt::Write};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const KINDS: [Kind; 5] = [
    Kind::Disk,
    Kind::Cluster,
    Kind::Ceph,
    Kind::System,
    Kind::Container,
];

/// A request of every entry, and of every value that changes the arguments.
const EXAMPLES: &[(Kind, &str)] = &[
    (Kind::Disk, r#"{"entry":"smart","device":"sda"}"#),
    (
        Kind::Disk,
        r#"{"entry":"smart","device":"nvme0n1","device_type":"nvme"}"#,
    ),
    (Kind::Disk, r#"{"entry":"zpool_list","format":"text"}"#),
    (Kind::Disk, r#"{"entry":"zpool_list","format":"json"}"#),
    (Kind::Disk, r#"{"entry":"zpool_status","format":"text"}"#),
    (Kind::Disk, r#"{"entry":"zpool_status","format":"json"}"#),
    (Kind::Disk, r#"{"entry":"zfs_list","format":"text"}"#),
    (Kind::Disk, r#"{"entry":"zfs_list","format":"json"}"#),
    (Kind::Disk, r#"{"entry":"vgs"}"#),
    (Kind::Disk, r#"{"entry":"lvs"}"#),
    (Kind::Disk, r#"{"entry":"pvs"}"#),
    (Kind::Disk, r#"{"entry":"dm_status"}"#),
    (Kind::Disk, r#"{"entry":"dm_status","target":"thin-pool"}"#),
    (Kind::Disk, r#"{"entry":"md_detail","array":"md127"}"#),
    (Kind::Disk, r#"{"entry":"multipath"}"#),
    (Kind::Cluster, r#"{"entry":"corosync_links"}"#),
    (Kind::Cluster, r#"{"entry":"corosync_nodes"}"#),
    (Kind::Cluster, r#"{"entry":"corosync_stats"}"#),
    (Kind::Cluster, r#"{"entry":"corosync_quorum"}"#),
    (
        Kind::Cluster,
        r#"{"entry":"journal","source":"kernel","since_seconds":604800,"priority":0,"lines":5000}"#,
    ),
    (
        Kind::Cluster,
        r#"{"entry":"journal","source":"ceph-osd@*","since_seconds":1,"priority":6,"lines":1}"#,
    ),
    (Kind::System, r#"{"entry":"units"}"#),
    (Kind::System, r#"{"entry":"failed_units"}"#),
    (Kind::System, r#"{"entry":"time"}"#),
    (Kind::System, r#"{"entry":"chrony"}"#),
    (Kind::Cluster, r#"{"entry":"sshd_config"}"#),
    (
        Kind::Cluster,
        r#"{"entry":"sshd_config_for","user":"root","host":"client.example","address":"2001:db8::1"}"#,
    ),
    (
        Kind::Cluster,
        r#"{"entry":"mount_liveness","mount_point":"/mnt/pve/my nfs"}"#,
    ),
    (Kind::Cluster, r#"{"entry":"subscription"}"#),
    (Kind::Ceph, r#"{"entry":"status"}"#),
    (Kind::Ceph, r#"{"entry":"df"}"#),
    (Kind::Ceph, r#"{"entry":"osd_df"}"#),
    (Kind::Ceph, r#"{"entry":"osd_tree"}"#),
    (Kind::Ceph, r#"{"entry":"osd_dump"}"#),
    (Kind::Ceph, r#"{"entry":"crush_rules"}"#),
    (Kind::Ceph, r#"{"entry":"health_detail"}"#),
    (Kind::Ceph, r#"{"entry":"versions"}"#),
    (Kind::Container, r#"{"entry":"filesystems"}"#),
    (Kind::Container, r#"{"entry":"filesystems","vmid":110}"#),
];

fn parsed(kind: Kind, text: &str) -> Request {
    Request::parse(kind, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_commands_of_the_whole_menu() {
    let mut text = String::new();
    for (kind, example) in EXAMPLES {
        let request = parsed(*kind, example);
        let entry = request.entry().unwrap();
        writeln!(text, "{} {example}", kind.name()).unwrap();
        for word in entry
            .program
            .map(str::to_owned)
            .into_iter()
            .chain(entry.arguments(&request).unwrap())
        {
            writeln!(text, "    {word}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_entry_has_an_example_and_every_example_an_entry() {
    let named: BTreeSet<_> = EXAMPLES
        .iter()
        .map(|(kind, example)| (*kind, parsed(*kind, example).entry().unwrap().name))
        .collect();
    let entries: BTreeSet<_> = menu().map(|entry| (entry.probe, entry.name)).collect();
    assert_eq!(named, entries);
    assert_eq!(entries.len(), menu().count());
}

#[test]
fn a_request_survives_being_sent() {
    for (kind, example) in EXAMPLES {
        let request = parsed(*kind, example);
        assert!(request.to_json().len() < REQUEST_LIMIT);
        assert_eq!(parsed(*kind, &request.to_json()), request);
    }
}

#[test]
fn every_row_is_whole() {
    for entry in menu() {
        let name = entry.name;
        assert!(!entry.title.is_empty() && !entry.why.is_empty() && !entry.needs.is_empty());
        // Below RuntimeMaxSec of the units, with the request and the reply.
        assert!(entry.timeout.as_secs() <= 30, "{name}");
        assert!((1..=4 << 20).contains(&entry.stdout_limit), "{name}");
        if let Some(program) = entry.program {
            assert!(program.starts_with("/usr/"), "{name}");
            assert!(!program.ends_with("sh"), "{name}");
        }
        for parameter in entry.parameters {
            // A parameter reaches the arguments, or is asked of the kernel.
            let placeholder = format!("{{{}}}", parameter.name);
            let condition = format!("if {}=", parameter.name);
            assert!(
                entry.program.is_none()
                    || entry
                        .template()
                        .any(|word| word.contains(&placeholder) || word.contains(&condition)),
                "{name}: {placeholder}"
            );
        }
    }
}

#[test]
fn what_is_not_a_request_is_refused() {
    let mut count = 0;
    for line in include_str!("tests/refused.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (probe, request) = line.split_once('\t').unwrap();
        let kind = match probe {
            "disk" => Kind::Disk,
            "cluster" => Kind::Cluster,
            "ceph" => Kind::Ceph,
            "system" => Kind::System,
            "container" => Kind::Container,
            _ => panic!("{line}"),
        };
        let refusal = Request::parse(kind, request.as_bytes());
        let reason = refusal.expect_err(request).to_string();
        assert!(
            !reason.is_empty() && !reason.contains(char::is_control),
            "{reason:?}"
        );
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn long_values_and_bytes_that_are_no_text_are_refused() {
    let long = "a".repeat(5_000);
    for (kind, request) in [
        (
            Kind::Disk,
            json!({"entry": "smart", "device": format!("sd{long}")}),
        ),
        (Kind::Disk, json!({"entry": long})),
        (
            Kind::Cluster,
            json!({"entry": "mount_liveness", "mount_point": format!("/{long}")}),
        ),
        (
            Kind::Cluster,
            json!({"entry": "sshd_config_for", "user": "a", "host": long, "address": "::1"}),
        ),
    ] {
        let refusal = Request::parse(kind, request.to_string().as_bytes()).unwrap_err();
        assert!(refusal.to_string().len() <= 1_000);
    }
    for bytes in [
        &b"{\"entry\":\"smart\",\"device\":\"sd\xff\"}"[..],
        b"{\"entry\":\"smart\",\"device\":\"sda\0\"}",
        b"{\"entry\":\"smart\",\"device\":\"sda\n\"}",
        b"\xef\xbb\xbf{\"entry\":\"vgs\"}",
        b"\xff\xfe",
    ] {
        Request::parse(Kind::Disk, bytes).unwrap_err();
    }
    let deep = "[".repeat(4_000);
    Request::parse(Kind::Disk, deep.as_bytes()).unwrap_err();
}

/// The arguments that a row promises for these values, by plain replacement.
fn promised(entry: &Entry, values: &Map<String, Value>) -> Vec<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let absent = |name: &str| match name {
        "device_type" => "auto".to_owned(),
        "target" => "all".to_owned(),
        _ => panic!("{name} has no default"),
    };
    let value = |name: &str| values.get(name).map_or_else(|| absent(name), text);
    let word = |word: String| {
        let Some(condition) = word.strip_prefix('[') else {
            return Some(word);
        };
        let (condition, word) = condition.strip_suffix(']')?.split_once(": ")?;
        let (verb, condition) = condition.split_once(' ')?;
        let (name, wanted) = condition.split_once('=')?;
        ((value(name) == wanted) == (verb == "if")).then(|| word.to_owned())
    };
    let names: Vec<_> = entry
        .parameters
        .iter()
        .map(|parameter| parameter.name)
        .collect();
    let words = entry.template().filter_map(word).map(|word| {
        names.iter().fold(word, |word, name| {
            let placeholder = format!("{{{name}}}");
            if word.contains(&placeholder) {
                word.replace(&placeholder, &value(name))
            } else {
                word
            }
        })
    });
    words.collect()
}

/// A value as a caller may send it: right, nearly right, or meant to harm.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "(sd|hd|nvme|md)[a-z0-9]{0,5}(n[0-9]{1,2})?".prop_map(Value::from),
        prop::sample::select(vec![
            "auto",
            "sat",
            "text",
            "json",
            "all",
            "thin-pool",
            "kernel",
            "corosync",
            "postfix@-",
            "root",
            "client.example",
            "192.0.2.1",
            "2001:db8::1",
            "/mnt/pve/x",
        ])
        .prop_map(Value::from),
        "[-/.,=@*%_{}$; a-z0-9]{0,12}".prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0_u32..10).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arguments_are_the_row_with_checked_values(index in 0..menu().count(), values in prop::collection::vec(value(), 4)) {
        let entry = menu().nth(index).unwrap();
        let mut object = Map::new();
        object.insert("entry".to_owned(), entry.name.into());
        for (parameter, value) in entry.parameters.iter().zip(values) {
            object.insert(parameter.name.to_owned(), value);
        }
        let line = Value::Object(object.clone()).to_string();
        if let Ok(request) = Request::parse(entry.probe, line.as_bytes()) {
            prop_assert_eq!(request.entry().unwrap().name, entry.name);
            let arguments = entry.arguments(&request).unwrap();
            prop_assert_eq!(&arguments, &promised(entry, &object));
            for parameter in entry.parameters.iter().filter(|_| entry.program.is_some()) {
                let value = request.value(parameter.name).unwrap();
                prop_assert!(!value.is_empty() && !value.starts_with('-'), "{}", value);
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:@*-".contains(c);
                prop_assert!(value.chars().all(is_plain), "{}", value);
            }
        }
    }

    #[test]
    fn any_line_is_a_request_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in KINDS {
            if let Ok(request) = Request::parse(kind, &line) {
                prop_assert!(request.entry().is_some());
            }
        }
    }
}

/// The replies of the small node say which command line they are of.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads its fixtures")]
fn the_replies_of_the_small_node_are_of_command_lines_of_the_menu() {
    let replies = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/node/.pvelens/probe");
    let mut seen = 0;
    for kind in KINDS {
        let Ok(files) = std::fs::read_dir(replies.join(kind.name())) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let request = request_named(kind, name);
            let entry = request.entry().unwrap();
            let program = entry.program.map(str::to_owned);
            let arguments = program
                .is_some()
                .then(|| entry.arguments(&request).unwrap());
            let line: Vec<String> = program
                .into_iter()
                .chain(arguments.into_iter().flatten())
                .collect();
            let bytes = std::fs::read(&path).unwrap();
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let header: Header = serde_json::from_slice(&bytes[..end]).unwrap();
            assert_eq!(header.program, line, "{name}");
            assert_eq!(header.stdout_bytes, bytes.len() - end - 1, "{name}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} replies");
}

/// The request whose reply is recorded under a name.
fn request_named(kind: Kind, name: &str) -> Request {
    let mut words = name.split('.');
    let entry = words.next().unwrap();
    let entry = kind.entries().find(|each| each.name == entry).unwrap();
    let mut object = serde_json::Map::new();
    object.insert("entry".to_owned(), entry.name.into());
    for (parameter, value) in entry.parameters.iter().zip(words) {
        let value = if parameter.is_number {
            value.parse::<u32>().unwrap().into()
        } else if parameter.name == "mount_point" {
            value.replace('-', "/").into()
        } else {
            value.into()
        };
        object.insert(parameter.name.to_owned(), value);
    }
    let line = serde_json::to_string(&object).unwrap();
    Request::parse(kind, line.as_bytes()).unwrap()
}
