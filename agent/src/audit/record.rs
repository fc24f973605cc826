//! One record: a line of JSON that ends with its own hash.
//!
//! What is hashed are the bytes of the line as it is in the file, without the hash: so
//! nobody needs to know how an object is written in a canonical form.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Event, Head};
use crate::hex;

/// Bytes of a line at most; events are bounded far below it.
pub(super) const LINE_LIMIT: usize = 32 << 10;
/// What is between the hashed part of a line and the hash, and after it.
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
/// Hexadecimal digits of a hash.
pub(super) const DIGITS: usize = 64;
/// `previous` of the first record there ever was.
pub(super) const NOTHING_BEFORE: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// An event with its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// From 1, without a gap.
    pub sequence: u64,
    /// By the clock of the node, which may go back.
    pub at: Timestamp,
    /// Hash of the record before; of the very first 64 zeros.
    pub previous: String,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    pub event: Event,
    line: String,
}

/// The hashed part of a line.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    sequence: u64,
    at: Timestamp,
    previous: String,
    event: Event,
}

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("it is no record: {0}")]
    Form(String),
    #[error("record {sequence} was changed: its hash is not that of its content")]
    Hash { sequence: u64 },
    #[error("record {sequence} is where {expected} was to be")]
    Sequence { sequence: u64, expected: u64 },
    #[error("record {sequence} does not follow the one before it: that has another hash")]
    Previous { sequence: u64 },
}

impl Record {
    /// The record that comes after `head`.
    ///
    /// # Errors
    /// When the event cannot be written as JSON, or is too long.
    pub(super) fn after(head: &Head, at: Timestamp, event: Event) -> Result<Self, Flaw> {
        let body = Body {
            sequence: head.sequence.saturating_add(1),
            // Enough, and short.
            at: Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at),
            previous: head.hash.clone(),
            event,
        };
        let hashed = serde_json::to_string(&body).map_err(form)?;
        let hash = hex(&Sha256::digest(&hashed));
        let open = hashed.strip_suffix('}').unwrap_or(&hashed);
        let line = format!("{open}{BEFORE_HASH}{hash}{AFTER_HASH}");
        if line.len() > LINE_LIMIT {
            return Err(Flaw::Form(format!("{} bytes are too many", line.len())));
        }
        Ok(Self::of(body, hash, line))
    }

    /// Reads a line, without its end, and compares its hash.
    ///
    /// # Errors
    /// When it is no record, or not with the content that it was written with.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Flaw> {
        let line = str::from_utf8(line).map_err(form)?;
        let (open, hash) =
            split(line).ok_or_else(|| Flaw::Form("no hash at its end".to_owned()))?;
        let hashed = format!("{open}}}");
        let body: Body = serde_json::from_str(&hashed).map_err(form)?;
        if hex(&Sha256::digest(&hashed)) != hash {
            return Err(Flaw::Hash {
                sequence: body.sequence,
            });
        }
        Ok(Self::of(body, hash.to_owned(), line.to_owned()))
    }

    fn of(body: Body, hash: String, line: String) -> Self {
        Self {
            sequence: body.sequence,
            at: body.at,
            previous: body.previous,
            hash,
            event: body.event,
            line,
        }
    }

    /// The line as it is in the file, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        self.line.clone()
    }

    pub(super) fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash.clone(),
        }
    }

    /// With its end.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone().into_bytes();
        bytes.push(b'\n');
        bytes
    }
}

/// The hashed part of a line without its last brace, and the hash.
fn split(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let (open, hash) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    Some((open.strip_suffix(BEFORE_HASH)?, hash))
}

fn form(error: impl std::fmt::Display) -> Flaw {
    Flaw::Form(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Reaped;

    fn record() -> Record {
        let event = Event::reaped(Reaped {
            request_id: "request-0001".to_owned(),
            vmid: 101,
            outcome: "ended".to_owned(),
        });
        let at = Timestamp::from_microsecond(1_795_349_087_512_345).unwrap();
        Record::after(&Head::default(), at, event).unwrap()
    }

    #[test]
    fn the_form_of_a_line_stays() {
        let zeros = "0".repeat(64);
        // By `printf %s OBJECT | sha256sum`.
        let hash = "a4ae7dac216237fe00ec208be49d0e74a5239962d7cc47e6931dfc74593b6a9e";
        assert_eq!(
            record().line(),
            format!(
                r#"{{"sequence":1,"at":"2026-11-22T12:04:47.512Z","previous":"{zeros}","event":{{"kind":"reaped","request_id":"request-0001","vmid":101,"outcome":"ended"}},"hash":"{hash}"}}"#
            )
        );
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let record = record();
        assert_eq!(Record::parse(record.line().as_bytes()).unwrap(), record);
        assert_eq!(record.bytes().last(), Some(&b'\n'));
    }

    #[test]
    fn every_bit_counts() {
        let line = record().line().into_bytes();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.clone();
                other[at] ^= 1 << bit;
                assert!(Record::parse(&other).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_no_record_is_told_and_no_panic() {
        for text in ["", "{}", "}", "\"}", "{\"hash\":\"ä\"}", "null", "[1]"] {
            assert!(
                matches!(Record::parse(text.as_bytes()), Err(Flaw::Form(_))),
                "{text}"
            );
        }
    }
}
