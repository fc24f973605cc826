//! Half an hour of three nodes, as pvestatd of a real cluster kept it.
//!
//! Each line of a recorded `/run/pve/metrics` is one moment. It is read by the agent's
//! own collector; what other collectors would have read at that moment is in the same
//! line, and is put into their samples here. The half hour can be gone through again
//! and again: times and counters go on, and everything else repeats.

use std::{
    env, fs,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use pvelens_agent::{
    collector::{COLLECTORS, collect_once},
    host::Host,
};
use pvelens_proto::{
    Timestamp,
    agent::v1::{
        CpuTimes, Cursor, DescribeResponse, Load, Memory, Network, NetworkInterface, NodeUpdate,
        PveStatus, Sample, sample::Payload,
    },
};
use serde_json::Value;

const ARCHIVE: &str = "a2-healthy-later.tar.zst";
const PATH: &str = "run/pve/metrics";
/// Between two lines.
pub(crate) const STEP_SECONDS: i64 = 10;
/// Of the kernel's account of CPU time.
const TICKS_PER_SECOND: f64 = 100.0;

/// The moments of one node, oldest first.
#[derive(Debug)]
pub(crate) struct Recorded {
    node: String,
    moments: Vec<Vec<Payload>>,
}

/// Every node; none where the recordings are not at hand.
pub(crate) fn recorded() -> Result<Option<Vec<Recorded>>> {
    let folder = env::var_os("PVELENS_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings"),
        PathBuf::from,
    );
    let archive = folder.join(ARCHIVE);
    if !folder.is_dir() {
        return Ok(None);
    }
    let file = File::open(&archive).with_context(|| format!("opening {}", archive.display()))?;
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(BufReader::new(file))?.read_to_end(&mut bytes)?;
    let mut nodes = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut parts = path.splitn(4, '/').skip(1);
        if let (Some(node), Some("t1"), Some(PATH)) = (parts.next(), parts.next(), parts.next()) {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            nodes.push(Recorded::read(node, &text)?);
        }
    }
    nodes.sort_by(|one, next| one.node.cmp(&next.node));
    ensure!(!nodes.is_empty(), "{ARCHIVE} has no {PATH}");
    Ok(Some(nodes))
}

