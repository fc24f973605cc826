//! Interfaces of a node: ports, bonds, bridges, and those of its guests.

use std::io;

use super::{
    config::line,
    state::{Guest, Kind, Node, State, whole},
    tree::Tree,
};

/// Flags of `<linux/if.h>`: up, broadcast, running, multicast.
const UP: &str = "0x1003\n";
const HEADER: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
";
const PACKET_BYTES: u64 = 900;

/// One interface as the files show it.
struct Interface<'a> {
    name: &'a str,
    mac: &'a str,
    up: bool,
    carrier_changes: u64,
    megabits: u32,
    master: &'a str,
    received: u64,
    transmitted: u64,
}

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let mut table = HEADER.to_owned();
    row(&mut table, "lo", 44_901, 44_901);
    for (slot, nic) in node.nics.iter().enumerate() {
        let interface = Interface {
            name: &nic.name,
            mac: &nic.mac,
            up: nic.up,
            carrier_changes: nic.carrier_changes,
            megabits: nic.megabits,
            master: &nic.master,
            received: whole(nic.received),
            transmitted: whole(nic.transmitted),
        };
        write_interface(tree, &mut table, &interface)?;
        let function = format!("devices/pci0000:00/0000:{:02x}:00.0", slot + 1);
        tree.write(&format!("/sys/{function}/vendor"), "0x8086\n")?;
        tree.link(
            &format!("/sys/class/net/{}/device", nic.name),
            &format!("../../../{function}"),
        )?;
    }
    let guests = || {
        state
            .guests
            .iter()
            .filter(|guest| guest.node == index && guest.running)
    };
    for bridge in &node.bridges {
        write_bridge(
            node,
            bridge.name.as_str(),
            bridge.bond,
            &bridge.master,
            tree,
            &mut table,
        )?;
    }
    for guest in guests() {
        let name = guest.interface();
        let interface = Interface {
            name: &name,
            mac: "fe:24:11:00:00:01",
            up: true,
            carrier_changes: 1,
            megabits: 10_000,
            master: guest.bridge(),
            // The host receives what the guest sends.
            received: whole(guest.counters.transmitted),
            transmitted: whole(guest.counters.received),
        };
        write_interface(tree, &mut table, &interface)?;
    }
    for guest in state
        .guests
        .iter()
        .filter(|guest| guest.node != index || !guest.running)
    {
        tree.remove(&format!("/sys/class/net/{}", guest.interface()))?;
    }
    for bridge in ["vmbr0", "vmbr1"] {
        if !node.bridges.iter().any(|known| known.name == bridge) {
            tree.remove(&format!("/sys/class/net/{bridge}"))?;
        }
    }
    for bridge in node.bridges.iter().filter(|bridge| !bridge.bond) {
        write_ports(state, index, &bridge.name, tree)?;
    }
    tree.write("/proc/1/net/dev", &table)
}

fn write_bridge(
    node: &Node,
    name: &str,
    bond: bool,
    master: &str,
    tree: &mut Tree,
    table: &mut String,
) -> io::Result<()> {
    let below = |master: &str| -> Vec<&str> {
        node.nics
            .iter()
            .filter(|nic| nic.master == master)
            .map(|nic| nic.name.as_str())
            .collect()
    };
    // A bridge over a bond has the ports of the bond.
    let through: Vec<&str> = node
        .bridges
        .iter()
        .filter(|other| other.master == name)
        .flat_map(|other| below(&other.name))
        .chain(below(name))
        .collect();
    let ports = || {
        node.nics
            .iter()
            .filter(|nic| through.contains(&nic.name.as_str()))
    };
    let interface = Interface {
        name,
        mac: ports().next().map_or("bc:24:11:f0:00:00", |nic| &nic.mac),
        up: ports().any(|nic| nic.up),
        carrier_changes: 2,
        megabits: 10_000,
        master,
        received: whole(ports().map(|nic| nic.received).sum()),
        transmitted: whole(ports().map(|nic| nic.transmitted).sum()),
    };
    write_interface(tree, table, &interface)?;
    let directory = format!("/sys/class/net/{name}");
    if bond {
        tree.write(&format!("{directory}/bonding/mode"), "active-backup 1\n")?;
        tree.write(
            &format!("{directory}/bonding/slaves"),
            &format!("{}\n", through.join(" ")),
        )
    } else {
        tree.write(&format!("{directory}/bridge/stp_state"), "0\n")
    }
}

/// The `brif` directory of a bridge: its ports by name.
fn write_ports(state: &State, index: usize, bridge: &str, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let physical = node
        .nics
        .iter()
        .map(|nic| (nic.name.clone(), nic.master.as_str()))
        .chain(
            node.bridges
                .iter()
                .map(|other| (other.name.clone(), other.master.as_str())),
        );
    let guests = state.guests.iter().map(|guest| {
        let here = guest.node == index && guest.running;
        (guest.interface(), if here { guest.bridge() } else { "" })
    });
    for (port, master) in physical.chain(guests) {
        let path = format!("/sys/class/net/{bridge}/brif/{port}");
        if master == bridge {
            tree.write(&path, "port\n")?;
        } else {
            tree.remove(&path)?;
        }
    }
    Ok(())
}

fn write_interface(
    tree: &mut Tree,
    table: &mut String,
    interface: &Interface<'_>,
) -> io::Result<()> {
    row(
        table,
        interface.name,
        interface.received,
        interface.transmitted,
    );
    let directory = format!("/sys/class/net/{}", interface.name);
    let mut put = |file: &str, text: &str| tree.write(&format!("{directory}/{file}"), text);
    put("address", &format!("{}\n", interface.mac))?;
    put("carrier", if interface.up { "1\n" } else { "0\n" })?;
    put(
        "carrier_changes",
        &format!("{}\n", interface.carrier_changes),
    )?;
    // A lost link leaves the interface set up.
    put("flags", UP)?;
    put("mtu", "1500\n")?;
    put("operstate", if interface.up { "up\n" } else { "down\n" })?;
    let speed = if interface.up {
        i64::from(interface.megabits)
    } else {
        -1
    };
    put("speed", &format!("{speed}\n"))?;
    if !interface.master.is_empty() {
        tree.link(
            &format!("{directory}/master"),
            &format!("../{}", interface.master),
        )?;
    }
    Ok(())
}

fn row(table: &mut String, name: &str, received: u64, transmitted: u64) {
    let packets = |bytes: u64| bytes / PACKET_BYTES;
    line(
        table,
        &format!(
            "{name:>6}: {received} {} 0 0 0 0 0 0 {transmitted} {} 0 0 0 0 0 0",
            packets(received),
            packets(transmitted)
        ),
    );
}

impl Guest {
    /// The node's end of its first network interface.
    #[must_use]
    pub fn interface(&self) -> String {
        match self.kind {
            Kind::Qemu => format!("tap{}i0", self.vmid),
            Kind::Lxc => format!("veth{}i0", self.vmid),
        }
    }

    /// Bridge of its first network interface.
    #[must_use]
    pub fn bridge(&self) -> &str {
        self.get("net0")
            .and_then(|net| net.split(',').find_map(|part| part.strip_prefix("bridge=")))
            .unwrap_or_default()
    }
}
