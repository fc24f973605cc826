//! Sizes of mounted file systems on disks.
//!
//! On the live root they come from `statvfs`. A tree of files has no mounts of
//! its own: there the sizes are in `/.pvelens/statvfs.json`, an object from
//! mount point to [`FilesystemSize`], which simulated nodes write.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::{FsWord, OFlags, StatVfs};
use serde::{Deserialize, Serialize};

use super::{Host, SourceError, errno, malformed};

/// Sizes of the fixture file systems of a tree.
const FIXTURE: &str = "/.pvelens/statvfs.json";
const FIXTURE_LIMIT: u64 = 1 << 20;
/// `TMPFS_MAGIC` of `<linux/magic.h>`.
const TMPFS: FsWord = 0x0102_1994;

/// What `statvfs` says, in bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesystemSize {
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// What an unprivileged process may still use.
    pub available_bytes: u64,
    pub inodes_total: u64,
    pub inodes_free: u64,
}

impl FilesystemSize {
    pub(super) fn of(stat: &StatVfs) -> Self {
        Self {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bfree.saturating_mul(stat.f_frsize),
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes_total: stat.f_files,
            inodes_free: stat.f_ffree,
        }
    }
}

impl Host {
    /// Size of the file system on a disk mounted at `mount_point`. May block for ever on
    /// a dead network mount: ask only about local ones. `None` when a tree says
    /// nothing about it.
    ///
    /// # Errors
    /// When the mount point cannot be reached, or the sandbox hides it, or the
    /// fixture is malformed.
    pub fn statvfs(&self, mount_point: &str) -> Result<Option<FilesystemSize>, SourceError> {
        if !self.is_live() {
            self.recorded(mount_point, OFlags::PATH)?;
            return self.fixture_size(mount_point);
        }
        let directory = self.resolve(mount_point, OFlags::PATH)?;
        // Over what the unit hides, systemd mounts a directory of /run.
        let kind = rustix::fs::fstatfs(&directory).map_err(|error| errno(mount_point, error))?;
        if kind.f_type == TMPFS {
            return Err(SourceError::new(
                mount_point,
                FailureKind::PermissionDenied,
                "hidden by the sandbox",
            ));
        }
        let stat = rustix::fs::fstatvfs(directory).map_err(|error| errno(mount_point, error))?;
        Ok(Some(FilesystemSize::of(&stat)))
    }

    fn fixture_size(&self, mount_point: &str) -> Result<Option<FilesystemSize>, SourceError> {
        let text = match self.read(FIXTURE, FIXTURE_LIMIT) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let sizes: BTreeMap<String, FilesystemSize> =
            serde_json::from_str(&text).map_err(|error| malformed(FIXTURE, &error))?;
        Ok(sizes.get(mount_point).copied())
    }
}
