//! The tables of sockets (kernel `net/ipv4/tcp_ipv4.c`, `net/ipv4/udp.c`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pvelens_proto::agent::v1::{ListeningSocket, SocketProtocol};

use super::hexadecimal;
use crate::format::{FormatError, whole_lines};

/// `TCP_LISTEN` of `include/net/tcp_states.h`.
const LISTEN: &str = "0A";
/// `TCP_CLOSE`, which is also what UDP has as long as it is not connected.
const CLOSE: &str = "07";

/// Lines of `sl local remote state queues timer retransmits uid …`.
pub(super) fn parse(
    text: &str,
    protocol: SocketProtocol,
) -> Result<Vec<ListeningSocket>, FormatError> {
    const SHORT: fn() -> FormatError = || FormatError::truncated("a line has too few columns");
    let wanted = match protocol {
        SocketProtocol::Udp => CLOSE,
        _ => LISTEN,
    };
    let mut sockets = Vec::new();
    for line in whole_lines(text)?.lines().skip(1) {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next().ok_or_else(SHORT)?;
        let state = words.nth(1).ok_or_else(SHORT)?;
        if state != wanted {
            continue;
        }
        let uid = words.nth(3).ok_or_else(SHORT)?;
        let (host, port) = local.split_once(':').ok_or_else(SHORT)?;
        let port = hexadecimal(port)?;
        // Not bound yet.
        if port == 0 {
            continue;
        }
        sockets.push(ListeningSocket {
            protocol: protocol.into(),
            address: address(host)?.to_string(),
            port,
            uid: uid
                .parse()
                .map_err(|_| FormatError::malformed("a user is not a number"))?,
        });
    }
    Ok(sockets)
}

/// Words of 32 bits in the byte order of the machine, which is little-endian
/// wherever Proxmox VE runs: `0100007F` is 127.0.0.1.
fn address(text: &str) -> Result<IpAddr, FormatError> {
    let word = |range| {
        let word = text.get(range).map(hexadecimal);
        word.unwrap_or_else(|| Err(FormatError::malformed("an address is too short")))
    };
    match text.len() {
        8 => Ok(Ipv4Addr::from(word(0..8)?.to_le_bytes()).into()),
        32 => {
            let words = [word(0..8)?, word(8..16)?, word(16..24)?, word(24..32)?];
            let bits = words
                .into_iter()
                .fold(0, |bits, word| (bits << 32) | u128::from(word.swap_bytes()));
            Ok(Ipv6Addr::from_bits(bits).to_canonical())
        }
        _ => Err(FormatError::malformed("an address of a strange length")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_in_the_order_of_the_machine() {
        assert_eq!(address("0100007F").unwrap().to_string(), "127.0.0.1");
        let documentation = "B80D0120000000000000000010000000";
        assert_eq!(address(documentation).unwrap().to_string(), "2001:db8::10");
        let mapped = "0000000000000000FFFF00000A00000A";
        assert_eq!(address(mapped).unwrap().to_string(), "10.0.0.10");
        for text in ["", "0100007", "0100007G", "ä000007", "0100007F0100007F"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn connections_are_no_listeners() {
        let text = "head\n 0: 0100007F:0055 00000000:0000 0A 0:0 00:0 0 0 0 1\n\
            1: 0A0200C0:1F46 010200C0:C001 01 0:0 00:0 0 33 0 2\n";
        let tcp = parse(text, SocketProtocol::Tcp).unwrap();
        assert_eq!(tcp.len(), 1);
        assert_eq!(tcp[0].port, 85);
        assert!(parse(text, SocketProtocol::Udp).unwrap().is_empty());
        let text = "head\n 9: 00000000:006F 00000000:0000 07 0:0 00:0 0 101 0 1 2 0 0\n";
        let udp = parse(text, SocketProtocol::Udp).unwrap();
        assert_eq!((udp[0].port, udp[0].uid), (111, 101));
    }

    #[test]
    fn a_cut_table_is_named() {
        for text in [
            "",
            "head\n 0: 0100007F:0055",
            "head\n 0: 0100007F:0055\n",
            "head\n 0: 0100007F:0055 0:0 0A 0 0 0\n",
            "head\n 0: 0100007F 0:0 0A 0 0 0 0\n",
            "head\n 0: 0100007F:0055 0:0 0A 0 0 0 x\n",
        ] {
            assert!(parse(text, SocketProtocol::Tcp).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "h\n( ?[0-9]: [0-9A-G]{0,33}:?[0-9A-F]{0,9} 0:0 (0A|07|01) 0 0 0 [0-9]{0,11} 0\n|\\PC{0,20}\n?){0,5}") {
            drop(parse(&text, SocketProtocol::Tcp));
            drop(parse(&text, SocketProtocol::Udp));
        }
    }
}
