//! Whose word counts.
//!
//! pmxcfs shows a node without quorum the last state it knew, all members
//! online. Its word about others does not count, and its files give way to
//! those of a quorate member. Counters are local to each daemon and prove
//! nothing, so among equals the newest sample wins.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{FRESH, Scene, held};
use crate::{
    live::{agent::Agent, facts::Held},
    view::{Dated, Membership, Name, NodeIndex, NodeStatus},
};

/// What each member with an agent says of the membership.
pub(super) struct Words<'a> {
    agents: &'a BTreeMap<Name, Agent>,
    /// In order of `agents`.
    words: Vec<Word<'a>>,
    /// Positions in `words`, the best informed first.
    ranked: Vec<usize>,
    at: Timestamp,
}

struct Word<'a> {
    reporter: &'a Name,
    members: &'a wire::ClusterMembers,
    at: Timestamp,
    /// Fresh, and from a member of the quorate part or a node that stands alone.
    counts: bool,
}

impl<'a> Words<'a> {
    pub(super) fn new(agents: &'a BTreeMap<Name, Agent>, at: Timestamp) -> Self {
        let words: Vec<Word<'a>> = agents
            .iter()
            .filter_map(|(reporter, agent)| {
                let members = held(agent, agent.facts.members.as_ref(), at)?;
                let cluster = &members.value.value.cluster;
                let quorate = cluster.as_ref().is_none_or(|cluster| cluster.quorate);
                Some(Word {
                    reporter,
                    members: &members.value.value,
                    at: members.at,
                    counts: quorate && at.duration_since(members.at) <= FRESH,
                })
            })
            .collect();
        let mut ranked: Vec<(bool, Timestamp, usize)> = words
            .iter()
            .enumerate()
            .map(|(position, word)| (!word.counts, word.at, position))
            .collect();
        ranked.sort_by(|a, b| (a.0, b.1, a.2).cmp(&(b.0, a.1, b.2)));
        Self {
            agents,
            words,
            ranked: ranked
                .into_iter()
                .map(|(_, _, position)| position)
                .collect(),
            at,
        }
    }

    /// The newest value from a member whose word counts, else from any.
    pub(super) fn best<T>(&self, held_by: fn(&Agent) -> Option<&Held<T>>) -> Option<Dated<Arc<T>>> {
        self.ranked_best(held_by).map(|(_, value)| value)
    }

    /// As [`best`](Self::best), with whether the word of that member counts.
    pub(super) fn ranked_best<T>(
        &self,
        held_by: fn(&Agent) -> Option<&Held<T>>,
    ) -> Option<(bool, Dated<Arc<T>>)> {
        let mut words = self.words.iter().peekable();
        let mut best: Option<(bool, Dated<Arc<T>>)> = None;
        for (name, agent) in self.agents {
            while words.next_if(|word| word.reporter < name).is_some() {}
            let word = words.next_if(|word| word.reporter == name);
            let Some(held) = held(agent, held_by(agent), self.at) else {
                continue;
            };
            let counts = word.is_some_and(|word| word.counts);
            // Agents come by name: of equals the first stays.
            let is_better = |best: &(bool, Dated<Arc<T>>)| (counts, held.at) > (best.0, best.1.at);
            if best.as_ref().is_none_or(is_better) {
                let value = Arc::clone(&held.value.value);
                best = Some((counts, Dated { value, at: held.at }));
            }
        }
        best
    }

