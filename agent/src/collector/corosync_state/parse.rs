//! The tables that corosync's tools print.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{
    CorosyncCounter, CorosyncLinkCounters, CorosyncLinkState, CorosyncLinkStatus, CorosyncMember,
    CorosyncPeer, CorosyncPeerLink, CorosyncQuorum,
};

use crate::format::{FormatError, whole_lines};

/// Links to peers: more nodes and links than corosync can have.
const ROW_LIMIT: usize = 1024;
/// An address, or a flag.
const WORD_LIMIT: usize = 64;

/// Counters of totem that checks ask for (`corosync@man/cmap_keys.7`).
const TOTEM: &[&str] = &[
    "commit_token_lost",
    "consensus_timeouts",
    "continuous_gather",
    "firewall_enabled_or_nic_failure",
    "gather_token_lost",
    "mcast_retx",
    "mcast_rx",
    "mcast_tx",
    "operational_entered",
    "operational_token_lost",
    "orf_token_rx",
    "orf_token_tx",
    "recovery_token_lost",
    "rx_msg_dropped",
];

fn short(word: &str) -> String {
    word.chars().take(WORD_LIMIT).collect()
}

/// `corosync-cfgtool -s`: the number of this node, and its links.
pub(super) fn links(text: &str) -> Result<(u32, Vec<CorosyncLinkStatus>), FormatError> {
    let mut local_node_id = None;
    let mut link_number = None;
    let mut links = Vec::new();
    for line in whole_lines(text)?.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("Local node ID ") {
            local_node_id = rest.split(',').next().and_then(|id| id.trim().parse().ok());
        } else if let Some(rest) = line.strip_prefix("LINK ID ") {
            link_number = rest
                .split_whitespace()
                .next()
                .and_then(|id| id.parse().ok());
        } else if let Some(rest) = line.strip_prefix("nodeid:") {
            let Some((id, word)) = rest.split_once(':') else {
                continue;
            };
            let (Some(link_number), Ok(node_id)) = (link_number, id.trim().parse()) else {
                return Err(FormatError::malformed("a peer without link or number"));
            };
            let state = match word.trim() {
                "connected" => CorosyncLinkState::Connected,
                "disconnected" => CorosyncLinkState::Disconnected,
                "localhost" => CorosyncLinkState::Local,
                _ => CorosyncLinkState::Unspecified,
            };
            if links.len() < ROW_LIMIT {
                links.push(CorosyncLinkStatus {
                    link_number,
                    node_id,
                    state: state.into(),
                });
            }
        }
    }
    let local_node_id = local_node_id.ok_or_else(|| FormatError::malformed("no local node ID"))?;
    Ok((local_node_id, links))
}

/// `corosync-cfgtool -n`: peers, and under each its links.
pub(super) fn peers(text: &str) -> Result<Vec<CorosyncPeer>, FormatError> {
    if !whole_lines(text)?.starts_with("Local node ID ") {
        return Err(FormatError::malformed("no local node ID"));
    }
    let mut peers: Vec<CorosyncPeer> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("nodeid:") {
            let mut words = rest.split_whitespace();
            let node_id = words.next().and_then(|id| id.parse().ok());
            if peers.len() < ROW_LIMIT {
                peers.push(CorosyncPeer {
                    node_id: node_id.ok_or_else(|| FormatError::malformed("a peer's number"))?,
                    is_reachable: words.any(|word| word == "reachable"),
                    links: Vec::new(),
                });
            }
        } else if let Some(rest) = line.strip_prefix("LINK:")
            && let Some(peer) = peers.last_mut()
            // knet has eight.
            && peer.links.len() < 8
        {
            peer.links.push(peer_link(rest)?);
        }
    }
    Ok(peers)
}

