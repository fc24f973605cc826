//! When files were last changed.
//!
//! On the live root the kernel says so. The times of a tree of files are those of
//! its making: there they are in `/.pvelens/modified.json`, an object from path to
//! seconds since the epoch.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rustix::fs::{FileType, OFlags};

use super::{Host, SourceError, errno, kind_word, malformed};
use pvelens_proto::agent::v1::FailureKind;

/// Times of the files of a tree.
const FIXTURE: &str = "/.pvelens/modified.json";
const FIXTURE_LIMIT: u64 = 1 << 20;

impl Host {
    /// When a regular file was last changed; its content is not opened. `None` when
    /// a tree says nothing about it, or the time is out of range.
    ///
    /// # Errors
    /// When there is no such file, or the times of the tree are malformed.
    pub fn modified_at(&self, path: &str) -> Result<Option<Timestamp>, SourceError> {
        self.recorded(path, OFlags::PATH)?;
        let file = self.resolve(path, OFlags::PATH)?;
        let stat = rustix::fs::fstat(file).map_err(|error| errno(path, error))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            let detail = format!("a {} where a file is expected", kind_word(kind));
            return Err(SourceError::new(path, FailureKind::NotAFile, detail));
        }
        let seconds = if self.is_live() {
            Some(stat.st_mtime)
        } else {
            self.fixture_time(path)?
        };
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }

    fn fixture_time(&self, path: &str) -> Result<Option<i64>, SourceError> {
        let text = match self.read(FIXTURE, FIXTURE_LIMIT) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let times: BTreeMap<String, i64> =
            serde_json::from_str(&text).map_err(|error| malformed(FIXTURE, &error))?;
        Ok(times.get(path).copied())
    }
}
