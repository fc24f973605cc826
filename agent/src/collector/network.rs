//! Network interfaces: counters of `/proc/1/net/dev`, properties of
//! `/sys/class/net`.
//!
//! Read directly: under `PrivateNetwork` the agent's own `/proc/net` shows only
//! `lo`, while process 1 still lives in the node's network namespace. sysinfo
//! knows neither bridges nor the guests behind taps.

use pvelens_proto::agent::v1::{
    CollectionClass, FailureKind, InterfaceKind, Network, NetworkInterface,
};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, whole_lines};

const DEV: &str = "/proc/1/net/dev";
/// Only for trees that were recorded without `/proc/1`.
const OWN_DEV: &str = "/proc/net/dev";
const INTERFACE_LIMIT: usize = 20_000;
/// `IFF_UP` of `<linux/if.h>`.
const IFF_UP: u64 = 1;

pub(super) const COLLECTOR: Collector = Collector {
    name: "network",
    summary: "traffic, errors and state of every interface",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[
        DEV,
        OWN_DEV,
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
    let mut interfaces = match reading.read(DEV, KERNEL_FILE_LIMIT) {
        Ok(text) => parse(&text).map_err(|error| error.at(DEV))?,
        Err(error) if error.is_not_found() => {
            let text = reading.read(OWN_DEV, KERNEL_FILE_LIMIT)?;
            parse(&text).map_err(|error| error.at(OWN_DEV))?
        }
        Err(error) => return Err(error.into()),
    };
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    for interface in &mut interfaces {
        describe(reading, interface);
    }
    Ok(Payload::Network(Network { interfaces }))
}

/// Two header lines, then `name: rx_bytes packets errs drop fifo frame
/// compressed multicast tx_bytes packets errs drop fifo colls carrier compressed`.
fn parse(text: &str) -> Result<Vec<NetworkInterface>, FormatError> {
    let mut interfaces = Vec::new();
    for line in whole_lines(text)?.lines().skip(2) {
        let (name, counters) = line
            .split_once(':')
            .ok_or_else(|| FormatError::malformed("a line without interface"))?;
        let counters: Vec<u64> = counters
            .split_ascii_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| FormatError::malformed("a counter is not a number"))?;
        let [
            rx,
            rx_packets,
            rx_errors,
            rx_drops,
            _,
            _,
            _,
            _,
            tx,
            tx_packets,
            tx_errors,
            tx_drops,
            ..,
        ] = counters.as_slice()
        else {
            return Err(FormatError::truncated("a line with too few counters"));
        };
        if interfaces.len() >= INTERFACE_LIMIT {
            return Err(FormatError::malformed("more than 20,000 interfaces"));
        }
        let name = name.trim();
        let guest = guest_of(name);
        interfaces.push(NetworkInterface {
            name: name.to_owned(),
            received_bytes_total: *rx,
            received_packets_total: *rx_packets,
            receive_errors_total: *rx_errors,
            receive_drops_total: *rx_drops,
            transmitted_bytes_total: *tx,
            transmitted_packets_total: *tx_packets,
            transmit_errors_total: *tx_errors,
            transmit_drops_total: *tx_drops,
            vmid: guest.map(|(vmid, _)| vmid),
            guest_nic_index: guest.map(|(_, index)| index),
            ..NetworkInterface::default()
        });
    }
    if interfaces.is_empty() {
        return Err(FormatError::truncated("no interfaces"));
    }
    Ok(interfaces)
}

/// Adds what `/sys/class/net` says. An interface that vanishes meanwhile keeps
/// its counters.
fn describe(reading: &mut Reading<'_>, interface: &mut NetworkInterface) {
    let directory = format!("/sys/class/net/{}", interface.name);
    interface.set_kind(kind_of(reading, &directory, interface));
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

fn kind_of(reading: &Reading<'_>, directory: &str, interface: &NetworkInterface) -> InterfaceKind {
    let name = interface.name.as_str();
    if name == "lo" {
        InterfaceKind::Loopback
    } else if interface.vmid.is_some() {
        InterfaceKind::Guest
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

/// VMID and NIC index of `tap101i0`, `veth101i0`, `fwbr101i0`, `fwln101i0`,
/// `fwpr101p0` (`pve-common@src/PVE/Network.pm`).
fn guest_of(name: &str) -> Option<(u32, u32)> {
    let rest = ["tap", "veth", "fwbr", "fwln", "fwpr"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let (vmid, index) = rest.split_once(['i', 'p', 'o'])?;
    Some((vmid.parse().ok()?, index.parse().ok()?))
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
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "Inter-| Receive | Transmit\n face |bytes |bytes\n";

    #[test]
    fn guests_are_found_behind_their_interfaces() {
        assert_eq!(guest_of("tap101i0"), Some((101, 0)));
        assert_eq!(guest_of("veth9000i12"), Some((9000, 12)));
        assert_eq!(guest_of("fwpr101p1"), Some((101, 1)));
        assert_eq!(guest_of("tapestry"), None);
        assert_eq!(guest_of("vmbr0"), None);
    }

    #[test]
    fn kinds_follow_the_names_of_pve() {
        assert!(is_vlan("vmbr0.100") && is_vlan("vmbr0v5") && !is_vlan("vmbr0"));
        assert!(has_physical_name("enp3s0f1") && has_physical_name("nic0"));
        assert!(!has_physical_name("nicolas"));
    }

    #[test]
    fn counters_keep_their_columns() {
        let text = format!("{HEADER}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let interfaces = parse(&text).unwrap();
        assert_eq!(interfaces[0].received_bytes_total, 1);
        assert_eq!(interfaces[0].transmitted_bytes_total, 9);
        assert_eq!(interfaces[0].transmit_drops_total, 12);
    }

    #[test]
    fn a_cut_table_is_named() {
        for text in [
            "",
            HEADER,
            &format!("{HEADER}eth0: 1 2\n"),
            &format!("{HEADER}eth0: 1"),
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(.{0,9}\n){2}([a-z0-9.]{1,8}:( [0-9]{1,21}){0,17}\n|\\PC{0,20}\n?){0,4}") {
            drop(parse(&text));
        }
    }
}
