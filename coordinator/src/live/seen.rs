//! What is written down as it was said: configuration, and what happened.
//!
//! Only what was heard is noted here, since the lock of the samples is held; the
//! chronicle makes sense of it afterwards.

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1 as wire;

pub(crate) use super::clock::plausible;
use super::{
    agent::Agent,
    facts::{Facts, Held, Kind, KnownConfigs, Stamp, StorageEntries},
    ingest::Shared,
};
use crate::view::{ClusterId, Name};

/// Words that wait; many more than come between two evaluations.
const WAITING: usize = 100_000;

/// A payload as one agent delivered it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub cluster: ClusterId,
    pub node: Name,
    /// When it was read, by the coordinator's clock.
    pub at: Timestamp,
    /// When the same was read before, if it was.
    pub before: Option<Timestamp>,
    /// Version of the agent that read it.
    pub reader: Name,
    /// Everything could be read: what is missing in it is not there.
    pub is_whole: bool,
    /// The node may speak for its cluster.
    pub is_quorate: bool,
    pub what: What,
}

/// What was said.
#[derive(Debug, Clone)]
pub enum What {
    Guests(Vec<Arc<wire::GuestConfig>>),
    Storages(Vec<Arc<wire::StorageEntry>>),
    Corosync(Arc<wire::CorosyncConfig>),
    Access(Arc<wire::AccessConfig>),
    Datacenter(Arc<wire::DatacenterConfig>),
    Jobs(Arc<wire::JobConfig>),
    Replication(Arc<wire::ReplicationConfig>),
    Notifications(Arc<wire::NotificationConfig>),
    MetricServers(Arc<wire::MetricServerConfig>),
    Nodes(Arc<wire::NodeConfigs>),
    Ha(Arc<wire::HaConfig>),
    Firewall(Arc<wire::FirewallConfigs>),
    Sdn(Arc<wire::SdnConfig>),
    Mappings(Arc<wire::MappingConfig>),
    CpuModels(Arc<wire::CpuModelConfig>),
    Ceph(Arc<wire::CephConfig>),
    Packages(Arc<wire::Packages>),
    HostFiles(Arc<wire::HostFiles>),
    Sshd(Arc<wire::SshdConfig>),
    Tasks(Arc<wire::Tasks>),
    ClusterLog(Arc<wire::ClusterLog>),
    Journal(Arc<wire::JournalEvents>),
}

/// What was heard since it was taken last.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    waiting: VecDeque<Seen>,
}

impl Heard {
    pub(super) fn note(&mut self, seen: Seen) {
        // Of configuration and logs the newest says all that an older one does.
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(seen);
    }

    pub(super) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.waiting).into()
    }
}

/// Samples of one round are not further apart.
const SAME_ROUND: SignedDuration = SignedDuration::from_secs(3);

impl What {
    /// Whether it is of files of which `/etc/pve/.version` tells that they have changed.
    fn is_polled(&self) -> bool {
        !matches!(
            self,
            // Files of single nodes and guests are not among them.
            Self::Nodes(_)
                | Self::Firewall(_)
                | Self::Packages(_)
                | Self::HostFiles(_)
                | Self::Sshd(_)
                | Self::Tasks(_)
                | Self::ClusterLog(_)
                | Self::Journal(_)
        )
    }
}

