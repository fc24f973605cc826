use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use pvelens_proto::{
    agent::v1::{
        ClusterMember, ClusterMembers, ClusterSummary, FailureKind, HostIdentity, Load, NoData,
        Sample, SourceFailure, Unchanged, sample::Payload,
    },
    timestamp_from_millis,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    reading::{Newest, Source},
    *,
};
use crate::{
    sampler::Sampler,
    service::{NodeAgent, serve},
    spool::Spool,
};

const CGROUP: &str = "sys/fs/cgroup/system.slice/pvelens-agent.service";
const AT_MILLIS: i64 = 1_795_349_087_000;

/// A system with a running agent in its cage, as a tree of files.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(TempDir::new().unwrap());
        tree.write("run/systemd/system/x", "");
        tree.write("usr/lib/systemd/system/pvelens-agent.service", "");
        tree.link(
            "etc/systemd/system/multi-user.target.wants/pvelens-agent.service",
            "/usr/lib/systemd/system/pvelens-agent.service",
        );
        tree.write(&format!("{CGROUP}/cgroup.procs"), "812\n");
        tree.write(&format!("{CGROUP}/memory.current"), "12582912\n");
        tree.write(&format!("{CGROUP}/memory.high"), "67108864\n");
        tree.write(&format!("{CGROUP}/memory.events"), "low 0\noom_kill 0\n");
        tree.write("proc/uptime", "9000.00 1.00\n");
        let fields = "S 1 812 812 0 -1 4 1 0 0 0 1 1 0 0 20 0 1 0 180000 1 1";
        tree.write("proc/812/stat", &format!("812 (pvelens) a) {fields}\n"));
        tree.status("0000000000000000", "1", "2");
        tree.mounts("812", "ro,relatime", "0:52");
        tree.mounts("1", "rw,relatime", "0:52");
        for kind in ["net", "user", "mnt"] {
            tree.link(&format!("proc/1/ns/{kind}"), &format!("{kind}:[1]"));
            tree.link(&format!("proc/812/ns/{kind}"), &format!("{kind}:[2]"));
        }
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::remove_file(&path).ok();
        symlink(target, path).unwrap();
    }

    fn status(&self, capabilities: &str, no_new_privileges: &str, seccomp: &str) {
        self.write(
            "proc/812/status",
            &format!(
                "Name:\tpvelens-agent\nUid:\t0\t0\t0\t0\nCapPrm:\t{capabilities}\nCapEff:\t{capabilities}\nCapBnd:\t{capabilities}\nNoNewPrivs:\t{no_new_privileges}\nSeccomp:\t{seccomp}\n"
            ),
        );
    }

    fn mounts(&self, process: &str, root: &str, pve: &str) {
        self.write(
            &format!("proc/{process}/mountinfo"),
            &format!(
                "20 1 8:1 / / {root} - ext4 /dev/sda1 rw\n30 20 {pve} / /etc/pve rw - fuse /dev/fuse rw\n"
            ),
        );
    }

    fn system(&self) -> System {
        System::open(self.0.path()).unwrap()
    }

    fn process(&self) -> Vec<Item> {
        let system = self.system();
        process::look(&system, &system.unit(UNIT))
    }
}

fn not_well(items: &[Item]) -> Vec<&Item> {
    let items = items.iter();
    items.filter(|item| item.state != State::Ok).collect()
}

#[test]
fn a_caged_agent_is_three_good_lines() {
    let text = Report::new(vec![section("Agent", Tree::new().process())]).text();
    assert_eq!(
        text,
        "Agent\n  ✔ pvelens-agent.service runs for 2 h 0 min (process 812)\n  ✔ caged: no rights beyond its files, no network, nothing to write to, few\n    system calls\n  ✔ uses 12.0 MiB of memory, at most 64.0 MiB\n\nNothing to do.\n"
    );
}

