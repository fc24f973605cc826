//! The order in which findings are shown: worst first, causes before what they
//! cause.

use std::{cmp::Reverse, collections::HashMap};

use super::{Finding, FindingState, Lane, Severity};

/// Smaller comes first.
type Rank = (bool, Lane, Reverse<Severity>);

/// Sorts findings. A cause ranks at least as high as its worst consequence, so
/// that it comes before it; among equals it comes first.
pub(super) fn sort(findings: &mut Vec<Finding>) {
    let positions: HashMap<&str, usize> = findings
        .iter()
        .enumerate()
        .map(|(position, finding)| (finding.fingerprint.as_str(), position))
        .collect();
    let effects: Vec<Vec<usize>> = findings
        .iter()
        .map(|finding| {
            let effects = finding.cause_of.iter();
            effects
                .filter_map(|effect| positions.get(effect.as_str()).copied())
                .collect()
        })
        .collect();
    let mut ranks: Vec<Rank> = findings.iter().map(rank).collect();
    let mut depths: Vec<usize> = vec![0; findings.len()];
    // The graph of causes has few levels and no cycle; one round per level.
    for _ in 0..LEVELS {
        let mut has_changed = false;
        for (cause, effects) in effects.iter().enumerate() {
            for effect in effects {
                if ranks[*effect] < ranks[cause] {
                    ranks[cause] = ranks[*effect];
                    has_changed = true;
                }
                if depths[*effect] <= depths[cause] {
                    depths[*effect] = depths[cause] + 1;
                    has_changed = true;
                }
            }
        }
        if !has_changed {
            break;
        }
    }
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by(|a, b| {
        let key = |position: usize| (ranks[position], depths[position]);
        let name = |position: usize| {
            let finding = &findings[position];
            (
                &finding.check,
                &finding.cluster,
                &finding.subject,
                &finding.discriminator,
            )
        };
        key(*a).cmp(&key(*b)).then_with(|| name(*a).cmp(&name(*b)))
    });
    let mut sorted: Vec<Option<Finding>> = std::mem::take(findings).into_iter().map(Some).collect();
    // `order` names every position once.
    *findings = order
        .into_iter()
        .filter_map(|position| sorted[position].take())
        .collect();
}

/// Links in the longest chain of causes, and room.
const LEVELS: usize = 16;

fn rank(finding: &Finding) -> Rank {
    (
        finding.state == FindingState::Pending,
        finding.lane,
        Reverse(finding.severity),
    )
}
