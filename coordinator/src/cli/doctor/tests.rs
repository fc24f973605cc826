use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
    },
};

use pvelens_proto::{
    timestamp_from_millis,
    v1::{
        AgentTransport, AuthorityState, Client, CollectorFailure, Coverage, CoverageLevel,
        NodeCoverage, Token, VerdictCounts,
    },
};
use tempfile::TempDir;

use super::*;
use crate::{
    config::AGENT_SOCKET,
    render::{Format, Style},
};
use system::User;

const ANNA: u32 = 4242;
const AT_MILLIS: i64 = 1_795_349_087_000;

/// A machine with the packages, as a tree of files.
struct Machine {
    directory: TempDir,
    /// The group that the sockets have here.
    group: u32,
    sockets: Vec<UnixListener>,
}

impl Machine {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut machine = Self {
            group: fs::metadata(directory.path()).unwrap().gid(),
            directory,
            sockets: Vec::new(),
        };
        machine.write("run/systemd/system/x", "");
        for unit in ["pvelens.service", "pvelens-read.socket"] {
            machine.write(&format!("usr/lib/systemd/system/{unit}"), "");
        }
        machine.write("var/lib/pvelens/x", "");
        machine.write(
            "sys/fs/cgroup/system.slice/pvelens.service/cgroup.procs",
            "812\n",
        );
        machine.write("proc/uptime", "9000.00 1.00\n");
        let fields = "S 1 812 812 0 -1 4 1 0 0 0 1 1 0 0 20 0 3 0 180000 1 1";
        machine.write("proc/812/stat", &format!("812 (pvelens) {fields}\n"));
        machine.groups("anna");
        for name in ["run/pvelens/read.sock", "run/pvelens/mcp.sock"] {
            machine.socket(name);
        }
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.directory.path().join(path)).unwrap();
    }

    /// Who is in the group of the readers.
    fn groups(&self, readers: &str) {
        let id = self.group;
        let lines = format!(
            "root:x:0:\npvelens:x:{id}:\npvelens-users:x:{id}:{readers}\npvelens-operators:x:7:\n"
        );
        self.write("etc/group", &lines);
    }

    fn socket(&mut self, path: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.sockets.push(UnixListener::bind(&path).unwrap());
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap();
    }

    /// Judged for a user whose session has these groups.
    fn judged(&self, user: u32, groups: &[u32], asked: Asked) -> Diagnosis {
        let name = if user == 0 { "root" } else { "anna" };
        let user = User {
            id: user,
            name: name.to_owned(),
            groups: groups.to_vec(),
        };
        let config = Config {
            http: crate::config::Http {
                enabled: false,
                ..crate::config::Http::default()
            },
            // What listens on this machine is not of the test.
            link: crate::config::Link {
                enabled: crate::config::Opening::Off,
                ..crate::config::Link::default()
            },
            ..Config::default()
        };
        let look = Look {
            system: System::at(self.directory.path(), user),
            about_settings: vec![
                Item::ok("/etc/pvelens/pvelens.toml is valid"),
                Item::ok(
                    "/etc/pvelens/intent.toml is valid and has 3 statements, 1 of which has ended",
                ),
            ],
            sockets: config.sockets.clone(),
            config,
            asked,
            now: Timestamp::from_millisecond(AT_MILLIS).unwrap(),
            installed_at: None,
        };
        look.judge()
    }
}

