//! Addresses of the host.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use pvelens_proto::agent::v1::HostAddress;

use super::hexadecimal;
use crate::format::{FormatError, plain::name, whole_lines};

/// `IPV6_ADDR_SCOPE_GLOBAL` is 0; links and the host have others.
const GLOBAL: u32 = 0;
/// `IFA_F_DADFAILED` of `include/uapi/linux/if_addr.h`.
const DUPLICATE: u32 = 0x08;

/// The tries of routes. A line `|-- 192.0.2.10` names a prefix, and one
/// `/32 host LOCAL` below it says that it is an address of the host
/// (kernel `net/ipv4/fib_trie.c`). Without rules the tables share one trie, which
/// is then shown twice.
pub(super) fn ipv4(text: &str) -> Result<Vec<HostAddress>, FormatError> {
    let mut found = BTreeSet::new();
    let mut prefix = None;
    for line in whole_lines(text)?.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            let address: Ipv4Addr = address
                .parse()
                .map_err(|_| FormatError::malformed("a prefix is no address"))?;
            prefix = Some(address);
        } else if line == "/32 host LOCAL" {
            found.extend(prefix.filter(|address| !address.is_loopback()));
        }
    }
    let address = |address: Ipv4Addr| HostAddress {
        address: address.to_string(),
        ..HostAddress::default()
    };
    Ok(found.into_iter().map(address).collect())
}

/// Lines `ADDRESS INDEX PREFIX SCOPE FLAGS INTERFACE`, all but the last in
/// hexadecimal (kernel `net/ipv6/addrconf.c`). Empty where IPv6 is switched off.
pub(super) fn ipv6(text: &str) -> Result<Vec<HostAddress>, FormatError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for line in whole_lines(text)?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, prefix_length, scope, flags, interface] = words.as_slice() else {
            return Err(FormatError::truncated("a line does not have six columns"));
        };
        if hexadecimal(scope)? != GLOBAL {
            continue;
        }
        found.push(HostAddress {
            address: of_hexadecimal(address)?.to_string(),
            interface: name(interface).map(str::to_owned),
            prefix_length: Some(hexadecimal(prefix_length)?),
            is_duplicate: hexadecimal(flags)? & DUPLICATE != 0,
        });
    }
    found.sort_by_cached_key(|one| (one.interface.clone(), one.address.clone()));
    Ok(found)
}

/// 32 digits as one reads them, unlike those in the tables of sockets.
pub(super) fn of_hexadecimal(text: &str) -> Result<Ipv6Addr, FormatError> {
    let bits = u128::from_str_radix(text, 16).ok();
    let bits = bits.filter(|_| text.len() == 32);
    bits.map(Ipv6Addr::from_bits)
        .ok_or_else(|| FormatError::malformed("an address is not 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_addresses_of_the_host_are_taken_and_each_once() {
        let trie = "     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.10\n        /32 host LOCAL\n     \
            |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        let text = format!("Main:\n{trie}Local:\n{trie}");
        let found = ipv4(&text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, "192.0.2.10");
    }

    #[test]
    fn a_duplicate_ipv6_address_is_said() {
        let text = "20010db8000000000000000000000010 04 40 00 88    vmbr0\n\
            fe800000000000000000000000000010 04 40 20 80    vmbr0\n";
        let found = ipv6(text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, "2001:db8::10");
        assert_eq!(found[0].prefix_length, Some(64));
        assert!(found[0].is_duplicate);
        assert!(ipv6("").unwrap().is_empty());
    }

    #[test]
    fn cut_tables_are_named() {
        assert!(ipv4("").is_err());
        assert!(ipv4("Main:\n |-- 192.0.2").is_err());
        assert!(ipv4("Main:\n |-- 192.0.2\n").is_err());
        assert!(ipv6("20010db8000000000000000000000010 04 40\n").is_err());
        assert!(ipv6("20010db8 04 40 00 80 vmbr0\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "( *\\|-- [0-9.]{0,16}\n|/32 host LOCAL\n|[0-9a-f]{31,33} 1 40 0?0 80 [a-z]{0,5}\n|\\PC{0,20}\n?){0,6}") {
            drop(ipv4(&text));
            drop(ipv6(&text));
        }
    }
}
