//! A damaged file is set aside, never written over and never deleted.
//!
//! The file that takes its place knows that for some days: nobody may be there to see
//! it before the coordinator is started anew.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tracing::warn;

use super::{
    BACKUPS, FILE, REPLACED_TOLD, Replaced,
    engine::{Engine, StoreError},
    row::{Change, StateKind, StateRow},
    sqlite,
};

/// There is one.
const KEY: &str = "store";

/// What the file knows of the one that it replaced.
pub(super) fn told(
    engine: &mut dyn Engine,
    now: Timestamp,
) -> Result<Option<Replaced>, StoreError> {
    let Some(row) = engine.states(StateKind::Replaced)?.into_iter().next() else {
        return Ok(None);
    };
    let change = match serde_json::from_slice::<Replaced>(&row.body) {
        Ok(replaced) if now.duration_since(replaced.at) < REPLACED_TOLD => {
            return Ok(Some(replaced));
        }
        Ok(_) => Change::DropState(StateKind::Replaced, row.key),
        Err(error) => {
            warn!(%error, "what became of a damaged store is unreadable");
            Change::DropState(StateKind::Replaced, row.key)
        }
    };
    // Where nothing can be written it is looked at again at the next start.
    engine.commit(&[change]).unwrap_or_default();
    Ok(None)
}

/// Lets the new file know.
pub(super) fn tell(engine: &mut dyn Engine, replaced: &Replaced) {
    let noted = serde_json::to_vec(replaced)
        .map_err(|error| StoreError::Other(error.to_string()))
        .and_then(|body| {
            engine.commit(&[Change::PutState(StateRow {
                kind: StateKind::Replaced,
                key: KEY.to_owned(),
                body,
            })])
        });
    if let Err(error) = noted {
        warn!(%error, "the next start will not tell that the store was damaged");
    }
}

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
