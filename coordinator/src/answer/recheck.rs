//! What became of findings that were checked again.

use super::{AnswerError, Recheck, finding::shown, select};
use crate::{
    check::Check,
    coordinator::Current,
    finding::lifecycle::recheck::{Outcome, Rechecked, Scope},
    inventory::coverage,
};

/// Findings that an answer carries.
const MOST: usize = 200;

/// What is to be rechecked; empty = everything.
///
/// # Errors
/// When the cluster is not known.
pub fn recheck_scope(
    current: &Current,
    cluster: &str,
    check: Option<&'static Check>,
    subject: &str,
) -> Result<Scope, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?.into_iter();
    Ok(Scope {
        clusters: clusters
            .map(|index| view.cluster(index).id.clone())
            .collect(),
        check,
        subject: subject.trim().to_owned(),
    })
}

/// The answer to a recheck, in the state that it led to.
#[must_use]
pub fn recheck(current: &Current, scope: &Scope, rechecked: &[Rechecked]) -> Recheck {
    let count = |counts: fn(Outcome) -> bool| {
        let counted = rechecked.iter().filter(|one| counts(one.outcome)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    let view = &current.view;
    let clusters: Vec<_> = scope
        .clusters
        .iter()
        .filter_map(|id| view.find_cluster(id))
        .collect();
    Recheck {
        resolved: count(|outcome| outcome == Outcome::Resolved),
        failing: count(|outcome| outcome == Outcome::Failing),
        undecided: count(|outcome| !matches!(outcome, Outcome::Resolved | Outcome::Failing)),
        findings: rechecked
            .iter()
            .take(MOST)
            .map(|one| Rechecked {
                outcome: one.outcome,
                finding: shown(&one.finding),
            })
            .collect(),
        coverage: coverage::with_checks(
            coverage::of_clusters(view, &clusters),
            &current.not_assessed,
        ),
    }
}
