//! Reports.

use pvelens_proto::v1 as message;

use super::{all, timestamp};
use crate::{
    analysis::Depth,
    check::VerdictCounts,
    report::{AnalysisKind, HealthState, KeptFor, Report, Section},
};

impl From<Report> for message::Report {
    fn from(report: Report) -> Self {
        let Report {
            kind,
            depth,
            at,
            state,
            headline,
            profiles,
            sections,
            findings,
            coverage,
            verdicts,
            duration_milliseconds,
            set_aside,
            kept,
        } = report;
        Self {
            kind: message::AnalysisKind::from(kind).into(),
            at: Some(timestamp(at)),
            state: message::HealthState::from(state).into(),
            headline,
            sections: all(sections),
            findings: all(findings),
            coverage: Some(coverage.into()),
            duration_milliseconds,
            profiles,
            rendered: String::new(),
            verdicts: Some(verdicts.into()),
            depth: message::Depth::from(depth).into(),
            set_aside: set_aside.map(Into::into),
            kept: kept.map(Into::into),
        }
    }
}

impl From<KeptFor> for message::KeptFor {
    fn from(kept: KeptFor) -> Self {
        let KeptFor {
            asked_at,
            is_outdated,
            notes,
        } = kept;
        Self {
            asked_at: Some(timestamp(asked_at)),
            is_outdated,
            notes,
        }
    }
}

impl From<Section> for message::ReportSection {
    fn from(section: Section) -> Self {
        let Section {
            title,
            source,
            lines,
        } = section;
        Self {
            title,
            source,
            lines,
        }
    }
}

impl From<VerdictCounts> for message::VerdictCounts {
    fn from(counts: VerdictCounts) -> Self {
        let VerdictCounts {
            checks,
            passed,
            failed,
            unknown,
            not_applicable,
        } = counts;
        Self {
            checks,
            passed,
            failed,
            unknown,
            not_applicable,
        }
    }
}

impl From<AnalysisKind> for message::AnalysisKind {
    fn from(kind: AnalysisKind) -> Self {
        match kind {
            AnalysisKind::ClusterHealth => Self::ClusterHealth,
        }
    }
}

impl From<HealthState> for message::HealthState {
    fn from(state: HealthState) -> Self {
        match state {
            HealthState::Healthy => Self::Healthy,
            HealthState::Warning => Self::Warning,
            HealthState::Critical => Self::Critical,
            HealthState::Unknown => Self::Unknown,
        }
    }
}

impl From<Depth> for message::Depth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Summary => Self::Summary,
            Depth::Full => Self::Full,
        }
    }
}
