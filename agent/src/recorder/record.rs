//! What is in the files: records in a row, framed as in the spool.

use jiff::Timestamp;
use pvelens_proto::{agent::v1::NodeUpdate, timestamp_from_millis, timestamp_to_millis};

/// One record. Fields are added, never renumbered.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    /// When the emergency began that it belongs to, in milliseconds by the node's
    /// clock. It tells emergencies apart.
    #[prost(int64, tag = "1")]
    pub(super) emergency: i64,
    /// When it was written.
    #[prost(message, optional, tag = "2")]
    pub(super) at: Option<pvelens_proto::Timestamp>,
    #[prost(enumeration = "Mark", tag = "3")]
    pub(super) mark: i32,
    /// Names of all signs so far; with a mark only.
    #[prost(string, repeated, tag = "4")]
    pub(super) signs: Vec<String>,
    /// Samples that found no room since the record before.
    #[prost(uint64, tag = "5")]
    pub(super) left_out_samples: u64,
    /// What was sampled; without a mark only. A payload that refers to an earlier
    /// one finds it in the same file.
    #[prost(message, optional, tag = "6")]
    pub(super) update: Option<NodeUpdate>,
}

/// What a record says of its emergency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Mark {
    /// Nothing: it holds an update.
    Update = 0,
    Began = 1,
    /// The first record of a file whose emergency began in an earlier one.
    Continued = 2,
    /// There are signs that were not there before.
    Worse = 3,
    Ended = 4,
}

impl Mark {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Update => "an update",
            Self::Began => "an emergency began, the last minutes go to disk",
            Self::Continued => "the emergency goes on",
            Self::Worse => "the emergency got worse",
            Self::Ended => "the emergency is over, nothing is written any more",
        }
    }
}

pub(super) fn wire(at: Timestamp) -> pvelens_proto::Timestamp {
    timestamp_from_millis(at.as_millisecond())
}

/// `None` when the time is out of range.
pub(super) fn time(at: &pvelens_proto::Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(timestamp_to_millis(at)).ok()
}
