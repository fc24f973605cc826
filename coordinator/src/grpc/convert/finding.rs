//! Findings with their evidence and remediation.

use pvelens_proto::v1 as message;

use super::{all, timestamp};
use crate::finding::{
    Category, Evidence, EvidenceValue, Finding, FindingState, Lane, Remediation, Risk, Severity,
    lifecycle::recheck::{Outcome, Rechecked},
};

impl From<Rechecked> for message::RecheckedFinding {
    fn from(rechecked: Rechecked) -> Self {
        let Rechecked { outcome, finding } = rechecked;
        Self {
            finding: Some(finding.into()),
            outcome: message::RecheckOutcome::from(outcome).into(),
        }
    }
}

impl From<Outcome> for message::RecheckOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Resolved => Self::Resolved,
            Outcome::Failing => Self::Failing,
            Outcome::Recovering => Self::Recovering,
            Outcome::Event => Self::Event,
            Outcome::NotReadSince => Self::NotReadSince,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

impl From<Finding> for message::Finding {
    fn from(finding: Finding) -> Self {
        let Finding {
            fingerprint,
            check,
            title,
            cluster,
            subject,
            discriminator,
            lane,
            severity,
            category,
            state,
            summary,
            first_seen,
            last_seen,
            evidence,
            remediation,
            caused_by,
            cause_of,
            confidence,
            mappings,
            unverified,
            statement,
        } = finding;
        Self {
            fingerprint,
            check_id: check,
            title,
            cluster_id: cluster,
            subject,
            lane: message::Lane::from(lane).into(),
            severity: message::Severity::from(severity).into(),
            category: category_word(category).to_owned(),
            state: message::FindingState::from(state).into(),
            first_seen_at: Some(timestamp(first_seen)),
            last_seen_at: Some(timestamp(last_seen)),
            evidence: all(evidence),
            remediation: Some(remediation.into()),
            caused_by,
            cause_of,
            confidence_ratio: confidence,
            mappings,
            unverified,
            summary,
            discriminator,
            statement: statement.map(Into::into),
        }
    }
}

impl From<Evidence> for message::Evidence {
    fn from(evidence: Evidence) -> Self {
        let Evidence {
            name,
            value,
            unit,
            source,
            node,
            observed_at,
        } = evidence;
        Self {
            name,
            unit,
            source,
            node,
            observed_at: observed_at.map(timestamp),
            value: Some(match value {
                EvidenceValue::Flag(flag) => message::evidence::Value::Flag(flag),
                EvidenceValue::Number(number) => message::evidence::Value::Number(number),
                EvidenceValue::Text(text) => message::evidence::Value::Text(text),
            }),
        }
    }
}

impl From<Remediation> for message::Remediation {
    fn from(remediation: Remediation) -> Self {
        let Remediation {
            diagnose,
            fix,
            impact,
            risk,
            way_back,
        } = remediation;
        Self {
            diagnose,
            fix,
            impact,
            risk: message::Risk::from(risk).into(),
            way_back,
        }
    }
}

impl From<Lane> for message::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Health => Self::Health,
            Lane::Posture => Self::Posture,
        }
    }
}

impl From<Severity> for message::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<FindingState> for message::FindingState {
    fn from(state: FindingState) -> Self {
        match state {
            FindingState::Pending => Self::Pending,
            FindingState::Open => Self::Open,
            FindingState::Acknowledged => Self::Acknowledged,
            FindingState::Suppressed => Self::Suppressed,
            FindingState::Resolved => Self::Resolved,
            FindingState::Flapping => Self::Flapping,
        }
    }
}

impl From<Risk> for message::Risk {
    fn from(risk: Risk) -> Self {
        match risk {
            Risk::Low => Self::Low,
            Risk::Medium => Self::Medium,
            Risk::High => Self::High,
        }
    }
}

fn category_word(category: Category) -> &'static str {
    match category {
        Category::Backup => "backup",
        Category::Capacity => "capacity",
        Category::Configuration => "configuration",
        Category::Ha => "ha",
        Category::Health => "health",
        Category::Lifecycle => "lifecycle",
        Category::Network => "network",
        Category::Performance => "performance",
        Category::Security => "security",
        Category::Storage => "storage",
    }
}
