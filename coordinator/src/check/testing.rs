//! A scene for tests of checks: the hand-made cluster, its history, and words
//! for verdicts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{agent::v1 as wire, timestamp_from_millis};

use super::{CheckVerdicts, Input, Outcome, Params, find, run_all, verdicts::run};
use crate::{
    finding::Severity,
    history::{History, ObjectKey},
    intent::Intent,
    metric::Metric,
    port::Refused,
    store::Condition,
    view::{Node, View, fixture},
    windows::{Course, Windows},
};

pub(crate) mod outages;

pub(crate) struct Scene {
    pub(crate) view: View,
    pub(crate) history: History,
    pub(crate) windows: Windows,
    pub(crate) params: Params,
    pub(crate) at: Timestamp,
    pub(crate) refused: Vec<Refused>,
    pub(crate) store: Option<Condition>,
    pub(crate) intent: Intent,
}

/// What the healthy cluster measures: metric and value, per kind of object.
const NODE: &[(Metric, f64)] = &[
    (Metric::CpuRatio, 0.2),
    (Metric::IowaitRatio, 0.01),
    (Metric::CpuPressureSomeRatio, 0.02),
    (Metric::MemoryPressureSomeRatio, 0.0),
    (Metric::MemoryPressureFullRatio, 0.0),
    (Metric::IoPressureSomeRatio, 0.01),
    (Metric::IoPressureFullRatio, 0.0),
    (Metric::MemoryAvailableRatio, 0.6),
    (Metric::MemoryAvailableBytes, 4e10),
    (Metric::SwappedInPagesPerSecond, 0.0),
    (Metric::SwappedOutPagesPerSecond, 0.0),
    (Metric::OomKills, 0.0),
];
const GUEST: &[(Metric, f64)] = &[
    (Metric::CpuRatio, 0.1),
    (Metric::MemoryUsedRatio, 0.5),
    (Metric::MemoryPressureSomeRatio, 0.0),
    (Metric::OomKills, 0.0),
];

impl Scene {
    /// Three nodes with everything a check asks for, and half an hour of calm.
    pub(crate) fn healthy() -> Self {
        let mut scene = Self {
            view: fixture::healthy(),
            history: History::default(),
            windows: Windows::default(),
            params: Params::default(),
            at: fixture::at(),
            refused: Vec::new(),
            store: None,
            intent: Intent::default(),
        };
        for node in &mut scene.view.nodes {
            complete(node);
            outages::complete(node);
        }
        scene.storage(0).path = "/var/lib/vz".to_owned();
        scene.remember(|_| None);
        scene
    }

    /// Records half an hour of calm for every object, but for what `other` gives.
    pub(crate) fn remember(&mut self, other: impl Fn((ObjectKey, Metric)) -> Option<f64>) {
        self.history = History::default();
        let nodes = self.view.nodes.iter().map(|node| (node.key, NODE));
        let guests = self.view.guests.iter().map(|guest| (guest.key, GUEST));
        let storages = self
            .view
            .storages
            .iter()
            .flat_map(|storage| &storage.nodes)
            .map(|on| (on.key, &[(Metric::UsedRatio, 0.3)][..]));
        let all: Vec<(ObjectKey, &[(Metric, f64)])> = nodes.chain(guests).chain(storages).collect();
        for (key, metrics) in all {
            for (metric, value) in metrics {
                let value = other((key, *metric)).unwrap_or(*value);
                self.record(key, *metric, "", 32, value);
            }
        }
    }

    /// One series with another value over all of the half hour.
    pub(crate) fn with(mut self, object: u32, metric: Metric, value: f64) -> Self {
        self.set(object, metric, value, 32);
        self
    }

    /// Replaces the newest minutes of a series.
    pub(crate) fn set(&mut self, object: u32, metric: Metric, value: f64, minutes: u64) {
        let object = ObjectKey(object);
        let before = std::mem::take(&mut self.history);
        let at = self.at;
        // Everything else is recorded again as it was.
        self.remember(|(key, of)| {
            if (key, of) == (object, metric) {
                Some(f64::NAN)
            } else {
                let all = std::time::Duration::from_secs(1920);
                Some(before.window(key, of, at, all).mean().unwrap_or(f64::NAN))
            }
        });
        self.record(object, metric, "", minutes, value);
    }

    pub(crate) fn record(
        &mut self,
        object: ObjectKey,
        metric: Metric,
        part: &str,
        minutes: u64,
        value: f64,
    ) {
        if value.is_nan() {
            return;
        }
        let part: Arc<str> = part.into();
        for step in 0..=minutes * 6 {
            let ago = SignedDuration::from_secs(i64::try_from(step * 10).unwrap());
            let at = self.at.checked_sub(ago).unwrap();
            self.history.record_part(object, metric, &part, at, value);
        }
    }

