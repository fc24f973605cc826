//! `ss` and `netstat -ano`: who listens and who is connected.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    number,
    output::{NAME, Output, WORD, some, split, text},
};
use crate::guest_command::facts::{Count, GuestFacts, Peer, Socket, Sockets};

const LISTENING: usize = 60;
const PEERS: usize = 15;
const BACKLOGGED: usize = 10;
const STATES: usize = 20;
/// Bytes in a queue that are no backlog: a request that just came.
const QUEUE: u64 = 64 * 1024;

/// One line, and who is at the other end.
struct Row<'a> {
    socket: Socket,
    peer: &'a str,
    listens: bool,
}

/// `ss -H -n -t -u [-l -p]`: `Netid State Recv-Q Send-Q Local Peer [Process]`. With
/// only one protocol there is no `Netid`.
pub(in super::super) fn ss(output: &Output<'_>, facts: &mut GuestFacts) {
    let rows = rows(output, facts, ss_row);
    keep(facts, rows, output.is_empty());
}

fn ss_row(line: &str) -> Option<Row<'_>> {
    let (tokens, rest) = split(line, 5);
    let [first, ..] = tokens.as_slice() else {
        return None;
    };
    let has_protocol = matches!(
        *first,
        "tcp" | "udp" | "icmp6" | "raw" | "mptcp" | "dccp" | "sctp" | "???"
    );
    let (tokens, rest) = if has_protocol {
        split(line, 6)
    } else {
        (tokens, rest)
    };
    let (protocol, tokens) = match tokens.as_slice() {
        [protocol, others @ ..] if has_protocol => (*protocol, others),
        others => ("tcp", others),
    };
    let [state, receive, send, local, peer] = tokens else {
        return None;
    };
    let (address, port) = endpoint(local)?;
    let (peer, _) = peer.rsplit_once(':')?;
    let (process, pid) = process(rest);
    let listens = matches!(*state, "LISTEN" | "UNCONN");
    Some(Row {
        socket: Socket {
            protocol: text(protocol, 8),
            is_exposed: is_exposed(address),
            address: text(&address.replace(['[', ']'], ""), 64),
            port,
            state: text(state, WORD),
            receive_queue: number::total(receive)?,
            send_queue: number::total(send)?,
            process,
            pid,
        },
        peer,
        listens,
    })
}

/// `users:(("sshd",pid=700,fd=3),("systemd",pid=1,fd=88))`: the first one.
fn process(text: &str) -> (Option<String>, Option<u32>) {
    let Some((_, rest)) = text.split_once("((\"") else {
        return (None, None);
    };
    let Some((name, rest)) = rest.split_once('"') else {
        return (None, None);
    };
    let pid = rest
        .split_once("pid=")
        .and_then(|(_, rest)| rest.split([',', ')']).next())
        .and_then(number::small);
    (some(name, NAME), pid)
}

/// `netstat -ano`: `TCP 0.0.0.0:135 0.0.0.0:0 LISTENING 948`; states may be translated,
/// and UDP has none.
pub(in super::super) fn netstat(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled() {
        let words: Vec<&str> = line.split_whitespace().take(8).collect();
        let row = match words.as_slice() {
            ["TCP", local, peer, state, .., pid] => netstat_row("tcp", local, peer, state, pid),
            ["UDP", local, peer, pid] => netstat_row("udp", local, peer, "", pid),
            // Two lines of heading, in any language.
            _ => {
                if !list.is_empty() {
                    facts.unread();
                }
                continue;
            }
        };
        match row {
            Some(row) => list.push(row),
            None => facts.unread(),
        }
    }
    keep(facts, list, false);
}

