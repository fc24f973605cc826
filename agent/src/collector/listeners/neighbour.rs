//! The table of IPv4 neighbours (kernel `net/ipv4/arp.c`).

use std::net::Ipv4Addr;

use pvelens_proto::agent::v1::Neighbour;

use super::hexadecimal;
use crate::format::{FormatError, plain::name, whole_lines};

// Of `include/uapi/linux/if_arp.h`.
const COMPLETE: u32 = 0x02;
const PERMANENT: u32 = 0x04;

/// Lines `address type 0xflags mac mask interface`.
pub(super) fn parse(text: &str) -> Result<Vec<Neighbour>, FormatError> {
    let mut neighbours = Vec::new();
    for line in whole_lines(text)?.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, flags, mac, _, interface] = words.as_slice() else {
            return Err(FormatError::truncated("a line does not have six columns"));
        };
        let address: Ipv4Addr = address
            .parse()
            .map_err(|_| FormatError::malformed("an address is none"))?;
        let flags = hexadecimal(flags.trim_start_matches("0x"))?;
        let is_complete = flags & COMPLETE != 0;
        let mac = name(mac).filter(|_| is_complete);
        neighbours.push(Neighbour {
            address: address.to_string(),
            mac_address: mac.map(str::to_ascii_lowercase),
            interface: name(interface).unwrap_or_default().to_owned(),
            is_complete,
            is_permanent: flags & PERMANENT != 0,
        });
    }
    Ok(neighbours)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "IP address       HW type     Flags       HW address            Mask     Device\n";

    #[test]
    fn one_that_has_not_answered_has_no_mac_address() {
        let text = format!(
            "{HEAD}192.0.2.1  0x1 0x2 BC:24:11:00:00:01 * vmbr0\n\
            192.0.2.9  0x1 0x0 00:00:00:00:00:00 * vmbr0\n"
        );
        let found = parse(&text).unwrap();
        assert_eq!(found[0].mac_address.as_deref(), Some("bc:24:11:00:00:01"));
        assert!(found[0].is_complete && !found[0].is_permanent);
        assert_eq!(
            (&found[1].mac_address, found[1].is_complete),
            (&None, false)
        );
        assert!(parse(HEAD).unwrap().is_empty());
    }

    #[test]
    fn a_cut_table_is_named() {
        for text in [
            "",
            "IP",
            &format!("{HEAD}192.0.2.1 0x1\n"),
            &format!("{HEAD}x 0x1 0x2 a * b\n"),
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "h\n([0-9.]{0,15} 0x1 0x[0-9a-g]{0,9} [0-9a-f:]{0,17} \\* [a-z0-9]{0,6}\n|\\PC{0,20}\n?){0,5}") {
            drop(parse(&text));
        }
    }
}