#[test]
fn every_missing_wall_is_a_problem_with_its_setting_and_what_may_have_changed_it() {
    type Break = fn(&Tree);
    let breaks: [(Break, &str); 6] = [
        (
            |tree| tree.status("0000000000000400", "1", "2"),
            "CapabilityBoundingSet=",
        ),
        (|tree| tree.status("0", "0", "2"), "NoNewPrivileges=yes"),
        (|tree| tree.status("0", "1", "0"), "SystemCallFilter="),
        (
            |tree| tree.link("proc/812/ns/net", "net:[1]"),
            "PrivateNetwork=yes",
        ),
        (
            |tree| tree.link("proc/812/ns/user", "user:[1]"),
            "PrivateUsers=yes",
        ),
        (
            |tree| tree.mounts("812", "rw", "0:52"),
            "ProtectSystem=strict",
        ),
    ];
    for (open, setting) in breaks {
        let tree = Tree::new();
        tree.write("etc/systemd/system/pvelens-agent.service.d/mine.conf", "");
        open(&tree);
        let items = tree.process();
        let [problem] = not_well(&items)[..] else {
            panic!("{setting}: {items:?}");
        };
        assert_eq!(problem.state, State::Problem);
        assert!(problem.why.contains(setting), "{problem:?}");
        assert!(problem.why.contains("service.d/mine.conf"), "{problem:?}");
        assert!(problem.fix.contains("systemctl cat"), "{problem:?}");
    }
}

#[test]
fn walls_that_cannot_be_seen_are_unknown() {
    let tree = Tree::new();
    for kind in ["net", "user", "mnt"] {
        tree.remove(&format!("proc/1/ns/{kind}"));
    }
    let items = tree.process();
    assert_eq!(
        not_well(&items),
        [&Item::unknown("3 of 6 walls of the cage were not seen")
            .why("only root may look at the namespaces of another process")
            .fix("run this as root")]
    );
    assert!(!items.iter().any(|item| item.what.starts_with("caged")));
}

#[test]
fn an_agent_that_holds_an_old_cluster_file_system_is_restarted() {
    let tree = Tree::new();
    tree.mounts("1", "rw", "0:77");
    let items = tree.process();
    let found = not_well(&items);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("was replaced"), "{found:?}");
}

#[test]
fn memory_without_ceiling_near_it_or_beyond_it_is_said() {
    let file = |name: &str| format!("{CGROUP}/{name}");
    for (name, text, state) in [
        ("memory.current", "65000000\n", State::Warning),
        ("memory.high", "max\n", State::Warning),
        ("memory.events", "oom_kill 1\n", State::Problem),
        ("memory.current", "?\n", State::Unknown),
    ] {
        let tree = Tree::new();
        tree.write(&file(name), text);
        let items = tree.process();
        let states: Vec<_> = not_well(&items).iter().map(|item| item.state).collect();
        assert_eq!(states, [state], "{name}: {items:?}");
    }
}

#[test]
fn why_an_agent_does_not_run_decides_what_to_do() {
    let tree = Tree::new();
    tree.write(&format!("{CGROUP}/cgroup.procs"), "");
    let fix = |tree: &Tree| tree.process()[0].fix.clone();
    assert!(fix(&tree).contains("enable --now"));
    assert!(would_start(&tree.system(), &tree.system().unit(UNIT), true));
    tree.link("etc/systemd/system/pvelens-agent.service", "/dev/null");
    assert!(fix(&tree).contains("unmask"));
    tree.remove("etc/systemd/system/pvelens-agent.service");
    tree.remove("usr/lib/systemd/system/pvelens-agent.service");
    assert!(fix(&tree).contains("apt install"));
    assert!(!would_start(
        &tree.system(),
        &tree.system().unit(UNIT),
        true
    ));
    fs::remove_dir_all(tree.0.path().join("run/systemd")).unwrap();
    assert!(fix(&tree).contains("pvelens-agent run"));
}

#[test]
fn a_socket_of_others_is_a_problem() {
    let right = system::Place {
        is_socket: true,
        mode: 0o660,
        owner: 0,
        group: 990,
    };
    assert_eq!(socket::differs(&socket::LOCAL, right, 990), None);
    let open = system::Place {
        mode: 0o666,
        ..right
    };
    let item = socket::differs(&socket::LOCAL, open, 990).unwrap();
    assert_eq!(item.why, "it is 0:990 0666 and should be root:pvelens 0660");
    assert!(socket::differs(&socket::LOCAL, right, 991).is_some());
    let file = system::Place {
        is_socket: false,
        ..right
    };
    let item = socket::differs(&socket::LOCAL, file, 990).unwrap();
    assert!(item.what.ends_with("is not a socket"));
}

