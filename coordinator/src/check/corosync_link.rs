//! Whether the members hear each other over every link.
//!
//! Each member says of each other one which links are connected. A pair is judged
//! by both: where one of the two hears nothing, the link does not work.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, CorosyncLinkState};

use super::{
    Check, Failure, Input, Intended, Outcome, Remedy, Scope, Timing, Unknown, gate, words,
};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, ClusterIndex, NodeIndex, NodeStatus, Subject},
};

const COLLECTOR: &str = "corosync_state";
const TOOL: &str = "corosync-cfgtool -n";
/// Of one link. In a large cluster every pair may be down.
const EVIDENCE_LIMIT: usize = 20;

pub(super) const LINK_DOWN: Check = Check {
    id: "cluster.corosync.link_down",
    title: "A link of the cluster network is down",
    category: Category::Health,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    timing: Timing::T1 {
        hold: Duration::from_secs(60),
        clear: Duration::from_secs(60),
    },
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &[
            "corosync-cfgtool -n",
            "corosync-cmapctl -m stats | grep connected",
            "ip -s link show",
        ],
        fix: "Repair the cable, the switch port or the VLAN of this link. The addresses are those of ring{part}_addr in /etc/pve/corosync.conf.",
        impact: "None while another link works. When the last one fails too, the members lose each other, and HA restarts nodes without quorum.",
        risk: Risk::Low,
        way_back: "",
    },
    run: |input, verdicts| {
        for (index, cluster) in input.view.clusters() {
            let subject = Subject::Cluster(index);
            match judge(input, index, cluster) {
                Ok(outcomes) => {
                    for outcome in outcomes {
                        verdicts.push(subject, outcome);
                    }
                }
                Err(why) => verdicts.unknown(subject, why),
            }
        }
    },
    ..Check::HEALTH
};

/// One failure per link: what fails as one is usually a switch or a cable.
fn judge(
    input: &Input<'_>,
    index: ClusterIndex,
    cluster: &Cluster,
) -> Result<Vec<Outcome>, Unknown> {
    if cluster.standalone {
        return Ok(vec![Outcome::NotApplicable(gate::STANDALONE)]);
    }
    let config = gate::config(input, cluster.corosync.as_ref())?;
    let members = Members::of(input, index, &config.value);
    if members.online.len() < 2 {
        return if members.is_complete {
            Ok(vec![Outcome::NotApplicable("no other member is online")])
        } else {
            Err(Unknown::NotReported)
        };
    }
    let heard = Heard::of(input, &members);
    let failures: Vec<Outcome> = heard
        .broken()
        .into_iter()
        .map(|(link, pairs)| {
            let failure = failure(input, &members, &heard, link, &pairs);
            Outcome::Fail(Box::new(failure))
        })
        .collect();
    if !failures.is_empty() {
        Ok(failures)
    } else if let Some(why) = heard.why_unknown(&members) {
        Err(why)
    } else {
        Ok(vec![Outcome::Pass])
    }
}

/// The members of a cluster that are known to be online.
struct Members<'a> {
    /// By corosync's number.
    by_id: HashMap<u32, &'a wire::CorosyncNode>,
    nodes: HashMap<u32, NodeIndex>,
    online: BTreeMap<NodeIndex, &'a wire::CorosyncNode>,
    /// Of every member it is known whether it is online.
    is_complete: bool,
}

impl<'a> Members<'a> {
    fn of(input: &Input<'_>, cluster: ClusterIndex, config: &'a wire::CorosyncConfig) -> Self {
        let mut members = Self {
            by_id: HashMap::new(),
            nodes: HashMap::new(),
            online: BTreeMap::new(),
            is_complete: true,
        };
        for node in &config.nodes {
            let Some(index) = input.view.find_node(cluster, &node.name) else {
                continue;
            };
            members.by_id.insert(node.node_id, node);
            members.nodes.insert(node.node_id, index);
            // The links of a member that is down are down with it.
            match input.view.node(index).status {
                NodeStatus::Online => {
                    members.online.insert(index, node);
                }
                NodeStatus::Offline => {}
                NodeStatus::Unknown => members.is_complete = false,
            }
        }
        members
    }

    /// Whether both are configured to use the link.
    fn share(&self, (one, other): (NodeIndex, NodeIndex), link: u32) -> bool {
        let has = |node| {
            self.online.get(&node).is_some_and(|node| {
                let mut addresses = node.addresses.iter();
                addresses.any(|address| address.link_number == link)
            })
        };
        has(one) && has(other)
    }
}

/// The lower index first.
type Pair = (NodeIndex, NodeIndex);

/// What the members say of the links between them.
struct Heard {
    /// Whether each link of a pair works.
    pairs: BTreeMap<Pair, BTreeMap<u32, bool>>,
    /// Who said that a link is down: link, reporter, other, when.
    complaints: Vec<(u32, NodeIndex, u32, Timestamp)>,
    silent: BTreeMap<NodeIndex, Unknown>,
}

impl Heard {
    fn of(input: &Input<'_>, members: &Members<'_>) -> Self {
        let mut heard = Self {
            pairs: BTreeMap::new(),
            complaints: Vec::new(),
            silent: BTreeMap::new(),
        };
        for reporter in members.online.keys().copied() {
            let node = input.view.node(reporter);
            let fact = node.facts.corosync_state.as_ref();
            match gate::node_fact(input, node, fact, COLLECTOR) {
                Err(why) => {
                    heard.silent.insert(reporter, why);
                }
                Ok(state) => {
                    let said = said(&state.value);
                    if said.is_empty() {
                        let why = gate::failed(node, COLLECTOR).unwrap_or(Unknown::NotReported);
                        heard.silent.insert(reporter, why);
                    }
                    for ((id, link), works) in said {
                        heard.add(members, reporter, (id, link), works, state.at);
                    }
                }
            }
        }
        heard
    }

