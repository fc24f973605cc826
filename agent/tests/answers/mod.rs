//! What answers, or does not, at the sockets of VMs, and what is collected from there.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its peer cannot be made"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use pvelens_agent::collector::{COLLECTORS, Payload, collect_once};
use pvelens_proto::agent::v1::{GuestAgent, GuestMonitor, Sample};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Value, json};

use crate::peers::Vms;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/guest_sockets");

impl Vms {
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
