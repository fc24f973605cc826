use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;

mod source;

const CGROUP: &str = "sys/fs/cgroup/system.slice/pvelens-agent.service";

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
        for kind in ["net", "mnt"] {
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
    let breaks: [(Break, &str); 5] = [
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
    for kind in ["net", "mnt"] {
        tree.remove(&format!("proc/1/ns/{kind}"));
    }
    for (is_root, fix) in [(false, "run this as root"), (true, "not of a container")] {
        let mut system = tree.system();
        system.is_root = is_root;
        let items = process::look(&system, &system.unit(UNIT));
        let [unseen] = not_well(&items)[..] else {
            panic!("{items:?}");
        };
        assert_eq!(unseen.state, State::Unknown);
        assert_eq!(unseen.what, "2 of 5 walls of the cage were not seen");
        assert!(unseen.fix.ends_with(fix), "{unseen:?}");
        assert!(!items.iter().any(|item| item.what.starts_with("caged")));
    }
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
    let (last, items) = items.split_last().unwrap();
    assert!(items.iter().all(|item| item.state == State::Problem));
    assert_eq!(last.state, State::Ok);
    assert!(
        items[0].what.contains("/run/pvelens-probe/disk.sock"),
        "{items:?}"
    );
    assert!(items[0].fix.contains("reinstall"), "{items:?}");
    tree.write("usr/lib/systemd/system/pvelens-probe-disk.socket", "");
    let items = probes(&tree.system());
    assert!(
        items[0].fix.contains("enable pvelens-probe-disk.socket"),
        "{items:?}"
    );
}

#[test]
fn the_container_probe_is_only_missed_where_it_was_wanted() {
    let tree = Tree::new();
    let last = || probes(&tree.system()).pop().unwrap();
    assert!(last().what.contains("is off"), "{:?}", last());
    tree.write("usr/lib/systemd/system/pvelens-probe-container.socket", "");
    assert_eq!(last().state, State::Ok);
    tree.link(
        "etc/systemd/system/sockets.target.wants/pvelens-probe-container.socket",
        "/usr/lib/systemd/system/pvelens-probe-container.socket",
    );
    assert_eq!(last().state, State::Problem);
    // A file in its place.
    tree.write("run/pvelens-probe/container.sock", "");
    tree.write("etc/group", "root:x:0:\n");
    assert!(last().what.ends_with("is not a socket"), "{:?}", last());
}

#[test]
fn a_link_is_only_missed_where_it_was_wanted() {
    let tree = Tree::new();
    assert_eq!(link(&tree.system(), false).state, State::Ok);
    let joined = link(&tree.system(), true);
    assert_eq!(joined.state, State::Warning);
    assert!(joined.fix.contains("enable --now"), "{joined:?}");
    tree.link(
        "etc/systemd/system/multi-user.target.wants/pvelens-link.service",
        "/usr/lib/systemd/system/pvelens-link.service",
    );
    assert_eq!(link(&tree.system(), false).state, State::Problem);
    tree.write(
        "sys/fs/cgroup/system.slice/pvelens-link.service/cgroup.procs",
        "9\n",
    );
    assert_eq!(link(&tree.system(), false).state, State::Ok);
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
