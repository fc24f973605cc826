//! The facts through merge, view and checks; with a history, through it again, so
//! that a finding knows when it began.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::{Gathered, facts::Facts, facts::newest};
use crate::{
    check::Params,
    coordinator::{Coordinator, Current},
    finding::{Finding, FindingState, Lane, Severity},
};

/// Evaluations on the way through a history.
const STEPS: i32 = 60;
/// A state must hold for two evaluations that are this far apart.
const LEAST_STEP: SignedDuration = SignedDuration::from_secs(30);

/// What the checks say now, and since when that is known.
#[derive(Debug)]
pub(super) struct Judged {
    /// Of the health lane, worst first. One that is seen for the first time counts:
    /// nobody comes back to see it twice.
    pub(super) findings: Vec<Finding>,
    /// First evaluation; what failed there began before.
    pub(super) first_at: Timestamp,
    /// What ended before now: title, subject and when.
    pub(super) ended: Vec<(Timestamp, Finding)>,
}

pub(super) fn judge(gathered: &Gathered, facts: &Facts<'_>) -> Judged {
    let coordinator = Coordinator::new(Params::default());
    let agent = &gathered.description;
    let times = || {
        let news = gathered.updates.iter().filter(|update| !update.baseline);
        news.filter_map(newest)
    };
    let (begin, end) = (times().min().unwrap_or(facts.at), facts.at);
    coordinator.live().connected(agent, &agent.node_name, begin);
    let step = (end.duration_since(begin) / STEPS).max(LEAST_STEP);
    let started = Instant::now();
    let mut next = begin.saturating_add(step).unwrap_or(end);
    let mut first_at = None;
    let mut known: Vec<Finding> = Vec::new();
    let mut ended = Vec::new();
    let mut look = |at: Timestamp, known: &mut Vec<Finding>| {
        coordinator.live().heartbeat(agent, at, at);
        first_at.get_or_insert(at);
        let open = troubling(&coordinator.evaluate(at));
        for finding in known.drain(..) {
            let is_gone = open
                .iter()
                .all(|now| now.fingerprint != finding.fingerprint);
            if is_gone && finding.state == FindingState::Open {
                ended.push((at, finding));
            }
        }
        *known = open;
    };
    for update in &gathered.updates {
        let Some(at) = newest(update) else { continue };
        if !update.baseline && at >= next && at < end && started.elapsed() < gathered.replay {
            look(at, &mut known);
            next = at.saturating_add(step).unwrap_or(end);
        }
        coordinator
            .live()
            .append(agent, update.clone(), at.max(begin));
    }
    look(end, &mut known);
    Judged {
        findings: known,
        first_at: first_at.unwrap_or(end),
        ended,
    }
}

fn troubling(current: &Current) -> Vec<Finding> {
    let findings = current.findings.iter();
    findings
        .filter(|finding| {
            finding.lane == Lane::Health
                && finding.severity >= Severity::Warning
                && finding.state != FindingState::Resolved
        })
        .cloned()
        .collect()
}