/// ` 0 udp (192.0.2.11->192.0.2.12) enabled connected mtu: 1397`
fn peer_link(text: &str) -> Result<CorosyncPeerLink, FormatError> {
    let number = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    let (before, after) = text.rsplit_once(')').unwrap_or(("", text));
    let (local, peer) = before
        .split_once('(')
        .and_then(|(_, addresses)| addresses.split_once("->"))
        .unwrap_or_default();
    let words: Vec<&str> = after.split_whitespace().collect();
    let mut after_mtu = words.iter().skip_while(|word| **word != "mtu:").skip(1);
    Ok(CorosyncPeerLink {
        link_number: number.ok_or_else(|| FormatError::malformed("a link's number"))?,
        local_address: short(local),
        peer_address: short(peer),
        is_enabled: words.contains(&"enabled"),
        is_connected: words.contains(&"connected"),
        mtu_bytes: after_mtu.next().and_then(|word| word.parse().ok()),
    })
}

/// `corosync-cmapctl -m stats`: `stats.knet.node2.link0.down_count (u32) = 0`.
pub(super) fn counters(
    text: &str,
) -> Result<(Vec<CorosyncLinkCounters>, Vec<CorosyncCounter>), FormatError> {
    let mut links: BTreeMap<(u32, u32), CorosyncLinkCounters> = BTreeMap::new();
    let mut totem = Vec::new();
    for line in whole_lines(text)?.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let key = key.split_whitespace().next().unwrap_or_default();
        let Ok(value) = value.trim().parse::<u64>() else {
            continue;
        };
        if let Some(name) = key.strip_prefix("stats.srp.") {
            if TOTEM.contains(&name) && totem.len() < TOTEM.len() {
                totem.push(CorosyncCounter {
                    name: name.to_owned(),
                    value,
                });
            }
        } else if let Some((node_id, link_number, name)) = knet(key)
            && (links.len() < ROW_LIMIT || links.contains_key(&(node_id, link_number)))
        {
            let link = links.entry((node_id, link_number)).or_default();
            link.node_id = node_id;
            link.link_number = link_number;
            set(link, name, value);
        }
    }
    Ok((links.into_values().collect(), totem))
}

fn knet(key: &str) -> Option<(u32, u32, &str)> {
    let (node, rest) = key.strip_prefix("stats.knet.node")?.split_once(".link")?;
    let (link, name) = rest.split_once('.')?;
    Some((node.parse().ok()?, link.parse().ok()?, name))
}

fn set(link: &mut CorosyncLinkCounters, name: &str, value: u64) {
    match name {
        "connected" => link.is_connected = Some(value != 0),
        "latency_ave" => link.latency_average_microseconds = Some(value),
        "latency_max" => link.latency_max_microseconds = Some(value),
        "latency_min" => link.latency_min_microseconds = Some(value),
        "down_count" => link.down_total = Some(value),
        "up_count" => link.up_total = Some(value),
        "rx_total_bytes" => link.received_bytes_total = Some(value),
        "rx_total_packets" => link.received_packets_total = Some(value),
        "tx_total_bytes" => link.sent_bytes_total = Some(value),
        "tx_total_packets" => link.sent_packets_total = Some(value),
        "tx_total_errors" => link.send_errors_total = Some(value),
        _ => {}
    }
}

/// `corosync-quorumtool -s -i`.
pub(super) fn quorum(text: &str) -> Result<CorosyncQuorum, FormatError> {
    let mut quorum = CorosyncQuorum::default();
    let mut is_quorate = None;
    let mut in_members = false;
    for line in whole_lines(text)?.lines().map(str::trim) {
        if in_members {
            member(line, &mut quorum);
            continue;
        }
        in_members = line.starts_with("Nodeid ");
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        // `2 Activity blocked`
        let number = value
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        match key {
            "Quorate" => is_quorate = Some(value.trim() == "Yes"),
            "Expected votes" => quorum.expected_votes = number,
            "Highest expected" => quorum.highest_expected_votes = number,
            "Total votes" => quorum.total_votes = number,
            "Quorum" => quorum.quorum_votes = number,
            "Flags" => quorum.flags = value.split_whitespace().take(16).map(short).collect(),
            _ => {}
        }
    }
    quorum.is_quorate = is_quorate.ok_or_else(|| FormatError::malformed("no word on quorum"))?;
    Ok(quorum)
}

