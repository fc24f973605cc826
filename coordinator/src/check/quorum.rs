//! Votes: whether the cluster may act, and how close it is to losing that.

use super::{
    Check, Failure, Input, Intended, ProfileSeverities, Remedy, Scope, Timing, Unknown, Verdicts,
    gate, ha, words,
};
use crate::{
    finding::{Category, Evidence, Lane, Risk, Severity},
    view::{Cluster, Membership, NodeIndex, Subject},
};
use pvelens_proto::agent::v1 as wire;

const MEMBERS: &str = "/etc/pve/.members";
pub(super) const COROSYNC: &str = "/etc/pve/corosync.conf";

pub(super) const LOST: Check = Check {
    id: "cluster.quorum.lost",
    title: "The cluster has lost quorum",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Warning)],
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &[
            "pvecm status",
            "corosync-cfgtool -s",
            "journalctl -u corosync -u pve-cluster --since -1h",
        ],
        fix: "Bring the missing nodes or their network links back. Only as a last resort, on one side and with the other side surely switched off: pvecm expected NUMBER_OF_VOTES.",
        impact: "Until quorum is back nothing in /etc/pve can be changed, guests cannot be started, and HA may restart nodes. Lowering the expected votes makes a minority writable.",
        risk: Risk::High,
        way_back: "The expected votes return to normal by themselves when the nodes rejoin.",
    },
    run: lost,
    ..Check::HEALTH
};

fn lost(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, cluster) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if cluster.standalone {
            verdicts.not_applicable(subject, gate::STANDALONE);
            continue;
        }
        let reports = match gate::memberships(input, cluster) {
            Ok(reports) => reports,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let without: Vec<&Membership> = reports
            .iter()
            .filter(|report| report.quorate == Some(false))
            .copied()
            .collect();
        if !without.is_empty() {
            verdicts.fail(subject, lost_failure(input, cluster, &reports, &without));
        } else if reports.iter().any(|report| report.quorate == Some(true)) {
            verdicts.pass(subject);
        } else {
            verdicts.unknown(subject, Unknown::NotReported);
        }
    }
}

fn lost_failure(
    input: &Input<'_>,
    cluster: &Cluster,
    reports: &[&Membership],
    without: &[&Membership],
) -> Failure {
    let view = input.view;
    let speakers: Vec<NodeIndex> = without.iter().map(|report| report.reporter).collect();
    let mut missing: Vec<NodeIndex> = without
        .iter()
        .flat_map(|report| report.offline.iter().copied())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let seen = if missing.is_empty() {
        String::new()
    } else {
        format!(", with {} out of sight", words::nodes(view, &missing))
    };
    let verb = if speakers.len() == 1 { "has" } else { "have" };
    let summary = format!("{} {verb} no quorum{seen}.", words::nodes(view, &speakers));
    let said = reports.iter().flat_map(|report| {
        let name = &view.node(report.reporter).name;
        let online = words::nodes(view, &report.online);
        [
            Evidence::new("quorate", report.quorate.unwrap_or_default(), MEMBERS)
                .seen(name, report.at),
            Evidence::new("members in sight", online, MEMBERS).seen(name, report.at),
        ]
    });
    let votes = gate::config(input, cluster.corosync.as_ref())
        .ok()
        .map(|config| {
            let votes = Votes::of(&config.value);
            Evidence::new("votes needed", votes.quorum, COROSYNC)
        });
    Failure::new(Severity::Critical, summary).proof(said.chain(votes))
}

pub(super) const FRAGILE: Check = Check {
    id: "cluster.quorum.fragile",
    title: "One more failure stops the cluster",
    category: Category::Health,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["pvecm status", "pvecm nodes"],
        fix: "Bring the missing members back. If this is how the cluster was built, add a third voter or a QDevice.",
        impact: "None while nothing else fails.",
        risk: Risk::Low,
        way_back: "A QDevice is removed with: pvecm qdevice remove.",
    },
    run: fragile,
    ..Check::HEALTH
};

