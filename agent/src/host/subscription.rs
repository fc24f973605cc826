//! The one banned file that has a reader: the cluster probe, which answers with
//! what is not secret in it. See `probe/subscription.rs`.

use std::{fs::File, io::Read};

use rustix::fs::{FileType, OFlags};

use super::{Host, SourceError, errno, file_type, into_text, io_error, kind_word, too_large};
use pvelens_proto::agent::v1::FailureKind;

const PATH: &str = "/etc/subscription";
/// A key, a checksum and some base64.
const LIMIT: u64 = 64 << 10;

impl Host {
    /// The text of `/etc/subscription`, whose first line is a secret. Links are not
    /// followed: only this file may be read in spite of the ban.
    ///
    /// # Errors
    /// As [`Host::read`].
    pub(crate) fn read_subscription(&self) -> Result<String, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let file = super::resolve::open(&self.root, PATH, flags).map_err(|e| errno(PATH, e))?;
        let kind = file_type(PATH, &file)?;
        if kind != FileType::RegularFile || self.real_path(&file).as_deref() != Some(PATH) {
            let detail = format!("a {} where a file is expected", kind_word(kind));
            return Err(SourceError::new(PATH, FailureKind::NotAFile, detail));
        }
        let mut bytes = Vec::new();
        let read = File::from(file)
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| io_error(PATH, &error))?;
        if u64::try_from(read).is_ok_and(|read| read > LIMIT) {
            return Err(too_large(PATH, LIMIT));
        }
        into_text(PATH, bytes)
    }
}
