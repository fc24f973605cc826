//! What the readers of `/etc/pve` have in common.

use prost::Message;
use pvelens_proto::agent::v1::FailureKind;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::{CollectError, PMXCFS_FILE_LIMIT, Reading};
use crate::{
    format::{FormatError, whole_lines},
    host::SourceError,
};

pub(super) const MOUNT_POINT: &str = "/etc/pve";
/// Entries of one kind in one file; more than any cluster has.
const LIST_LIMIT: usize = 10_000;
/// Lines out of format that are named.
const MALFORMED_LIMIT: usize = 50;

/// A file of settings that need not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SettingsFile {
    /// Empty when there is none.
    pub(super) text: String,
    /// Whether there is one.
    pub(super) exists: bool,
}

impl SettingsFile {
    /// Reads a file that PVE creates when it first has something to write there.
    /// A last line that does not end is named; the file is kept, as PVE works
    /// with it, too.
    pub(super) fn read(reading: &mut Reading<'_>, path: &str) -> Result<Self, CollectError> {
        let text = match reading.read(path, PMXCFS_FILE_LIMIT) {
            Err(error) if error.is_not_found() && reading.is_pve_node() => {
                return Ok(Self::default());
            }
            result => result.map_err(|error| unread(reading, error))?,
        };
        // Without settings PVE writes an empty file.
        if !text.is_empty() {
            let whole = whole_lines(&text).map(drop);
            reading.keep(whole.map_err(|error| error.at(path)));
        }
        Ok(Self { text, exists: true })
    }

    /// The digest of what is carried of it; empty when there is no file.
    pub(super) fn digest(&self, carried: &impl Message) -> String {
        if self.exists {
            digest(carried)
        } else {
            String::new()
        }
    }

    /// As `read`, for one of several files: one that cannot be read is named, and
    /// the others are kept.
    pub(super) fn read_one(
        reading: &mut Reading<'_>,
        path: &str,
    ) -> Result<Option<Self>, CollectError> {
        match Self::read(reading, path) {
            Ok(file) => Ok(Some(file)),
            Err(CollectError::Source(error)) => {
                reading.fail(error);
                Ok(None)
            }
            Err(none) => Err(none),
        }
    }
}

/// Cuts a list that is longer than any real one, and names the file.
pub(super) fn limit<T>(reading: &mut Reading<'_>, path: &str, list: &mut Vec<T>) {
    if list.len() > LIST_LIMIT {
        list.truncate(LIST_LIMIT);
        let detail = format!("more than {LIST_LIMIT} entries of one kind");
        reading.fail(SourceError::new(path, FailureKind::TooLarge, detail));
    }
}

/// The first of the lines that are not in the format.
pub(super) fn first_lines(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.truncate(MALFORMED_LIMIT);
    numbers
}

/// What a file of pmxcfs that could not be read means.
///
/// Only where there is no `/etc/pve` at all there is nothing to collect. An
/// empty one is pmxcfs not mounted, which is a failure and must look like one.
pub(super) fn unread(reading: &Reading<'_>, error: SourceError) -> CollectError {
    if error.is_not_found() && !reading.exists(MOUNT_POINT) {
        CollectError::NoData("not a Proxmox VE node")
    } else {
        CollectError::Source(error)
    }
}

/// Whether a dot file in JSON is all there.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Where JSON is not what is expected; never what stands there.
pub(super) fn json_error(error: &serde_json::Error) -> FormatError {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_eof() {
        FormatError::truncated(format!("ends at {place}"))
    } else {
        FormatError::malformed(format!("not the expected JSON at {place}"))
    }
}

/// Of a text without secrets.
pub(super) fn sha256(text: &str) -> String {
    crate::hex(&Sha256::digest(text))
}

/// Of what is carried of a file, not of the file: from a digest over a password one
/// could find it, by trying.
pub(super) fn digest(carried: &impl Message) -> String {
    crate::hex(&Sha256::digest(carried.encode_to_vec()))
}
