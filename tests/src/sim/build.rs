//! From a specification to a healthy cluster.

use pvelens::check::{
    Params,
    params::{DeclaredProfile, Profile},
};
use serde::Deserialize;

use super::{
    noise::unit,
    state::{
        Bridge, Corosync, Disk, DiskCounters, Filesystem, GIB, Ha, Nic, Node, NodeCounters,
        NodeLoad, NodeMemory, State, ThinPool, millis, real, small,
    },
};

mod guest;
mod storage;

/// Name of every simulated cluster.
pub const CLUSTER_NAME: &str = "lab";
const DAY_SECONDS: u64 = 86_400;
/// What cluster to simulate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSpec {
    pub nodes: usize,
    pub vms: usize,
    pub containers: usize,
    /// Major version of Proxmox VE: 8 or 9.
    pub pve_version: u8,
    pub seed: u64,
    pub profile: ProfileName,
    pub subscription: bool,
    /// Nodes with an agent; empty = all.
    pub agents: Vec<String>,
    /// Guests that high availability cares for; empty = it is not in use.
    pub ha: Vec<u32>,
}

/// The profile that the administrator declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    Homelab,
    Production,
    Strict,
    /// Nothing was declared.
    Proposed,
}

impl ClusterSpec {
    /// Parameters of the checks as this administrator would set them.
    #[must_use]
    pub fn params(&self) -> Params {
        let profile = match self.profile {
            ProfileName::Homelab => Profile::Homelab,
            ProfileName::Production => Profile::Production,
            ProfileName::Strict => Profile::Strict,
            ProfileName::Proposed => return Params::default(),
        };
        let declared = DeclaredProfile {
            profile,
            hosting: false,
        };
        // A single node is its own cluster and goes by its own name.
        let profiles = [CLUSTER_NAME, "pve1"].map(|name| (name.to_owned(), declared));
        Params {
            profiles: profiles.into(),
            ..Params::default()
        }
    }
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            nodes: 3,
            vms: 6,
            containers: 4,
            pve_version: 9,
            seed: 1,
            profile: ProfileName::Production,
            subscription: true,
            agents: Vec::new(),
            ha: Vec::new(),
        }
    }
}

pub(super) fn state(spec: &ClusterSpec, start_millis: i64) -> State {
    let standalone = spec.nodes <= 1;
    let names: Vec<String> = (1..=spec.nodes.max(1)).map(|n| format!("pve{n}")).collect();
    let nodes: Vec<Node> = (0..names.len())
        .map(|index| node(spec, &names, index, start_millis))
        .collect();
    let mut state = State {
        seed: spec.seed,
        pve_version: spec.pve_version,
        cluster_name: CLUSTER_NAME.to_owned(),
        standalone,
        start_millis,
        elapsed_seconds: 0,
        subscription: if spec.subscription { "c" } else { "" },
        corosync: Corosync {
            config_version: 3,
            links: 2,
            secauth: true,
            // An even number of nodes needs a tie-breaker.
            qdevice: nodes.len().is_multiple_of(2),
        },
        guests: guest::guests(spec, nodes.len(), start_millis),
        storages: storage::storages(nodes.len(), spec.seed),
        ha: Ha {
            guests: spec.ha.clone(),
            ..Ha::default()
        },
        words: Vec::new(),
        tasks: Vec::new(),
        nodes,
    };
    // Pressure averages and gauges start where the load is.
    super::step::advance(&mut state, 0);
    state
}