impl Recorded {
    fn read(node: &str, text: &str) -> Result<Self> {
        let collector = COLLECTORS.iter().find(|known| known.name == "pve_status");
        let collector = collector.context("there is no such collector")?;
        let root = tempfile::TempDir::new()?;
        let path = root.path().join(PATH);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        let host = Host::open(root.path())?;
        // The newest line is the first.
        let moments = text.lines().rev().map(|line| {
            fs::write(&path, format!("{line}\n"))?;
            let status = collect_once(collector, &host).payload;
            let status = status.filter(|it| matches!(it, Payload::PveStatus(_)));
            let mut moment = others(&serde_json::from_str(line)?);
            moment.push(status.context("the collector does not understand a line")?);
            Ok(moment)
        });
        Ok(Self {
            node: node.to_owned(),
            moments: moments.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn agent(&self) -> DescribeResponse {
        DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: self.node.clone(),
            cluster_id: "recorded".to_owned(),
            is_pve_node: true,
            epoch: "recorded".to_owned(),
            ..DescribeResponse::default()
        }
    }

    /// What the agent says at a step, counted from zero; the half hour repeats.
    pub(crate) fn update(&self, step: usize, at: jiff::Timestamp) -> NodeUpdate {
        let (time, place) = (step / self.moments.len(), step % self.moments.len());
        let at = pvelens_proto::timestamp_from_millis(at.as_millisecond());
        let samples = self.moments[place].iter().map(|payload| {
            let mut payload = payload.clone();
            // Each counter goes on from where it was at the end.
            for _ in 0..time {
                self.go_on(&mut payload);
            }
            if let Payload::PveStatus(status) = &mut payload {
                compute_at(status, at);
            }
            Sample {
                collector: collector_of(&payload).to_owned(),
                observed_at: Some(at),
                interval_seconds: 10,
                payload: Some(payload),
                ..Sample::default()
            }
        });
        NodeUpdate {
            cursor: Some(Cursor {
                epoch: "recorded".to_owned(),
                sequence: u64::try_from(step).unwrap_or(u64::MAX) + 1,
            }),
            samples: samples.collect(),
            ..NodeUpdate::default()
        }
    }

    /// Adds what the counters of a sample grow by in the whole half hour.
    fn go_on(&self, payload: &mut Payload) {
        let kind = std::mem::discriminant(&*payload);
        let find = |moment: Option<&Vec<Payload>>| {
            let mut moment = moment.into_iter().flatten();
            moment
                .find(|it| std::mem::discriminant(*it) == kind)
                .cloned()
        };
        let (first, last) = (find(self.moments.first()), find(self.moments.last()));
        match (payload, first, last) {
            (Payload::Cpu(now), Some(Payload::Cpu(first)), Some(Payload::Cpu(last))) => {
                now.user_seconds_total += last.user_seconds_total - first.user_seconds_total;
                now.nice_seconds_total += last.nice_seconds_total - first.nice_seconds_total;
                now.system_seconds_total += last.system_seconds_total - first.system_seconds_total;
                now.idle_seconds_total += last.idle_seconds_total - first.idle_seconds_total;
                now.iowait_seconds_total += last.iowait_seconds_total - first.iowait_seconds_total;
                now.softirq_seconds_total +=
                    last.softirq_seconds_total - first.softirq_seconds_total;
                now.steal_seconds_total += last.steal_seconds_total - first.steal_seconds_total;
            }
            (
                Payload::Network(now),
                Some(Payload::Network(first)),
                Some(Payload::Network(last)),
            ) => {
                for now in &mut now.interfaces {
                    let named = |list: &Network| {
                        let mut list = list.interfaces.iter();
                        list.find(|it| it.name == now.name).cloned()
                    };
                    if let (Some(first), Some(last)) = (named(&first), named(&last)) {
                        now.received_bytes_total += grown(
                            Some(first.received_bytes_total),
                            Some(last.received_bytes_total),
                        );
                        now.transmitted_bytes_total += grown(
                            Some(first.transmitted_bytes_total),
                            Some(last.transmitted_bytes_total),
                        );
                    }
                }
            }
            (
                Payload::PveStatus(now),
                Some(Payload::PveStatus(first)),
                Some(Payload::PveStatus(last)),
            ) => status_goes_on(now, &first, &last),
            _ => {}
        }
    }
}

fn status_goes_on(now: &mut PveStatus, first: &PveStatus, last: &PveStatus) {
    for now in &mut now.guests {
        let of = |status: &PveStatus| {
            let mut guests = status.guests.iter();
            guests.find(|guest| guest.vmid == now.vmid).cloned()
        };
        let (Some(first), Some(last)) = (of(first), of(last)) else {
            continue;
        };
        let length = last.uptime_seconds.zip(first.uptime_seconds);
        let length = length.map_or(0.0, |(last, first)| (last - first).max(0.0));
        now.uptime_seconds = now.uptime_seconds.map(|uptime| uptime + length);
        for (now, first, last) in [
            (
                &mut now.received_bytes_total,
                first.received_bytes_total,
                last.received_bytes_total,
            ),
            (
                &mut now.transmitted_bytes_total,
                first.transmitted_bytes_total,
                last.transmitted_bytes_total,
            ),
            (
                &mut now.read_bytes_total,
                first.read_bytes_total,
                last.read_bytes_total,
            ),
            (
                &mut now.written_bytes_total,
                first.written_bytes_total,
                last.written_bytes_total,
            ),
        ] {
            *now = now.map(|now| now + grown(first, last));
        }
    }
}

fn grown(first: Option<u64>, last: Option<u64>) -> u64 {
    last.unwrap_or(0).saturating_sub(first.unwrap_or(0))
}

fn compute_at(status: &mut PveStatus, at: Timestamp) {
    if let Some(node) = &mut status.node {
        node.computed_at = Some(at);
    }
    for guest in &mut status.guests {
        guest.computed_at = Some(at);
    }
    for storage in &mut status.storages {
        storage.computed_at = Some(at);
    }
}

fn collector_of(payload: &Payload) -> &'static str {
    match payload {
        Payload::Cpu(_) => "cpu",
        Payload::Load(_) => "load",
        Payload::Memory(_) => "memory",
        Payload::Network(_) => "network",
        _ => "pve_status",
    }
}

/// What other collectors would have read.
fn others(line: &Value) -> Vec<Payload> {
    let data = &line["node"]["data"];
    let (cpu, memory) = (&data["cpustat"], &data["memory"]);
    let seconds = |name: &str| number(&cpu[name]) / TICKS_PER_SECOND;
    let bytes = |value: &Value| whole(number(value));
    let nics = data["nics"].as_object().into_iter().flatten();
    let interfaces = nics.map(|(name, nic)| NetworkInterface {
        name: name.clone(),
        received_bytes_total: bytes(&nic["receive"]),
        transmitted_bytes_total: bytes(&nic["transmit"]),
        ..NetworkInterface::default()
    });
    vec![
        Payload::Cpu(CpuTimes {
            user_seconds_total: seconds("user"),
            nice_seconds_total: seconds("nice"),
            system_seconds_total: seconds("system"),
            idle_seconds_total: seconds("idle"),
            iowait_seconds_total: seconds("iowait"),
            softirq_seconds_total: seconds("softirq"),
            steal_seconds_total: seconds("steal"),
            online_cpus: 2,
            ..CpuTimes::default()
        }),
        Payload::Load(Load {
            load1: number(&cpu["avg1"]),
            ..Load::default()
        }),
        Payload::Memory(Memory {
            total_bytes: bytes(&memory["memtotal"]),
            free_bytes: bytes(&memory["memfree"]),
            available_bytes: bytes(&memory["memavailable"]),
            ..Memory::default()
        }),
        Payload::Network(Network {
            interfaces: interfaces.collect(),
        }),
    ]
}

/// PVE writes numbers as text, too.
fn number(value: &Value) -> f64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_f64().or(text).unwrap_or(0.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter of bytes"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
