//! The life of findings between evaluations.
//!
//! A failure is pending until its timing is met, then open; an open one is
//! resolved by passes, never by silence: while its input is unknown it is frozen
//! and marked. What opens and clears all the time stays open as flapping
//! (rule G9). Passing verdicts cost nothing here: only failures and what is
//! already known are looked at.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Finding, FindingState, cause, order};
use crate::{
    check::{Check, CheckVerdicts, Failure, Input, Outcome, Timing, params},
    view::{ClusterId, ClusterIndex, Subject, View},
};

mod build;
mod entry;
mod keep;
pub mod recheck;
mod stated;

pub use keep::FindingEvent;

use entry::{Entry, Step};
use keep::Outbox;

/// What is pending or open, carried from one evaluation to the next.
#[derive(Debug, Default)]
pub struct Lifecycle {
    entries: BTreeMap<Key, Entry>,
    /// What the store is to get; absent where there is none.
    outbox: Option<Outbox>,
}

/// Names a defect for its whole life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    check: &'static str,
    cluster: ClusterId,
    subject: String,
    /// Of the guest that it is about; zero of everything else.
    generation: u32,
    discriminator: String,
}

/// How strict to be with one cluster, worked out once per evaluation.
type Profiles = HashMap<ClusterIndex, (params::Profile, bool)>;

impl Lifecycle {
    /// Applies the verdicts of one evaluation; returns what is pending or open,
    /// worst first, consequences after their cause.
    pub fn update(&mut self, input: &Input<'_>, results: &[CheckVerdicts]) -> Vec<Finding> {
        self.apply(input, results);
        self.note_changes(input.at);
        self.shown(input)
    }

    fn apply(&mut self, input: &Input<'_>, results: &[CheckVerdicts]) {
        let profiles: Profiles = input
            .view
            .clusters()
            .map(|(index, _)| {
                let (profile, hosting, _) = input.params.profile_of(input.view, index);
                (index, (profile, hosting))
            })
            .collect();
        for entry in self.entries.values_mut() {
            entry.seen = false;
        }
        for result in results {
            for verdict in &result.verdicts {
                if let Outcome::Fail(failure) = &verdict.outcome {
                    self.fail(input, &profiles, result.check, verdict.subject, failure);
                }
            }
        }
        self.settle(input, results);
    }

    fn shown(&self, input: &Input<'_>) -> Vec<Finding> {
        let shown = self.entries.values().filter_map(|entry| {
            let mut finding = entry.shown()?;
            stated::apply(input, entry.check, &mut finding);
            Some(finding)
        });
        let mut findings: Vec<Finding> = shown.collect();
        cause::link(input.view, &mut findings);
        order::sort(&mut findings);
        findings
    }