    fn add(
        &mut self,
        members: &Members<'_>,
        reporter: NodeIndex,
        (id, link): (u32, u32),
        works: bool,
        at: Timestamp,
    ) {
        let Some(other) = members.nodes.get(&id).copied() else {
            return;
        };
        let pair = (reporter.min(other), reporter.max(other));
        if reporter == other || !members.share(pair, link) {
            return;
        }
        let known = self.pairs.entry(pair).or_default();
        let known = known.entry(link).or_insert(works);
        *known &= works;
        if !works {
            self.complaints.push((link, reporter, id, at));
        }
    }

    /// The pairs that do not hear each other, by link.
    fn broken(&self) -> BTreeMap<u32, Vec<Pair>> {
        let mut broken: BTreeMap<u32, Vec<Pair>> = BTreeMap::new();
        for (pair, links) in &self.pairs {
            for (link, _) in links.iter().filter(|(_, works)| !**works) {
                broken.entry(*link).or_default().push(*pair);
            }
        }
        broken
    }

    fn is_cut_off(&self, pair: &Pair) -> bool {
        let links = self.pairs.get(pair);
        links.is_some_and(|links| links.values().all(|works| !works))
    }

    /// Each pair is known when at most one member says nothing.
    fn why_unknown(&self, members: &Members<'_>) -> Option<Unknown> {
        let is_known = self.silent.len() < 2 && self.silent.len() < members.online.len();
        if is_known && !self.pairs.is_empty() {
            return None;
        }
        let why = self.silent.values().next().cloned();
        Some(why.unwrap_or(Unknown::NotReported))
    }
}

/// Whether each link to each other member works, by its number: from the list of
/// peers, else from what stands in for it when that could not be read.
fn said(state: &wire::CorosyncState) -> BTreeMap<(u32, u32), bool> {
    if !state.peers.is_empty() {
        let peers = state.peers.iter();
        return peers
            .flat_map(|peer| peer.links.iter().map(move |link| (peer.node_id, link)))
            .filter(|(_, link)| link.is_enabled)
            .map(|(id, link)| ((id, link.link_number), link.is_connected))
            .collect();
    }
    let links: BTreeMap<(u32, u32), bool> = state
        .local_links
        .iter()
        .filter_map(|link| {
            let works = match link.state() {
                CorosyncLinkState::Connected => true,
                CorosyncLinkState::Disconnected => false,
                CorosyncLinkState::Local | CorosyncLinkState::Unspecified => return None,
            };
            Some(((link.node_id, link.link_number), works))
        })
        .collect();
    if !links.is_empty() {
        return links;
    }
    let counters = state.link_counters.iter();
    counters
        .filter_map(|link| Some(((link.node_id, link.link_number), link.is_connected?)))
        .collect()
}

fn failure(
    input: &Input<'_>,
    members: &Members<'_>,
    heard: &Heard,
    link: u32,
    pairs: &[Pair],
) -> Failure {
    let cut_off: BTreeSet<NodeIndex> = pairs
        .iter()
        .filter(|pair| heard.is_cut_off(pair))
        .flat_map(|(one, other)| [*one, *other])
        .collect();
    let (severity, rest) = if cut_off.is_empty() {
        (
            Severity::Warning,
            "another link carries the cluster until it fails too".to_owned(),
        )
    } else {
        let cut_off: Vec<NodeIndex> = cut_off.into_iter().collect();
        let names = words::nodes(input.view, &cut_off);
        let rest = format!("no other link is left between {names}");
        (Severity::Critical, rest)
    };
    let between = between(input, pairs);
    let summary = format!("Link {link} of the cluster network is down {between}: {rest}.");
    let complaints = heard.complaints.iter();
    let evidence = complaints
        .filter(|(of, ..)| *of == link)
        .take(EVIDENCE_LIMIT)
        .map(|(_, reporter, id, at)| {
            let other = members.by_id.get(id).copied();
            let name = untrusted::name(other.map_or("", |node| &node.name));
            let own = members.online.get(reporter).copied();
            let way = own
                .and_then(|own| Some((address(own, link)?, address(other?, link)?)))
                .map(|(own, other)| format!(" ({own} to {other})"))
                .unwrap_or_default();
            Evidence::new(
                &format!("link {link} to {name}"),
                format!("disconnected{way}"),
                TOOL,
            )
            .seen(&input.view.node(*reporter).name, *at)
        });
    Failure::new(severity, summary)
        .about(&link.to_string())
        .proof(evidence)
}

fn address(node: &wire::CorosyncNode, link: u32) -> Option<Cow<'_, str>> {
    let mut addresses = node.addresses.iter();
    let address = addresses.find(|address| address.link_number == link)?;
    Some(untrusted::name(&address.address))
}

/// `between pve1 and pve2`, or who is in all of the pairs.
fn between(input: &Input<'_>, pairs: &[Pair]) -> String {
    let name = |index| words::node(input.view, index);
    let [(one, other), rest @ ..] = pairs else {
        return String::new();
    };
    if rest.is_empty() {
        return format!("between {} and {}", name(*one), name(*other));
    }
    let of = |node: NodeIndex| rest.iter().all(|(a, b)| *a == node || *b == node);
    let common = [*one, *other].into_iter().find(|node| of(*node));
    let others: BTreeSet<NodeIndex> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let others = others.into_iter().filter(|node| Some(*node) != common);
    let names = words::nodes(input.view, &others.collect::<Vec<_>>());
    match common {
        Some(node) => format!("between {} and each of {names}", name(node)),
        None => format!("between {names}"),
    }
}

#[cfg(test)]
mod tests;
