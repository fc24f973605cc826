//! `/etc/pvelens/guest-policy.toml`: what the administrator of this node allows.
//!
//! Everything below `/etc/pvelens` is banned, and this file decides what may run in
//! guests: so it has a reader of its own, which wants to know who could have written it.

use std::{fs::File, io::Read};

use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::{FileType, OFlags};

use super::{Host, SourceError, errno, file_type, into_text, io_error, kind_word, too_large};

pub(crate) const GUEST_POLICY: &str = "/etc/pvelens/guest-policy.toml";
/// Thousands of rules.
const LIMIT: u64 = 256 << 10;
/// Write permission of group and others.
const WRITABLE: u32 = 0o022;

impl Host {
    /// The text of the policy; `None` when there is none. Links are not followed.
    ///
    /// # Errors
    /// As [`Host::read`], and when somebody else than root, or who runs this process,
    /// may have written it.
    pub(crate) fn read_guest_policy(&self) -> Result<Option<String>, SourceError> {
        const PATH: &str = GUEST_POLICY;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let file = match super::resolve::open(&self.root, PATH, flags) {
            Ok(file) => file,
            Err(error) => {
                let error = errno(PATH, error);
                return if error.is_not_found() {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        };
        let kind = file_type(PATH, &file)?;
        if kind != FileType::RegularFile || self.real_path(&file).as_deref() != Some(PATH) {
            let detail = format!("a {} where a file is expected", kind_word(kind));
            return Err(SourceError::new(PATH, FailureKind::NotAFile, detail));
        }
        let stat = rustix::fs::fstat(&file).map_err(|error| errno(PATH, error))?;
        let own = rustix::process::geteuid().as_raw();
        if (stat.st_uid != 0 && stat.st_uid != own) || stat.st_mode & WRITABLE != 0 {
            let detail = format!(
                "may be written by others than root: owner {}, mode {:04o}",
                stat.st_uid,
                stat.st_mode & 0o7777
            );
            return Err(SourceError::new(
                PATH,
                FailureKind::PermissionDenied,
                detail,
            ));
        }
        let mut bytes = Vec::new();
        let read = File::from(file)
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| io_error(PATH, &error))?;
        if u64::try_from(read).is_ok_and(|read| read > LIMIT) {
            return Err(too_large(PATH, LIMIT));
        }
        into_text(PATH, bytes).map(Some)
    }
}