fn fragile(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, cluster) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if cluster.standalone {
            verdicts.not_applicable(subject, gate::STANDALONE);
            continue;
        }
        let facts = gate::config(input, cluster.corosync.as_ref())
            .and_then(|config| Ok((config, gate::memberships(input, cluster)?)));
        let (config, reports) = match facts {
            Ok(facts) => facts,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let votes = Votes::of(&config.value);
        if votes.voters.len() == 2 && votes.device.is_none() {
            verdicts.not_applicable(
                subject,
                "two nodes without a QDevice are a check of their own",
            );
            continue;
        }
        // The best informed member that has quorum; without quorum the other
        // check speaks.
        let best = reports
            .iter()
            .filter(|report| report.quorate == Some(true))
            .max_by_key(|report| (report.online.len(), std::cmp::Reverse(report.reporter)));
        let Some(best) = best else {
            if reports.iter().any(|report| report.quorate == Some(false)) {
                verdicts.not_applicable(subject, "quorum is already lost");
            } else {
                verdicts.unknown(subject, Unknown::NotReported);
            }
            continue;
        };
        match votes.margin(input, best) {
            Margin::Enough => verdicts.pass(subject),
            Margin::Fragile { voter, missing } => {
                let failure = fragile_failure(&votes, &voter, &missing, input, best);
                verdicts.fail(subject, failure);
            }
        }
    }
}

fn fragile_failure(
    votes: &Votes<'_>,
    voter: &str,
    missing: &[NodeIndex],
    input: &Input<'_>,
    report: &Membership,
) -> Failure {
    let evidence = [
        Evidence::new("votes expected", votes.expected, COROSYNC),
        Evidence::new("votes needed", votes.quorum, COROSYNC),
        Evidence::new("voter that must not fail", voter, COROSYNC),
        Evidence::new(
            "members online",
            words::nodes(input.view, &report.online),
            MEMBERS,
        )
        .seen(&input.view.node(report.reporter).name, report.at),
    ];
    let failure = if missing.is_empty() {
        let summary = format!(
            "The votes are so distributed that the cluster stops when {voter} fails ({} of {} votes are needed).",
            votes.quorum, votes.expected
        );
        Failure::new(Severity::Warning, summary).lane(Lane::Posture)
    } else {
        let summary = format!(
            "Without {}, the cluster stops when {voter} fails too ({} of {} votes are needed).",
            words::nodes(input.view, missing),
            votes.quorum,
            votes.expected
        );
        Failure::new(Severity::Critical, summary)
    };
    failure.proof(evidence)
}

const QDEVICE: Remedy = Remedy {
    diagnose: &["grep -A8 '^quorum' /etc/pve/corosync.conf", "pvecm status"],
    fix: "Run corosync-qnetd on a machine outside the cluster and add it: pvecm qdevice setup ADDRESS.",
    impact: "Installs a package on every node and lets the cluster log in to the QDevice host by SSH.",
    risk: Risk::Low,
    way_back: "pvecm qdevice remove",
};

pub(super) const TWO_NODE: Check = Check {
    id: "cluster.quorum.two_node_no_qdevice",
    title: "Two nodes without a third vote",
    category: Category::Ha,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    mappings: &["RESIL"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Critical),
        hosting: None,
    }),
    remediation: QDEVICE,
    run: |input, verdicts| {
        configured(input, verdicts, |cluster, votes| {
            // With HA it is worse, and a finding of its own; while nobody says
            // whether HA is in use, it stays here.
            if ha::in_use(input, cluster).is_ok() {
                return None;
            }
            (votes.voters.len() == 2 && votes.device.is_none()).then(|| {
                Failure::new(
                    Severity::Warning,
                    "The cluster has two voting nodes and no QDevice: when one is down, the other cannot act.".to_owned(),
                )
                .proof([
                    Evidence::new("two_node", votes.two_node, COROSYNC),
                    Evidence::new("votes expected", votes.expected, COROSYNC),
                ])
            })
        });
    },
    ..Check::POSTURE
};

