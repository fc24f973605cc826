//! The node agent of pvelens: reads a Proxmox VE node and writes nothing on it
//! but its own spool in `/run`, in an emergency a small record of it, and what was
//! asked of guests.
//!
//! [`host`] is the only way to a file, [`collector`] the list of what is read,
//! [`sampler`] decides when, [`spool`] keeps the result for whoever connects,
//! [`recorder`] takes it to disk in an emergency, and [`service`] serves it; [`ledger`]
//! knows how all that goes. [`guest`] runs what the node's policy allows in its guests,
//! and [`audit`] writes it down. [`probe`] holds what needs privileges, in processes of
//! its own, and [`link`] what needs a network; [`joined`] says where that goes, and
//! [`identity`] who this node is there. [`cli`] is the program, with [`config`], and
//! [`cage`] watches that its sandbox holds. [`once`] reads everything once, for a look
//! at a node whose agent does not answer.

pub mod audit;
pub mod cage;
pub mod cli;
pub mod collector;
pub mod config;
mod flight;
pub mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod guest;
mod guest_socket;
pub mod host;
pub mod identity;
pub mod joined;
pub mod ledger;
pub mod link;
pub mod once;
pub mod probe;
pub mod recorder;
pub mod sampler;
pub mod service;
pub mod spool;

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        // Four bits index sixteen digits.
        .map(|digit| char::from(DIGITS.get(usize::from(digit)).copied().unwrap_or(b'?')))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(super::hex(&[0, 15, 160, 255]), "000fa0ff");
    }
}