    /// What the store has of a level, by steps of the six hours.
    pub(crate) fn course(
        &mut self,
        object: ObjectKey,
        part: &str,
        steps: impl IntoIterator<Item = (u16, f64)>,
    ) {
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let steps = steps.into_iter().map(|(step, value)| (step, value as f32));
        let course = Course::of(steps);
        self.windows
            .add_course(object, Metric::UsedRatio, part.into(), course);
    }

    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            view: &self.view,
            history: &self.history,
            windows: &self.windows,
            params: &self.params,
            refused: &self.refused,
            store: self.store.as_ref(),
            intent: &self.intent,
            at: self.at,
        }
    }

    pub(crate) fn run_all(&self) -> Vec<CheckVerdicts> {
        run_all(&self.input())
    }

    pub(crate) fn run(&self, id: &str) -> CheckVerdicts {
        run(find(id).unwrap(), &self.input())
    }

    /// The verdicts of one check about one subject, in words.
    pub(crate) fn judge(&self, id: &str, subject: &str) -> String {
        let cluster = crate::view::ClusterIndex(0);
        let subject = self.view.find_subject(cluster, subject).unwrap();
        let words: Vec<String> = self
            .run(id)
            .of(subject)
            .iter()
            .map(|verdict| word(&verdict.outcome))
            .collect();
        words.join(", ")
    }

    /// The summary of the first failure.
    pub(crate) fn summary(&self, id: &str) -> String {
        self.run(id)
            .verdicts
            .iter()
            .find_map(|verdict| match &verdict.outcome {
                Outcome::Fail(failure) => Some(failure.summary.clone()),
                _ => None,
            })
            .unwrap_or_default()
    }

    pub(crate) fn node(&mut self, index: usize) -> &mut Node {
        &mut self.view.nodes[index]
    }

    pub(crate) fn settings(&mut self, guest: usize) -> &mut wire::GuestSettings {
        let config = self.view.guests[guest].config.as_mut().unwrap();
        Arc::make_mut(config).settings.as_mut().unwrap()
    }

    pub(crate) fn interfaces(&mut self, node: usize) -> &mut Vec<wire::InterfaceState> {
        let states = self.view.nodes[node].facts.interfaces.as_mut().unwrap();
        &mut Arc::make_mut(&mut states.value).interfaces
    }

    pub(crate) fn mounts(&mut self, node: usize) -> &mut Vec<wire::Filesystem> {
        let mounts = self.view.nodes[node].facts.filesystems.as_mut().unwrap();
        &mut Arc::make_mut(&mut mounts.value).filesystems
    }

    pub(crate) fn storage(&mut self, storage: usize) -> &mut wire::StorageEntry {
        Arc::make_mut(&mut self.view.storages[storage].entry)
    }

    pub(crate) fn corosync(&mut self) -> &mut wire::CorosyncConfig {
        let corosync = self.view.clusters[0].corosync.as_mut().unwrap();
        Arc::make_mut(&mut corosync.value)
    }

    /// The agent of a node stops speaking so many minutes ago.
    pub(crate) fn silence(&mut self, node: usize, minutes: i64) {
        let at = minus(self.at, minutes);
        self.node(node).agent.as_mut().unwrap().last_update_at = at;
    }

    pub(crate) fn minutes_ago(&self, minutes: i64) -> Timestamp {
        minus(self.at, minutes)
    }
}

fn minus(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_mins(minutes)).unwrap()
}

pub(crate) fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Recovering => "recovering".to_owned(),
        Outcome::Unknown(_) => "unknown".to_owned(),
        Outcome::NotApplicable(_) => "not applicable".to_owned(),
        Outcome::Fail(failure) => {
            let severity = match failure.severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            };
            if failure.discriminator.is_empty() {
                severity.to_owned()
            } else {
                format!("{severity} {}", failure.discriminator)
            }
        }
    }
}

fn complete(node: &mut Node) {
    let at = fixture::at();
    node.facts.interfaces = fixture::fact(wire::InterfaceStates {
        interfaces: vec![
            interface("eno1", wire::InterfaceKind::Physical, "vmbr0"),
            interface("vmbr0", wire::InterfaceKind::Bridge, ""),
        ],
    });
    node.facts.disks = fixture::fact(wire::Disks {
        disks: vec![wire::Disk {
            name: "sda".to_owned(),
            kind: wire::DiskKind::Drive.into(),
            rotational: Some(false),
            ..wire::Disk::default()
        }],
    });
    node.facts.pve_status = fixture::fact(wire::PveStatus {
        node: Some(wire::PveNodeStatus {
            computed_at: Some(timestamp_from_millis(at.as_millisecond() - 8_000)),
            ..wire::PveNodeStatus::default()
        }),
        ..wire::PveStatus::default()
    });
}

pub(crate) fn interface(
    name: &str,
    kind: wire::InterfaceKind,
    master: &str,
) -> wire::InterfaceState {
    wire::InterfaceState {
        name: name.to_owned(),
        kind: kind.into(),
        master: master.to_owned(),
        carrier: Some(true),
        enabled: true,
        carrier_changes_total: 2,
        ..wire::InterfaceState::default()
    }
}
