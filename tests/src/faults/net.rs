//! Network namespaces: one of the coordinator with a bridge, one of each pipe.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Result;

use crate::rig::run;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Namespaces, until they are dropped.
#[derive(Debug)]
pub(super) struct Net {
    /// Begins the names of all.
    prefix: String,
    nodes: u8,
}

/// Why there can be none here.
pub(super) fn hindrance() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make network namespaces".to_owned());
    }
    let name = format!("pvl{}t", std::process::id());
    let made = ip(&["netns", "add", &name]);
    drop(ip(&["netns", "delete", &name]));
    made.err()
        .map(|error| format!("no network namespaces: {error:#}"))
}

fn ip(arguments: &[&str]) -> Result<String> {
    run(Command::new("ip").args(arguments))
}

impl Net {
    /// The coordinator and so many nodes, all connected.
    pub(super) fn new(nodes: u8) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let net = Self {
            prefix: format!("pvl{}-{number}", std::process::id()),
            nodes,
        };
        let hub = net.hub();
        ip(&["netns", "add", &hub])?;
        let inside = |arguments: &[&str]| ip(&[&["-n", &hub], arguments].concat());
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "add", "br0", "type", "bridge"])?;
        inside(&["addr", "add", "10.77.0.1/24", "dev", "br0"])?;
        inside(&["link", "set", "br0", "up"])?;
        for node in 0..nodes {
            let (name, port) = (net.node(node), format!("port{node}"));
            ip(&["netns", "add", &name])?;
            inside(&[
                "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name,
            ])?;
            inside(&["link", "set", &port, "master", "br0", "up"])?;
            let address = format!("{}/24", Self::address(node));
            ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(net)
    }

    /// Where the coordinator is.
    pub(super) fn coordinator() -> IpAddr {
        Ipv4Addr::new(10, 77, 0, 1).into()
    }

    fn address(node: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 10 + node)
    }

    fn hub(&self) -> String {
        format!("{}c", self.prefix)
    }

    fn node(&self, node: u8) -> String {
        format!("{}n{node}", self.prefix)
    }

    /// What a command line begins with that runs beside the coordinator.
    pub(super) fn at_coordinator(&self) -> Vec<String> {
        entering(&self.hub())
    }

    /// What a command line begins with that runs in the network of a node.
    pub(super) fn at_node(&self, node: u8) -> Vec<String> {
        entering(&self.node(node))
    }

    /// Takes the cable out, or puts it back.
    pub(super) fn cable(&self, node: u8, connected: bool) -> Result<()> {
        let state = if connected { "up" } else { "down" };
        let port = format!("port{node}");
        ip(&["-n", &self.hub(), "link", "set", &port, state]).map(drop)
    }

    /// Packets vanish in both directions and nobody is told, or that ends.
    pub(super) fn black_hole(&self, node: u8, swallows: bool) -> Result<()> {
        // Frames for a machine that is not there: neither a reset nor an error.
        let nobody = "02:00:00:00:00:fe";
        let places = [
            (self.hub(), Self::address(node).to_string(), "br0"),
            (self.node(node), Self::coordinator().to_string(), "eth0"),
        ];
        for (namespace, address, device) in places {
            let neighbour: &[&str] = if swallows {
                &[
                    "neigh",
                    "replace",
                    &address,
                    "lladdr",
                    nobody,
                    "nud",
                    "permanent",
                    "dev",
                    device,
                ]
            } else {
                &["neigh", "delete", &address, "dev", device]
            };
            ip(&[&["-n", &namespace], neighbour].concat())?;
        }
        Ok(())
    }
}

fn entering(namespace: &str) -> Vec<String> {
    ["ip", "netns", "exec", namespace]
        .map(str::to_owned)
        .to_vec()
}

/// What a command line begins with that has no network at all.
pub(super) fn without_network() -> Vec<String> {
    ["unshare", "--net", "--"].map(str::to_owned).to_vec()
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            drop(ip(&["netns", "delete", &self.node(node)]));
        }
        drop(ip(&["netns", "delete", &self.hub()]));
    }
}
