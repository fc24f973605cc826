//! What the probes reply on a simulated node. Of the cluster probe: corosync's tools,
//! and whether network mounts answer.

use std::{fmt::Write as _, io};

use pvelens_agent::probe::{Header, Outcome, Reply};

use serde_json::json;

use super::{
    state::{State, whole},
    tree::Tree,
};

mod disk;
mod system;

/// The status with which `corosync-quorumtool` says that there is no quorum.
const NOT_QUORATE: i32 = 2;
const CLUSTER: &str = "cluster";

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    disk::write(state, index, tree)?;
    system::write(state, index, tree)?;
    let mounts = state.nodes[index].filesystems.iter();
    for mount in mounts.filter(|mount| mount.mounted && mount.kind.starts_with("nfs")) {
        let free = mount.total_bytes - whole(mount.used_bytes);
        let size = json!({
            "total_bytes": mount.total_bytes, "free_bytes": free, "available_bytes": free,
            "inodes_total": 1_000_000, "inodes_free": 900_000,
        });
        let name = format!("mount_liveness.{}", mount.mount_point.replace('/', "-"));
        let (outcome, text) = if mount.hangs {
            let still_running = true;
            (Outcome::TimedOut { still_running }, String::new())
        } else {
            (Outcome::Answered {}, size.to_string())
        };
        reply(tree, (CLUSTER, &name), outcome, "", text)?;
    }
    if state.standalone {
        return Ok(());
    }
    let status = if state.is_quorate(index) {
        0
    } else {
        NOT_QUORATE
    };
    for (name, program, exit_status, text) in [
        (
            "corosync_links",
            "corosync-cfgtool -s",
            0,
            links(state, index),
        ),
        (
            "corosync_nodes",
            "corosync-cfgtool -n",
            0,
            peers(state, index),
        ),
        (
            "corosync_stats",
            "corosync-cmapctl -m stats",
            0,
            stats(state, index),
        ),
        (
            "corosync_quorum",
            "corosync-quorumtool -s -i",
            status,
            quorum(state, index),
        ),
    ] {
        let outcome = Outcome::Exited { exit_status };
        reply(tree, (CLUSTER, name), outcome, program, text)?;
    }
    Ok(())
}

fn reply(
    tree: &mut Tree,
    (probe, name): (&str, &str),
    outcome: Outcome,
    program: &str,
    text: String,
) -> io::Result<()> {
    let words = program.split(' ').filter(|word| !word.is_empty());
    let reply = Reply {
        header: Header {
            outcome,
            program: words.map(str::to_owned).collect(),
            stdout_bytes: text.len(),
            stdout_truncated: false,
            stderr: String::new(),
            stderr_truncated: false,
            duration_milliseconds: 0,
        },
        stdout: text.into_bytes(),
    };
    let text = String::from_utf8(reply.to_bytes()).map_err(io::Error::other)?;
    tree.write(&format!("/.pvelens/probe/{probe}/{name}"), &text)
}

fn links(state: &State, index: usize) -> String {
    let own = state.nodes[index].id;
    let mut text = format!("Local node ID {own}, transport knet\n");
    for link in 0..state.corosync.links {
        write!(
            text,
            "LINK ID {link} udp\n\taddr\t= 10.0.{link}.{own}\n\tstatus:\n"
        )
        .ok();
        for (other, node) in state.nodes.iter().enumerate() {
            let status = match other {
                other if other == index => "localhost",
                other if state.hear_each_other(index, other, link) => "connected",
                _ => "disconnected",
            };
            writeln!(text, "\t\tnodeid:          {}:\t{status}", node.id).ok();
        }
    }
    text
}

fn peers(state: &State, index: usize) -> String {
    let own = state.nodes[index].id;
    let mut text = format!("Local node ID {own}, transport knet\n");
    for (other, node) in state.nodes.iter().enumerate() {
        if other == index {
            continue;
        }
        let is_seen = state.see_each_other(index, other);
        let reachable = if is_seen { "reachable" } else { "unreachable" };
        writeln!(text, "nodeid: {} {reachable}", node.id).ok();
        for link in 0..state.corosync.links {
            let is_heard = state.hear_each_other(index, other, link);
            let connected = if is_heard { " connected" } else { "" };
            writeln!(
                text,
                "   LINK: {link} udp (10.0.{link}.{own}->10.0.{link}.{}) enabled{connected} mtu: 1397",
                node.id
            )
            .ok();
        }
        text.push('\n');
    }
    text
}

fn stats(state: &State, index: usize) -> String {
    let mut text = String::new();
    for (other, node) in state.nodes.iter().enumerate() {
        if other == index {
            continue;
        }
        for link in 0..state.corosync.links {
            let is_seen = u8::from(state.hear_each_other(index, other, link));
            let prefix = format!("stats.knet.node{}.link{link}", node.id);
            write!(
                text,
                "{prefix}.connected (u8) = {is_seen}\n{prefix}.latency_ave (u32) = 240\n{prefix}.latency_max (u32) = 1900\n{prefix}.down_count (u32) = {}\n",
                1 - is_seen
            )
            .ok();
        }
    }
    text.push_str("stats.srp.mcast_retx (u64) = 0\n");
    text
}

fn quorum(state: &State, index: usize) -> String {
    let own = state.nodes[index].id;
    let device = usize::from(state.corosync.qdevice);
    let seen: Vec<(usize, u32)> = state
        .nodes
        .iter()
        .enumerate()
        .filter(|(other, _)| *other == index || state.see_each_other(index, *other))
        .map(|(other, node)| (other, node.id))
        .collect();
    let expected = state.nodes.len() + device;
    let is_quorate = state.is_quorate(index);
    let (word, blocked, flag) = if is_quorate {
        ("Yes", "  ", "Quorate ")
    } else {
        ("No", " Activity blocked", "")
    };
    let votes = seen.len() + if is_quorate { device } else { 0 };
    let has_device = if device > 0 { "Qdevice " } else { "" };
    let mut text = format!(
        "Quorum information\n------------------\nDate:             Sun Nov 22 12:04:59 2026\nQuorum provider:  corosync_votequorum\nNodes:            {}\nNode ID:          {own}\nRing ID:          1.67\nQuorate:          {word}\n\nVotequorum information\n----------------------\nExpected votes:   {expected}\nHighest expected: {expected}\nTotal votes:      {votes}\nQuorum:           {}{blocked}\nFlags:            {flag}{has_device}\n\nMembership information\n----------------------\n",
        seen.len(),
        expected / 2 + 1
    );
    text.push_str(if device > 0 {
        "    Nodeid      Votes    Qdevice Name\n"
    } else {
        "    Nodeid      Votes Name\n"
    });
    for (other, id) in seen {
        let flags = match (device, is_quorate) {
            (0, _) => "",
            (_, true) => "    A,V,NMW",
            (_, false) => "  NA,NV,NMW",
        };
        let local = if other == index { " (local)" } else { "" };
        writeln!(text, "{id:>10} {:>10}{flags} 10.0.0.{id}{local}", 1).ok();
    }
    if device > 0 {
        writeln!(
            text,
            "{:>10} {:>10}            Qdevice",
            0,
            u8::from(is_quorate)
        )
        .ok();
    }
    text
}