fn netstat_row<'a>(
    protocol: &str,
    local: &str,
    peer: &'a str,
    state: &str,
    pid: &str,
) -> Option<Row<'a>> {
    let (address, port) = endpoint(local)?;
    let (other, other_port) = peer.rsplit_once(':')?;
    let listens = protocol == "udp" || (other_port == "0" && matches!(other, "0.0.0.0" | "[::]"));
    let state = match state {
        _ if protocol == "udp" => "UNCONN",
        _ if listens => "LISTEN",
        "ESTABLISHED" | "HERGESTELLT" => "ESTAB",
        other => other,
    };
    Some(Row {
        socket: Socket {
            protocol: protocol.to_owned(),
            is_exposed: is_exposed(address),
            address: text(&address.replace(['[', ']'], ""), 64),
            port,
            state: text(state, WORD).replace('_', "-"),
            pid: number::small(pid),
            ..Socket::default()
        },
        peer: other.trim_start_matches('[').trim_end_matches(']'),
        listens,
    })
}

fn rows<'a>(
    output: &Output<'a>,
    facts: &mut GuestFacts,
    row: impl Fn(&'a str) -> Option<Row<'a>>,
) -> Vec<Row<'a>> {
    let mut list = Vec::new();
    for line in output.filled() {
        match row(line) {
            Some(row) => list.push(row),
            None if line.starts_with("Netid") || line.starts_with("State") => {}
            None => facts.unread(),
        }
    }
    list
}

/// `[::]:22`, `*:80`, `127.0.0.53%lo:53`, `192.0.2.1:*`.
fn endpoint(text: &str) -> Option<(&str, Option<u16>)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = match port {
        "*" => None,
        _ => Some(port.parse().ok()?),
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = if matches!(address, "0.0.0.0" | "::") {
        "*"
    } else {
        address
    };
    (!address.is_empty()).then_some((address, port))
}

fn is_exposed(address: &str) -> bool {
    let address = address
        .split('%')
        .next()
        .unwrap_or(address)
        .trim_end_matches(']');
    !(address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127."))
}

fn keep(facts: &mut GuestFacts, rows: Vec<Row<'_>>, is_none: bool) {
    if rows.is_empty() && !is_none {
        return;
    }
    facts.understood = true;
    let mut by_state: BTreeMap<String, u32> = BTreeMap::new();
    let mut by_peer: HashMap<&str, u32> = HashMap::new();
    let (mut listening, mut backlogged) = (Vec::new(), Vec::new());
    for row in rows {
        if is_backlogged(&row) && backlogged.len() < 1000 {
            backlogged.push(row.socket.clone());
        }
        if row.listens {
            listening.push(row.socket);
            continue;
        }
        let count = by_state.entry(row.socket.state).or_default();
        *count = count.saturating_add(1);
        let peer = row.peer.trim_start_matches('[').trim_end_matches(']');
        let count = by_peer.entry(peer).or_default();
        *count = count.saturating_add(1);
    }
    listening
        .sort_by(|a, b| (a.port, &a.protocol, &a.address).cmp(&(b.port, &b.protocol, &b.address)));
    listening.dedup();
    // What others can reach matters most when the list is cut.
    listening.sort_by_key(|socket| !socket.is_exposed);
    facts.bound("sockets.listening", &mut listening, LISTENING);
    listening.sort_by_key(|socket| socket.port);
    backlogged.sort_by_key(|socket| std::cmp::Reverse(socket.receive_queue));
    facts.bound("sockets.backlogged", &mut backlogged, BACKLOGGED);
    let mut states: Vec<Count> = by_state
        .into_iter()
        .map(|(name, count)| Count { name, count })
        .collect();
    facts.bound("sockets.by_state", &mut states, STATES);
    let mut peers: Vec<(&str, u32)> = by_peer.into_iter().collect();
    peers.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    facts.bound("sockets.peers", &mut peers, PEERS);
    let peers = peers.into_iter().map(|(address, count)| Peer {
        address: text(&address.replace(['[', ']'], ""), 64),
        count,
    });
    facts.sockets = Some(Sockets {
        listening,
        by_state: states,
        peers: peers.collect(),
        backlogged,
        totals: None,
    });
}

/// Of a TCP listener the queues are connections that wait and how many may.
fn is_backlogged(row: &Row<'_>) -> bool {
    let socket = &row.socket;
    if socket.state == "LISTEN" {
        return socket.receive_queue > 0 && socket.receive_queue >= socket.send_queue;
    }
    socket.receive_queue > QUEUE
}