fn node(spec: &ClusterSpec, names: &[String], index: usize, start_millis: i64) -> Node {
    let name = names[index].clone();
    let has_agent = spec.agents.is_empty() || spec.agents.contains(&name);
    let seed = spec.seed;
    let host = small(index + 1);
    let nic = |name: &str, master: &str, number: u32| Nic {
        name: name.to_owned(),
        mac: format!("bc:24:11:f0:{host:02x}:{number:02x}"),
        up: true,
        master: master.to_owned(),
        carrier_changes: 2,
        megabits: 10_000,
        receive_rate: 2.0e6,
        transmit_rate: 1.5e6,
        received: 5.0e11,
        transmitted: 4.0e11,
    };
    let bridge = |name: &str, bond: bool, master: &str| Bridge {
        name: name.to_owned(),
        bond,
        master: master.to_owned(),
    };
    let filesystem =
        |mount_point: &str, source: &str, kind, device: &str, gib: u64, used: f64| Filesystem {
            mount_point: mount_point.to_owned(),
            source: source.to_owned(),
            kind,
            device: device.to_owned(),
            read_only: false,
            mounted: true,
            hangs: false,
            total_bytes: gib * GIB,
            used_bytes: real(gib * GIB) * used,
            growth: 20.0,
        };
    let uptime_days = 12 + u64::from(host) * 3;
    Node {
        id: host,
        cpus: 16,
        memory_bytes: 128 * GIB,
        swap_bytes: 8 * GIB,
        powered: true,
        agent: has_agent,
        pvestatd: true,
        network_group: 0,
        boot_millis: start_millis - millis(uptime_days * DAY_SECONDS),
        skew_millis: 0,
        broadcast_millis: start_millis,
        cut_off_millis: i64::MAX,
        load: NodeLoad {
            host_cpu: 0.03,
            iowait: 0.004,
            cpu_some: 0.01 + 0.02 * unit(seed, &name, 1),
            memory_some: 0.0005,
            memory_full: 0.0002,
            io_some: 0.01,
            io_full: 0.004,
            available_ratio: 1.0,
            swap_used_ratio: 0.01,
            ..NodeLoad::default()
        },
        memory: NodeMemory::default(),
        counters: NodeCounters {
            user: 4.0e5,
            system: 1.5e5,
            idle: 1.4e7,
            iowait: 6.0e4,
            guest: 3.0e5,
            context_switches: 9.0e9,
            forks: 4.0e6,
            ..NodeCounters::default()
        },
        disks: disks(),
        nics: vec![
            nic("nic0", "bond0", 0),
            nic("nic1", "bond0", 1),
            nic("nic2", "vmbr1", 2),
        ],
        bridges: vec![
            bridge("bond0", true, "vmbr0"),
            bridge("vmbr0", false, ""),
            bridge("vmbr1", false, ""),
        ],
        filesystems: vec![
            filesystem("/", "/dev/mapper/pve-root", "ext4", "252:1", 94, 0.22),
            filesystem("/boot/efi", "/dev/nvme0n1p2", "vfat", "259:2", 1, 0.02),
            filesystem("/mnt/backup", "/dev/sda1", "ext4", "8:1", 4000, 0.41),
            filesystem(
                "/mnt/pve/nas",
                "10.0.9.1:/export/nas",
                "nfs4",
                "0:61",
                8000,
                0.35,
            ),
        ],
        thin_pool: ThinPool {
            metadata_ratio: 0.12,
            needs_check: false,
        },
        pmxcfs: true,
        dead_links: Vec::new(),
        ha_manager: true,
        ha_manager_millis: start_millis,
        watchdog: true,
        name,
    }
}

fn disks() -> Vec<Disk> {
    let disk = |name: &str, major, minor, gib: u64, rotational, model, latency: f64| Disk {
        name: name.to_owned(),
        major,
        minor,
        size_bytes: gib * GIB,
        rotational,
        model,
        reads_per_second: if rotational { 12.0 } else { 60.0 },
        writes_per_second: if rotational { 14.0 } else { 90.0 },
        read_latency_seconds: latency,
        write_latency_seconds: latency * 0.8,
        counters: DiskCounters {
            reads: 9.0e7,
            writes: 2.0e8,
            read_millis: 4.0e7,
            write_millis: 7.0e7,
            busy_millis: 5.0e7,
        },
    };
    vec![
        disk("nvme0n1", 259, 0, 1788, false, "SAMSUNG MZQL21T9", 0.0004),
        disk("sda", 8, 0, 7452, true, "WDC WUH721818AL", 0.012),
    ]
}
