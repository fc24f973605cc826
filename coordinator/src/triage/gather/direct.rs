//! The node read directly, with the agent's collectors.
//!
//! What hangs in the kernel cannot be ended: not even the process of the thread
//! goes away before the thread does, and whoever waits for the process waits with
//! it. So the collectors run in a child, which writes each sample to a pipe as it
//! comes. At the deadline the child is killed and not waited for.

use std::{
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::AtomicI64,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prost::Message;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, collect_once},
    host::{Clock, Host},
    once,
};
use pvelens_proto::{
    agent::v1::{
        CollectorDescription, Cursor, DescribeResponse, FailureKind, NodeUpdate, Sample,
        SourceFailure, sample::Payload,
    },
    timestamp_from_millis,
};

use super::{Gathered, Source};
use crate::triage::facts::moment;

/// Hidden command of this program that is the child.
pub(crate) const CHILD: &str = "triage-collect";
/// The child ends by itself before it is killed, unless something hangs.
const MARGIN: Duration = Duration::from_millis(150);
/// A tool that takes longer counts as hanging.
const PATIENCE: Duration = Duration::from_millis(900);
/// Bytes of a file with a name.
const NAME_LIMIT: u64 = 4096;
/// Bytes of one sample.
const SAMPLE_LIMIT: u64 = 64 << 20;

/// What tells nothing of an outage, costs much, or would ask guests or disks that
/// have other worries now.
const NOT_NEEDED: &[&str] = &[
    "guest_monitor",
    "guest_agent",
    "rrd_history",
    "disk_health",
    "pci_devices",
    "firmware",
    "package_updates",
    "repositories",
    "sshd",
    "listeners",
    "cpu_features",
    "cpu_models",
    "kernel_settings",
    "host_files",
    "subscription",
];

/// Whether what a collector gives matters in an outage.
pub(in crate::triage) fn is_needed(collector: &str) -> bool {
    !NOT_NEEDED.contains(&collector)
}

fn wanted(collector: &Collector) -> bool {
    is_needed(collector.name)
}

/// The root to read: a tree of files as of an instant, or the node itself.
fn open(tree: Option<(&Path, Timestamp)>) -> Result<Host, String> {
    let root = tree.map_or(Path::new("/"), |(root, _)| root);
    let host = Host::open(root).map_err(|error| error.to_string())?;
    match tree {
        Some((_, at)) => {
            let clock = Arc::new(AtomicI64::new(at.as_millisecond()));
            Ok(host.with_clock(Clock::Fixed(clock)))
        }
        None => host.with_tools(PATIENCE).map_err(|error| error.to_string()),
    }
}

/// When a tree of files was captured: the newest figure that Proxmox VE wrote
/// into it.
#[must_use]
pub fn tree_at(root: &Path) -> Option<Timestamp> {
    let host = Host::open(root).ok()?;
    let names = ["pve_status", "broadcast"];
    let collectors = COLLECTORS.iter().filter(|c| names.contains(&c.name));
    collectors
        .filter_map(|collector| collect_once(collector, &host).payload)
        .flat_map(|payload| match payload {
            Payload::PveStatus(status) => status
                .node
                .and_then(|node| node.computed_at)
                .into_iter()
                .collect(),
            Payload::ClusterBroadcast(all) => {
                all.nodes.iter().filter_map(|n| n.computed_at).collect()
            }
            _ => Vec::new(),
        })
        .filter_map(|at| moment(&at))
        .max()
}

/// Reads in this process. Nothing may hang where this is used: what does, stays
/// behind as a thread of the caller.
///
/// # Errors
/// When the root cannot be opened.
pub fn collect_here(
    tree: Option<(&Path, Timestamp)>,
    now: Timestamp,
    within: Duration,
    source: Source,
) -> Result<Gathered, String> {
    let host = Arc::new(open(tree)?);
    let mut samples = Vec::new();
    once::collect(&host, within, wanted, |sample| samples.push(sample));
    Ok(gathered(samples, source, now, tree))
}

