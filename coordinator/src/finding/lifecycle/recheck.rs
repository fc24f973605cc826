//! Rechecking after a fix: what passes is resolved now, not when it has been
//! calm for long enough.
//!
//! It closes nothing that an evaluation could not have closed later. A pass
//! counts when its object was read since the failure; the unknown closes nothing,
//! and what is pending still has to hold before it opens. Passes that are not
//! clear ones (a figure just below its trigger, an event that did not come again)
//! are closed only for who names the check, which is to say that it was dealt
//! with.

use std::cmp::Reverse;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Entry, Key, Lifecycle, Step, not_failing, stated};
use crate::{
    check::{Check, CheckVerdicts, Input, Timing},
    finding::{Finding, FindingState},
    inventory::coverage,
    view::{ClusterId, ClusterIndex, NodeIndex, Subject, View},
};

/// Which findings to recheck.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub clusters: Vec<ClusterId>,
    /// `None` = all.
    pub check: Option<&'static Check>,
    /// Exact subject key; empty = all.
    pub subject: String,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rechecked {
    pub outcome: Outcome,
    pub finding: Finding,
}

/// In the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Outcome {
    Resolved,
    /// Below its trigger, not yet below the level that resolves it.
    Recovering,
    /// An event: it stays for a day after it came last.
    Event,
    /// It passes, but its object was not read since it failed last.
    NotReadSince,
    /// Facts are missing or old.
    Unknown,
    Failing,
}

impl Scope {
    fn has(&self, key: &Key) -> bool {
        self.clusters.contains(&key.cluster)
            && self.check.is_none_or(|check| check.id == key.check)
            && (self.subject.is_empty() || self.subject == key.subject)
    }
}

impl Lifecycle {
    /// As [`update`](Self::update), and resolves what no longer fails. Also
    /// returns what became of the findings in scope, resolved ones first, then
    /// worst first.
    pub fn recheck(
        &mut self,
        input: &Input<'_>,
        results: &[CheckVerdicts],
        scope: &Scope,
    ) -> (Vec<Finding>, Vec<Rechecked>) {
        let before: Vec<(Key, Finding)> = self
            .entries
            .iter()
            .filter(|(key, _)| scope.has(key))
            .filter_map(|(key, entry)| Some((key.clone(), entry.shown()?)))
            .collect();
        self.apply(input, results);
        let mut rechecked: Vec<Rechecked> = before
            .into_iter()
            .map(|(key, finding)| {
                let Some(entry) = self.entries.get_mut(&key) else {
                    return Rechecked::resolved(finding);
                };
                let result = results.iter().find(|result| result.check.id == key.check);
                let step = not_failing(input, &key, result);
                match entry.settle_now(input, &key, step, scope.check.is_some()) {
                    Outcome::Resolved => Rechecked::resolved(finding),
                    outcome => {
                        let mut finding = entry.finding.clone();
                        stated::apply(input, entry.check, &mut finding);
                        Rechecked { outcome, finding }
                    }
                }
            })
            .collect();
        rechecked.sort_by_cached_key(|rechecked| {
            let finding = &rechecked.finding;
            (
                rechecked.outcome,
                Reverse(finding.severity),
                finding.lane,
                finding.check.clone(),
                finding.fingerprint.clone(),
            )
        });
        self.note_changes(input.at);
        (self.shown(input), rechecked)
    }
}

impl Rechecked {
    fn resolved(mut finding: Finding) -> Self {
        finding.state = FindingState::Resolved;
        finding.unverified = false;
        Self {
            outcome: Outcome::Resolved,
            finding,
        }
    }
}

impl Entry {
    /// Closes it if `step` allows that; says what it is now.
    fn settle_now(&mut self, input: &Input<'_>, key: &Key, step: Step, is_named: bool) -> Outcome {
        if self.finding.state == FindingState::Resolved {
            return Outcome::Resolved;
        }
        if self.seen {
            return Outcome::Failing;
        }
        let is_event = self.timing == Timing::T4;
        match step {
            Step::Recovering if !is_named => return Outcome::Recovering,
            Step::Pass if is_event && !is_named => return Outcome::Event,
            Step::Pass | Step::Recovering | Step::Gone => {}
            Step::Unknown | Step::Fail(_) => return Outcome::Unknown,
        }
        if read_at(input.view, key).is_none_or(|at| at <= self.finding.last_seen) {
            return Outcome::NotReadSince;
        }
        self.close(input.at);
        Outcome::Resolved
    }
}

/// When something about the object of a finding was read last. The same facts
/// give the same verdict, so after a failure a pass comes from newer ones, or
/// from time alone: that is what this rules out.
fn read_at(view: &View, key: &Key) -> Option<Timestamp> {
    let cluster = view.find_cluster(&key.cluster)?;
    match view.find_subject(cluster, &key.subject)? {
        Subject::Cluster(cluster) => {
            let members = view.nodes_of(view.cluster(cluster));
            let read = members.map(|(_, node)| coverage::newest(node));
            newest(read.chain([membership_at(view, cluster)]))
        }
        Subject::Node(node) => newest([node_at(view, node), membership_at(view, cluster)]),
        Subject::Guest(guest) => {
            let guest = view.guest(guest);
            newest([
                guest.figures.at,
                guest.pve_status.as_ref().map(|status| status.at),
                guest.runtime.as_ref().map(|runtime| runtime.at),
                view.cluster(cluster).guest_configs_at,
            ])
        }
        Subject::Storage(storage) => {
            let on = view.storage(storage).nodes.iter().map(|on| on.at);
            newest(on.chain([view.cluster(cluster).storage_config_at]))
        }
        Subject::StorageOnNode(storage, node) => {
            let on = view.storage(storage).nodes.iter();
            let on = on.filter(|on| on.node == node).map(|on| on.at);
            newest(on.chain([node_at(view, node)]))
        }
    }
}

fn node_at(view: &View, node: NodeIndex) -> Option<Timestamp> {
    coverage::newest(view.node(node))
}

fn membership_at(view: &View, cluster: ClusterIndex) -> Option<Timestamp> {
    let cluster = view.cluster(cluster);
    let seen = cluster.memberships.iter().map(|seen| Some(seen.at));
    newest(seen.chain([cluster.corosync.as_ref().map(|config| config.at)]))
}

fn newest(times: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    times.into_iter().flatten().max()
}
