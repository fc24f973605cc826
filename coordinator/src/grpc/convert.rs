//! Answers as messages: the only conversion, and a complete one.
//!
//! Every conversion takes its source apart without `..` and builds the message
//! without a default, so a new field on either side does not compile until it
//! is carried over.

use jiff::Timestamp;
use pvelens_proto::v1 as message;

use crate::{
    inventory::{AgentSummary, Coverage, CoverageWord, FailureSummary, NodeCoverage},
    live::{KeptUpdates, Transport},
    render::Render,
};

mod coordinator;
mod enrollment;
mod finding;
mod guest;
mod guest_command;
mod history;
mod intent;
mod inventory;
mod report;
mod response;
#[cfg(test)]
mod tests;

/// A response that carries an answer, or the text of one.
pub(super) trait Carries<A: Render>: Send + 'static {
    fn structured(answer: A) -> Self;
    /// With what a program needs beside the text, such as the next page.
    fn rendered(text: String, answer: A) -> Self;
}

pub(super) fn timestamp(at: Timestamp) -> pvelens_proto::Timestamp {
    const NANOS: i128 = 1_000_000_000;
    let nanos = at.as_nanosecond();
    pvelens_proto::Timestamp {
        // jiff's range is 20,000 years, so both fit.
        seconds: i64::try_from(nanos.div_euclid(NANOS)).unwrap_or_default(),
        nanos: i32::try_from(nanos.rem_euclid(NANOS)).unwrap_or_default(),
    }
}

fn all<A, M: From<A>>(answers: Vec<A>) -> Vec<M> {
    answers.into_iter().map(M::from).collect()
}

impl From<Coverage> for message::Coverage {
    fn from(coverage: Coverage) -> Self {
        let Coverage {
            at,
            nodes,
            not_assessed,
        } = coverage;
        Self {
            at: Some(timestamp(at)),
            nodes: all(nodes),
            not_assessed,
        }
    }
}

impl From<NodeCoverage> for message::NodeCoverage {
    fn from(coverage: NodeCoverage) -> Self {
        let NodeCoverage {
            cluster,
            node,
            level,
            newest,
            stale,
            failures,
        } = coverage;
        Self {
            cluster_id: cluster,
            node,
            level: message::CoverageLevel::from(level).into(),
            newest_at: newest.map(timestamp),
            stale,
            failures: all(failures),
        }
    }
}

impl From<CoverageWord> for message::CoverageLevel {
    fn from(word: CoverageWord) -> Self {
        match word {
            CoverageWord::None => Self::None,
            CoverageWord::Basic => Self::Basic,
            CoverageWord::Full => Self::Full,
        }
    }
}

impl From<FailureSummary> for message::CollectorFailure {
    fn from(failure: FailureSummary) -> Self {
        let FailureSummary {
            collector,
            path,
            kind,
            detail,
        } = failure;
        Self {
            collector,
            path,
            kind,
            detail,
        }
    }
}

impl From<AgentSummary> for message::Agent {
    fn from(agent: AgentSummary) -> Self {
        let AgentSummary {
            cluster,
            node,
            version,
            is_pve_node,
            connected,
            last_update,
            clock_offset_seconds,
            updates_total,
            skipped_updates_total,
            last_error,
            address,
            audit_sequence,
            audit_problem,
            transport,
            certificate_expires,
            kept_updates,
            repeated_updates_total,
            throttled_seconds_total,
            identity_problem,
        } = agent;
        Self {
            cluster_id: cluster,
            node,
            agent_version: version,
            is_pve_node,
            connected,
            last_update_at: last_update.map(timestamp),
            clock_offset_seconds,
            updates_total,
            skipped_updates_total,
            last_error,
            address,
            audit_sequence,
            audit_problem,
            transport: message::AgentTransport::from(transport).into(),
            certificate_expires_at: certificate_expires.map(timestamp),
            kept_updates: kept_updates.into_iter().map(Into::into).collect(),
            repeated_updates_total,
            throttled_seconds_total,
            identity_problem,
        }
    }
}

impl From<Transport> for message::AgentTransport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Local => Self::Local,
            Transport::Link => Self::Link,
        }
    }
}

impl From<KeptUpdates> for message::KeptUpdates {
    fn from(kept: KeptUpdates) -> Self {
        let ranges = kept.ranges.into_iter();
        Self {
            epoch: kept.epoch,
            ranges: ranges
                .map(|(first, last)| message::SequenceRange { first, last })
                .collect(),
            given_up_ranges_total: kept.given_up_ranges_total,
        }
    }
}
