//! What our way to a guest agent costs beside the bare bytes, on the same agent in the
//! same run: see the ratios and the differences, since times depend on the machine.
//!
//! `cargo bench -p pvelens-agent --features fuzzing --bench guest_command`. Wants
//! `qemu-ga` (Debian package qemu-guest-agent).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: without a guest agent there is no figure"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pvelens_agent::{
    audit::Audit,
    fuzzing,
    guest::Guests,
    host::{Clock, Host},
};
use pvelens_proto::{
    agent::v1::{GuestCommandOutcome, GuestMark, RunGuestCommandRequest},
    timestamp_from_millis,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::mpsc};

const VMID: u32 = 101;
const START: i64 = 1_795_349_087_000;
const ROUNDS: usize = 400;
/// Of programs: each takes some milliseconds.
const PROGRAMS: usize = 120;

/// A node with one VM, whose guest agent is a real one.
struct Node {
    directory: TempDir,
    host: Arc<Host>,
    clock: Arc<AtomicI64>,
    agent: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.agent.kill().ok();
        self.agent.wait().ok();
    }
}

impl Node {
    fn new() -> Self {
        let directory = TempDir::new_in("/dev/shm").unwrap();
        let root = directory.path();
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        put(
            "etc/pve/nodes/pve1/qemu-server/101.conf",
            "agent: 1\nname: web1\n",
        );
        put("etc/pve/nodes/pve1/lxc/.keep", "");
        put("var/log/pve/tasks/active", "");
        put("run/qemu-server/101.pid", "101\n");
        put(
            "proc/101/stat",
            "101 (kvm) S 1 2 2 0 -1 0 5 3 1 5 73 43 48 21 20 0 5 0 9 14 8 0\n",
        );
        put("proc/101/cgroup", "0::/qemu.slice/101.scope\n");
        put(
            "etc/pvelens/guest-policy.toml",
            "[[allow]]\nguests = [101]\ncommands = [\"all\"]\n",
        );
        symlink("nodes/pve1", root.join("etc/pve/local")).unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let host = Host::open(root)
            .unwrap()
            .with_clock(Clock::Fixed(Arc::clone(&clock)));
        let agent = start(root);
        Self {
            directory,
            host: Arc::new(host),
            clock,
            agent,
        }
    }

    fn socket(&self) -> PathBuf {
        socket(self.directory.path())
    }
}

fn socket(root: &Path) -> PathBuf {
    root.join("run/qemu-server/101.qga")
}

fn start(root: &Path) -> Child {
    let socket = socket(root);
    let agent = Command::new("/usr/sbin/qemu-ga")
        .args(["-m", "unix-listen", "-l", "/dev/null", "-p"])
        .arg(&socket)
        .arg("-t")
        .arg(root.join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !socket.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "qemu-ga does not listen"
        );
        thread::sleep(Duration::from_millis(10));
    }
    agent
}

/// One connection with bare bytes.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn synced(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        let mut raw = Self(BufReader::new(stream));
        raw.send(b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":42}}\n");
        while raw.line().strip_prefix(b"\xff") != Some(b"{\"return\": 42}\n") {}
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty(), "the agent went away");
        line
    }

    fn ask(&mut self, question: &Value) -> Value {
        self.send(format!("{question}\n").as_bytes());
        serde_json::from_slice::<Value>(&self.line()).unwrap()["return"].take()
    }
}

fn raw_ping(node: &Node) {
    let said = Raw::synced(&node.socket()).ask(&json!({"execute": "guest-ping"}));
    assert_eq!(said, json!({}));
}

/// Starts a program and asks for its end without a pause, on one connection.
fn raw_program(node: &Node) {
    let mut raw = Raw::synced(&node.socket());
    let started = raw.ask(&json!({"execute": "guest-exec", "arguments": {
        "path": "/usr/bin/cat", "arg": ["/proc/loadavg"], "capture-output": true,
    }}));
    loop {
        let status = json!({"execute": "guest-exec-status", "arguments": {"pid": started["pid"]}});
        if raw.ask(&status)["exited"] == true {
            break;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn our_ping(node: &Node) {
    assert!(fuzzing::ping(&node.host, VMID));
}

/// A whole request, as a coordinator makes it.
fn run(node: &Node, runtime: &Runtime, guests: &Arc<Guests>, command: &str, number: usize) {
    // More than may come within a minute.
    let now = node.clock.fetch_add(10_000, Ordering::AcqRel) + 10_000;
    let request = RunGuestCommandRequest {
        request_id: format!("{command}-{number:08}"),
        made_at: Some(timestamp_from_millis(now)),
        guest: Some(GuestMark {
            node: "pve1".to_owned(),
            vmid: VMID,
            ..GuestMark::default()
        }),
        command: command.to_owned(),
        ..RunGuestCommandRequest::default()
    };
    let (events, _heard) = mpsc::channel(16);
    let result = runtime.block_on(Arc::clone(guests).run(request, "bench".to_owned(), events));
    assert_eq!(
        result.outcome(),
        GuestCommandOutcome::Completed,
        "{result:?}"
    );
}

/// Medians of both in milliseconds, taken in turn so that both have the same weather.
fn medians(rounds: usize, mut one: impl FnMut(usize), mut two: impl FnMut(usize)) -> (f64, f64) {
    let mut times = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let begun = Instant::now();
        one(round);
        times.0.push(begun.elapsed());
        let begun = Instant::now();
        two(round);
        times.1.push(begun.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).unwrap().as_secs_f64() * 1000.0
    };
    (median(&mut times.0), median(&mut times.1))
}

fn main() {
    let node = Node::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let audit = Audit::in_memory();
    let guests = Arc::new(Guests::new(Arc::clone(&node.host), audit).unwrap());

    let (raw, ours) = medians(ROUNDS, |_| raw_ping(&node), |_| our_ping(&node));
    println!(
        "ping: bare {raw:.3} ms, our client {ours:.3} ms, ratio {:.2}",
        ours / raw
    );

    let whole = |number| run(&node, &runtime, &guests, "ping", number);
    let (raw, ours) = medians(ROUNDS, |_| raw_ping(&node), whole);
    println!(
        "ping as a request: bare {raw:.3} ms, ours {ours:.3} ms, {:.3} ms more",
        ours - raw
    );

    let whole = |number| run(&node, &runtime, &guests, "load", number);
    let (raw, ours) = medians(PROGRAMS, |_| raw_program(&node), whole);
    println!(
        "a program: bare {raw:.3} ms, ours {ours:.3} ms, {:.3} ms more",
        ours - raw
    );
}
