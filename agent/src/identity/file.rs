//! The file of the identity: read and written whole, closed to everybody else.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Identity;
use crate::spool::directory::DirectoryError;

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("opening {path}: {reason}")]
    Directory { path: PathBuf, reason: String },
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not to be trusted: {reason}")]
    Rights { path: PathBuf, reason: String },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
}

pub(super) fn load(directory: &Path) -> Result<Option<Identity>, IdentityError> {
    let _ = directory;
    Ok(None)
}

pub(super) fn save(identity: &Identity, directory: &Path) -> Result<(), IdentityError> {
    let _ = (identity, directory, DirectoryError::Taken);
    Ok(())
}

pub(super) fn remove(directory: &Path) -> Result<(), IdentityError> {
    let _ = directory;
    Ok(())
}
