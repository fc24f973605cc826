//! What members hold of files that they all share.
//!
//! Counters of pmxcfs are those of one daemon, so copies are compared by content.
//! Most digests are of what the agent carries of a file: those of two versions of
//! the agent say nothing about each other.

use std::collections::BTreeMap;

use super::Scene;
use crate::{
    live::agent::Agent,
    view::{Copy, Name, SharedFile},
};

impl Scene<'_> {
    /// By file, then version of the agents; the copies by node. Only members that
    /// may speak for the cluster.
    pub(super) fn shared_files(&self) -> Vec<SharedFile> {
        let mut files: BTreeMap<(&'static str, Name), Vec<Copy>> = BTreeMap::new();
        let nodes = self.names.iter().zip(&self.nodes).enumerate();
        for (position, (name, member)) in nodes {
            let Some(agent) = member.agent.filter(|_| self.words.counts(name)) else {
                continue;
            };
            for (path, digest) in &agent.digests {
                let Some(stamp) = agent.verified(path) else {
                    continue;
                };
                let version = if digest.is_of_whole_file {
                    "".into()
                } else {
                    Name::clone(&agent.version)
                };
                files.entry((*path, version)).or_default().push(Copy {
                    node: self.index(position),
                    digest: Name::clone(&digest.value),
                    since: agent
                        .clock
                        .correct(digest.since.observed, digest.since.received),
                    at: agent.clock.correct(stamp.observed, stamp.received),
                });
            }
        }
        files
            .into_iter()
            .map(|((path, _), copies)| SharedFile { path, copies })
            .collect()
    }
}

impl Agent {
    /// When the file was read last.
    fn verified(&self, path: &str) -> Option<crate::live::facts::Stamp> {
        let facts = &self.facts;
        match path {
            "/etc/pve/storage.cfg" => facts.storages.as_ref().map(|held| held.stamp),
            "/etc/pve/user.cfg" => facts.access_config.as_ref().map(|held| held.stamp),
            "/etc/pve/datacenter.cfg" => facts.datacenter_config.as_ref().map(|held| held.stamp),
            "/etc/pve/corosync.conf" => facts.corosync.as_ref().map(|held| held.stamp),
            _ => None,
        }
    }
}
