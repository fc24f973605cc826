//! What the coordinator says: its agents, and what it could not assess.

use std::path::Path;

use jiff::Timestamp;
use pvelens_proto::{
    timestamp_to_millis,
    v1::{Agent, AgentTransport, CoverageLevel, NodeCoverage, Report},
};

use super::{
    access,
    item::Item,
    system::{System, Unit},
};
use crate::{
    config::{AGENT_SOCKET, Agents},
    figure,
};

/// Agents send every ten seconds; six missed in a row are silence.
const SILENT_MILLIS: i64 = 60_000;
/// Beyond this, times of different nodes cannot be put in order.
const CLOCK_SECONDS: f64 = 2.0;
const SCARCE_BYTES: u64 = 256 << 20;
/// Things of one kind that are named each for itself.
const NAMED: usize = 5;

/// Items about every agent that is not well, and one line about the others.
pub(super) fn agents(agents: &[Agent], now: Timestamp) -> Vec<Item> {
    if agents.is_empty() {
        return vec![
            Item::problem("no agent is followed")
                .why("so the coordinator knows of no node")
                .fix("as root: `pvelens setup` says what nodes need, here and elsewhere"),
        ];
    }
    let mut items: Vec<Item> = agents.iter().filter_map(|it| ill(it, now)).collect();
    let well: Vec<&Agent> = agents.iter().filter(|it| ill(it, now).is_none()).collect();
    shorten(&mut items, "agents");
    if let Some(age) = well.iter().filter_map(|it| age_millis(it, now)).max() {
        let number = match well.len() {
            1 => "1 agent reports".to_owned(),
            many => format!("{many} agents report"),
        };
        let offsets = well.iter().filter_map(|it| it.clock_offset_seconds);
        let offset = offsets.map(f64::abs).fold(0.0, f64::max);
        items.insert(
            0,
            Item::ok(format!(
                "{number}, the last update at most {} s old, clocks at most {offset:.1} s apart",
                age.max(0) / 1000
            )),
        );
    }
    items
}

fn ill(agent: &Agent, now: Timestamp) -> Option<Item> {
    let name = if agent.node.is_empty() {
        format!("the agent at {}", agent.address)
    } else {
        format!("the agent of {}", agent.node)
    };
    let place = match agent.node.as_str() {
        "" => "where it runs",
        node => &format!("on {node}"),
    };
    if !agent.connected {
        let fix = if agent.transport() == AgentTransport::Link {
            "`systemctl status pvelens-link` says whether it reaches this coordinator"
        } else if agent.last_error.contains("permission") {
            "`systemctl restart pvelens-agent.socket` gives the socket to the group pvelens again"
        } else {
            "`systemctl status pvelens-agent`, then `pvelens-agent doctor`"
        };
        return Some(
            Item::problem(format!("{name} is not connected"))
                .why(&agent.last_error)
                .fix(format!("{place}: {fix}")),
        );
    }
    let silent = age_millis(agent, now).filter(|age| *age > SILENT_MILLIS);
    if let Some(age) = silent {
        return Some(
            Item::problem(format!("{name} has sent nothing for {} s", age / 1000))
                .why("it is connected and does not read, or its node hangs")
                .fix(format!("{place}: `pvelens-agent doctor`")),
        );
    }
    let offset = agent
        .clock_offset_seconds
        .filter(|it| it.abs() > CLOCK_SECONDS)?;
    Some(
        Item::warning(format!("the clock of {name} is {offset:+.1} s off"))
            .why("measured against the clock of the coordinator; one of the two is wrong")
            .fix("look at `chronyc tracking` on both, and step the wrong one: `chronyc makestep`"),
    )
}

fn age_millis(agent: &Agent, now: Timestamp) -> Option<i64> {
    let at = agent.last_update_at.as_ref().map(timestamp_to_millis)?;
    Some(now.as_millisecond().saturating_sub(at))
}

/// A thousand nodes that have the same illness are not a thousand items.
fn shorten(items: &mut Vec<Item>, noun: &str) {
    let more = items.len().saturating_sub(NAMED);
    if more > 0 {
        items.truncate(NAMED);
        items.push(
            Item::problem(format!("{more} more {noun} are not well"))
                .fix("`pvelens agents` lists all"),
        );
    }
}

