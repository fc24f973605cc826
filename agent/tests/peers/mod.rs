//! What answers, or does not, at the sockets of VMs in a temporary tree.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its peer cannot be made"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pvelens_agent::{
    collector::{COLLECTORS, Payload, collect_once},
    host::{Clock, Host},
};
use pvelens_proto::agent::v1::{GuestAgent, GuestMonitor, Sample};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/guest_sockets");

/// A node with running VMs, at a time that the test moves.
pub(crate) struct Vms {
    directory: TempDir,
    pub(crate) host: Host,
    pub(crate) clock: Arc<AtomicI64>,
}

impl Vms {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for path in ["run/qemu-server", "etc/pve/nodes/pve1/qemu-server"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        let local = directory.path().join("etc/pve/local");
        std::os::unix::fs::symlink("nodes/pve1", local).unwrap();
        let clock = Arc::new(AtomicI64::new(1_795_349_087_000));
        let host = Host::open(directory.path()).unwrap();
        Self {
            host: host.with_clock(Clock::Fixed(Arc::clone(&clock))),
            directory,
            clock,
        }
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Starts a VM with an agent; its process began at this tick.
    pub(crate) fn start(&self, vmid: u32, tick: u64) {
        self.write(&format!("run/qemu-server/{vmid}.pid"), &format!("{vmid}\n"));
        self.write(
            &format!("proc/{vmid}/stat"),
            &format!("{vmid} (kvm) S 1 2 2 0 -1 0 5 3 1 5 73 43 48 21 20 0 5 0 {tick} 14 8 0\n"),
        );
        self.configure(vmid, "agent: 1\n");
    }

    pub(crate) fn configure(&self, vmid: u32, text: &str) {
        self.write(&format!("etc/pve/nodes/pve1/qemu-server/{vmid}.conf"), text);
    }

    /// Where a socket of a VM is.
    pub(crate) fn socket(&self, vmid: u32, kind: &str) -> PathBuf {
        self.path(&format!("run/qemu-server/{vmid}.{kind}"))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::AcqRel);
    }

    pub(crate) fn sample(&self, name: &str) -> Sample {
        let mut collectors = COLLECTORS.iter();
        let collector = collectors.find(|collector| collector.name == name);
        collect_once(collector.unwrap(), &self.host)
    }

    pub(crate) fn monitors(&self) -> Vec<GuestMonitor> {
        let sample = self.sample("guest_monitor");
        assert_eq!(sample.failures, []);
        monitors(sample)
    }

    pub(crate) fn agents(&self) -> Vec<GuestAgent> {
        let sample = self.sample("guest_agent");
        assert_eq!(sample.failures, []);
        agents(sample)
    }