/// `1 1 A,V,NMW 192.0.2.11 (local)`; without a device there are no flags, and the
/// device itself has the number 0.
fn member(line: &str, quorum: &mut CorosyncQuorum) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, votes, rest @ ..] = words.as_slice() else {
        return;
    };
    let (Ok(node_id), Ok(votes)) = (id.parse(), votes.parse()) else {
        return;
    };
    if node_id == 0 {
        quorum.qdevice_votes = Some(votes);
    } else if quorum.members.len() < ROW_LIMIT {
        let flags: Option<Vec<&str>> = rest
            .first()
            .filter(|word| word.starts_with("A,") || word.starts_with("NA,"))
            .map(|word| word.split(',').collect());
        let has = |flag: &str| flags.as_ref().map(|flags| flags.contains(&flag));
        quorum.members.push(CorosyncMember {
            node_id,
            votes,
            is_local: rest.last() == Some(&"(local)"),
            qdevice_is_alive: has("A"),
            qdevice_votes: has("V"),
            qdevice_master_wins: has("MW"),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_of_this_node() {
        let text = "Local node ID 1, transport knet\nLINK ID 1 udp\n\taddr\t= 192.0.2.11\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\t\tnodeid:          2:\tdisconnected\n";
        let (local, links) = links(text).unwrap();
        assert_eq!((local, links.len()), (1, 2));
        assert_eq!(links[1].state(), CorosyncLinkState::Disconnected);
        assert_eq!((links[1].link_number, links[1].node_id), (1, 2));
    }

    #[test]
    fn peers_and_their_links() {
        let text = "Local node ID 1, transport knet\nnodeid: 2 reachable   onwire (min/max/cur): 0, 1, 1\n   LINK: 0 udp (2001:db8::1->2001:db8::2) enabled connected mtu: 1397\n   LINK: 1 udp (a->b) enabled mtu: 469\n\nnodeid: 3\n";
        let peers = peers(text).unwrap();
        assert!(peers[0].is_reachable && !peers[1].is_reachable);
        assert!(peers[0].links[0].is_connected && !peers[0].links[1].is_connected);
        assert_eq!(peers[0].links[0].peer_address, "2001:db8::2");
        assert_eq!(peers[0].links[0].mtu_bytes, Some(1397));
    }

    #[test]
    fn quorum_with_a_device_and_lost_without() {
        let text = "Quorate:          Yes\nExpected votes:   3\nQuorum:           2  \nFlags:            Quorate Qdevice \n\n    Nodeid      Votes    Qdevice Name\n         1          1    A,V,NMW 192.0.2.11 (local)\n         2          1   NA,NV,NMW 192.0.2.12\n         0          1            Qdevice\n";
        let state = quorum(text).unwrap();
        assert_eq!(state.flags, ["Quorate", "Qdevice"]);
        assert_eq!((state.qdevice_votes, state.members.len()), (Some(1), 2));
        assert_eq!(state.members[0].qdevice_is_alive, Some(true));
        assert_eq!(state.members[1].qdevice_votes, Some(false));
        let lost = quorum("Quorate:          No\nQuorum:           2 Activity blocked\nFlags:            \n\n    Nodeid      Votes Name\n         1          1 192.0.2.11 (local)\n").unwrap();
        assert_eq!((lost.is_quorate, lost.quorum_votes), (false, Some(2)));
        assert_eq!(lost.members[0].qdevice_is_alive, None);
    }

    #[test]
    fn counters_by_link() {
        let text = "stats.knet.node2.link0.down_count (u32) = 4\nstats.knet.node2.link0.latency_ave (u32) = 345\nstats.srp.mcast_retx (u64) = 7\nstats.ipcs.global.active (u64) = 3\n";
        let (links, totem) = counters(text).unwrap();
        assert_eq!((links[0].node_id, links[0].down_total), (2, Some(4)));
        assert_eq!((totem[0].name.as_str(), totem[0].value), ("mcast_retx", 7));
    }

    proptest! {
            #[test]
            fn any_text_parses_or_fails(text in "((nodeid:|LINK:|LINK ID|Quorum:|stats.knet.node1.link0.|Nodeid |Local node ID )?[-0-9a-z(),.:=>) ]{0,20}\n){0,20}") {
    drop((links(&text), peers(&text), counters(&text), quorum(&text)));
            }
        }
}