    /// Nodes that those whose word counts name; if there are none, that anyone
    /// ever named.
    pub(super) fn announced(&self) -> impl Iterator<Item = &'a str> {
        let anyone = !self.anyone_counts();
        self.words
            .iter()
            .filter(move |word| anyone || word.counts)
            .flat_map(|word| &word.members.members)
            .map(|member| member.name.as_str())
            .filter(|name| !name.is_empty())
    }

    /// Whether this member may speak for the cluster now.
    pub(super) fn counts(&self, reporter: &str) -> bool {
        let found = self
            .words
            .binary_search_by(|word| (**word.reporter).cmp(reporter));
        found.is_ok_and(|position| self.words[position].counts)
    }

    /// Whether anyone may speak for the cluster now.
    pub(super) fn anyone_counts(&self) -> bool {
        self.words.iter().any(|word| word.counts)
    }

    /// Whether no member list was ever read.
    pub(super) fn is_silent(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn name_a_cluster(&self) -> bool {
        self.words.iter().any(|word| word.members.cluster.is_some())
    }

    /// As the best informed member has it.
    pub(super) fn cluster_name(&self) -> Option<&'a str> {
        self.ranked()
            .find_map(|word| Some(word.members.cluster.as_ref()?.name.as_str()))
    }

    /// What is known of a member besides its state, from the best informed word
    /// that names it.
    fn member(&self, name: &str) -> Option<&'a wire::ClusterMember> {
        self.ranked().find_map(|word| {
            let mut members = word.members.members.iter();
            members.find(|member| member.name == name)
        })
    }

    fn ranked(&self) -> impl Iterator<Item = &Word<'a>> {
        self.ranked
            .iter()
            .filter_map(|position| self.words.get(*position))
    }
}

impl Scene<'_> {
    /// Every member's own word, by reporter.
    pub(super) fn memberships(&self) -> Vec<Membership> {
        let indices = |word: &Word<'_>, online: bool| {
            let members = word.members.members.iter();
            let mut indices: Vec<NodeIndex> = members
                .filter(|member| member.online == online)
                .filter_map(|member| self.position(&member.name))
                .map(|position| self.index(position))
                .collect();
            indices.sort_unstable();
            indices.dedup();
            indices
        };
        self.words
            .words
            .iter()
            .filter_map(|word| {
                let reporter = self.index(self.position(word.reporter)?);
                let alone = word.members.cluster.is_none();
                Some(Membership {
                    reporter,
                    at: word.at,
                    quorate: word.members.cluster.as_ref().map(|cluster| cluster.quorate),
                    online: if alone {
                        vec![reporter]
                    } else {
                        indices(word, true)
                    },
                    offline: if alone {
                        Vec::new()
                    } else {
                        indices(word, false)
                    },
                })
            })
            .collect()
    }

    /// By position: the majority of the words that count.
    pub(super) fn statuses(&self) -> Vec<NodeStatus> {
        let mut votes = vec![(0_u32, 0_u32); self.names.len()];
        for word in self.words.words.iter().filter(|word| word.counts) {
            for member in &word.members.members {
                let vote = self
                    .position(&member.name)
                    .and_then(|position| votes.get_mut(position));
                if let Some((online, offline)) = vote {
                    *online += u32::from(member.online);
                    *offline += u32::from(!member.online);
                }
            }
        }
        votes
            .into_iter()
            .zip(&self.nodes)
            .map(|((online, offline), node)| {
                let reports = node
                    .agent
                    .and_then(|agent| agent.last_update_at)
                    .is_some_and(|received| self.is_recent(received, FRESH));
                match online.cmp(&offline) {
                    std::cmp::Ordering::Greater => NodeStatus::Online,
                    std::cmp::Ordering::Less => NodeStatus::Offline,
                    // Nobody, or as many for as against: its own sign of life.
                    std::cmp::Ordering::Equal if reports => NodeStatus::Online,
                    std::cmp::Ordering::Equal => NodeStatus::Unknown,
                }
            })
            .collect()
    }

    /// Corosync id and address of a node.
    pub(super) fn place_of(&self, name: &str) -> (Option<u32>, Name) {
        let member = self.words.member(name);
        let corosync = self.corosync.as_ref();
        let configured = corosync
            .and_then(|corosync| corosync.value.nodes.iter().find(|node| node.name == name));
        let node_id = member
            .map(|member| member.node_id)
            .or(configured.map(|node| node.node_id))
            .filter(|id| *id != 0);
        let address = member.map(|member| member.ip_address.as_str());
        let ring = configured.and_then(|node| node.addresses.first());
        let address = address
            .filter(|address| !address.is_empty())
            .or(ring.map(|ring| ring.address.as_str()));
        (node_id, address.unwrap_or_default().into())
    }
}
