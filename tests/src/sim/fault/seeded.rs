//! Faults chosen by a seed: three to six that do not hide each other.

use super::{
    super::{
        noise::choose,
        state::{Kind, State},
    },
    ClusterFault, Fault, GuestFault, NodeFault, OutageFault, StorageFault,
};

/// What two faults must not share.
type Touches = Vec<String>;

/// Between three and six compatible faults for a cluster.
#[must_use]
pub fn seeded(state: &State, seed: u64) -> Vec<Fault> {
    let wanted = 3 + choose(seed, "faults", 4);
    let mut faults: Vec<Fault> = Vec::new();
    let mut touched: Touches = Vec::new();
    for attempt in 0..200_u64 {
        if faults.len() == wanted {
            break;
        }
        let Some(fault) = candidate(state, seed, attempt) else {
            continue;
        };
        let touches = touches(state, &fault);
        if touches.iter().any(|thing| touched.contains(thing)) {
            continue;
        }
        touched.extend(touches);
        faults.push(fault);
    }
    faults
}

/// A fault by seed and attempt; `None` when the cluster has no object for it.
fn candidate(state: &State, seed: u64, attempt: u64) -> Option<Fault> {
    let pick = |what: &str, limit: usize| choose(seed.wrapping_mul(1000) + attempt, what, limit);
    let node = state.nodes[pick("node", state.nodes.len())].name.clone();
    let of_kind = |kind: Kind| -> Option<u32> {
        let guests: Vec<u32> = state
            .guests
            .iter()
            .filter(|guest| guest.kind == kind && guest.running)
            .map(|guest| guest.vmid)
            .collect();
        guests.get(pick("guest", guests.len())).copied()
    };
    let vm = of_kind(Kind::Qemu);
    let container = of_kind(Kind::Lxc);
    let clustered = (!state.standalone).then_some(());
    Some(match pick("kind", 37) {
        0 => clustered
            .map(|()| ClusterFault::NodeOffline { node })?
            .into(),
        1 => clustered
            .map(|()| ClusterFault::AgentSilent { node })?
            .into(),
        2 => clustered
            .map(|()| ClusterFault::ClockSkew { node, seconds: 0.8 })?
            .into(),
        3 => clustered.map(|()| ClusterFault::SingleLink {})?.into(),
        4 => clustered.map(|()| ClusterFault::CryptoOff {})?.into(),
        5 => ClusterFault::DuplicateMac {
            vmid: vm?,
            other: container?,
        }
        .into(),
        6 => NodeFault::CpuPressure { node, share: 0.4 }.into(),
        7 => NodeFault::CpuPressure { node, share: 0.7 }.into(),
        8 => NodeFault::IoWait { node }.into(),
        9 => NodeFault::SlowDisk {
            node,
            disk: "nvme0n1".to_owned(),
            milliseconds: 12.0,
        }
        .into(),
        10 => NodeFault::SlowDisk {
            node,
            disk: "sda".to_owned(),
            milliseconds: 400.0,
        }
        .into(),
        11 => NodeFault::MemoryPressure { node }.into(),
        12 => NodeFault::MemoryLow {
            node,
            available_percent: 7.0,
        }
        .into(),
        13 => NodeFault::SwapThrash { node }.into(),
        14 => NodeFault::OomKill { node }.into(),
        15 => NodeFault::RootFull {
            node,
            free_percent: 3.0,
        }
        .into(),
        16 => NodeFault::RootFull {
            node,
            free_percent: 10.0,
        }
        .into(),
        17 => NodeFault::RootReadOnly { node }.into(),
        18 => NodeFault::PvestatdStopped { node }.into(),
        19 => NodeFault::LinkDown {
            node,
            nic: "nic1".to_owned(),
        }
        .into(),
        20 => NodeFault::MemoryOvercommitted { node }.into(),
        21 => StorageFault::StorageFull {
            storage: "nas".to_owned(),
            node: String::new(),
            used_percent: 91.0,
        }
        .into(),
        22 => StorageFault::StorageFull {
            storage: "local-lvm".to_owned(),
            node,
            used_percent: 97.0,
        }
        .into(),
        23 => StorageFault::StorageInactive {
            storage: "nas".to_owned(),
        }
        .into(),
        24 => clustered
            .map(|()| StorageFault::StorageInactiveOn {
                storage: "nas".to_owned(),
                node,
            })?
            .into(),
        25 => GuestFault::IoError { vmid: vm? }.into(),
        26 => GuestFault::GuestCpu { vmid: vm? }.into(),
        27 => GuestFault::GuestMemory { vmid: container? }.into(),
        28 => GuestFault::CacheUnsafe { vmid: vm? }.into(),
        29 => GuestFault::PrivilegedNesting { vmid: container? }.into(),
        30 => GuestFault::BindMountSystem { vmid: container? }.into(),
        31 => GuestFault::NotBackedUp { vmid: container? }.into(),
        32 => clustered
            .map(|()| OutageFault::CorosyncLinkDown {
                node: String::new(),
                link: 1,
            })?
            .into(),
        33 => OutageFault::ThinMetadataFull {
            node,
            used_percent: 93.0,
        }
        .into(),
        34 => OutageFault::PmxcfsHangs { node }.into(),
        35 => clustered
            .map(|()| OutageFault::NfsHangs {
                storage: "nas".to_owned(),
                node,
            })?
            .into(),
        _ => GuestFault::OldSnapshot {
            vmid: vm?,
            days: 60,
        }
        .into(),
    })
}

