//! Default routes, and those to networks that are reached directly.

use std::net::Ipv4Addr;

use pvelens_proto::agent::v1::HostRoute;

use super::{address::of_hexadecimal, hexadecimal};
use crate::format::{FormatError, plain::name, whole_lines};

// Of `include/uapi/linux/route.h` and `ipv6_route.h`.
const UP: u32 = 0x0001;
const GATEWAY: u32 = 0x0002;
const HOST: u32 = 0x0004;
const REJECT: u32 = 0x0200;
/// `RTF_ADDRCONF`.
const ADVERTISED: u32 = 0x0004_0000;
/// `RTF_LOCAL`.
const LOCAL: u32 = 0x8000_0000;

const COLUMNS: fn() -> FormatError = || FormatError::truncated("a line has too few columns");

/// Lines `Iface Destination Gateway Flags RefCnt Use Metric Mask …`; addresses in
/// the byte order of the machine, as those of sockets.
pub(super) fn ipv4(text: &str) -> Result<Vec<HostRoute>, FormatError> {
    let mut routes = Vec::new();
    for line in whole_lines(text)?.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [interface, network, gateway, flags, _, _, metric, mask, ..] = words.as_slice() else {
            return Err(COLUMNS());
        };
        let flags = hexadecimal(flags)?;
        let prefix_length = hexadecimal(mask)?.count_ones();
        let has_gateway = flags & GATEWAY != 0;
        let is_wanted = prefix_length == 0 || !has_gateway && flags & HOST == 0;
        if flags & UP == 0 || flags & REJECT != 0 || !is_wanted {
            continue;
        }
        let address = |text| hexadecimal(text).map(|word| Ipv4Addr::from(word.to_le_bytes()));
        let gateway = has_gateway.then(|| address(gateway)).transpose()?;
        routes.push(HostRoute {
            network: address(network)?.to_string(),
            prefix_length,
            gateway: gateway.map(|gateway| gateway.to_string()),
            interface: name(interface).unwrap_or_default().to_owned(),
            metric: metric
                .parse()
                .map_err(|_| FormatError::malformed("a metric is not a number"))?,
            is_advertised: false,
        });
    }
    Ok(routes)
}

/// Lines `network prefix source prefix gateway metric refcount use flags interface`
/// (kernel `net/ipv6/route.c`). Empty where IPv6 is switched off.
pub(super) fn ipv6(text: &str) -> Result<Vec<HostRoute>, FormatError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut routes = Vec::new();
    for line in whole_lines(text)?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [
            network,
            prefix_length,
            _,
            _,
            gateway,
            metric,
            _,
            _,
            flags,
            interface,
        ] = words.as_slice()
        else {
            return Err(COLUMNS());
        };
        let flags = hexadecimal(flags)?;
        if flags & UP == 0 || flags & (REJECT | LOCAL) != 0 || *interface == "lo" {
            continue;
        }
        let network = of_hexadecimal(network)?;
        let prefix_length = hexadecimal(prefix_length)?;
        let has_gateway = flags & GATEWAY != 0;
        let is_network = !has_gateway
            && prefix_length < 128
            && !network.is_unicast_link_local()
            && !network.is_multicast();
        if prefix_length != 0 && !is_network {
            continue;
        }
        let gateway = has_gateway.then(|| of_hexadecimal(gateway)).transpose()?;
        routes.push(HostRoute {
            network: network.to_string(),
            prefix_length,
            gateway: gateway.map(|gateway| gateway.to_string()),
            interface: name(interface).unwrap_or_default().to_owned(),
            metric: hexadecimal(metric)?,
            is_advertised: flags & ADVERTISED != 0,
        });
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\n";
    const ZERO: &str = "00000000000000000000000000000000";
    const NETWORK: &str = "20010db8000000000000000000000000";
    const ROUTER: &str = "fe800000000000000000000000000001";

    #[test]
    fn two_default_routes_are_two() {
        let text = format!(
            "{HEAD}vmbr0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0   \n\
            vmbr1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            vmbr0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            vmbr0\t000A0A0A\t010200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        let routes = ipv4(&text).unwrap();
        assert_eq!(routes.len(), 3);
        assert_eq!(routes[0].gateway.as_deref(), Some("192.0.2.1"));
        assert_eq!((routes[1].prefix_length, routes[1].metric), (0, 100));
        assert_eq!(routes[2].network, "192.0.2.0");
        assert_eq!((routes[2].prefix_length, &routes[2].gateway), (24, &None));
    }

    #[test]
    fn the_kernels_own_ipv6_routes_are_left_out() {
        let text = format!(
            "{NETWORK} 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001    vmbr0\n\
            {ROUTER} 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001    vmbr0\n\
            {ZERO} 00 {ZERO} 00 {ROUTER} 00000400 00000003 00000000 00450003    vmbr0\n\
            {NETWORK} 80 {ZERO} 00 {ZERO} 00000000 00000003 00000000 80200001    vmbr0\n\
            {ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"
        );
        let routes = ipv6(&text).unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].network, "2001:db8::");
        assert_eq!(routes[1].gateway.as_deref(), Some("fe80::1"));
        assert_eq!(routes[1].metric, 1024);
        assert!(routes[1].is_advertised && !routes[0].is_advertised);
        assert!(ipv6("").unwrap().is_empty());
    }

    #[test]
    fn cut_tables_are_named() {
        assert!(ipv4("").is_err());
        assert!(ipv4(&format!("{HEAD}vmbr0\t00000000")).is_err());
        assert!(ipv4(&format!("{HEAD}vmbr0\t00000000\n")).is_err());
        assert!(ipv6(&format!("{ZERO} 00\n")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "h?\n?([a-z]{0,5} [0-9A-G]{7,9} 0 000[1-3] 0 0 [0-9]{0,11} [0F]{8}\n|[0-9a-f]{31,33} [0-9a-f]{2} 0 0 [0-9a-f]{32} 1 1 1 0004000[1-3] [a-z]{1,3}\n|\\PC{0,20}\n?){0,5}") {
            drop(ipv4(&text));
            drop(ipv6(&text));
        }
    }
}
