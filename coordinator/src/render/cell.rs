//! Cells and notes that several answers share.

use jiff::Timestamp;

use super::block::{Block, Document, Mark};
use crate::{
    figure,
    inventory::{Coverage, CoverageWord, NodeCoverage},
};

/// Lines about what is missing, below a list.
const NOTES: usize = 3;

/// What the answer does not cover, below it.
pub(super) fn missing(document: &mut Document, coverage: &Coverage) {
    for text in coverage.not_assessed.iter().take(NOTES) {
        document.blocks.push(Block::Note(format!("note: {text}")));
    }
    let more = coverage.not_assessed.len().saturating_sub(NOTES);
    if more > 0 {
        document.note(format!("note: and {more} more things are not known"));
    }
}

/// Whether a list has objects of more than one cluster.
pub(super) fn several<'c>(mut clusters: impl Iterator<Item = &'c str>) -> bool {
    let first = clusters.next();
    clusters.any(|cluster| Some(cluster) != first)
}

/// The beginning of a cluster id, in lists of several clusters.
pub(super) fn cluster_cell(several: bool, id: &str) -> Option<String> {
    let shown = if several { 8 } else { 0 };
    Some(id.chars().take(shown).collect())
}

/// Nothing found is good only where everything was looked at.
pub(super) fn seen(coverage: &Coverage) -> Mark {
    let blind = |node: &NodeCoverage| node.stale || node.level == CoverageWord::None;
    if coverage.nodes.is_empty() || coverage.nodes.iter().any(blind) {
        Mark::None
    } else {
        Mark::Good
    }
}

/// `2026-11-25 03:12:40`, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(super) fn share(part: Option<u64>, whole: Option<u64>) -> Option<String> {
    figure::share(part?, whole?).map(figure::percent)
}

/// `1.5 GiB of 8 GiB (19 %)`.
pub(super) fn part(part: Option<u64>, whole: Option<u64>) -> Option<String> {
    let (part, whole) = (part?, whole?);
    let share = figure::share(part, whole).map(figure::percent);
    Some(match share {
        Some(share) => format!(
            "{} of {} ({share})",
            figure::bytes(part),
            figure::bytes(whole)
        ),
        None => "none".to_owned(),
    })
}

pub(super) fn uptime(seconds: f64) -> String {
    figure::number(seconds, "seconds")
}

pub(super) fn rate(bytes_per_second: f64) -> String {
    figure::number(bytes_per_second, "bytes_per_second")
}

pub(super) fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one} of {other}")),
        (one, other) => one.or(other),
    }
}
