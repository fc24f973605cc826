//! `joined.toml`: where the links of a node go that has joined, written by
//! `pvelens-agent join` beside the settings. It holds no secret: the link reads it,
//! which has no file of the node.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::link::Coordinator;

/// Its name, beside the settings.
pub const NAME: &str = "joined.toml";
/// Many times what eight coordinators with eight addresses need.
const LIMIT: u64 = 64 << 10;
const HEAD: &str = "\
# Written by `pvelens-agent join`, removed by `pvelens-agent leave`. Coordinators that
# are set by hand belong in the section [link] of agent.toml.
";

/// What is in it.
#[derive(Debug, Serialize, Deserialize)]
struct Joined {
    coordinators: Vec<Coordinator>,
}

/// Why it cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum JoinedError {
    #[error("reading {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{} is damaged; `pvelens-agent join` writes it anew: {reason}",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("writing {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("removing {}: {source}", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

/// The coordinators that this node has joined; none without the file.
///
/// # Errors
/// When the file is there and cannot be read, or is not what `join` wrote.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the agent, not a file of the node"
)]
pub fn load(directory: &Path) -> Result<Vec<Coordinator>, JoinedError> {
    let path = directory.join(NAME);
    let damaged = |reason: String| JoinedError::Damaged {
        path: path.clone(),
        reason,
    };
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged("it is no text".to_owned()));
        }
        Err(source) => return Err(JoinedError::Read { path, source }),
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIMIT {
        return Err(damaged(format!("it has more than {LIMIT} bytes")));
    }
    let joined: Joined =
        toml::from_str(&text).map_err(|error| damaged(error.to_string().trim().to_owned()))?;
    Ok(joined.coordinators)
}

/// Writes the file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the agent, written by a command of the administrator"
)]
pub fn save(directory: &Path, coordinators: Vec<Coordinator>) -> Result<(), JoinedError> {
    let path = directory.join(NAME);
    let new = directory.join(".joined.toml.new");
    let write = || {
        let text = toml::to_string(&Joined { coordinators }).map_err(io::Error::other)?;
        fs::create_dir_all(directory)?;
        let mut file = File::create(&new)?;
        // Whatever the mask: the link is another user.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(HEAD.as_bytes())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| JoinedError::Write {
        path: path.clone(),
        source,
    })
}

/// Whether there was one to remove.
///
/// # Errors
/// When it is there and cannot be removed.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the agent, removed by a command of the administrator"
)]
pub fn remove(directory: &Path) -> Result<bool, JoinedError> {
    let path = directory.join(NAME);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(JoinedError::Remove { path, source }),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage what they read")]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let directory = TempDir::new().unwrap();
        let directory = directory.path();
        assert_eq!(load(directory).unwrap(), []);
        let coordinators: Vec<Coordinator> = vec!["mon 192.0.2.7:1".parse().unwrap()];
        for _ in 0..2 {
            save(directory, coordinators.clone()).unwrap();
        }
        assert_eq!(load(directory).unwrap(), coordinators);
        let text = fs::read_to_string(directory.join(NAME)).unwrap();
        assert!(text.contains("[\"mon:8440 192.0.2.7:1\"]"), "{text}");
        let mode = fs::metadata(directory.join(NAME)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o644);
        assert!(remove(directory).unwrap());
        assert!(!remove(directory).unwrap());
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let directory = TempDir::new().unwrap();
        let big = "#".repeat(70_000);
        for damage in [
            &b""[..],
            b"coordinators = [\"https://x\"]",
            b"coordinators = 1",
            b"coordinators = [\"mon",
            b"\xff\xfe",
            big.as_bytes(),
        ] {
            fs::write(directory.path().join(NAME), damage).unwrap();
            let error = load(directory.path()).unwrap_err().to_string();
            assert!(error.contains("joined.toml is damaged"), "{error}");
        }
    }
}
