//! The small node of the agent's tests as a tree on disk.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Writes the files of the small node, and over them those of one under Proxmox VE 8
/// when that is asked for.
///
/// # Errors
/// When a file cannot be copied.
pub fn tree(fixtures: &Path, is_older: bool) -> Result<TempDir> {
    let directory = TempDir::new()?;
    copy(&fixtures.join("node"), directory.path())?;
    // As in the sandbox, also for whoever runs this as root.
    let refused = directory.path().join(".pvelens/refused.json");
    fs::copy(fixtures.join("sandboxed/refused.json"), refused)?;
    if is_older {
        copy(&fixtures.join("node8"), directory.path())?;
    }
    Ok(directory)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            if !target.is_symlink() {
                symlink(fs::read_link(entry.path())?, target)?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