/// Where the guests have their disks.
const SHARED: &str = "storage/nas";

/// Things a fault changes, hides or explains. A node that is off or silent
/// hides everything on it, and one such node is enough for a small cluster.
/// Faults that could be taken for the cause of one another share a thing.
fn touches(state: &State, fault: &Fault) -> Touches {
    let node_of = |vmid: u32| {
        state
            .guest(vmid)
            .map(|guest| format!("node/{}", state.nodes[guest.node].name))
            .unwrap_or_default()
    };
    let own = |name: &str| format!("node/{name}");
    let shared = || SHARED.to_owned();
    let membership = || "membership".to_owned();
    match fault {
        Fault::Cluster(fault) => match fault {
            ClusterFault::NodeOffline { node } | ClusterFault::Partition { node } => {
                vec![own(node), membership(), shared()]
            }
            ClusterFault::AgentSilent { node }
            | ClusterFault::ClockSkew { node, .. }
            | ClusterFault::BridgeMissing { node, .. } => vec![own(node), membership()],
            ClusterFault::Split {} | ClusterFault::NoQdevice {} => vec![membership()],
            ClusterFault::SingleLink {} => vec!["links".to_owned()],
            ClusterFault::CryptoOff {} => vec!["crypto".to_owned()],
            ClusterFault::DuplicateMac { vmid, other } => {
                vec![node_of(*vmid), node_of(*other), "mac".to_owned()]
            }
        },
        Fault::Node(
            fault @ (NodeFault::PvestatdStopped { .. } | NodeFault::RootReadOnly { .. }),
        ) => {
            vec![own(fault.node()), shared()]
        }
        Fault::Node(fault) => vec![own(fault.node())],
        Fault::Storage(fault) => match fault {
            StorageFault::StorageFull { storage, node, .. } => {
                vec![format!("storage/{storage}"), own(node)]
            }
            StorageFault::StorageInactive { storage } => vec![format!("storage/{storage}")],
            StorageFault::StorageInactiveOn { storage, node }
            | StorageFault::NotAMountPoint { storage, node } => {
                vec![format!("storage/{storage}"), own(node)]
            }
        },
        // A link that is not configured cannot be missed.
        Fault::Outage(OutageFault::CorosyncLinkDown { .. }) => {
            vec!["links".to_owned(), membership()]
        }
        Fault::Outage(fault) => match fault.node() {
            Some(node) => vec![own(node), shared()],
            None => vec![membership()],
        },
        Fault::Guest(GuestFault::IoError { vmid }) => vec![node_of(*vmid), shared()],
        Fault::Guest(fault) => vec![node_of(fault.vmid())],
    }
}

impl From<ClusterFault> for Fault {
    fn from(fault: ClusterFault) -> Self {
        Self::Cluster(fault)
    }
}

impl From<NodeFault> for Fault {
    fn from(fault: NodeFault) -> Self {
        Self::Node(fault)
    }
}

impl From<StorageFault> for Fault {
    fn from(fault: StorageFault) -> Self {
        Self::Storage(fault)
    }
}

impl From<OutageFault> for Fault {
    fn from(fault: OutageFault) -> Self {
        Self::Outage(fault)
    }
}

impl From<GuestFault> for Fault {
    fn from(fault: GuestFault) -> Self {
        Self::Guest(fault)
    }
}
