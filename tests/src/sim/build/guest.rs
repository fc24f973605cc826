//! Guests of a healthy cluster, spread over its nodes.

use super::{
    super::{
        noise::{choose, unit},
        state::{GIB, Guest, GuestCounters, GuestLoad, Kind, MIB, millis, small},
    },
    ClusterSpec, DAY_SECONDS,
};

/// Names of guests; numbers are added when there are more guests than names.
const VM_NAMES: &[&str] = &[
    "web", "db", "mail", "git", "build", "monitor", "files", "ldap", "wiki", "cache",
];
const CONTAINER_NAMES: &[&str] = &["dns", "proxy", "ntp", "syslog", "vpn", "registry"];

pub(super) fn guests(spec: &ClusterSpec, nodes: usize, start_millis: i64) -> Vec<Guest> {
    let name = |names: &[&str], number: usize| {
        let base = names[number % names.len()];
        format!("{base}{}", number / names.len() + 1)
    };
    // VMs from 100 on, containers from the next hundred.
    let first_container = 100 + 100 * spec.vms.div_ceil(100).max(1);
    let vms = (0..spec.vms).map(|n| {
        guest(
            spec,
            Kind::Qemu,
            100 + small(n),
            name(VM_NAMES, n),
            n % nodes,
            start_millis,
        )
    });
    let containers = (0..spec.containers).map(|n| {
        guest(
            spec,
            Kind::Lxc,
            small(first_container + n),
            name(CONTAINER_NAMES, n),
            (n + 1) % nodes,
            start_millis,
        )
    });
    vms.chain(containers).collect()
}

fn guest(
    spec: &ClusterSpec,
    kind: Kind,
    vmid: u32,
    name: String,
    node: usize,
    start_millis: i64,
) -> Guest {
    let seed = spec.seed;
    let choice = choose(seed, &name, 3);
    let (cores, memory) = match (kind, choice) {
        (Kind::Qemu, 0) => (2, 4 * GIB),
        (Kind::Qemu, 1) => (4, 8 * GIB),
        (Kind::Qemu, _) => (4, 16 * GIB),
        (Kind::Lxc, 0) => (1, GIB),
        (Kind::Lxc, _) => (2, 2 * GIB),
    };
    let mut guest = Guest {
        vmid,
        kind,
        node,
        running: true,
        template: false,
        qmp_status: "running".to_owned(),
        cores,
        memory_bytes: memory,
        config: Vec::new(),
        snapshots: Vec::new(),
        load: GuestLoad {
            cpu: 0.04 + 0.2 * unit(seed, &name, 2),
            memory: 0.35 + 0.3 * unit(seed, &name, 3),
            cpu_some: 0.01,
            memory_some: 0.0,
            io_some: 0.005,
            run_delay: 0.005,
            read_bytes: 4.0e5,
            write_bytes: 8.0e5,
            receive_rate: 1.2e5,
            transmit_rate: 9.0e4,
            ..GuestLoad::default()
        },
        // Guests started after their node; not all in the same second.
        start_millis: start_millis - millis(9 * DAY_SECONDS + u64::from(vmid) * 31),
        pid: 10_000 + vmid * 7,
        previous_pid: 0,
        counters: GuestCounters {
            cpu_seconds: 40_000.0,
            received: 3.0e10,
            transmitted: 2.0e10,
            read: 6.0e10,
            written: 9.0e10,
            major_faults: 40_000.0,
            ..GuestCounters::default()
        },
        name,
    };
    guest.config = match kind {
        Kind::Qemu => vm_config(&guest, start_millis),
        Kind::Lxc => container_config(&guest),
    };
    guest
}

fn pairs<const N: usize>(items: [(&str, String); N]) -> Vec<(String, String)> {
    items
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn vm_config(guest: &Guest, start_millis: i64) -> Vec<(String, String)> {
    let Guest {
        vmid, name, cores, ..
    } = guest;
    let created = start_millis / 1000 - 86_400 * 200 - i64::from(*vmid) * 3600;
    pairs([
        ("agent", "1".to_owned()),
        ("boot", "order=scsi0;net0".to_owned()),
        ("cores", cores.to_string()),
        ("cpu", "x86-64-v2-AES".to_owned()),
        ("memory", (guest.memory_bytes / MIB).to_string()),
        ("meta", format!("creation-qemu=9.0.2,ctime={created}")),
        ("name", name.clone()),
        (
            "net0",
            format!("virtio={},bridge=vmbr0,firewall=1", mac(0, *vmid)),
        ),
        ("numa", "0".to_owned()),
        ("onboot", "1".to_owned()),
        ("ostype", "l26".to_owned()),
        (
            "scsi0",
            format!("nas:{vmid}/vm-{vmid}-disk-0.qcow2,discard=on,iothread=1,size=32G,ssd=1"),
        ),
        ("scsihw", "virtio-scsi-single".to_owned()),
        (
            "smbios1",
            format!("uuid=5a1d0000-0000-4000-8000-{vmid:012}"),
        ),
        ("sockets", "1".to_owned()),
        ("tags", "prod".to_owned()),
        ("vmgenid", format!("5a1d0001-0000-4000-8000-{vmid:012}")),
    ])
}

fn container_config(guest: &Guest) -> Vec<(String, String)> {
    let Guest {
        vmid, name, cores, ..
    } = guest;
    let last = vmid % 250;
    pairs([
        ("arch", "amd64".to_owned()),
        ("cores", cores.to_string()),
        ("hostname", name.clone()),
        ("memory", (guest.memory_bytes / MIB).to_string()),
        (
            "mp0",
            format!("nas:{vmid}/vm-{vmid}-disk-1.raw,mp=/srv/data,backup=1,size=8G"),
        ),
        (
            "net0",
            format!(
                "name=eth0,bridge=vmbr0,firewall=1,hwaddr={},ip=10.0.0.{last}/24,type=veth",
                mac(1, *vmid)
            ),
        ),
        ("onboot", "1".to_owned()),
        ("ostype", "debian".to_owned()),
        ("rootfs", format!("nas:{vmid}/vm-{vmid}-disk-0.raw,size=8G")),
        ("swap", "512".to_owned()),
        ("tags", "infra".to_owned()),
        ("unprivileged", "1".to_owned()),
    ])
}

/// An address that no other guest has.
fn mac(family: u32, vmid: u32) -> String {
    format!(
        "BC:24:11:{family:02X}:{:02X}:{:02X}",
        (vmid >> 8) & 0xff,
        vmid & 0xff
    )
}
