//! Findings folded for people: causes with their consequences, and one group
//! per check over many objects.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use crate::finding::{Finding, Severity};

/// Causes form chains of a few links; a longer walk is a circle.
const CHAIN: usize = 16;

/// Findings of one check that are no consequence of another open finding, and
/// the consequences of all of them.
#[derive(Debug)]
pub(super) struct Group<'f> {
    pub(super) findings: Vec<&'f Finding>,
    pub(super) consequences: Vec<&'f Finding>,
    /// The worst of its findings.
    pub(super) severity: Severity,
}

impl<'f> Group<'f> {
    /// Groups are never empty; this is the one that names check, title and fix.
    pub(super) fn first(&self) -> Option<&'f Finding> {
        self.findings.first().copied()
    }

    /// A cause is as urgent as the worst of what it leads to.
    fn urgency(&self) -> Severity {
        self.consequences
            .iter()
            .map(|finding| finding.severity)
            .fold(self.severity, Severity::max)
    }
}

/// Groups, most urgent first.
pub(super) fn fold<'f>(findings: &[&'f Finding]) -> Vec<Group<'f>> {
    let by_fingerprint: HashMap<&str, &Finding> = findings
        .iter()
        .map(|finding| (&*finding.fingerprint, *finding))
        .collect();
    let mut groups: BTreeMap<&str, Group<'f>> = BTreeMap::new();
    for finding in findings {
        let root = root(finding, &by_fingerprint);
        let group = groups.entry(&root.check).or_insert_with(|| Group {
            findings: Vec::new(),
            consequences: Vec::new(),
            severity: Severity::Info,
        });
        if std::ptr::eq(root, *finding) {
            group.findings.push(finding);
            group.severity = group.severity.max(finding.severity);
        } else {
            group.consequences.push(finding);
        }
    }
    let mut groups: Vec<Group<'f>> = groups.into_values().collect();
    for group in &mut groups {
        group.findings.sort_by(|one, other| {
            (Reverse(one.severity), subject_order(one))
                .cmp(&(Reverse(other.severity), subject_order(other)))
        });
    }
    // The sort keeps the order of check ids among equals.
    groups.sort_by_key(|group| {
        (
            Reverse(group.urgency()),
            Reverse(group.severity),
            Reverse(group.consequences.len()),
            Reverse(group.findings.len()),
        )
    });
    groups
}

/// The first open finding on its chain of causes.
fn root<'f>(finding: &'f Finding, open: &HashMap<&str, &'f Finding>) -> &'f Finding {
    let mut at = finding;
    for _ in 0..CHAIN {
        let cause = at.caused_by.iter().find_map(|cause| open.get(&**cause));
        match cause {
            Some(cause) => at = cause,
            None => return at,
        }
    }
    finding
}

/// By kind, then VMIDs by number and names by letters.
pub(super) fn subject_order(finding: &Finding) -> (&str, u32, &str, &str) {
    let (kind, rest) = finding.subject.split_once('/').unwrap_or(("", ""));
    (
        kind,
        rest.parse().unwrap_or(u32::MAX),
        rest,
        &finding.discriminator,
    )
}

/// Findings by check, most frequent first: for lines like `12 × title`.
pub(super) fn by_check<'f>(findings: &[&'f Finding]) -> Vec<(&'f Finding, usize)> {
    let mut counts: BTreeMap<&str, (&'f Finding, usize)> = BTreeMap::new();
    for finding in findings {
        counts.entry(&finding.check).or_insert((finding, 0)).1 += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by_key(|(finding, count)| (Reverse(finding.severity), Reverse(*count)));
    counts
}