#[test]
fn sockets_that_are_not_there_name_their_unit() {
    let tree = Tree::new();
    let items = probes(&tree.system());
    assert!(items.iter().all(|item| item.state == State::Problem));
    assert!(
        items[0].what.contains("/run/pvelens-probe/disk.sock"),
        "{items:?}"
    );
    assert!(items[0].fix.contains("reinstall"), "{items:?}");
    tree.write("usr/lib/systemd/system/pvelens-probe-disk.socket", "");
    let items = probes(&tree.system());
    assert!(
        items[0]
            .fix
            .contains("enable --now pvelens-probe-disk.socket"),
        "{items:?}"
    );
}

#[test]
fn a_link_is_only_missed_where_it_was_wanted() {
    let tree = Tree::new();
    assert_eq!(link(&tree.system()).state, State::Ok);
    tree.link(
        "etc/systemd/system/multi-user.target.wants/pvelens-link.service",
        "/usr/lib/systemd/system/pvelens-link.service",
    );
    assert_eq!(link(&tree.system()).state, State::Problem);
    tree.write(
        "sys/fs/cgroup/system.slice/pvelens-link.service/cgroup.procs",
        "9\n",
    );
    assert_eq!(link(&tree.system()).state, State::Ok);
}

/// One source that read something a second ago.
fn reading(failures: &[(&str, FailureKind)], payload: Option<Payload>) -> Reading {
    let sample = Sample {
        collector: "load".to_owned(),
        observed_at: Some(timestamp_from_millis(AT_MILLIS - 1000)),
        failures: failures
            .iter()
            .map(|(path, kind)| SourceFailure {
                path: (*path).to_owned(),
                kind: (*kind).into(),
                detail: "refused".to_owned(),
            })
            .collect(),
        ..Sample::default()
    };
    Reading {
        sources: vec![Source {
            name: "load".to_owned(),
            interval_seconds: 10,
            path: "/etc/pve/x".to_owned(),
        }],
        newest: BTreeMap::from([("load".to_owned(), Newest { sample, payload })]),
        at: AT_MILLIS,
        started_at: AT_MILLIS - 3_600_000,
    }
}

fn load() -> Option<Payload> {
    Some(Payload::Load(Load::default()))
}

fn nothing() -> Option<Payload> {
    Some(Payload::NoData(NoData {
        reason: "no ZFS".to_owned(),
    }))
}

#[test]
fn failures_of_one_kind_are_one_item() {
    let schedstat = |process: usize| format!("/proc/{process}/task/1/schedstat");
    let paths: Vec<String> = (1..=40).map(schedstat).collect();
    let failures: Vec<_> = paths
        .iter()
        .map(|path| (path.as_str(), FailureKind::PermissionDenied))
        .chain([("/etc/pve/.members", FailureKind::Disconnected)])
        .collect();
    let items = source::look(&reading(&failures, load()), None);
    assert_eq!(items.len(), 2);
    assert_eq!(
        items[0].what,
        "load not read in part: /proc/1/task/1/schedstat: refused, and 39 more"
    );
    assert_eq!(items[0].state, State::Ok);
    assert_eq!(items[1].state, State::Problem);
    assert!(items[1].fix.contains("pve-cluster"));
}

#[test]
fn what_root_reads_and_the_agent_does_not_is_the_cage_or_a_fault() {
    let whole = reading(&[], load());
    for (path, kind, state, part) in [
        (
            "/proc/7/stat",
            FailureKind::PermissionDenied,
            State::Ok,
            "the cage closes this",
        ),
        (
            "/etc/pve/x",
            FailureKind::PermissionDenied,
            State::Problem,
            "unexpected",
        ),
        (
            "/etc/pve/x",
            FailureKind::Disconnected,
            State::Problem,
            "unexpected",
        ),
        ("", FailureKind::TimedOut, State::Warning, "may have passed"),
    ] {
        let caged = reading(&[(path, kind)], None);
        let items = source::look(&caged, Some(&whole));
        assert_eq!(items.len(), 1, "{items:?}");
        assert_eq!(items[0].state, state, "{items:?}");
        assert!(items[0].why.contains(part), "{items:?}");
        // What neither reads has the reason of its kind.
        let items = source::look(&caged, Some(&caged));
        assert!(!items[0].why.contains(part), "{items:?}");
    }
    let items = source::look(&reading(&[], nothing()), Some(&whole));
    assert!(items[0].what.contains("and root does"), "{items:?}");
    let items = source::look(&reading(&[], nothing()), Some(&reading(&[], nothing())));
    assert_eq!(items[0].what, "nothing to read for load: no ZFS");
}

