//! An agent that may not be who it says it is.

use super::super::{Failure, Input, Remedy, words};
use crate::{
    finding::{Evidence, Risk, Severity},
    port::REMEMBERED,
    untrusted,
    view::{AgentState, NodeIndex},
};

/// Tells this branch apart from silence.
const PART: &str = "identity";
const TITLE: &str = "The identity of an agent is in doubt";
const REMEDY: Remedy = Remedy {
    diagnose: &["pvelens agents list", "pvelens-agent doctor"],
    fix: "Where two machines show one identity, one of them is a copy, restored or cloned: stop the agent of the copy, then revoke the identity (pvelens agents revoke) and join the right node again with a new token (pvelens agents token). Where one sends too much, find out what runs there; revoking turns it out.",
    impact: "Until then what is shown of the node may be that of the other machine. Revoking cuts its links.",
    risk: Risk::Low,
    way_back: "",
};

/// Two agents under one name, or what the link found.
pub(super) fn doubt(input: &Input<'_>, index: NodeIndex, agent: &AgentState) -> Option<Failure> {
    let name = words::node(input.view, index);
    let (summary, evidence) = if let Some(doubled) = &agent.doubled {
        let seen = |name: &str, value: String| Evidence::new(name, value, "agent");
        let epochs = doubled.epochs.iter();
        let mut evidence: Vec<Evidence> = epochs
            .map(|epoch| seen("epoch of a stream", untrusted::name(epoch).into_owned()))
            .collect();
        evidence.dedup_by(|a, b| a.value == b.value);
        let addresses = doubled.addresses.iter().take(4);
        evidence.extend(
            addresses.map(|address| seen("address", untrusted::line(address, 120).into_owned())),
        );
        evidence.push(seen("first seen", doubled.since.to_string()));
        evidence.push(seen("last seen", doubled.at.to_string()));
        let summary = format!("Two agents deliver under the name of {name}: one is a copy.");
        (summary, evidence)
    } else {
        let (problem, at) = agent.identity_problem.as_ref()?;
        let problem = untrusted::line(problem, 200);
        let summary = format!("The identity of the agent of {name} is in doubt: {problem}.");
        (summary, vec![Evidence::new("seen", at.to_string(), "link")])
    };
    let mut failure = Failure::new(Severity::Warning, summary)
        .about(PART)
        .proof(evidence);
    failure.instead = Some((TITLE, &REMEDY));
    Some(failure)
}

const IMPOSTOR: &str = "impostor";
const IMPOSTOR_TITLE: &str = "Somebody else answered a node in place of this coordinator";
const IMPOSTOR_REMEDY: Remedy = Remedy {
    diagnose: &[
        "pvelens ca show",
        "pvelens-agent status",
        "journalctl -u pvelens-agent -n 50",
    ],
    fix: "Find out who answers at the address by which the node reaches its coordinator: another coordinator that took the address or name, a wrong record in DNS, or somebody in between.",
    impact: "The node told them nothing, and was not watched meanwhile.",
    risk: Risk::Low,
    way_back: "",
};

/// Whoever was at the coordinator's address while it was not.
pub(super) fn impostor(input: &Input<'_>, index: NodeIndex, agent: &AgentState) -> Option<Failure> {
    let (why, at) = agent.refused_coordinator.as_ref()?;
    if input.at.duration_since(*at) > REMEMBERED {
        return None;
    }
    let name = words::node(input.view, index);
    let why = untrusted::line(why, 120);
    let summary =
        format!("{name} turned away somebody who came in place of this coordinator: {why}.");
    let mut failure = Failure::new(Severity::Warning, summary)
        .about(IMPOSTOR)
        .proof([Evidence::new("last turned away", at.to_string(), "agent")]);
    failure.instead = Some((IMPOSTOR_TITLE, &IMPOSTOR_REMEDY));
    Some(failure)
}
