//! A damaged file is set aside, never written over and never deleted.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{BACKUPS, FILE, Replaced, engine::StoreError, sqlite};

/// Puts the newest good backup, or nothing, in the place of a damaged file.
pub(super) fn replace(
    directory: &Path,
    why: String,
    now: Timestamp,
) -> Result<Replaced, StoreError> {
    let path = directory.join(FILE);
    let set_aside = directory.join(format!("{FILE}.damaged-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    for end in ["", "-wal", "-shm"] {
        let moved = fs::rename(with(&path, end), with(&set_aside, end));
        match moved {
            Err(error) if end.is_empty() || error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, &error));
            }
            _ => {}
        }
    }
    let backup = newest_good(&directory.join(BACKUPS));
    if let Some((backup, _)) = &backup {
        // Under another name first: a copy that was cut short is not taken for it.
        let copy = with(&path, ".new");
        fs::copy(backup, &copy)
            .and_then(|_| fs::File::open(&copy)?.sync_all())
            .and_then(|()| fs::rename(&copy, &path))
            .map_err(|error| failed(&path, &error))?;
    }
    Ok(Replaced {
        at: now,
        set_aside,
        why,
        backup,
    })
}

fn newest_good(directory: &Path) -> Option<(PathBuf, Timestamp)> {
    let mut backups: Vec<_> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let is_backup = path.extension().is_some_and(|extension| extension == "db");
            let modified = entry.metadata().ok()?.modified().ok()?;
            is_backup.then_some((path, Timestamp::try_from(modified).ok()?))
        })
        .collect();
    backups.sort_by_key(|(_, at)| *at);
    backups
        .into_iter()
        .rev()
        .find(|(path, _)| sqlite::check_file(path).is_ok_and(|problems| problems.is_empty()))
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Other(format!(
        "setting the damaged {} aside: {error}",
        path.display()
    ))
}
