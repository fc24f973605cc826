//! Questions that several files ask of the state.

use super::{
    GIB, Guest, Kind, Nic, Node, State, Storage, StorageOnNode, millis, share_of, small, whole,
};

impl State {
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        self.start_millis + millis(self.elapsed_seconds)
    }

    /// The time on a node's own clock.
    #[must_use]
    pub fn node_millis(&self, index: usize) -> i64 {
        self.now_millis() + self.nodes[index].skew_millis
    }

    #[must_use]
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    #[must_use]
    pub fn guest(&self, vmid: u32) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.vmid == vmid)
    }

    pub fn guest_mut(&mut self, vmid: u32) -> Option<&mut Guest> {
        self.guests.iter_mut().find(|guest| guest.vmid == vmid)
    }

    pub fn storage_mut(&mut self, name: &str) -> Option<&mut Storage> {
        self.storages
            .iter_mut()
            .find(|storage| storage.name == name)
    }

    /// Whether two nodes can talk to each other.
    #[must_use]
    pub fn see_each_other(&self, a: usize, b: usize) -> bool {
        let (a_node, b_node) = (&self.nodes[a], &self.nodes[b]);
        a == b || a_node.powered && b_node.powered && a_node.network_group == b_node.network_group
    }

    /// Whether two nodes hear each other over one link of corosync.
    #[must_use]
    pub fn hear_each_other(&self, a: usize, b: usize, link: u8) -> bool {
        let is_dead = |node: usize| self.nodes[node].dead_links.contains(&link);
        self.see_each_other(a, b) && !is_dead(a) && !is_dead(b)
    }

    /// What `written` is to a reader: what a node wrote after the two lost each
    /// other is not known to it.
    #[must_use]
    pub fn heard_millis(&self, reader: usize, writer: usize, written: i64) -> i64 {
        if self.see_each_other(reader, writer) {
            written
        } else {
            written
                .min(self.nodes[writer].cut_off_millis)
                .min(self.nodes[reader].cut_off_millis)
        }
    }

    /// Votes that a node counts, and whether that is a majority. The quorum
    /// device is reachable for whoever holds the first group.
    #[must_use]
    pub fn is_quorate(&self, node: usize) -> bool {
        if self.standalone {
            return true;
        }
        let device = u32::from(self.corosync.qdevice);
        let seen = (0..self.nodes.len()).filter(|other| self.see_each_other(node, *other));
        let votes = small(seen.count())
            + if self.nodes[node].network_group == 0 {
                device
            } else {
                0
            };
        votes * 2 > small(self.nodes.len()) + device
    }
}

impl Guest {
    /// Sets a key of its configuration, in place when it is there.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.config.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.config.push((key.to_owned(), value)),
        }
    }

    pub fn unset(&mut self, key: &str) {
        self.config.retain(|(name, _)| name != key);
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.config
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Size of its first disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        match self.kind {
            Kind::Qemu => 32 * GIB,
            Kind::Lxc => 8 * GIB,
        }
    }

    /// Bytes of memory it occupies on its node, without page cache.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let overhead = if self.kind == Kind::Qemu { 0.03 } else { 0.0 };
        if self.running {
            share_of(self.memory_bytes, self.load.memory + overhead)
        } else {
            0
        }
    }
}

impl Node {
    /// Bytes received and sent by its physical ports.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        let sum = |of: fn(&Nic) -> f64| whole(self.nics.iter().map(of).sum());
        (sum(|nic| nic.received), sum(|nic| nic.transmitted))
    }
}

impl Storage {
    /// What it looks like on a node.
    #[must_use]
    pub fn on_node(&self, node: usize) -> Option<StorageOnNode> {
        let own = self.nodes.get(&node).copied()?;
        let first = self.nodes.values().next().copied().unwrap_or(own);
        Some(if self.shared {
            StorageOnNode {
                active: own.active,
                ..first
            }
        } else {
            own
        })
    }

    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}
