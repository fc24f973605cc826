//! Responses: an answer with its coverage, or its text alone.

use pvelens_proto::v1 as message;

use super::{Carries, all, inventory, timestamp};
use crate::{answer, report::Report};

impl Carries<answer::ClusterStatus> for message::GetClusterStatusResponse {
    fn structured(answer: answer::ClusterStatus) -> Self {
        let answer::ClusterStatus { clusters, coverage } = answer;
        Self {
            clusters: all(clusters),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: answer::ClusterStatus) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Nodes> for message::ListNodesResponse {
    fn structured(answer: answer::Nodes) -> Self {
        let answer::Nodes { nodes, coverage } = answer;
        Self {
            nodes: all(nodes),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: answer::Nodes) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Node> for message::GetNodeResponse {
    fn structured(answer: answer::Node) -> Self {
        let answer::Node {
            node,
            detail,
            coverage,
        } = answer;
        Self {
            node: Some(inventory::node(node, detail)),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: answer::Node) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Guests> for message::ListGuestsResponse {
    fn structured(answer: answer::Guests) -> Self {
        let answer::Guests {
            guests,
            total,
            next_page_token,
            coverage,
        } = answer;
        Self {
            guests: all(guests),
            next_page_token: next_page_token.unwrap_or_default(),
            total,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: answer::Guests) -> Self {
        Self {
            next_page_token: answer.next_page_token.unwrap_or_default(),
            total: answer.total,
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Guest> for message::GetGuestResponse {
    fn structured(answer: answer::Guest) -> Self {
        let answer::Guest {
            guest,
            detail,
            findings,
            coverage,
        } = answer;
        Self {
            guest: Some(guest.into()),
            detail: Some(detail.into()),
            coverage: Some(coverage.into()),
            rendered: String::new(),
            findings: all(findings),
        }
    }

    fn rendered(rendered: String, _: answer::Guest) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Storages> for message::ListStoragesResponse {
    fn structured(answer: answer::Storages) -> Self {
        let answer::Storages { storages, coverage } = answer;
        Self {
            storages: all(storages),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: answer::Storages) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Findings> for message::ListFindingsResponse {
    fn structured(answer: answer::Findings) -> Self {
        let answer::Findings {
            findings,
            total,
            next_page_token,
            set_aside,
            coverage,
        } = answer;
        Self {
            findings: all(findings),
            next_page_token: next_page_token.unwrap_or_default(),
            total,
            coverage: Some(coverage.into()),
            rendered: String::new(),
            set_aside: set_aside.map(Into::into),
        }
    }

    fn rendered(rendered: String, answer: answer::Findings) -> Self {
        Self {
            next_page_token: answer.next_page_token.unwrap_or_default(),
            total: answer.total,
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Recheck> for message::RecheckResponse {
    fn structured(answer: answer::Recheck) -> Self {
        let answer::Recheck {
            findings,
            resolved,
            failing,
            undecided,
            coverage,
        } = answer;
        Self {
            findings: all(findings),
            resolved_total: resolved,
            failing_total: failing,
            undecided_total: undecided,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: answer::Recheck) -> Self {
        Self {
            resolved_total: answer.resolved,
            failing_total: answer.failing,
            undecided_total: answer.undecided,
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<answer::Agents> for message::ListAgentsResponse {
    fn structured(answer: answer::Agents) -> Self {
        let answer::Agents { agents } = answer;
        Self {
            agents: all(agents),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: answer::Agents) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<Report> for message::GetAnalysisResponse {
    fn structured(report: Report) -> Self {
        Self {
            report: Some(report.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, report: Report) -> Self {
        Self {
            report: Some(message::Report::rendered(String::new(), report)),
            rendered,
        }
    }
}

impl Carries<Report> for message::Report {
    fn structured(report: Report) -> Self {
        report.into()
    }

    fn rendered(rendered: String, report: Report) -> Self {
        Self {
            kind: message::AnalysisKind::from(report.kind).into(),
            depth: message::Depth::from(report.depth).into(),
            at: Some(timestamp(report.at)),
            state: message::HealthState::from(report.state).into(),
            headline: report.headline,
            kept: report.kept.map(Into::into),
            rendered,
            ..Self::default()
        }
    }
}