/// The agent on this node: there, and followed.
pub(super) fn local(system: &System, settings: &Agents, followed: Option<&[Agent]>) -> Vec<Item> {
    let socket = Path::new(AGENT_SOCKET);
    let is_configured = settings.sockets.iter().any(|it| it == socket)
        || socket.parent() == Some(&*settings.directory);
    let is_followed = followed.is_none_or(|all| all.iter().any(|it| it.address == AGENT_SOCKET));
    let is_there = system.place(socket).is_ok_and(|place| place.is_socket);
    if is_there && !(is_configured && is_followed) {
        return vec![
            Item::warning("an agent runs on this node and is not followed")
                .why(format!("the settings do not name {AGENT_SOCKET}"))
                .fix("add it to `agents.sockets` in /etc/pvelens/pvelens.toml, then `systemctl restart pvelens`"),
        ];
    }
    if is_there {
        return access::agent_socket(system, socket).into_iter().collect();
    }
    if system.exists("/etc/pve") && !system.exists("/usr/sbin/pvelens-agent") {
        return vec![
            Item::warning("this is a Proxmox VE node without an agent")
                .why("the package pvelens-agent is not installed here")
                .fix("as root: `apt install pvelens-agent`"),
        ];
    }
    Vec::new()
}

/// What the health report could not assess, and what would help.
pub(super) fn coverage(report: &Report) -> Vec<Item> {
    let mut items = Vec::new();
    let coverage = report.coverage.clone().unwrap_or_default();
    let of = |level: CoverageLevel| {
        let nodes = coverage.nodes.iter();
        nodes.filter(move |node| node.level() == level && !node.stale)
    };
    if let Some(names) = names(of(CoverageLevel::Full)) {
        items.push(Item::ok(format!("full facts of {names}")));
    }
    for (level, known) in [
        (CoverageLevel::Basic, "only basic figures are known"),
        (CoverageLevel::None, "nothing is known"),
    ] {
        if let Some(names) = names(of(level)) {
            items.push(
                Item::warning(format!("{known} of {names}"))
                    .why("no agent reports from there")
                    .fix(format!(
                        "install pvelens-agent on {names} and join it to this coordinator: as root `pvelens setup` has the commands"
                    )),
            );
        }
    }
    let failing = coverage
        .nodes
        .iter()
        .filter(|node| !node.failures.is_empty());
    if let Some(names) = names(failing) {
        items.push(
            Item::warning(format!("some sources are not read on {names}"))
                .why(first_failure(&coverage.nodes))
                .fix(format!("on {names}: `pvelens-agent doctor`")),
        );
    }
    let counts = report.verdicts.unwrap_or_default();
    let made = u64::from(counts.passed) + u64::from(counts.failed);
    items.push(match counts.unknown {
        0 if made == 0 => Item::unknown("nothing was checked yet")
            .why("no facts of a node have arrived")
            .fix("see the agents above"),
        0 => Item::ok(format!("all {made} judgements could be made")),
        unknown => {
            let reasons = &coverage.not_assessed;
            let shown: Vec<&str> = reasons.iter().take(NAMED).map(String::as_str).collect();
            Item::unknown(format!(
                "{unknown} of {} judgements could not be made",
                made + u64::from(unknown)
            ))
            .why(shown.join("; "))
            .fix("mend what is named above first; `pvelens health --full` lists all")
        }
    });
    items
}

fn first_failure(nodes: &[NodeCoverage]) -> String {
    let mut failures = nodes.iter().flat_map(|node| {
        let failures = node.failures.iter();
        failures.map(move |failure| (&node.node, failure))
    });
    failures
        .next()
        .map(|(node, failure)| format!("{node}: {} {}", failure.path, failure.detail))
        .unwrap_or_default()
}

/// `pve1, pve2 and 12 more nodes`.
fn names<'n>(nodes: impl Iterator<Item = &'n NodeCoverage>) -> Option<String> {
    let all: Vec<&str> = nodes.map(|node| node.node.as_str()).collect();
    let (shown, more) = all.split_at(all.len().min(NAMED));
    match (shown.len(), more.len()) {
        (0, _) => None,
        (_, 0) => Some(shown.join(", ")),
        (_, more) => Some(format!("{} and {more} more nodes", shown.join(", "))),
    }
}

/// Room for what the coordinator keeps, on the machine where it runs.
pub(super) fn disk(system: &System, unit: Unit, directory: &Path) -> Option<Item> {
    if directory.as_os_str().is_empty() {
        return None;
    }
    let shown = directory.display();
    let Ok(stat) = rustix::fs::statvfs(system.path(directory)) else {
        return unit.is_installed.then(|| {
            Item::problem(format!("{shown} is not there"))
                .why("it is made when the coordinator starts")
                .fix("as root: `systemctl restart pvelens`")
        });
    };
    let available = stat.f_bavail.saturating_mul(stat.f_frsize);
    let free = figure::bytes(available);
    Some(if available < SCARCE_BYTES {
        Item::problem(format!("only {free} are free for {shown}"))
            .why("what the coordinator keeps needs room to grow")
            .fix(format!("look at `df -h {shown}`, and make room"))
    } else {
        Item::ok(format!("{free} are free for {shown}"))
    })
}
