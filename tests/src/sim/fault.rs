//! The fault injector: each fault is an edit of what the cluster is, together
//! with the label that says what a good observer will find.
//!
//! A fault is clearly beyond the threshold of its check and lasts longer than
//! its hold time. Consequences are expected like their cause: what is found and
//! not labelled is a false alarm.

use serde::{Deserialize, Serialize};

use super::{label::Labels, state::State};

pub mod cluster;
pub mod guest;
pub mod node;
pub mod outage;
pub mod seeded;
pub mod storage;

pub use cluster::ClusterFault;
pub use guest::GuestFault;
pub use node::NodeFault;
pub use outage::OutageFault;
pub use seeded::seeded;
pub use storage::StorageFault;

/// One thing that goes wrong, or that only looks like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fault {
    Cluster(ClusterFault),
    Node(NodeFault),
    Storage(StorageFault),
    Guest(GuestFault),
    Outage(OutageFault),
}

/// Why a fault of a scenario cannot be injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultError(pub String);

impl std::fmt::Display for FaultError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

impl Fault {
    /// Reads `fault = "name"` with its parameters.
    ///
    /// # Errors
    /// When the name or a parameter is not known.
    pub fn from_table(table: toml::Table) -> Result<Self, FaultError> {
        fn read<T: for<'de> Deserialize<'de>>(table: toml::Table) -> Result<T, FaultError> {
            table
                .try_into()
                .map_err(|error: toml::de::Error| FaultError(error.message().to_owned()))
        }
        let name = table
            .get("fault")
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let knows = |names: &[&str]| names.contains(&name.as_str());
        if knows(ClusterFault::NAMES) {
            read(table).map(Self::Cluster)
        } else if knows(NodeFault::NAMES) {
            read(table).map(Self::Node)
        } else if knows(StorageFault::NAMES) {
            read(table).map(Self::Storage)
        } else if knows(GuestFault::NAMES) {
            read(table).map(Self::Guest)
        } else if knows(OutageFault::NAMES) {
            read(table).map(Self::Outage)
        } else {
            Err(FaultError(format!("there is no fault {name:?}")))
        }
    }

    /// Changes the cluster.
    pub fn apply(&self, state: &mut State) {
        match self {
            Self::Cluster(fault) => fault.apply(state),
            Self::Node(fault) => fault.apply(state),
            Self::Storage(fault) => fault.apply(state),
            Self::Guest(fault) => fault.apply(state),
            Self::Outage(fault) => fault.apply(state),
        }
    }

    /// Says what it will show in a cluster that is otherwise as `state`.
    pub fn label(&self, state: &State, labels: &mut Labels) {
        match self {
            Self::Cluster(fault) => fault.label(state, labels),
            Self::Node(fault) => fault.label(state, labels),
            Self::Storage(fault) => fault.label(state, labels),
            Self::Guest(fault) => fault.label(state, labels),
            Self::Outage(fault) => fault.label(state, labels),
        }
    }
}

/// Whether the loss of one more voter would stop a cluster in which `lost`
/// nodes are already missing.
fn is_fragile(state: &State, lost: u32) -> bool {
    let device = u32::from(state.corosync.qdevice);
    let total = super::state::small(state.nodes.len()) + device;
    let quorum = total / 2 + 1;
    total.saturating_sub(lost + 1) < quorum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_by_name_and_a_wrong_parameter_is_an_error() {
        let read = |text: &str| Fault::from_table(toml::from_str(text).unwrap());
        assert_eq!(
            read("fault = 'oom_kill'\nnode = 'pve1'").unwrap(),
            Fault::Node(NodeFault::OomKill {
                node: "pve1".to_owned()
            })
        );
        assert!(read("fault = 'oom_kill'\nnode = 'pve1'\nvmid = 3").is_err());
        assert!(read("fault = 'oom_kill'").is_err());
        assert!(read("fault = 'gremlins'").is_err());
        assert!(read("fault = 'crypto_off'\nnode = 'pve1'").is_err());
    }

    /// Parameters for every fault, in a cluster of three nodes.
    const PARAMETERS: &str = "node = 'pve2'\nvmid = 100\nother = 200\nseconds = 1.0\nshare = 0.7\n\
        disk = 'sda'\nmilliseconds = 200.0\navailable_percent = 3.0\nfree_percent = 3.0\nnic = 'nic1'\n\
        storage = 'backup'\nused_percent = 97.0\ndays = 60\nlink = 1\n";

    /// Reads a fault with those of the parameters that it knows.
    fn sample(name: &str) -> Fault {
        let mut table: toml::Table = toml::from_str(PARAMETERS).unwrap();
        let is_container = [
            "privileged",
            "privileged_nesting",
            "bind_mount_system",
            "unconfined",
            "not_backed_up",
        ];
        if is_container.contains(&name) {
            table.insert("vmid".to_owned(), 200.into());
        }
        table.insert("fault".to_owned(), name.into());
        loop {
            match Fault::from_table(table.clone()) {
                Ok(fault) => return fault,
                Err(error) => {
                    let text = error.to_string();
                    let unknown = text.split('`').nth(1).map(str::to_owned);
                    let removed = unknown.and_then(|key| table.remove(&key));
                    assert!(
                        removed.is_some() && text.contains("unknown field"),
                        "{name}: {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_fault_changes_the_cluster_and_all_but_the_harmless_have_a_label() {
        let spec = crate::sim::ClusterSpec {
            nodes: 4,
            ..Default::default()
        };
        let healthy = crate::sim::build::state(&spec, crate::sim::START_MILLIS);
        let names = [
            ClusterFault::NAMES,
            NodeFault::NAMES,
            StorageFault::NAMES,
            GuestFault::NAMES,
            OutageFault::NAMES,
        ]
        .concat();
        assert!(names.len() >= 44);
        for name in names {
            let fault = sample(name);
            let mut labels = Labels::default();
            fault.label(&healthy, &mut labels);
            let harmless =
                ["reboot", "restart_guest", "stop_guest", "make_template"].contains(&name);
            assert_eq!(labels.expect.is_empty(), harmless, "{name}");
            let mut state = healthy.clone();
            fault.apply(&mut state);
            assert_ne!(
                format!("{state:?}"),
                format!("{healthy:?}"),
                "{name} changes nothing"
            );
        }
    }
}