    fn fail(
        &mut self,
        input: &Input<'_>,
        profiles: &Profiles,
        check: &'static Check,
        subject: Subject,
        failure: &Failure,
    ) {
        let view = input.view;
        let cluster = subject.cluster(view);
        let (profile, hosting) = profiles
            .get(&cluster)
            .copied()
            .unwrap_or((params::Profile::Production, false));
        let leniency = params::Leniency {
            profile,
            hosting,
            lab: params::is_lab(input, subject),
        };
        // Silent under this profile: kept as a verdict, no finding.
        let Some(severity) = params::severity(check, failure, leniency) else {
            return;
        };
        let key = Key {
            check: check.id,
            cluster: view.cluster(cluster).id.clone(),
            subject: subject.key(view),
            generation: generation(view, subject),
            discriminator: failure.discriminator.clone(),
        };
        let entry = match self.entries.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let finding = build::finding(view, vacant.key(), check, subject, input.at);
                vacant.insert(Entry::new(check, finding))
            }
        };
        // A part that is named twice is one defect.
        if entry.seen {
            return;
        }
        build::renew(
            &mut entry.finding,
            failure,
            severity,
            check,
            (view, subject),
        );
        entry.step(Step::Fail(failure.hold), input.at);
    }

    /// What becomes of the findings that did not fail this time.
    fn settle(&mut self, input: &Input<'_>, results: &[CheckVerdicts]) {
        let by_check: HashMap<&str, &CheckVerdicts> = results
            .iter()
            .map(|result| (result.check.id, result))
            .collect();
        let outbox = &mut self.outbox;
        self.entries.retain(|key, entry| {
            if !entry.seen {
                let result = by_check.get(key.check).copied();
                let step = match not_failing(input, key, result) {
                    // Nothing was heard since the restart: that proves nothing, for a day.
                    Step::Gone if entry.is_restored && entry.was_seen_lately(input.at) => {
                        Step::Unknown
                    }
                    step => step,
                };
                // An event that somebody knows of is dealt with.
                if step == Step::Pass
                    && entry.timing == Timing::T4
                    && stated::is_acknowledged(input, entry.check, &entry.finding)
                {
                    entry.close(input.at);
                } else {
                    entry.step(step, input.at);
                }
            }
            entry.is_restored &= input.view.find_cluster(&key.cluster).is_none();
            let is_worth_keeping = entry.is_worth_keeping(input.at);
            if let Some(outbox) = outbox.as_mut().filter(|_| !is_worth_keeping) {
                outbox.forget(key, entry, input.at);
            }
            is_worth_keeping
        });
    }
}

/// What an evaluation says of a defect that it did not find.
fn not_failing(input: &Input<'_>, key: &Key, result: Option<&CheckVerdicts>) -> Step {
    // A cluster is never forgotten for its silence: its nodes joined another one.
    let Some(cluster) = input.view.find_cluster(&key.cluster) else {
        return Step::Gone;
    };
    let subject = input.view.find_subject(cluster, &key.subject);
    // Another guest has its VMID now.
    if subject.is_some_and(|subject| generation(input.view, subject) != key.generation) {
        return Step::Gone;
    }
    let said = result
        .zip(subject)
        .map(|(result, subject)| result.of(subject))
        .unwrap_or_default();
    if said.is_empty() {
        // The object is gone, or no object of the check any more. That counts
        // when the list that would name it was read lately.
        return if is_gone(input, cluster, key) {
            Step::Gone
        } else {
            Step::Unknown
        };
    }
    let any = |wanted: fn(&Outcome) -> bool| said.iter().any(|verdict| wanted(&verdict.outcome));
    if any(|outcome| matches!(outcome, Outcome::Unknown(_))) {
        Step::Unknown
    } else if any(|outcome| matches!(outcome, Outcome::Recovering)) {
        Step::Recovering
    } else {
        Step::Pass
    }
}

fn generation(view: &View, subject: Subject) -> u32 {
    match subject {
        Subject::Guest(guest) => view.guest(guest).generation,
        _ => 0,
    }
}

/// Whether the list that names such objects is fresh and does not name this one.
fn is_gone(input: &Input<'_>, cluster: ClusterIndex, key: &Key) -> bool {
    let cluster = input.view.cluster(cluster);
    let read_at: Option<Timestamp> = match key.subject.split_once('/') {
        Some(("guest", _)) => cluster.guest_list_at,
        Some(("storage", _)) => cluster.storage_config_at,
        // A node that stands alone is named by nobody but itself.
        Some(("node", _)) if cluster.standalone => {
            cluster.memberships.iter().map(|word| word.at).max()
        }
        // Members are named by corosync.
        Some(("node", _)) => cluster.corosync.as_ref().map(|config| config.at),
        _ => None,
    };
    read_at.is_some_and(|at| input.is_recent(at, input.params.limits.config_age))
}

impl Entry {
    /// The finding as it is to be shown, if it is.
    fn shown(&self) -> Option<Finding> {
        (self.finding.state != FindingState::Resolved).then(|| self.finding.clone())
    }
}

#[cfg(test)]
mod tests;
