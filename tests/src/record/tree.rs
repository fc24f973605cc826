//! The recording on disk.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pvelens_agent::{
    collector::Payload,
    host::{FilesystemSize, Found, Host, kind_name},
};
use pvelens_proto::agent::v1::{FailureKind, Sample};
use serde::Serialize;
use serde_json::{Value, json};

use super::neutral;

/// Of one file; those of a node are far smaller.
const FILE_LIMIT: u64 = 4 << 20;

/// Places of files whose time is collected.
const TIMED: &[&str] = &[
    "/var/cache/apt/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/pve-manager/",
];
/// In November 2026.
const WHEN: i64 = 1_795_600_000;

pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one, in the place of an older one.
    pub(super) fn create(root: PathBuf) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(root.join(".pvelens"))?;
        Ok(Self { root })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Writes the files and links that were found. Paths are kept as collectors name
    /// them: where a node has a link to a directory, the tree has the directory.
    pub(super) fn keep(
        &mut self,
        host: &Host,
        found: &BTreeMap<String, Result<Found, FailureKind>>,
    ) -> Result<()> {
        for (path, found) in found {
            let target = self.path(path);
            // What has gone since is not there.
            if matches!(found, Ok(Found::File { .. }))
                && let Ok(bytes) = host.read_bytes(path, FILE_LIMIT)
            {
                create_parent(&target)?;
                let content = neutral::content(path, bytes);
                fs::write(&target, content).with_context(|| path.clone())?;
            }
        }
        for (path, found) in found {
            let link = self.path(path);
            if let Ok(Found::Link { target }) = found
                && !link.exists()
            {
                create_parent(&link)?;
                symlink(target, &link).with_context(|| path.clone())?;
            }
        }
        Ok(())
    }

    /// Writes what the probes replied.
    pub(super) fn keep_replies(&self, host: &Host) -> Result<()> {
        for ((kind, name), reply) in host.take_witness().replies {
            let target = self.root.join(".pvelens/probe").join(kind).join(name);
            create_parent(&target)?;
            fs::write(&target, neutral::reply(reply)?)
                .with_context(|| target.display().to_string())?;
        }
        Ok(())
    }

    /// Puts an empty file where something is that is not read; what lies in such a
    /// place has none.
    pub(super) fn stand_in(&self, path: &str) -> Result<()> {
        let target = self.path(path);
        let lies_in_one = target
            .ancestors()
            .skip(1)
            .any(|ancestor| ancestor.is_file());
        if lies_in_one || target.exists() {
            return Ok(());
        }
        create_parent(&target)?;
        fs::write(&target, "").with_context(|| path.to_owned())
    }

    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_lines(&self.root.join(".pvelens").join(name), value)
    }
}

pub(super) fn write_lines(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, text + "\n").with_context(|| path.display().to_string())
}

fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).with_context(|| parent.display().to_string()),
        None => Ok(()),
    }
}

/// Sizes by mount point, as a tree gives them to `Host`.
pub(super) fn sizes(samples: &[Sample]) -> BTreeMap<&str, FilesystemSize> {
    let payloads = samples.iter().filter_map(|sample| match &sample.payload {
        Some(Payload::Filesystems(all)) => Some(&all.filesystems),
        _ => None,
    });
    payloads
        .flatten()
        .filter_map(|filesystem| {
            let total_bytes = filesystem.total_bytes?;
            let size = FilesystemSize {
                total_bytes,
                free_bytes: total_bytes.saturating_sub(filesystem.used_bytes?),
                available_bytes: filesystem.available_bytes?,
                inodes_total: filesystem.inodes_total?,
                inodes_free: filesystem.inodes_free?,
            };
            Some((filesystem.mount_point.as_str(), size))
        })
        .collect()
}

/// When files of the package managers were changed, as a tree gives it to `Host`. The
/// time itself would differ in each recording.
pub(super) fn times(host: &Host, files: &[String]) -> BTreeMap<String, i64> {
    let files = files.iter().filter(|path| {
        let mut timed = TIMED.iter();
        timed.any(|place| path.starts_with(place)) && host.modified_at(path).is_ok()
    });
    files.map(|path| (path.clone(), WHEN)).collect()
}

/// What each collector gave, and what it said it could not read.
pub(super) fn outcomes(samples: &[Sample]) -> BTreeMap<&str, Value> {
    samples
        .iter()
        .map(|sample| {
            let gave = match &sample.payload {
                Some(Payload::NoData(none)) => format!("nothing: {}", none.reason),
                Some(_) => "data".to_owned(),
                None => "failed".to_owned(),
            };
            let failures: BTreeMap<&str, String> = sample
                .failures
                .iter()
                .map(|failure| (failure.path.as_str(), kind_name(failure.kind())))
                .collect();
            let outcome = json!({ "gave": gave, "failures": failures });
            (sample.collector.as_str(), outcome)
        })
        .collect()
}
