//! The line that carries a [`JoinTicket`] from the coordinator to a node by hand.
//!
//! ```text
//! pvelens-join-1.BASE64URL(protobuf).CRC32
//! ```
//!
//! The checksum tells a line that was cut off or mistyped from a token that is
//! refused. The line is a secret until its token is used up.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;

use crate::v1::JoinTicket;

const PREFIX: &str = "pvelens-join-1.";
/// Dozens of addresses fit.
const LIMIT: usize = 8192;

/// Why a text is no line to join with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinLineError {
    #[error("there is no line to join with; `pvelens agents token` on the coordinator prints one")]
    Empty,
    #[error("this is no line of `pvelens agents token`: it does not begin with {PREFIX}")]
    Prefix,
    #[error("the line is of a newer version; upgrade pvelens-agent on this node")]
    Version,
    #[error("the line is incomplete or was changed on the way; copy it again")]
    Damaged,
}

/// The ticket as one line, without an end of line.
#[must_use]
pub fn write(ticket: &JoinTicket) -> String {
    let body = URL_SAFE_NO_PAD.encode(ticket.encode_to_vec());
    let sum = crc32fast::hash(body.as_bytes());
    format!("{PREFIX}{body}.{sum:08x}")
}

/// The ticket of a line; white space around it does not matter.
///
/// # Errors
/// When it is no such line.
pub fn read(line: &str) -> Result<JoinTicket, JoinLineError> {
    let line = line.trim();
    if line.is_empty() {
        return Err(JoinLineError::Empty);
    }
    let Some(rest) = line.strip_prefix(PREFIX) else {
        let is_newer = line.starts_with("pvelens-join-");
        return Err(if is_newer {
            JoinLineError::Version
        } else {
            JoinLineError::Prefix
        });
    };
    let (body, sum) = rest.split_once('.').ok_or(JoinLineError::Damaged)?;
    let is_whole = rest.len() <= LIMIT
        && sum.len() == 8
        && u32::from_str_radix(sum, 16) == Ok(crc32fast::hash(body.as_bytes()));
    if !is_whole {
        return Err(JoinLineError::Damaged);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(body)
        .map_err(|_| JoinLineError::Damaged)?;
    JoinTicket::decode(bytes.as_slice()).map_err(|_| JoinLineError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket() -> JoinTicket {
        JoinTicket {
            enrollment_addresses: vec!["mon.example.org:8441".to_owned()],
            link_addresses: vec!["mon.example.org:8440".to_owned()],
            authority_sha256: vec![7; 32],
            token_id: "k3x9".to_owned(),
            secret: vec![9; 32],
            expires_at: None,
        }
    }

    #[test]
    fn a_line_survives_being_copied() {
        let line = write(&ticket());
        assert!(line.is_ascii() && !line.contains([' ', '\'', '"', '$', '\\']));
        assert_eq!(read(&format!("  {line}\r\n")), Ok(ticket()));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named() {
        let line = write(&ticket());
        assert_eq!(read(" \n"), Err(JoinLineError::Empty));
        assert_eq!(read("hello"), Err(JoinLineError::Prefix));
        assert_eq!(read("pvelens-join-2.x.y"), Err(JoinLineError::Version));
        for end in PREFIX.len()..line.len() {
            let cut = line.get(..end).unwrap();
            assert_eq!(read(cut), Err(JoinLineError::Damaged), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(pvelens-join-1\\.)?\\PC{0,40}") {
            drop(read(&text));
        }
    }
}
