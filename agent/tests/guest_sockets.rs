//! VMs asked over their sockets: real ones, recorded ones, and such as no one would
//! like to meet.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests make the sockets, and start what listens there"
)]

mod answers;
mod peers;

use std::{
    os::unix::{fs::symlink, net::UnixListener},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use answers::{agents, answering, crowded, endless, monitors, replay, saying, serve, silent};
use peers::{Program, Vms};
use pvelens_proto::agent::v1::{FailureKind, GuestIoStatus, GuestSocketOutcome as Outcome};
use serde_json::{Value, json};
use tempfile::TempDir;

const GREETING: &str = "{\"QMP\":{\"version\":{\"qemu\":{\"major\":10,\"minor\":1,\"micro\":2},\"package\":\"p\"},\"capabilities\":[]}}\n";

/// What an agent is asked that does not say what it can do.
const ALL: [&str; 4] = [
    "guest-ping",
    "guest-info",
    "guest-get-osinfo",
    "guest-get-fsinfo",
];

#[test]
fn a_real_guest_agent_answers() {
    let vms = Vms::new();
    vms.start(101, 1);
    let (socket, state) = (vms.socket(101, "qga"), vms.path("run"));
    let arguments = [
        ["-m", "unix-listen"],
        ["-p", socket.to_str().unwrap()],
        ["-t", state.to_str().unwrap()],
        ["-l", "/dev/null"],
    ];
    let Some(_running) = Program::start(
        "qemu-ga",
        "qemu-guest-agent",
        arguments.as_flattened(),
        &socket,
    ) else {
        return;
    };
    let agent = vms.agent();
    assert_eq!(agent.outcome(), Outcome::Answered, "{agent:?}");
    assert_eq!(agent.refused_commands, [""; 0]);
    assert!(agent.answer_seconds.unwrap() < 2.0);
    let system = agent.operating_system.unwrap();
    assert!(!system.kernel_release.is_empty());
    assert!(!system.machine.is_empty());
    assert_eq!(agent.filesystems.unwrap().observed_at, agent.asked_at);
    // It is a client's first byte that it complains about, not the client.
    vms.pass(60);
    assert_eq!(vms.agent().outcome(), Outcome::Answered);
}

#[test]
fn a_real_monitor_answers() {
    let vms = Vms::new();
    vms.start(101, 1);
    let socket = vms.socket(101, "qmp");
    let device = format!("socket,path={},server=on,wait=off,id=c", socket.display());
    let arguments = ["--chardev", device.as_str(), "--monitor", "chardev=c"];
    let Some(_running) = Program::start("qemu-storage-daemon", "qemu-utils", &arguments, &socket)
    else {
        return;
    };
    for _ in 0..3 {
        let monitor = vms.monitors().remove(0);
        assert_eq!(monitor.outcome(), Outcome::Answered, "{monitor:?}");
        assert!(!monitor.qemu_version.is_empty());
        // It has a monitor and devices, and no machine.
        assert_eq!(monitor.refused_commands, ["query-status", "query-balloon"]);
        assert_eq!((monitor.running, monitor.devices.len()), (None, 0));
    }
}

#[test]
fn a_recorded_monitor_gives_its_facts() {
    let vms = Vms::new();
    vms.start(101, 401_128);
    let heard = replay(&vms.socket(101, "qmp"), "101.qmp.jsonl", b"");
    let monitor = vms.monitors().remove(0);
    assert_eq!(monitor.outcome(), Outcome::Answered);
    assert!(monitor.greeted);
    assert_eq!(monitor.start_ticks, Some(401_128));
    assert_eq!(
        (monitor.status.as_str(), monitor.running),
        ("running", Some(true))
    );
    assert_eq!(monitor.qemu_version, "10.0.13");
    assert_eq!(monitor.qemu_package, "Debian 1:10.0.13+ds-0+deb13u1");
    assert_eq!(monitor.balloon.unwrap().actual_bytes, 201_326_592);
    assert_eq!(monitor.refused_commands, [""; 0]);
    let [drive, disk] = monitor.devices.as_slice() else {
        panic!("{:?}", monitor.devices);
    };
    assert_eq!((drive.name.as_str(), drive.has_medium), ("ide2", false));
    assert!(drive.removable);
    assert_eq!(disk.name, "scsi0");
    assert_eq!(disk.io_status(), GuestIoStatus::Ok);
    assert_eq!(disk.virtual_size_bytes, Some(2 << 30));
    assert_eq!(disk.allocated_bytes, Some(10_887_168));
    // A linked clone: its image is on one other.
    assert_eq!(disk.backing_depth, Some(1));
    assert_eq!(disk.failed_writes_total, Some(0));
    assert!(disk.reads_total > Some(1000) && disk.read_seconds_total > Some(1.0));
    assert!(disk.flushes_total > Some(0) && disk.highest_offset_bytes > Some(0));
    let heard = heard.lock().unwrap();
    let [commands] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    let (begin, queries) = commands.split_first().unwrap();
    assert_eq!(begin, "qmp_capabilities");
    assert!(queries.iter().all(|query| query.starts_with("query-")));
}

#[test]
fn a_vm_that_stopped_on_a_full_storage_is_told_between_events() {
    let vms = Vms::new();
    vms.start(101, 1);
    let disk = json!({"device": "drive-scsi0", "stats": {"failed_wr_operations": 3}});
    let state = json!({"device": "drive-scsi0", "io-status": "nospace", "inserted": {}});
    let lines = vec![
        json!({"request": null, "response": serde_json::from_str::<Value>(GREETING).unwrap()}),
        line("qmp_capabilities", json!({})),
        line(
            "query-status",
            json!({"status": "io-error", "running": false}),
        ),
        line("query-blockstats", json!([disk])),
        line("query-block", json!([state])),
    ];
    // Before each answer an event, and the answer to somebody else.
    let noise = b"{\"timestamp\":{\"seconds\":1,\"microseconds\":2},\"event\":\"BLOCK_IO_ERROR\",\"data\":{\"device\":\"x\"}}\r\n{\"return\":{\"status\":\"running\",\"running\":true},\"id\":77}\r\n";
    answering(&vms.socket(101, "qmp"), lines, noise);
    let monitor = vms.monitors().remove(0);
    assert_eq!(monitor.outcome(), Outcome::Answered);
    assert_eq!(
        (monitor.status.as_str(), monitor.running),
        ("io-error", Some(false))
    );
    assert_eq!(monitor.refused_commands, ["query-balloon"]);
    assert_eq!(monitor.devices[0].name, "scsi0");
    assert_eq!(monitor.devices[0].io_status(), GuestIoStatus::NoSpace);
    assert_eq!(monitor.devices[0].failed_writes_total, Some(3));
}

#[test]
fn recorded_agents_give_their_facts_one_command_per_connection() {
    let vms = Vms::new();
    let recordings = [(101, "101.qga.jsonl"), (201, "201.qga.jsonl")];
    let heard = recordings.map(|(vmid, recording)| {
        vms.start(vmid, 1);
        replay(&vms.socket(vmid, "qga"), recording, b"")
    });
    for agent in vms.agents() {
        assert_eq!(agent.outcome(), Outcome::Answered);
        assert_eq!(
            (agent.consecutive_failures, agent.next_attempt_at),
            (0, None)
        );
        assert!(agent.answered_at.is_some() && agent.answered_at == agent.asked_at);
        let system = agent.operating_system.unwrap();
        assert_eq!(system.id, "debian");
        assert_eq!(system.pretty_name, "Debian GNU/Linux 13 (trixie)");
        assert_eq!(system.version_id, "13");
        assert_eq!(system.kernel_release, "6.12.107+deb13-cloud-amd64");
        assert_eq!(system.machine, "x86_64");
        let filesystems = agent.filesystems.unwrap();
        let [root] = filesystems.filesystems.as_slice() else {
            panic!("{filesystems:?}");
        };
        assert_eq!(
            (root.mount_point.as_str(), root.r#type.as_str()),
            ("/", "ext4")
        );
        assert_eq!(root.device, "sda");
        assert_eq!(root.total_bytes, Some(1_916_223_488));
        assert_eq!(root.total_privileged_bytes, Some(2_040_373_248));
        assert!(root.used_bytes > Some(200_000_000));
    }
    let expected: [&[&str]; 2] = [
        &ALL,
        &[
            "guest-ping",
            "guest-info",
            "guest-get-osinfo",
            "guest-network-get-interfaces",
            "guest-get-fsinfo",
            "guest-get-load",
        ],
    ];
    for (heard, expected) in heard.into_iter().zip(expected) {
        let heard = heard.lock().unwrap();
        let expected: Vec<_> = expected
            .iter()
            .map(|command| vec!["guest-sync-delimited".to_owned(), (*command).to_owned()])
            .collect();
        assert_eq!(*heard, expected);
    }
    // What not every agent has is asked of the one that says that it can.
    let agents = vms.agents();
    assert_eq!(agents[0].refused_commands, ["guest-info"]);
    assert_eq!((agents[0].load, agents[0].addresses.len()), (None, 0));
    let newer = &agents[1];
    assert_eq!(newer.version, "10.0.13");
    assert_eq!(newer.load.unwrap().average_1_minute, Some(0.0));
    let address = &newer.addresses[0];
    assert_eq!(
        (
            address.interface.as_str(),
            address.address.as_str(),
            address.prefix_length
        ),
        ("ens18", "192.0.2.201", Some(24))
    );
}

#[test]
fn an_agent_is_asked_rarely_for_what_changes_rarely() {
    let vms = Vms::new();
    vms.start(101, 1);
    let heard = replay(&vms.socket(101, "qga"), "101.qga.jsonl", b"");
    let asked = || {
        let agent = vms.agent();
        assert_eq!(agent.outcome(), Outcome::Answered);
        assert!(agent.operating_system.is_some() && agent.filesystems.is_some());
        let mut heard = heard.lock().unwrap();
        let commands = heard.drain(..).map(|mut commands| commands.pop().unwrap());
        commands.collect::<Vec<_>>()
    };
    assert_eq!(asked(), ALL);
    vms.pass(60);
    assert_eq!(asked(), ["guest-ping"]);
    let (agent, now) = (vms.agent(), vms.clock.load(Ordering::Acquire) / 1000);
    assert_eq!(agent.asked_at.unwrap().seconds, now);
    assert_eq!(
        agent.filesystems.unwrap().observed_at.unwrap().seconds,
        now - 60
    );
    heard.lock().unwrap().clear();
    vms.pass(240);
    assert_eq!(asked(), ["guest-ping", "guest-get-fsinfo"]);
    vms.pass(3300);
    assert_eq!(asked(), ALL);
    // Another start may be another system.
    vms.start(101, 2);
    assert_eq!(asked(), ALL);
}

#[test]
fn an_agent_that_does_not_answer_is_left_alone_for_longer_each_time() {
    let vms = Vms::new();
    vms.start(101, 1);
    let (clients, _) = silent(&vms.socket(101, "qga"));
    let clients = || clients.load(Ordering::Acquire);
    let mut attempts = 0;
    for pause in [60, 300, 900, 900] {
        let agent = vms.agent();
        attempts += 1;
        assert_eq!(agent.outcome(), Outcome::TimedOut);
        assert_eq!(agent.consecutive_failures, attempts);
        let (asked, next) = (agent.asked_at.unwrap(), agent.next_attempt_at.unwrap());
        assert_eq!(next.seconds - asked.seconds, pause);
        vms.pass(pause - 10);
        let agent = vms.agent();
        assert_eq!(
            (agent.consecutive_failures, agent.asked_at),
            (attempts, Some(asked))
        );
        assert_eq!(agent.outcome(), Outcome::TimedOut);
        assert_eq!(clients(), u64::from(attempts));
        vms.pass(10);
    }
    vms.start(101, 2);
    assert_eq!(vms.agent().consecutive_failures, 1);
    // Only a start that enables it gives it a socket; the option says whether to ask.
    vms.configure(101, "agent: 0\n");
    assert_eq!(vms.agents(), []);
}

#[test]
fn a_locked_vm_is_not_touched() {
    let vms = Vms::new();
    vms.start(101, 1);
    vms.configure(
        101,
        "agent: enabled=1,fstrim_cloned_disks=1\nlock: backup\n",
    );
    let (monitor_clients, _) = silent(&vms.socket(101, "qmp"));
    let (agent_clients, _) = silent(&vms.socket(101, "qga"));
    assert_eq!(vms.monitors()[0].outcome(), Outcome::Locked);
    let agent = vms.agent();
    assert_eq!((agent.outcome(), agent.asked_at), (Outcome::Locked, None));
    let all = [monitor_clients, agent_clients];
    assert!(
        all.iter()
            .all(|clients| clients.load(Ordering::Acquire) == 0)
    );
}

#[test]
fn a_monitor_that_does_not_greet_hears_nothing() {
    let vms = Vms::new();
    vms.start(101, 1);
    let (clients, bytes) = silent(&vms.socket(101, "qmp"));
    let monitor = vms.monitors().remove(0);
    assert_eq!(
        (monitor.outcome(), monitor.greeted),
        (Outcome::TimedOut, false)
    );
    assert!((0.9..1.5).contains(&monitor.exchange_seconds.unwrap()));
    assert_eq!(clients.load(Ordering::Acquire), 1);
    assert_eq!(bytes.load(Ordering::Acquire), 0);
}

#[test]
fn what_was_meant_for_others_is_skipped() {
    let vms = Vms::new();
    vms.start(101, 1);
    // The end of an answer, a late one, the numbers of PVE and of nobody.
    let noise =
        b"\"x\": 1}\n{\"return\": {}}\n\xff{\"return\": 2330421}\n\xff{\"return\": -1}\n\xff\xff\n";
    let lines = vec![line("guest-ping", json!({}))];
    answering(&vms.socket(101, "qga"), lines, noise);
    let agent = vms.agent();
    assert_eq!(agent.outcome(), Outcome::Answered);
    // It knows nothing else, and is not left alone for that.
    assert_eq!(
        agent.refused_commands,
        ["guest-info", "guest-get-osinfo", "guest-get-fsinfo"]
    );
    assert_eq!(agent.consecutive_failures, 0);
}

fn line(command: &str, answer: Value) -> Value {
    json!({"request": {"execute": command}, "response": {"return": answer}})
}

#[test]
fn hostile_monitors_cost_a_second_and_no_other_vm_anything() {
    let vms = Vms::new();
    let elsewhere = TempDir::new().unwrap();
    let outside = elsewhere.path().join("socket");
    let listener = UnixListener::bind(&outside).unwrap();
    listener.set_nonblocking(true).unwrap();
    (101..=113).for_each(|vmid| vms.start(vmid, 1));
    let socket = |vmid| vms.socket(vmid, "qmp");
    silent(&socket(101));
    let _waiting = crowded(&socket(102));
    saying(&socket(103), &b"\x00\xff\xfegarbage\n"[..]);
    let flood = endless(&socket(104), "", "x");
    let lines = endless(&socket(105), GREETING, "{\"event\":\"X\"}\n");
    serve(&socket(106), drop);
    symlink(&outside, socket(107)).unwrap();
    vms.write("run/qemu-server/108.qmp", "");
    drop(UnixListener::bind(socket(109)).unwrap());
    saying(&socket(110), format!("{GREETING}{}\n", "[".repeat(100_000)));
    saying(&socket(111), GREETING);
    replay(&socket(113), "101.qmp.jsonl", b"");

    let begun = Instant::now();
    let sample = vms.sample("guest_monitor");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let failures: Vec<_> = sample
        .failures
        .iter()
        .map(|each| (each.path.as_str(), each.kind()))
        .collect();
    assert_eq!(
        failures,
        [("/run/qemu-server/108.qmp", FailureKind::NotAFile)]
    );
    let monitors = monitors(sample);
    let outcomes: Vec<_> = monitors
        .iter()
        .map(|each| (each.vmid, each.outcome()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (101, Outcome::TimedOut),
            (102, Outcome::Busy),
            (103, Outcome::Malformed),
            (104, Outcome::Malformed),
            (105, Outcome::Malformed),
            (106, Outcome::Closed),
            (107, Outcome::NoSocket),
            (108, Outcome::NoSocket),
            (109, Outcome::NoSocket),
            (110, Outcome::Malformed),
            (111, Outcome::TimedOut),
            (112, Outcome::NoSocket),
            (113, Outcome::Answered),
        ]
    );
    assert!(monitors[10].greeted);
    assert_eq!(monitors[12].devices.len(), 2);
    listener.accept().unwrap_err();
    for said in [flood, lines] {
        assert!(said.load(Ordering::Acquire) < 6 << 20, "it was read on");
    }
}

#[test]
fn hostile_agents_cost_seconds_and_no_other_vm_anything() {
    let vms = Vms::new();
    (101..=109).for_each(|vmid| vms.start(vmid, 1));
    let socket = |vmid| vms.socket(vmid, "qga");
    silent(&socket(101));
    let _waiting = crowded(&socket(102));
    saying(&socket(103), &b"\x00\xff\xfegarbage\n"[..]);
    let flood = endless(&socket(104), "", "x");
    let lines = endless(&socket(105), "", "\u{ff}{\"return\":0}\n");
    serve(&socket(106), drop);
    vms.write("etc/pve/priv/socket", "");
    std::fs::remove_file(vms.path("etc/pve/priv/socket")).unwrap();
    silent(&vms.path("etc/pve/priv/socket"));
    symlink("/etc/pve/priv/socket", socket(107)).unwrap();
    let deep = format!("{}1{}", "{\"return\":".repeat(50_000), "}".repeat(50_000));
    saying(&socket(108), format!("{deep}\n"));
    replay(&socket(109), "101.qga.jsonl", b"");

    let begun = Instant::now();
    let sample = vms.sample("guest_agent");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let failures: Vec<_> = sample
        .failures
        .iter()
        .map(|each| (each.path.as_str(), each.kind()))
        .collect();
    assert_eq!(
        failures,
        [("/run/qemu-server/107.qga", FailureKind::Banned)]
    );
    let agents = agents(sample);
    let outcomes: Vec<_> = agents
        .iter()
        .map(|each| (each.vmid, each.outcome()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (101, Outcome::TimedOut),
            (102, Outcome::Busy),
            // Garbage is skipped, and nothing else comes.
            (103, Outcome::TimedOut),
            (104, Outcome::Malformed),
            (105, Outcome::Malformed),
            (106, Outcome::Closed),
            (107, Outcome::NoSocket),
            (108, Outcome::TimedOut),
            (109, Outcome::Answered),
        ]
    );
    // Who is busy is asked again in the next turn.
    assert_eq!(
        (agents[1].consecutive_failures, agents[1].next_attempt_at),
        (0, None)
    );
    for said in [flood, lines] {
        assert!(said.load(Ordering::Acquire) < 6 << 20, "it was read on");
    }
}

#[test]
fn an_agent_that_gets_stuck_in_its_file_systems_was_alive() {
    let vms = Vms::new();
    vms.start(101, 1);
    let lines = vec![
        line("guest-ping", json!({})),
        line("guest-info", json!({"version": "9.2.0"})),
        line("guest-get-osinfo", json!({"id": "debian"})),
        // An answer that is none.
        json!({"request": {"execute": "guest-get-fsinfo"}, "response": {"return": {}}}),
    ];
    let heard = answering(&vms.socket(101, "qga"), lines, b"");
    let agent = vms.agent();
    assert_eq!(agent.outcome(), Outcome::Answered);
    assert_eq!(agent.filesystems, None);
    assert_eq!(agent.operating_system.unwrap().id, "debian");
    heard.lock().unwrap().clear();
    // It is pinged as ever, and asked for them later than usual.
    vms.pass(300);
    vms.agent();
    assert_eq!(heard.lock().unwrap().len(), 1);
    vms.pass(600);
    vms.agent();
    assert_eq!(heard.lock().unwrap().len(), 3);
}
