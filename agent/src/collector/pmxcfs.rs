//! What the readers of `/etc/pve` have in common.

use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::{CollectError, Reading};
use crate::{format::FormatError, host::SourceError};

const MOUNT_POINT: &str = "/etc/pve";

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

pub(super) fn sha256(text: &str) -> String {
    crate::hex(&Sha256::digest(text))
}
