//! What is wrong, in words for somebody who has not seen it yet, and since when.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Trouble, advice,
    facts::{Facts, moment},
    fencing,
    judge::Judged,
    timeline::Happened,
    words,
};
use crate::finding::Finding;

/// A fault is noticed at most so long after what began it.
const NOTICED: SignedDuration = SignedDuration::from_mins(10);
/// So much of a history is worth a word.
const LEAST_HISTORY: SignedDuration = SignedDuration::from_secs(60);

/// When something began; with neither, nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Since {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It was so already when the history begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_before: Option<Timestamp>,
}

impl Since {
    pub(super) fn at(at: Timestamp) -> Self {
        Self {
            since: Some(at),
            since_before: None,
        }
    }

    /// As a sentence.
    pub(super) fn words(self, now: Timestamp) -> String {
        match (self.since, self.since_before) {
            (Some(at), _) => format!("Since {}.", words::time_and_age(at, now)),
            (None, Some(at)) => format!("Since before {}.", words::time_and_age(at, now)),
            (None, None) => "It is not known since when.".to_owned(),
        }
    }
}

/// The findings as troubles.
pub(super) fn troubles(facts: &Facts<'_>, judged: &Judged, events: &[Happened]) -> Vec<Trouble> {
    let findings = judged.findings.iter();
    findings
        .map(|finding| Trouble {
            check: finding.check.clone(),
            severity: finding.severity,
            subject: finding.subject.clone(),
            what: what(facts, finding),
            since: since(facts, judged, events, finding),
            impact: impact(finding),
        })
        .collect()
}

fn what(facts: &Facts<'_>, finding: &Finding) -> String {
    let plain = || finding.summary.trim_end_matches('.').to_owned();
    if finding.check == "ha.lrm.stale" && finding.subject == format!("node/{}", facts.node) {
        return fencing::silent_manager(facts).unwrap_or_else(plain);
    }
    if finding.check != advice::QUORUM_LOST {
        return plain();
    }
    let Some(members) = facts.members().filter(|_| facts.quorate() == Some(false)) else {
        return plain();
    };
    let lost = members.members.iter().filter(|member| !member.online);
    let lost: Vec<String> = lost.map(|member| member.name.clone()).collect();
    let all = members.members.len();
    let seen = all.saturating_sub(lost.len());
    let who = match lost.len() {
        0 => String::new(),
        1 => format!(": {} is out of sight", words::list(&lost, 5)),
        _ => format!(": {} are out of sight", words::list(&lost, 5)),
    };
    format!(
        "The cluster has lost quorum. {} sees {seen} of {all} nodes{who}",
        facts.node
    )
}

/// The impact that a finding names is that of its fix.
fn impact(finding: &Finding) -> String {
    let row = advice::of(&finding.check);
    row.map(|row| row.impact.to_owned()).unwrap_or_default()
}

/// When it began: as the checks saw it begin, else as an event tells.
fn since(facts: &Facts<'_>, judged: &Judged, events: &[Happened], finding: &Finding) -> Since {
    let was_seen_to_begin = finding.first_seen > judged.first_at;
    let latest = if was_seen_to_begin {
        finding.first_seen
    } else {
        facts.at
    };
    if let Some(at) = own_time(facts, finding) {
        return Since::at(at);
    }
    let begun = beginning(&finding.check, events, latest);
    let begun = begun.filter(|at| !was_seen_to_begin || latest.duration_since(*at) <= NOTICED);
    match begun {
        Some(at) => Since::at(at),
        None if was_seen_to_begin => Since::at(finding.first_seen),
        None if facts.at.duration_since(judged.first_at) >= LEAST_HISTORY => Since {
            since: None,
            since_before: Some(judged.first_at),
        },
        None => Since::default(),
    }
}

/// The newest event that can have begun a failure of this check.
pub(super) fn beginning(check: &str, events: &[Happened], latest: Timestamp) -> Option<Timestamp> {
    let kinds = advice::of(check).map(|advice| advice.begins)?;
    events
        .iter()
        .rev()
        .find(|event| event.is_bad && event.at <= latest && kinds.contains(&event.kind))
        .map(|event| event.at)
}

/// Facts that carry their own time.
fn own_time(facts: &Facts<'_>, finding: &Finding) -> Option<Timestamp> {
    let ha = facts.ha_state();
    match finding.check.as_str() {
        "ha.lrm.stale" => {
            let node = finding.subject.strip_prefix("node/")?;
            let mut managers = ha?.local_managers.iter();
            let manager = managers.find(|manager| manager.node == node)?;
            moment(manager.written_at.as_ref()?)
        }
        "ha.master.none" => moment(ha?.master_at.as_ref()?),
        _ => None,
    }
}
