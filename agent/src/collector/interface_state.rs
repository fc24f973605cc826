//! What the network interfaces are, from `/sys/class/net`: kind, carrier, speed, and
//! which bridge or bond has which port.
//!
//! Apart from their traffic, since each costs a dozen small files. Those of guests are
//! not looked at at all: a node has hundreds, and which bridge they belong to is in
//! the list of the bridge's ports.

use std::collections::HashMap;

use pvelens_proto::agent::v1::{
    CollectionClass, FailureKind, InterfaceKind, InterfaceState, InterfaceStates, NetworkInterface,
};

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading, STATE, network};
use crate::format::{FormatError, whole_lines};

/// `IFF_UP` of `<linux/if.h>`.
const IFF_UP: u64 = 1;

pub(super) const COLLECTOR: Collector = Collector {
    name: "interface_state",
    summary: "kind, link, speed and ports of every interface",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[
        network::DEV,
        network::OWN_DEV,
        "/sys/class/net/*/address",
        "/sys/class/net/*/brif/*",
        "/sys/class/net/*/carrier",
        "/sys/class/net/*/carrier_changes",
        "/sys/class/net/*/flags",
        "/sys/class/net/*/master",
        "/sys/class/net/*/mtu",
        "/sys/class/net/*/operstate",
        "/sys/class/net/*/speed",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let interfaces = network::interfaces(reading)?;
    let mut interfaces: Vec<InterfaceState> = interfaces
        .iter()
        .map(|interface| state_of(reading, interface))
        .collect();
    let bridges: HashMap<String, String> = interfaces
        .iter()
        .flat_map(|bridge| {
            let ports = bridge.bridge_ports.iter();
            ports.map(|port| (port.clone(), bridge.name.clone()))
        })
        .collect();
    for interface in &mut interfaces {
        if interface.master.is_empty()
            && let Some(bridge) = bridges.get(&interface.name)
        {
            interface.master.clone_from(bridge);
        }
    }
    Ok(Payload::InterfaceStates(InterfaceStates { interfaces }))
}

/// What is there of an interface. One that vanishes meanwhile keeps its name.
fn state_of(reading: &mut Reading<'_>, interface: &NetworkInterface) -> InterfaceState {
    let mut state = InterfaceState {
        name: interface.name.clone(),
        ..InterfaceState::default()
    };
    if interface.vmid.is_some() {
        state.set_kind(InterfaceKind::Guest);
    } else {
        describe(reading, &mut state);
    }
    state
}

fn describe(reading: &mut Reading<'_>, interface: &mut InterfaceState) {
    let directory = format!("/sys/class/net/{}", interface.name);
    interface.set_kind(kind_of(reading, &directory, &interface.name));
    interface.mac_address = word(reading, &directory, "address").unwrap_or_default();
    interface.operational_state = word(reading, &directory, "operstate").unwrap_or_default();
    interface.mtu_bytes = number(reading, &directory, "mtu")
        .and_then(|mtu| u32::try_from(mtu).ok())
        .unwrap_or_default();
    interface.carrier_changes_total =
        number(reading, &directory, "carrier_changes").unwrap_or_default();
    interface.enabled = flags(reading, &directory).is_some_and(|flags| flags & IFF_UP != 0);
    interface.carrier = quiet(reading, &directory, "carrier").map(|carrier| carrier == "1");
    // -1 = unknown.
    interface.speed_megabits_per_second =
        quiet(reading, &directory, "speed").and_then(|speed| speed.parse().ok());
    let master = match reading.link_target(&format!("{directory}/master")) {
        // It belongs to nobody.
        Err(error) if error.is_not_found() => None,
        result => reading.keep(result),
    };
    interface.master = master
        .and_then(|target| target.rsplit('/').next().map(str::to_owned))
        .unwrap_or_default();
    if interface.kind() == InterfaceKind::Bridge {
        interface.bridge_ports = reading
            .list(&format!("{directory}/brif"))
            .unwrap_or_default();
    }
}

fn kind_of(reading: &Reading<'_>, directory: &str, name: &str) -> InterfaceKind {
    if name == "lo" {
        InterfaceKind::Loopback
    } else if reading.exists(&format!("{directory}/bridge")) {
        InterfaceKind::Bridge
    } else if reading.exists(&format!("{directory}/bonding")) {
        InterfaceKind::Bond
    } else if is_vlan(name) {
        InterfaceKind::Vlan
    } else if reading.exists(&format!("{directory}/device")) || has_physical_name(name) {
        InterfaceKind::Physical
    } else {
        InterfaceKind::Other
    }
}

/// `vmbr0.100`, `vmbr0v100`, `bond0.7`.
fn is_vlan(name: &str) -> bool {
    let is_tag = |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
    name.rsplit_once('.').is_some_and(|(_, tag)| is_tag(tag))
        || name
            .strip_prefix("vmbr")
            .and_then(|rest| rest.split_once('v'))
            .is_some_and(|(bridge, tag)| is_tag(bridge) && is_tag(tag))
}

/// The names PVE takes for physical ports (`pve-common@src/PVE/Network.pm`).
fn has_physical_name(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|c| c.is_ascii_digit())
    };
    numbered("eth")
        || numbered("nic")
        || numbered("if")
        || name.starts_with("en")
        || name.starts_with("ib")
}

