//! Everything that another coordinator needs to take the place of this one, as one text,
//! and putting it back.

use std::{
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    DIRECTORY, STATE_FILE, Trust, TrustError,
    authority::{Authority, key_path},
    files,
    state::{State, VERSION},
};

/// First line of a backup, so that one knows what lies there.
const TITLE: &str = "pvelens trust backup: holds the private key of the authority, keep it secret";

#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    title: String,
    made_at: Timestamp,
    state: State,
    /// PKCS #8 in PEM, of the authority that signs.
    authority_key: String,
}

impl Trust {
    /// The state and the key of the authority.
    ///
    /// # Errors
    /// When there is no authority yet.
    pub fn back_up(&self, now: Timestamp) -> Result<String, TrustError> {
        // Nothing changes meanwhile.
        let writer = self.writer();
        let authority = writer
            .authority
            .as_ref()
            .ok_or_else(|| TrustError::NotFound("authority yet: nobody was invited".to_owned()))?;
        let backup = Backup {
            title: TITLE.to_owned(),
            made_at: now,
            state: State::clone(&self.state()),
            authority_key: authority.key_pem(),
        };
        serde_json::to_string_pretty(&backup).map_err(|error| TrustError::Write(error.into()))
    }
}

/// Puts a backup in the place of the trust beside a coordinator's other state, while no
/// coordinator runs. When it was made.
///
/// # Errors
/// When the text is no backup, its key does not fit, there is a trust already and not
/// `replace`, or it cannot be written.
pub fn restore(store: &Path, text: &str, replace: bool) -> Result<Timestamp, TrustError> {
    let damaged = |source| TrustError::Damaged {
        path: PathBuf::from("the backup"),
        source,
    };
    let backup: Backup = serde_json::from_str(text).map_err(damaged)?;
    if backup.state.version > VERSION {
        return Err(TrustError::Newer(PathBuf::from("the backup")));
    }
    let record = backup
        .state
        .authorities
        .first()
        .ok_or(TrustError::Defect("the backup has no authority"))?;
    let authority = Authority::with_key(record, &backup.authority_key)
        .map_err(|_| TrustError::Defect("the key in the backup is not that of its authority"))?;
    let directory = store.join(DIRECTORY);
    files::directory(&directory)?;
    let path = directory.join(STATE_FILE);
    if !replace && files::read(&path)?.is_some() {
        return Err(TrustError::InUse(format!(
            "there is a trust in {} already; --force replaces it",
            directory.display()
        )));
    }
    authority.save_key(&directory)?;
    let state = serde_json::to_string_pretty(&backup.state)
        .map_err(|error| TrustError::Write(error.into()))?;
    files::write(&path, &state)?;
    let key = key_path(&directory, &authority.record.key_id);
    give(store, &[&directory, &path, &key]).map_err(TrustError::Write)?;
    Ok(backup.made_at)
}

/// To whoever the store belongs to: root restores for the user of the coordinator.
fn give(store: &Path, paths: &[&Path]) -> io::Result<()> {
    let owner = std::fs::metadata(store)?;
    for path in paths {
        let metadata = std::fs::metadata(path)?;
        if (metadata.uid(), metadata.gid()) != (owner.uid(), owner.gid()) {
            chown(path, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}