fn text(diagnosis: &Diagnosis) -> String {
    let style = Style {
        format: Format::Text,
        width: Some(80),
        color: false,
    };
    let text = render::render(diagnosis, &style);
    assert!(text.lines().all(|it| it.chars().count() <= 80), "{text}");
    // Room differs from machine to machine.
    let lines = text
        .lines()
        .map(|line| match line.split_once(" are free for ") {
            Some((_, place)) => format!("  ✔ [room] are free for {place}"),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn agent(node: &str) -> Agent {
    Agent {
        node: node.to_owned(),
        connected: true,
        last_update_at: Some(timestamp_from_millis(AT_MILLIS - 4000)),
        clock_offset_seconds: Some(-0.04),
        address: AGENT_SOCKET.to_owned(),
        ..Agent::default()
    }
}

fn node(name: &str, level: CoverageLevel) -> NodeCoverage {
    NodeCoverage {
        node: name.to_owned(),
        level: level.into(),
        ..NodeCoverage::default()
    }
}

fn healthy() -> Answers {
    Answers {
        agents: vec![agent("pve1")],
        report: Report {
            coverage: Some(Coverage {
                nodes: vec![node("pve1", CoverageLevel::Full)],
                ..Coverage::default()
            }),
            verdicts: Some(VerdictCounts {
                passed: 40,
                failed: 1,
                ..VerdictCounts::default()
            }),
            ..Report::default()
        },
        store: Some(GetStoreResponse {
            is_kept: true,
            total_bytes: 80 << 20,
            limit_bytes: 2 << 30,
            written_at: Some(timestamp_from_millis(AT_MILLIS - 9000)),
            ..GetStoreResponse::default()
        }),
        invited: None,
    }
}

fn answered(answers: Answers) -> Asked {
    Asked::Answered(Box::new(answers))
}

#[test]
fn a_healthy_machine_needs_one_line_for_each_group() {
    let machine = Machine::new();
    let diagnosis = machine.judged(ANNA, &[machine.group], answered(healthy()));
    assert_eq!(diagnosis.state, State::Ok);
    insta::assert_snapshot!(text(&diagnosis));
}

#[test]
fn a_stopped_coordinator_is_to_be_started() {
    let machine = Machine::new();
    machine.remove("sys/fs/cgroup/system.slice/pvelens.service/cgroup.procs");
    machine.remove("run/pvelens/mcp.sock");
    insta::assert_snapshot!(text(&machine.judged(0, &[0], Asked::Stopped)));
}

#[test]
fn a_user_learns_how_to_come_into_the_group() {
    let machine = Machine::new();
    machine.groups("berta");
    insta::assert_snapshot!(text(&machine.judged(ANNA, &[100], Asked::Closed)));
}

#[test]
fn a_new_member_learns_to_log_in_again() {
    let machine = Machine::new();
    let text = text(&machine.judged(ANNA, &[100], Asked::Closed));
    assert!(text.contains("newer than this login"), "{text}");
    assert!(
        text.ends_with("Do first: log in again, or `newgrp pvelens-users` for\n    this shell\n"),
        "{text}"
    );
}

#[test]
fn a_cluster_that_is_seen_in_part_says_what_is_missing() {
    let machine = Machine::new();
    let mut answers = healthy();
    let mut away = agent("pve2");
    away.connected = false;
    away.last_error = "no permission to use the socket\u{1b}[2J".to_owned();
    let mut silent = agent("pve3");
    silent.last_update_at = Some(timestamp_from_millis(AT_MILLIS - 300_000));
    let mut ahead = agent("pve4");
    ahead.clock_offset_seconds = Some(7.5);
    answers.agents.extend([away, silent, ahead]);
    let coverage = answers.report.coverage.as_mut().unwrap();
    coverage.nodes[0].failures.push(CollectorFailure {
        collector: "pve_status".to_owned(),
        path: "/run/pve/metrics".to_owned(),
        kind: "not_found".to_owned(),
        detail: "No such file or directory".to_owned(),
    });
    coverage.nodes.push(node("pve5", CoverageLevel::Basic));
    coverage.not_assessed = vec!["data is old because the agent is silent on pve3".to_owned()];
    answers.report.verdicts.as_mut().unwrap().unknown = 12;
    let diagnosis = machine.judged(0, &[0], answered(answers));
    insta::assert_snapshot!(text(&diagnosis));
    let markdown = render::Render::markdown(&diagnosis);
    assert!(
        markdown.contains("  - why: no agent reports from there\n"),
        "{markdown}"
    );
}

#[test]
fn a_thousand_ill_agents_are_counted() {
    let mut ill = agent("");
    ill.connected = false;
    let now = Timestamp::from_millisecond(AT_MILLIS).unwrap();
    let items = fleet::agents(&vec![ill; 1000], now);
    assert_eq!(items.len(), 6);
    assert_eq!(items[5].what, "995 more agents are not well");
    assert_eq!(fleet::agents(&[], now)[0].state, State::Problem);
}

#[test]
fn an_agent_that_nobody_follows_is_named() {
    let mut machine = Machine::new();
    machine.socket("run/pvelens-agent/local.sock");
    let mut elsewhere = healthy();
    elsewhere.agents[0].address = "/run/x.sock".to_owned();
    let shown = text(&machine.judged(0, &[0], answered(elsewhere)));
    assert!(shown.contains("is not followed"), "{shown}");
    let shown = text(&machine.judged(0, &[0], answered(healthy())));
    assert!(!shown.contains("is not followed"), "{shown}");
}

#[test]
fn a_node_without_an_agent_is_told_to_install_it() {
    let machine = Machine::new();
    machine.write("etc/pve/x", "");
    let text = text(&machine.judged(0, &[0], answered(healthy())));
    assert!(text.contains("`apt install pvelens-agent`"), "{text}");
}

#[test]
fn a_socket_that_everybody_may_use_is_a_problem() {
    let machine = Machine::new();
    let path = machine.directory.path().join("run/pvelens/read.sock");
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    let diagnosis = machine.judged(0, &[0], answered(healthy()));
    let text = text(&diagnosis);
    assert!(
        text.contains("every user of this machine can connect"),
        "{text}"
    );
    assert_eq!(diagnosis.state, State::Problem);
}

#[test]
fn only_a_question_that_starts_nothing_is_asked() {
    let machine = Machine::new();
    let user = User {
        id: 0,
        name: "root".to_owned(),
        groups: vec![0],
    };
    let system = System::at(machine.directory.path(), user);
    let packaged = Sockets::default();
    let elsewhere = Sockets {
        directory: PathBuf::from("/tmp/x"),
        ..Sockets::default()
    };
    assert!(!would_start(&system, &packaged), "it runs");
    machine.write(
        "sys/fs/cgroup/system.slice/pvelens.service/cgroup.procs",
        "",
    );
    assert!(would_start(&system, &packaged));
    assert!(!would_start(&system, &elsewhere));
}

#[test]
fn a_clock_before_the_installation_is_wrong() {
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(clock(at(100), Some(at(99))), None);
    assert_eq!(clock(at(100), None), None);
    let item = clock(at(100), Some(at(1_795_349_087))).unwrap();
    assert!(item.what.contains("1970-01-01"), "{}", item.what);
}

#[test]
fn keys_that_others_can_read_are_a_problem() {
    let machine = Machine::new();
    let at = |path: &str| machine.directory.path().join(path);
    let (directory, key) = (
        "var/lib/pvelens/trust",
        "var/lib/pvelens/trust/authority-1.key",
    );
    machine.write(key, "");
    let judged = |directory_mode: u32, file_mode: u32| {
        fs::set_permissions(at(key), fs::Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(at(directory), fs::Permissions::from_mode(directory_mode)).unwrap();
        let text = text(&machine.judged(0, &[0], answered(healthy())));
        text.contains("not for it alone")
    };
    assert!(!judged(0o700, 0o600));
    assert!(judged(0o750, 0o600));
    assert!(judged(0o700, 0o640));
}

#[test]
fn certificates_that_end_and_doubled_identities_are_named() {
    let now = Timestamp::from_millisecond(AT_MILLIS).unwrap();
    let in_days = |days: i64| Some(timestamp_from_millis(AT_MILLIS + days * 86_400_000));
    let mut answers = healthy();
    for (node, days) in [("pve2", 60), ("pve3", 5), ("pve4", -30)] {
        let mut agent = agent(node);
        agent.certificate_expires_at = in_days(days);
        agent.transport = AgentTransport::Link.into();
        answers.agents.push(agent);
    }
    answers.agents[1].identity_problem = "another agent with its identity connected".to_owned();
    answers.invited = Some(Invited {
        tokens: vec![Token {
            node_count: 2,
            expires_at: in_days(1),
            ..Token::default()
        }],
        clients: vec![Client {
            name: "ci".to_owned(),
            expires_at: in_days(3),
            ..Client::default()
        }],
        authorities: vec![AuthorityState {
            fingerprint: "ab12cd34ef".to_owned(),
            is_signing: true,
            expires_at: in_days(3000),
            ..AuthorityState::default()
        }],
    });
    assert_eq!(trust::certificates(&answers.agents, now).len(), 3);
    let machine = Machine::new();
    insta::assert_snapshot!(text(&machine.judged(0, &[0], answered(answers))));
}

#[test]
fn a_store_that_is_not_well_is_told() {
    let machine = Machine::new();
    let at = |seconds: i64| Some(timestamp_from_millis(AT_MILLIS - seconds * 1000));
    let told = |store: GetStoreResponse| {
        let answers = Answers {
            store: Some(store),
            ..healthy()
        };
        let diagnosis = machine.judged(ANNA, &[machine.group], answered(answers));
        (diagnosis.state, text(&diagnosis))
    };
    let (state, text) = told(GetStoreResponse {
        is_kept: true,
        failing: "there is no room left on the disk of the store".to_owned(),
        failing_since: at(7200),
        lost_values_total: 12,
        ..GetStoreResponse::default()
    });
    assert_eq!(state, State::Problem);
    for part in [
        "takes nothing for 2 h",
        "no room left",
        "12 values are lost",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (state, text) = told(GetStoreResponse {
        is_kept: true,
        written_at: at(3600),
        replaced_at: at(86_400),
        set_aside: "/var/lib/pvelens/pvelens.db.damaged-20261126T000000Z".to_owned(),
        shortened_to: at(400_000),
        ..GetStoreResponse::default()
    });
    assert_eq!(state, State::Warning);
    for part in [
        "1 h ago",
        "was damaged",
        "damaged-20261126",
        "limit_mebibytes",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (state, text) = told(GetStoreResponse::default());
    assert_eq!(state, State::Ok);
    assert!(text.contains("nothing is kept"), "{text}");
}