fn word(reading: &mut Reading<'_>, directory: &str, file: &str) -> Option<String> {
    reading.read_word(&format!("{directory}/{file}"))
}

fn number(reading: &mut Reading<'_>, directory: &str, file: &str) -> Option<u64> {
    reading.read_number(&format!("{directory}/{file}"))
}

/// `0x1003`: hexadecimal, unlike the other files.
fn flags(reading: &mut Reading<'_>, directory: &str) -> Option<u64> {
    let word = word(reading, directory, "flags")?;
    let flags = u64::from_str_radix(word.trim_start_matches("0x"), 16);
    let path = format!("{directory}/flags");
    reading.keep(flags.map_err(|_| FormatError::malformed("not a number").at(&path)))
}

/// As [`word`]. The kernel refuses some of them with EINVAL for an interface
/// that is down or has no such notion: not worth a failure.
fn quiet(reading: &mut Reading<'_>, directory: &str, file: &str) -> Option<String> {
    let path = format!("{directory}/{file}");
    let text = match reading.read(&path, 256) {
        Err(error) if matches!(error.kind, FailureKind::NotFound | FailureKind::Io) => return None,
        result => reading.keep(result)?,
    };
    let word = whole_lines(&text).map(|line| line.trim().to_owned());
    reading.keep(word.map_err(|error| error.at(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::sample;

    #[test]
    fn kinds_follow_the_names_of_pve() {
        assert!(is_vlan("vmbr0.100") && is_vlan("vmbr0v5") && !is_vlan("vmbr0"));
        assert!(has_physical_name("enp3s0f1") && has_physical_name("nic0"));
        assert!(!has_physical_name("nicolas"));
    }

    #[test]
    fn ports_of_guests_are_known_by_their_bridge_alone() {
        let dev = "a\nb\nvmbr0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\ntap100i0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let sample = sample(
            &COLLECTOR,
            &[
                ("proc/1/net/dev", dev),
                ("sys/class/net/vmbr0/bridge/", ""),
                ("sys/class/net/vmbr0/brif/tap100i0", ""),
                ("sys/class/net/tap100i0/mtu", "not read, so not a failure"),
            ],
        );
        assert_eq!(sample.failures, []);
        let Some(Payload::InterfaceStates(states)) = sample.payload else {
            panic!("no interfaces");
        };
        let [tap, bridge] = states.interfaces.as_slice() else {
            panic!("two interfaces");
        };
        assert_eq!(
            (tap.kind(), tap.master.as_str()),
            (InterfaceKind::Guest, "vmbr0")
        );
        assert_eq!(bridge.kind(), InterfaceKind::Bridge);
        assert_eq!(bridge.bridge_ports, ["tap100i0"]);
    }
}
