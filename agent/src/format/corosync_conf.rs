//! `corosync.conf`: nested `section { key: value }`, `#` comments.
//!
//! Only the keys that describe the membership are taken; there is no key
//! material in this file, and nothing else is carried either.

use pvelens_proto::agent::v1::{
    CorosyncConfig, CorosyncLink, CorosyncNode, QuorumDevice, RingAddress,
};

use super::{FormatError, property_string::boolean, whole_lines};

/// Deepest nesting that corosync knows is three.
const DEPTH_LIMIT: usize = 8;
/// corosync knows eight links.
const LINK_LIMIT: usize = 16;

#[derive(Debug, Default)]
struct Block<'a> {
    name: &'a str,
    values: Vec<(&'a str, &'a str)>,
    blocks: Vec<Block<'a>>,
}

/// Reads the membership out of a `corosync.conf`.
///
/// # Errors
/// When braces do not match, a line is neither, or there is no `totem`.
pub fn parse(text: &str) -> Result<CorosyncConfig, FormatError> {
    let root = blocks(whole_lines(text)?)?;
    let totem = root
        .block("totem")
        .ok_or_else(|| FormatError::malformed("no totem section"))?;
    let quorum = root.block("quorum");
    let nodes = root.block("nodelist");
    Ok(CorosyncConfig {
        cluster_name: totem.text("cluster_name"),
        config_version: totem
            .get("config_version")
            .and_then(|v| v.parse().ok())
            .unwrap_or_default(),
        transport: totem.text("transport"),
        secauth: totem.text("secauth"),
        crypto_cipher: totem.text("crypto_cipher"),
        crypto_hash: totem.text("crypto_hash"),
        link_mode: totem.text("link_mode"),
        nodes: nodes
            .into_iter()
            .flat_map(|list| list.blocks.iter().filter(|block| block.name == "node"))
            .map(node)
            .collect(),
        quorum_provider: quorum
            .map(|quorum| quorum.text("provider"))
            .unwrap_or_default(),
        two_node: quorum.and_then(|quorum| boolean(quorum.get("two_node")?)),
        wait_for_all: quorum.and_then(|quorum| boolean(quorum.get("wait_for_all")?)),
        quorum_device: quorum.and_then(|quorum| quorum.block("device")).map(device),
        sha256: String::new(),
        links: totem
            .blocks
            .iter()
            .filter(|block| block.name == "interface")
            .take(LINK_LIMIT)
            .map(link)
            .collect(),
    })
}

/// Without a number it is link 0 (`corosync.conf(5)`).
fn link(block: &Block<'_>) -> CorosyncLink {
    CorosyncLink {
        link_number: block
            .get("linknumber")
            .or_else(|| block.get("ringnumber"))
            .and_then(|v| v.parse().ok())
            .unwrap_or_default(),
        priority: block.get("knet_link_priority").and_then(|v| v.parse().ok()),
        transport: block.text("knet_transport"),
    }
}

fn node(block: &Block<'_>) -> CorosyncNode {
    CorosyncNode {
        name: block.text("name"),
        node_id: block
            .get("nodeid")
            .and_then(|v| v.parse().ok())
            .unwrap_or_default(),
        // corosync counts one vote when nothing is said.
        quorum_votes: block
            .get("quorum_votes")
            .map_or(Some(1), |v| v.parse().ok())
            .unwrap_or(1),
        addresses: (0..8)
            .filter_map(|link_number| {
                Some(RingAddress {
                    link_number,
                    address: block.get(&format!("ring{link_number}_addr"))?.to_owned(),
                })
            })
            .collect(),
    }
}

fn device(block: &Block<'_>) -> QuorumDevice {
    QuorumDevice {
        model: block.text("model"),
        host: block
            .block("net")
            .map(|net| net.text("host"))
            .unwrap_or_default(),
        votes: block.get("votes").and_then(|v| v.parse().ok()).unwrap_or(1),
    }
}

impl<'a> Block<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.values
            .iter()
            .rev()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    fn block(&self, name: &str) -> Option<&Self> {
        self.blocks.iter().find(|block| block.name == name)
    }
}

/// The tree of blocks. Iterative: the depth is the file's choice.
fn blocks(text: &str) -> Result<Block<'_>, FormatError> {
    let mut open = vec![Block::default()];
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_suffix('{') {
            if open.len() > DEPTH_LIMIT {
                return Err(FormatError::malformed("nested too deep"));
            }
            open.push(Block {
                name: name.trim(),
                ..Block::default()
            });
        } else if line == "}" {
            let closed = open.pop();
            match (closed, open.last_mut()) {
                (Some(block), Some(parent)) => parent.blocks.push(block),
                _ => {
                    return Err(FormatError::malformed(format!(
                        "line {number} closes nothing"
                    )));
                }
            }
        } else {
            let (key, value) = line
                .split_once(':')
                .ok_or_else(|| FormatError::malformed(format!("line {number} is no setting")))?;
            if let Some(block) = open.last_mut() {
                block.values.push((key.trim(), value.trim()));
            }
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(FormatError::truncated("a section does not end")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONF: &str = "# c\ntotem {\n  cluster_name: lab\n  config_version: 3\n  secauth: on\n  interface {\n    linknumber: 0\n  }\n  interface {\n    linknumber: 1\n    knet_link_priority: 10\n    knet_transport: sctp\n  }\n}\n\
        nodelist {\n  node {\n    name: a\n    nodeid: 1\n    quorum_votes: 1\n    ring0_addr: 10.0.0.1\n    ring1_addr: fd00::1\n  }\n}\n\
        quorum {\n  provider: corosync_votequorum\n  two_node: 1\n  device {\n    model: net\n    votes: 1\n    net {\n      host: q1\n    }\n  }\n}\n";

    #[test]
    fn membership_and_device_are_read() {
        let config = parse(CONF).unwrap();
        assert_eq!(
            (config.cluster_name.as_str(), config.config_version),
            ("lab", 3)
        );
        assert_eq!(config.nodes[0].addresses[1].address, "fd00::1");
        assert_eq!(config.two_node, Some(true));
        assert_eq!(config.quorum_device.unwrap().host, "q1");
        let [plain, link] = config.links.as_slice() else {
            panic!("{:?}", config.links);
        };
        assert_eq!((plain.link_number, plain.priority), (0, None));
        assert_eq!((link.link_number, link.priority), (1, Some(10)));
        assert_eq!(link.transport, "sctp");
    }

    #[test]
    fn a_cut_file_is_truncated_and_a_broken_one_is_named() {
        for end in [10, 60, 150, 300] {
            let cut: String = CONF.chars().take(end).collect();
            assert!(parse(&cut).is_err(), "{end}");
        }
        assert!(parse("totem {\n}\n}\n").is_err());
        assert!(parse("totem {\n nonsense\n}\n").is_err());
        assert!(parse(&"a {\n".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([a-z]{1,8} \\{\n|\\}\n|[a-z_]{1,9}: \\PC{0,9}\n|\\PC{0,12}\n){0,12}") {
            drop(parse(&text));
        }
    }
}