    /// The only agent.
    pub(crate) fn agent(&self) -> GuestAgent {
        let mut all = self.agents();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

pub(crate) fn monitors(sample: Sample) -> Vec<GuestMonitor> {
    match sample.payload {
        Some(Payload::GuestMonitors(all)) => all.guests,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn agents(sample: Sample) -> Vec<GuestAgent> {
    match sample.payload {
        Some(Payload::GuestAgents(all)) => all.guests,
        other => panic!("{other:?}"),
    }
}

/// Lets each connection be answered by `answer`, one after the other.
pub(crate) fn serve(path: &Path, answer: impl Fn(UnixStream) + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
}

/// Accepts, and says nothing for as long as the other one stays. Counts clients and
/// what they say.
pub(crate) fn silent(path: &Path) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
    let (clients, bytes) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let counted = (Arc::clone(&clients), Arc::clone(&bytes));
    serve(path, move |mut stream| {
        clients.fetch_add(1, Ordering::AcqRel);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).ok();
        bytes.fetch_add(heard.len() as u64, Ordering::AcqRel);
    });
    counted
}

/// Says the same to everyone at once, and listens to nobody.
pub(crate) fn saying(path: &Path, text: impl Into<Vec<u8>>) {
    let text = text.into();
    serve(path, move |mut stream| {
        stream.write_all(&text).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    });
}

/// Says one text after a beginning, 1 GiB of it if it may, and counts.
pub(crate) fn endless(path: &Path, head: &'static str, text: &'static str) -> Arc<AtomicU64> {
    let said = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&said);
    let block = text.repeat((64 << 10) / text.len());
    serve(path, move |mut stream| {
        stream.write_all(head.as_bytes()).ok();
        while said.load(Ordering::Acquire) < 1 << 30 && stream.write_all(block.as_bytes()).is_ok() {
            said.fetch_add(block.len() as u64, Ordering::AcqRel);
        }
    });
    counted
}

/// Nobody accepts, and as many as may wait are waiting.
pub(crate) fn crowded(path: &Path) -> Vec<std::os::fd::OwnedFd> {
    let socket = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let address = SocketAddrUnix::new(path).unwrap();
    let mut sockets = vec![socket()];
    rustix::net::bind(&sockets[0], &address).unwrap();
    rustix::net::listen(&sockets[0], 0).unwrap();
    loop {
        let client = socket();
        match rustix::net::connect(&client, &address) {
            Ok(()) => sockets.push(client),
            Err(error) => {
                assert_eq!(error, rustix::io::Errno::AGAIN);
                return sockets;
            }
        }
    }
}

/// Commands in the order in which they came, one list for each connection.
pub(crate) type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// Answers as was recorded, with the sync id and the id of the command that really
/// came. A monitor says `before` before each answer, an agent before that to a sync.
pub(crate) fn replay(path: &Path, recording: &str, before: &'static [u8]) -> Heard {
    let text = fs::read_to_string(Path::new(RECORDINGS).join(recording)).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    answering(path, lines, before)
}

/// As [`replay`], of lines with `request` and `response`.
pub(crate) fn answering(path: &Path, lines: Vec<Value>, before: &'static [u8]) -> Heard {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    let unasked = |line: &&Value| line["request"].is_null();
    let first: Vec<u8> = lines
        .iter()
        .filter(unasked)
        .flat_map(|line| said(&line["response"]))
        .collect();
    let greets = lines.iter().any(|line| !line["response"]["QMP"].is_null());
    serve(path, move |mut stream| {
        told.lock().unwrap().push(Vec::new());
        if greets {
            stream.write_all(&first).ok();
        }
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        while input
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let delimited = line.first() == Some(&0xff);
            let command: Value = serde_json::from_slice(&line[usize::from(delimited)..]).unwrap();
            line.clear();
            let name = command["execute"].as_str().unwrap().to_owned();
            told.lock().unwrap().last_mut().unwrap().push(name.clone());
            let recorded = lines
                .iter()
                .find(|line| line["request"]["execute"] == name.as_str());
            let mut answer = match recorded {
                Some(line) => line["response"].clone(),
                None => json!({"error": {"class": "CommandNotFound", "desc": "no"}}),
            };
            if let Some(id) = command.get("id") {
                answer["id"] = id.clone();
            }
            let mut output = Vec::new();
            if greets || delimited {
                output.extend(before);
            }
            if delimited {
                output.extend(&first);
                answer["return"] = command["arguments"]["id"].clone();
                output.push(0xff);
            }
            output.extend(said(&answer));
            if stream.write_all(&output).is_err() {
                return;
            }
        }
    });
    heard
}

fn said(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// A real program that listens at a path, until the test ends.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Program {
    /// `None` when it is not installed, which CI does not accept.
    #[expect(
        clippy::print_stderr,
        reason = "a test that compares with nothing says so"
    )]
    pub(crate) fn start(
        program: &str,
        package: &str,
        arguments: &[&str],
        path: &Path,
    ) -> Option<Self> {
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let mut places = places.iter().map(|place| Path::new(place).join(program));
        let Some(found) = places.find(|path| path.exists()) else {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "{program} is not installed (package {package})");
            eprintln!("NOT TESTED: {program} is not installed (package {package})");
            return None;
        };
        let running = Self(Command::new(found).args(arguments).spawn().unwrap());
        let begun = Instant::now();
        while UnixStream::connect(path).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{program} does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Some(running)
    }
}