/// Is the child: reads and writes samples to standard output.
///
/// # Errors
/// When the root cannot be opened or nobody reads.
pub fn serve_child(tree: Option<(&Path, Timestamp)>, within: Duration) -> Result<(), String> {
    let host = Arc::new(open(tree)?);
    let mut out = io::stdout().lock();
    let mut failed = None;
    once::collect(&host, within, wanted, |sample| {
        if let Err(error) = out.write_all(&framed(&sample)).and_then(|()| out.flush()) {
            failed = Some(error.to_string());
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Reads in a child of this program, which may be left behind.
///
/// # Errors
/// When there is no child, or it gave nothing.
pub fn collect_in_child(
    tree: Option<(&Path, Timestamp)>,
    now: Timestamp,
    within: Duration,
    source: Source,
) -> Result<Gathered, String> {
    let deadline = Instant::now() + within;
    let mut child = start(tree, within.saturating_sub(MARGIN))
        .map_err(|error| format!("reading the node: {error}"))?;
    let samples = received(&mut child, deadline);
    // It is not waited for: a process that hangs in the kernel ends when what it
    // waits for does, and process 1 takes it over.
    child.kill().ok();
    if samples.is_empty() {
        return Err("nothing of this node could be read in time".to_owned());
    }
    Ok(gathered(samples, source, now, tree))
}

/// The name of the node whose files a tree has, by the one that is not in `/etc/pve`.
fn name_in(root: &Path) -> Option<String> {
    let host = Host::open(root).ok()?;
    let name = host.read("/etc/hostname", NAME_LIMIT).ok()?;
    let label = name.trim().split('.').next()?;
    (!label.is_empty()).then(|| label.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program itself, so that what hangs can be left behind"
)]
fn start(tree: Option<(&Path, Timestamp)>, within: Duration) -> io::Result<Child> {
    // Also right after an upgrade, when the file has another name.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(CHILD)
        .arg(format!("--within-milliseconds={}", within.as_millis()));
    if let Some((root, at)) = tree {
        command
            .arg(format!("--at={at}"))
            .arg("--root")
            .arg(PathBuf::from(root));
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Left behind it must hold nothing that the caller waits for.
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
}

/// What the child sends until it ends or the deadline comes.
fn received(child: &mut Child, deadline: Instant) -> Vec<Sample> {
    let mut samples = Vec::new();
    let Some(pipe) = child.stdout.take() else {
        return samples;
    };
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut pipe = BufReader::new(pipe);
        while let Some(sample) = read_sample(&mut pipe) {
            if sender.send(sample).is_err() {
                return;
            }
        }
    };
    if thread::Builder::new().spawn(read).is_err() {
        return samples;
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(sample) => samples.push(sample),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return samples,
        }
    }
}

/// A sample on the pipe: its length in eight bytes, then itself.
fn framed(sample: &Sample) -> Vec<u8> {
    let length = u64::try_from(sample.encoded_len()).unwrap_or(u64::MAX);
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(sample.encode_to_vec());
    bytes
}

/// The next sample; none at the end or at what is none.
fn read_sample(pipe: &mut impl Read) -> Option<Sample> {
    let mut length = [0; 8];
    pipe.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > SAMPLE_LIMIT {
        return None;
    }
    let mut bytes = Vec::new();
    let read = pipe.take(length).read_to_end(&mut bytes).ok()?;
    (u64::try_from(read) == Ok(length))
        .then(|| Sample::decode(bytes.as_slice()).ok())
        .flatten()
}

/// One update of one look. A collector of which nothing came, not even that it
/// did not end, hung the child as a whole.
fn gathered(
    mut samples: Vec<Sample>,
    source: Source,
    now: Timestamp,
    tree: Option<(&Path, Timestamp)>,
) -> Gathered {
    for collector in COLLECTORS.iter().filter(|collector| wanted(collector)) {
        if !samples.iter().any(|s| s.collector == collector.name) {
            samples.push(silent(collector, now));
        }
    }
    // The order of coming is that of the threads.
    samples.sort_by_key(|sample| {
        let position = |c: &Collector| c.name == sample.collector;
        COLLECTORS.iter().position(position)
    });
    Gathered {
        description: description(&samples, now, tree),
        updates: vec![NodeUpdate {
            cursor: Some(Cursor {
                epoch: EPOCH.to_owned(),
                sequence: 1,
            }),
            samples,
            ..NodeUpdate::default()
        }],
        source,
        at: now,
        replay: Duration::ZERO,
    }
}

const EPOCH: &str = "once";

fn silent(collector: &Collector, now: Timestamp) -> Sample {
    Sample {
        collector: collector.name.to_owned(),
        observed_at: Some(timestamp_from_millis(now.as_millisecond())),
        failures: vec![SourceFailure {
            path: String::new(),
            kind: FailureKind::TimedOut.into(),
            detail: "no result in time".to_owned(),
        }],
        ..Sample::default()
    }
}

/// Who the agent would say it is.
fn description(
    samples: &[Sample],
    now: Timestamp,
    tree: Option<(&Path, Timestamp)>,
) -> DescribeResponse {
    let identity = samples.iter().find_map(|sample| match &sample.payload {
        Some(Payload::HostIdentity(identity)) => Some(identity),
        _ => None,
    });
    // Where the cluster file system is dead or hangs, this is no longer seen.
    let of_pve = |sample: &Sample| {
        let hangs = |failure: &SourceFailure| {
            matches!(
                failure.kind(),
                FailureKind::TimedOut | FailureKind::Disconnected
            )
        };
        match sample.collector.as_str() {
            "members" | "config_versions" => sample.failures.iter().any(hangs),
            "pve_status" => matches!(sample.payload, Some(Payload::PveStatus(_))),
            _ => false,
        }
    };
    // Where `/etc/pve` hangs, its sample is missing. A tree is of another node than this.
    let fallback = || {
        if let Some((root, _)) = tree {
            return name_in(root).unwrap_or_default();
        }
        let uname = rustix::system::uname();
        let name = uname.nodename().to_string_lossy().into_owned();
        name.split('.').next().unwrap_or_default().to_owned()
    };
    let name = identity.map(|identity| identity.node_name.clone());
    let collectors = COLLECTORS.iter().map(|collector| CollectorDescription {
        name: collector.name.to_owned(),
        interval_seconds: u32::try_from(collector.interval.as_secs()).unwrap_or(u32::MAX),
        ..CollectorDescription::default()
    });
    DescribeResponse {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        node_name: name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(fallback),
        cluster_id: identity
            .map(|identity| identity.root_ca_sha256.clone())
            .unwrap_or_default(),
        is_pve_node: identity.is_some_and(|identity| identity.is_pve_node)
            || samples.iter().any(of_pve),
        epoch: EPOCH.to_owned(),
        started_at: Some(timestamp_from_millis(now.as_millisecond())),
        collectors: collectors.collect(),
        refused_coordinator: None,
        sends_contents: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_exists() {
        for name in NOT_NEEDED {
            assert!(COLLECTORS.iter().any(|c| c.name == *name), "{name}");
        }
    }

    #[test]
    fn a_broken_pipe_of_samples_ends_at_what_is_whole() {
        let sample = Sample {
            collector: "cpu".to_owned(),
            ..Sample::default()
        };
        let mut bytes = framed(&sample);
        bytes.extend(200_u64.to_le_bytes());
        bytes.push(7);
        let mut pipe = bytes.as_slice();
        assert_eq!(read_sample(&mut pipe), Some(sample));
        assert_eq!(read_sample(&mut pipe), None);
        assert_eq!(read_sample(&mut [0xff; 20].as_slice()), None);
        assert_eq!(read_sample(&mut [].as_slice()), None);
    }

    #[test]
    fn a_node_of_which_nothing_came_is_named_and_every_collector_is_too() {
        let gathered = gathered(Vec::new(), Source::Tree, Timestamp::UNIX_EPOCH, None);
        assert!(!gathered.description.node_name.is_empty());
        let samples = &gathered.updates[0].samples;
        assert_eq!(samples.len(), COLLECTORS.len() - NOT_NEEDED.len());
    }
}
