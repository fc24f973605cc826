//! Traffic and errors of the network interfaces, from `/proc/1/net/dev`: one file,
//! however many guests there are. What the interfaces are is told by
//! [`super::interface_state`].
//!
//! Read directly: under `PrivateNetwork` the agent's own `/proc/net` shows only
//! `lo`, while process 1 still lives in the node's network namespace. sysinfo
//! knows neither bridges nor the guests behind taps.

use pvelens_proto::agent::v1::{CollectionClass, Network, NetworkInterface};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::{
    format::{FormatError, whole_lines},
    host::SourceError,
};

pub(super) const DEV: &str = "/proc/1/net/dev";
/// Only for trees that were recorded without `/proc/1`.
pub(super) const OWN_DEV: &str = "/proc/net/dev";
const INTERFACE_LIMIT: usize = 20_000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "network",
    summary: "traffic and errors of every interface",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[DEV, OWN_DEV],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let interfaces = interfaces(reading)?;
    Ok(Payload::Network(Network { interfaces }))
}

/// All interfaces of the node's network namespace, sorted by name.
pub(super) fn interfaces(reading: &mut Reading<'_>) -> Result<Vec<NetworkInterface>, SourceError> {
    let mut interfaces = match reading.read(DEV, KERNEL_FILE_LIMIT) {
        Ok(text) => parse(&text).map_err(|error| error.at(DEV))?,
        Err(error) if error.is_not_found() => {
            let text = reading.read(OWN_DEV, KERNEL_FILE_LIMIT)?;
            parse(&text).map_err(|error| error.at(OWN_DEV))?
        }
        Err(error) => return Err(error),
    };
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(interfaces)
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
            rx_fifo,
            rx_frame,
            _,
            rx_multicast,
            tx,
            tx_packets,
            tx_errors,
            tx_drops,
            tx_fifo,
            _,
            tx_carrier,
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
            receive_fifo_errors_total: *rx_fifo,
            receive_frame_errors_total: *rx_frame,
            received_multicast_packets_total: *rx_multicast,
            transmit_fifo_errors_total: *tx_fifo,
            transmit_carrier_errors_total: *tx_carrier,
            vmid: guest.map(|(vmid, _)| vmid),
            guest_nic_index: guest.map(|(_, index)| index),
        });
    }
    if interfaces.is_empty() {
        return Err(FormatError::truncated("no interfaces"));
    }
    Ok(interfaces)
}

/// VMID and NIC index of `tap101i0`, `veth101i0`, `fwbr101i0`, `fwln101i0`,
/// `fwpr101p0` (`pve-common@src/PVE/Network.pm`).
pub(super) fn guest_of(name: &str) -> Option<(u32, u32)> {
    let rest = ["tap", "veth", "fwbr", "fwln", "fwpr"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let (vmid, index) = rest.split_once(['i', 'p', 'o'])?;
    Some((vmid.parse().ok()?, index.parse().ok()?))
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
    fn counters_keep_their_columns() {
        let text = format!("{HEADER}  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let interfaces = parse(&text).unwrap();
        assert_eq!(interfaces[0].received_bytes_total, 1);
        assert_eq!(interfaces[0].transmitted_bytes_total, 9);
        assert_eq!(interfaces[0].transmit_drops_total, 12);
        assert_eq!(interfaces[0].receive_fifo_errors_total, 5);
        assert_eq!(interfaces[0].receive_frame_errors_total, 6);
        assert_eq!(interfaces[0].received_multicast_packets_total, 8);
        assert_eq!(interfaces[0].transmit_fifo_errors_total, 13);
        assert_eq!(interfaces[0].transmit_carrier_errors_total, 15);
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