#[test]
fn a_failure_without_a_path_is_explained_by_what_the_source_reads() {
    let items = source::look(&reading(&[("", FailureKind::TimedOut)], None), None);
    assert!(items[0].why.contains("pve-cluster hangs"), "{items:?}");
    assert_eq!(items[0].what, "load not read: refused");
}

#[test]
fn old_and_missing_sources_are_not_healthy() {
    let mut old = reading(&[], load());
    old.at += 300_000;
    let items = source::look(&old, None);
    assert_eq!(
        items[1].what,
        "load is overdue: 301 s old, to be read every 10 s"
    );
    let mut never = reading(&[], load());
    never.newest.clear();
    assert_eq!(source::look(&never, None)[0].state, State::Problem);
    never.started_at = AT_MILLIS - 5000;
    assert_eq!(source::look(&never, None)[0].state, State::Unknown);
}

fn node(identity: HostIdentity, failures: &[(&str, FailureKind)]) -> Vec<Item> {
    node::look(&reading(failures, Some(Payload::HostIdentity(identity))))
}

#[test]
fn what_the_node_is_is_told_from_a_dead_cluster_file_system() {
    let host = HostIdentity {
        node_name: "pve1".to_owned(),
        is_pve_node: true,
        ..HostIdentity::default()
    };
    assert_eq!(node(host.clone(), &[])[0].state, State::Ok);
    let host = HostIdentity {
        is_pve_node: false,
        ..host
    };
    let item = &node(host.clone(), &[("/etc/pve/local", FailureKind::NotFound)])[0];
    assert_eq!(item.state, State::Problem);
    assert!(item.why.contains("not mounted"), "{item:?}");
    let item = &node(host, &[])[0];
    assert_eq!(item.state, State::Warning);
    assert!(item.what.contains("not a Proxmox VE node"), "{item:?}");
    assert_eq!(node::look(&Reading::default())[0].state, State::Unknown);
}

#[test]
fn a_lost_quorum_is_said() {
    let quorum = |quorate| {
        let members = ClusterMembers {
            cluster: Some(ClusterSummary {
                name: "lab".to_owned(),
                quorate,
                ..ClusterSummary::default()
            }),
            members: vec![ClusterMember::default()],
            ..ClusterMembers::default()
        };
        let items = node::look(&reading(&[], Some(Payload::ClusterMembers(members))));
        items[1].state
    };
    assert_eq!(quorum(true), State::Ok);
    assert_eq!(quorum(false), State::Warning);
}

#[test]
fn the_place_of_a_mistake_is_kept_and_its_picture_is_not() {
    assert_eq!(
        gist(
            "settings in x: TOML parse error at line 1, column 6\n  |\n1 | [a\n  |   ^\nunclosed table\n"
        ),
        "settings in x: TOML parse error at line 1, column 6: unclosed table"
    );
    assert_eq!(gist("one line"), "one line");
}

#[tokio::test]
async fn a_running_agent_tells_the_newest_of_every_source() {
    let directory = TempDir::new().unwrap();
    let host = std::sync::Arc::new(Host::open(Path::new("/")).unwrap());
    let spool = std::sync::Arc::new(Spool::new("first".to_owned()));
    let mut sampler = Sampler::new(std::sync::Arc::clone(&host), std::sync::Arc::clone(&spool));
    sampler.tick_blocking().unwrap();
    // Read again and found the same: the payload is that of before.
    spool.append(vec![Sample {
        collector: "host".to_owned(),
        payload: Some(Payload::Unchanged(Unchanged { since_sequence: 1 })),
        ..Sample::default()
    }]);
    let socket = directory.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let shutdown = CancellationToken::new();
    let agent = NodeAgent::new(host, spool);
    let serving = tokio::spawn(serve(listener, agent, shutdown.clone()));
    let answer = ask(&socket).await.unwrap();
    assert_eq!(answer.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.listener, Some(std::process::id()));
    let reading = answer.reading;
    assert!(reading.at > 0 && reading.started_at > 0);
    assert_eq!(reading.sources.len(), reading.newest.len());
    assert!(reading.identity().is_some());
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn something_else_on_the_socket_is_no_agent() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("agent.sock");
    assert!(matches!(ask(&socket).await, Err(AskError::Connect(_))));
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let other = tokio::spawn(async move { drop(listener.accept().await) });
    let error = ask(&socket).await.unwrap_err();
    assert!(!matches!(error, AskError::Connect(_)), "{error}");
    other.await.unwrap();
}
