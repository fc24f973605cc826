//! The newest payload of every collector of this node, and all before it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{
    self as wire, FailureKind, NodeUpdate, Sample, SourceFailure, sample::Payload,
};

use super::Gathered;
use crate::untrusted;

/// A value that was written at most so long ago is of now.
const RECENT: SignedDuration = SignedDuration::from_secs(90);

/// What is known of one node.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) node: String,
    pub(super) at: Timestamp,
    pub(super) is_pve_node: bool,
    /// In order of observation, with what they hold; repeated content is left out.
    pub(super) samples: Vec<(Timestamp, &'a Sample)>,
    newest: BTreeMap<&'a str, &'a Sample>,
    payloads: BTreeMap<&'a str, (Timestamp, &'a Payload)>,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($type:ty) = $collector:literal;)*) => {
        impl<'a> Facts<'a> {
            $($(#[$doc])*
            pub(super) fn $name(&self) -> Option<&'a $type> {
                match self.payloads.get($collector) {
                    Some((_, Payload::$variant(value))) => Some(value),
                    _ => None,
                }
            })*
        }
    };
}

facts! {
    members: ClusterMembers(wire::ClusterMembers) = "members";
    config_versions: ConfigVersions(wire::ConfigVersions) = "config_versions";
    pve_status: PveStatus(wire::PveStatus) = "pve_status";
    runtimes: GuestRuntimes(wire::GuestRuntimes) = "guest_runtime";
    cpu: Cpu(wire::CpuTimes) = "cpu";
    units: Units(wire::Units) = "units";
    ha_state: HaState(wire::HaState) = "ha_state";
    corosync: CorosyncState(wire::CorosyncState) = "corosync_state";
    corosync_config: CorosyncConfig(wire::CorosyncConfig) = "corosync";
    mounts: NetworkMounts(wire::NetworkMounts) = "network_mounts";
    packages: Packages(wire::Packages) = "packages";
}

impl<'a> Facts<'a> {
    pub(super) fn of(gathered: &'a Gathered) -> Self {
        let mut facts = Self {
            node: untrusted::name(&gathered.description.node_name).into_owned(),
            at: gathered.at,
            is_pve_node: gathered.description.is_pve_node,
            samples: Vec::new(),
            newest: BTreeMap::new(),
            payloads: BTreeMap::new(),
        };
        let mut samples: Vec<(Timestamp, &Sample)> = gathered
            .updates
            .iter()
            .flat_map(|update| &update.samples)
            .filter_map(|sample| Some((sample.observed_at.as_ref().and_then(moment)?, sample)))
            .collect();
        samples.sort_by_key(|(at, _)| *at);
        for (at, sample) in samples {
            let name = sample.collector.as_str();
            facts.newest.insert(name, sample);
            match &sample.payload {
                Some(Payload::Unchanged(_)) => {
                    if let Some((seen, _)) = facts.payloads.get_mut(name) {
                        *seen = at;
                    }
                    continue;
                }
                Some(Payload::NoData(_)) => {
                    facts.payloads.remove(name);
                }
                Some(payload) => {
                    facts.payloads.insert(name, (at, payload));
                }
                None => {}
            }
            facts.samples.push((at, sample));
        }
        facts
    }

    /// Whether what a collector gave last is of now.
    pub(super) fn is_fresh(&self, collector: &str) -> bool {
        self.payloads
            .get(collector)
            .is_some_and(|(at, _)| self.is_recent(*at))
    }

    pub(super) fn is_recent(&self, at: Timestamp) -> bool {
        self.at.duration_since(at) <= RECENT
    }

    /// What the last run of every collector could not read.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'a str, &'a SourceFailure)> {
        self.newest.iter().flat_map(|(collector, sample)| {
            let failures = sample.failures.iter();
            failures.map(move |failure| (*collector, failure))
        })
    }

    /// Whether the last run of a collector gave something, be it in part.
    pub(super) fn has_payload(&self, collector: &str) -> bool {
        let newest = self.newest.get(collector);
        newest.is_some_and(|sample| sample.payload.is_some())
    }

    /// Whether enough was read to call a node fine: it is one, and the cluster file
    /// system and Proxmox VE's own figures are of now.
    pub(super) fn is_assessed(&self) -> bool {
        self.is_pve_node && self.is_fresh("members") && self.is_fresh("pve_status")
    }

    /// Absent on a node that stands alone, and when nobody says.
    pub(super) fn quorate(&self) -> Option<bool> {
        let cluster = self.members().and_then(|members| members.cluster.as_ref());
        cluster.map(|cluster| cluster.quorate)
    }

    /// Whether the cluster file system gave what was asked of it just now.
    pub(super) fn pmxcfs_answers(&self) -> bool {
        self.is_fresh("members") && !self.failures().any(is_dead_pmxcfs)
    }
}

/// A failure that says that the cluster file system as a whole is gone or hangs.
pub(super) fn is_dead_pmxcfs((collector, failure): (&str, &SourceFailure)) -> bool {
    matches!(collector, "members" | "config_versions")
        && matches!(
            failure.kind(),
            FailureKind::TimedOut
                | FailureKind::InProgress
                | FailureKind::Disconnected
                | FailureKind::NotFound
                | FailureKind::Io
        )
}

/// The instant, unless it is absurd.
pub(super) fn moment(at: &pvelens_proto::Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(pvelens_proto::timestamp_to_millis(at)).ok()
}

/// When the newest sample of an update was taken.
pub(super) fn newest(update: &NodeUpdate) -> Option<Timestamp> {
    let times = update.samples.iter();
    times
        .filter_map(|sample| sample.observed_at.as_ref().and_then(moment))
        .max()
}