impl Agent {
    /// Notes the newest payload of the kind, if it is one that is written down: read at
    /// `at`, and before that at `newest` by the node's clock.
    pub(super) fn hear(
        &self,
        kind: Option<Kind>,
        at: Timestamp,
        stamp: Stamp,
        newest: Option<Timestamp>,
        is_whole: bool,
        shared: &mut Shared<'_>,
    ) {
        let Some(heard) = &mut shared.recorder.heard else {
            return;
        };
        if let Some(what) = kind.and_then(|kind| what(kind, &self.facts)) {
            // Files of the cluster are read when one has changed: until the look before
            // this one, none had. Without what was read before nothing is known.
            let looked = self.polled.into_iter().flatten();
            let looked = looked
                .filter(|looked| stamp.observed.duration_since(*looked) > SAME_ROUND)
                .max()
                .filter(|_| what.is_polled());
            let before = newest.map(|newest| looked.map_or(newest, |looked| looked.max(newest)));
            let before = before.map(|before| self.clock.correct(before, stamp.received));
            heard.note(Seen {
                cluster: ClusterId::clone(shared.keys.cluster()),
                node: Name::clone(shared.node),
                at,
                before,
                reader: Name::clone(&self.version),
                is_whole,
                is_quorate: self.is_quorate(),
                what,
            });
        }
    }

    /// Whether its copy of the cluster's files is the one that counts.
    fn is_quorate(&self) -> bool {
        let members = self.facts.members.as_ref();
        let cluster = members.and_then(|members| members.value.cluster.as_ref());
        cluster.is_none_or(|cluster| cluster.quorate)
    }
}

/// The newest payload of the kind, if it is one that is written down.
fn what(kind: Kind, facts: &Facts) -> Option<What> {
    Some(match kind {
        Kind::GuestConfigs => What::Guests(guests(held(facts.guest_configs.as_ref())?)),
        Kind::Storages => What::Storages(storages(held(facts.storages.as_ref())?)),
        Kind::Corosync => What::Corosync(shared(facts.corosync.as_ref())?),
        Kind::AccessConfig => What::Access(shared(facts.access_config.as_ref())?),
        Kind::DatacenterConfig => What::Datacenter(shared(facts.datacenter_config.as_ref())?),
        Kind::JobConfig => What::Jobs(shared(facts.job_config.as_ref())?),
        Kind::ReplicationConfig => What::Replication(shared(facts.replication_config.as_ref())?),
        Kind::NotificationConfig => {
            What::Notifications(shared(facts.notification_config.as_ref())?)
        }
        Kind::MetricServerConfig => {
            What::MetricServers(shared(facts.metric_server_config.as_ref())?)
        }
        Kind::NodeConfigs => What::Nodes(shared(facts.node_configs.as_ref())?),
        Kind::HaConfig => What::Ha(shared(facts.ha_config.as_ref())?),
        Kind::FirewallConfigs => What::Firewall(shared(facts.firewall_configs.as_ref())?),
        Kind::SdnConfig => What::Sdn(shared(facts.sdn_config.as_ref())?),
        Kind::MappingConfig => What::Mappings(shared(facts.mapping_config.as_ref())?),
        Kind::CpuModelConfig => What::CpuModels(shared(facts.cpu_model_config.as_ref())?),
        Kind::CephConfig => What::Ceph(shared(facts.ceph_config.as_ref())?),
        Kind::Packages => What::Packages(shared(facts.packages.as_ref())?),
        Kind::HostFiles => What::HostFiles(shared(facts.host_files.as_ref())?),
        Kind::SshdConfig => What::Sshd(shared(facts.sshd_config.as_ref())?),
        Kind::Tasks => What::Tasks(shared(facts.tasks.as_ref())?),
        Kind::ClusterLog => What::ClusterLog(shared(facts.cluster_log.as_ref())?),
        Kind::JournalEvents => What::Journal(shared(facts.journal_events.as_ref())?),
        _ => return None,
    })
}

fn held<T>(slot: Option<&Held<T>>) -> Option<&T> {
    slot.map(|held| &*held.value)
}

fn shared<T>(slot: Option<&Held<T>>) -> Option<Arc<T>> {
    slot.map(|held| Arc::clone(&held.value))
}

fn guests(known: &KnownConfigs) -> Vec<Arc<wire::GuestConfig>> {
    known.iter().map(|one| Arc::clone(&one.config)).collect()
}

fn storages(entries: &StorageEntries) -> Vec<Arc<wire::StorageEntry>> {
    entries.to_vec()
}