pub(super) const EVEN_VOTES: Check = Check {
    id: "cluster.quorum.even_votes_no_qdevice",
    title: "An even number of votes without a QDevice",
    category: Category::Ha,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    mappings: &["RESIL"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Warning),
        hosting: None,
    }),
    remediation: QDEVICE,
    run: |input, verdicts| {
        configured(input, verdicts, |_, votes| {
            let sum = votes.expected;
            let is_even = sum >= 4 && sum.is_multiple_of(2);
            (is_even && votes.device.is_none() && votes.voters.len() != 2).then(|| {
                Failure::new(
                    Severity::Warning,
                    format!(
                        "The cluster has {sum} votes: split into two halves of {}, neither can act.",
                        sum / 2
                    ),
                )
                .proof([Evidence::new("votes expected", sum, COROSYNC)])
            })
        });
    },
    ..Check::POSTURE
};

/// One verdict per cluster from its votes.
fn configured(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    judge: impl Fn(&Cluster, &Votes<'_>) -> Option<Failure>,
) {
    for (index, cluster) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if cluster.standalone {
            verdicts.not_applicable(subject, gate::STANDALONE);
            continue;
        }
        match gate::config(input, cluster.corosync.as_ref()) {
            Ok(config) => match judge(cluster, &Votes::of(&config.value)) {
                Some(failure) => verdicts.fail(subject, failure),
                None => verdicts.pass(subject),
            },
            Err(why) => verdicts.unknown(subject, why),
        }
    }
}

/// The votes as configured.
pub(super) struct Votes<'a> {
    /// Members that have a vote, with it.
    voters: Vec<(&'a str, u32)>,
    /// Votes of the QDevice.
    pub(super) device: Option<u32>,
    pub(super) two_node: bool,
    pub(super) expected: u32,
    quorum: u32,
}

enum Margin {
    Enough,
    Fragile {
        voter: String,
        missing: Vec<NodeIndex>,
    },
}

impl<'a> Votes<'a> {
    pub(super) fn of(config: &'a wire::CorosyncConfig) -> Self {
        let mut voters: Vec<(&str, u32)> = config
            .nodes
            .iter()
            .filter(|node| node.quorum_votes > 0)
            .map(|node| (node.name.as_str(), node.quorum_votes))
            .collect();
        voters.sort_unstable();
        let device = config.quorum_device.as_ref().map(|device| device.votes);
        let expected = voters
            .iter()
            .map(|(_, votes)| *votes)
            .chain(device)
            .fold(0, u32::saturating_add);
        let two_node = config.two_node.unwrap_or_default();
        let quorum = if two_node && voters.len() == 2 {
            1
        } else {
            expected / 2 + 1
        };
        Self {
            voters,
            device,
            two_node,
            expected,
            quorum,
        }
    }

    /// What is left when the largest live voter fails too. Whether a QDevice
    /// votes is not collected yet: it is counted as voting.
    fn margin(&self, input: &Input<'_>, report: &Membership) -> Margin {
        let online = |name: &str| {
            report
                .online
                .iter()
                .any(|node| *input.view.node(*node).name == *name)
        };
        let device = self.device.map(|votes| ("the QDevice", votes));
        let live = || {
            self.voters
                .iter()
                .copied()
                .filter(|(name, _)| online(name))
                .chain(device)
        };
        let total = live().fold(0, |sum: u32, (_, votes)| sum.saturating_add(votes));
        // Of equal voters, the first by name.
        let largest = live().max_by_key(|(name, votes)| (*votes, std::cmp::Reverse(*name)));
        match largest {
            Some((name, votes)) if total.saturating_sub(votes) < self.quorum => Margin::Fragile {
                voter: crate::untrusted::name(name).into_owned(),
                missing: report.offline.clone(),
            },
            _ => Margin::Enough,
        }
    }
}

#[cfg(test)]
mod tests;
