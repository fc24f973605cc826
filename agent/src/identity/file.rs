//! The file of the identity: read and written whole, closed to everybody else.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::{
    FILE, Identity,
    accept::{AUTHORITIES, CHAIN},
    certificate::{self, CertificateError},
    key,
};
use crate::spool::directory::Directory;

const NEW_FILE: &str = "identity.json.new";
/// Far more than the largest has.
const BYTES: u64 = 512 << 10;
const COORDINATORS: usize = 8;
/// A name of the DNS, and a port.
const ADDRESS_BYTES: usize = 260;
const DIRECTORY_MODE: u32 = 0o700;
/// Rights of the group and of everybody.
const OTHERS: u32 = 0o077;
const VERSION: u32 = 1;

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
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

/// What is written. Certificates are DER in base64.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    cluster: String,
    node: String,
    key: String,
    chain: Vec<String>,
    authorities: Vec<String>,
    coordinators: Vec<String>,
}

pub(super) fn load(path: &Path) -> Result<Option<Identity>, IdentityError> {
    let Some(directory) = Directory::look(path).map_err(failed("opening", path))? else {
        return Ok(None);
    };
    let rights = directory.owner_and_mode();
    let (owner, mode) = rights.map_err(failed("looking at", path))?;
    let path = path.join(FILE);
    let file = match directory.file_to_read(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(failed("opening", &path))?,
    };
    // Of the directory only when there is something in it to be trusted.
    check_rights(path.parent().unwrap_or(&path), owner, mode)?;
    let status = file.metadata().map_err(failed("looking at", &path))?;
    check_rights(&path, status.uid(), status.mode() & 0o7777)?;
    let text = read(file).map_err(failed("reading", &path))?;
    parse(&text)
        .map(Some)
        .map_err(|reason| IdentityError::Damaged { path, reason })
}

/// What changes with the file, or with who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    directory: (u32, u32),
    file: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

/// `None`: there is no file.
pub(super) fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    let Some(directory) = Directory::look(path)? else {
        return Ok(None);
    };
    let file = match directory.file_to_read(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?.metadata()?,
    };
    Ok(Some(Stamp {
        directory: directory.owner_and_mode()?,
        file: (file.ino(), file.size()),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    }))
}

pub(super) fn save(identity: &Identity, path: &Path) -> Result<(), IdentityError> {
    let text = text(identity).map_err(failed("writing", path))?;
    let mut make = DirBuilder::new();
    make.recursive(true).mode(DIRECTORY_MODE);
    make.create(path).map_err(failed("making", path))?;
    let directory = open_to_write(path)?;
    let replace = || {
        // One that a crash left may have any rights.
        directory.remove(NEW_FILE)?;
        let mut file = directory.create(NEW_FILE)?;
        file.write_all(&text)?;
        file.sync_all()?;
        directory.rename(NEW_FILE, FILE)?;
        directory.sync()
    };
    replace().map_err(failed("writing", &path.join(FILE)))
}

pub(super) fn remove(path: &Path) -> Result<(), IdentityError> {
    if Directory::look(path)
        .map_err(failed("opening", path))?
        .is_none()
    {
        return Ok(());
    }
    let directory = open_to_write(path)?;
    let remove = || {
        directory.remove(FILE)?;
        directory.remove(NEW_FILE)?;
        directory.sync()
    };
    remove().map_err(failed("removing", &path.join(FILE)))
}

/// One process writes at a time.
fn open_to_write(path: &Path) -> Result<Directory, IdentityError> {
    let directory = Directory::open(path).map_err(|error| IdentityError::Rights {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let rights = directory.owner_and_mode();
    let (owner, mode) = rights.map_err(failed("looking at", path))?;
    check_rights(path, owner, mode)?;
    Ok(directory)
}

fn check_rights(path: &Path, owner: u32, mode: u32) -> Result<(), IdentityError> {
    let reason = if owner != geteuid().as_raw() {
        format!("it belongs to uid {owner}")
    } else if mode & OTHERS != 0 {
        format!("its mode is {mode:04o}, so others may have read or written the key of this node")
    } else {
        return Ok(());
    };
    Err(IdentityError::Rights {
        path: path.to_owned(),
        reason,
    })
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn text(identity: &Identity) -> io::Result<Vec<u8>> {
    let encoded = |all: &[Vec<u8>]| all.iter().map(|one| STANDARD.encode(one)).collect();
    let mut text = serde_json::to_vec_pretty(&Written {
        version: VERSION,
        cluster: identity.cluster.clone(),
        node: identity.node.clone(),
        key: identity.key_pem.clone(),
        chain: encoded(&identity.chain),
        authorities: encoded(&identity.authorities),
        coordinators: identity.coordinators.clone(),
    })?;
    text.push(b'\n');
    Ok(text)
}

/// # Errors
/// What is wrong with it, in words that have nothing of the key.
fn parse(text: &[u8]) -> Result<Identity, String> {
    if u64::try_from(text.len()).map_or(true, |bytes| bytes > BYTES) {
        return Err(format!("it has more than {BYTES} bytes"));
    }
    // The message of the parser may quote what it read.
    let written: Written = serde_json::from_slice(text)
        .map_err(|error| format!("it is not what was written, at line {}", error.line()))?;
    if written.version != VERSION {
        return Err(format!("its version {} is not known here", written.version));
    }
    let chain = decoded(&written.chain, CHAIN, "chain")?;
    let authorities = decoded(&written.authorities, AUTHORITIES, "authorities")?;
    let coordinators = written.coordinators;
    let is_wrong = |address: &String| address.is_empty() || address.len() > ADDRESS_BYTES;
    if coordinators.len() > COORDINATORS || coordinators.iter().any(is_wrong) {
        return Err("its coordinators are too many or no addresses".to_owned());
    }
    let says = |error: CertificateError| format!("a certificate {error}");
    for one in chain.iter().chain(&authorities) {
        certificate::parse(one).map_err(says)?;
    }
    let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
    let leaf = certificate::parse(leaf).map_err(says)?;
    let (begins_at, expires_at) = certificate::validity(&leaf).map_err(says)?;
    let named = pvelens_proto::identity::Identity::Node {
        cluster: written.cluster.clone(),
        node: written.node.clone(),
    };
    if certificate::identity(&leaf).map_err(says)? != named {
        return Err("its certificate is for somebody else".to_owned());
    }
    match key::public_key_info(&written.key) {
        Ok(key) if key == leaf.public_key().raw => {}
        Ok(_) => return Err("its key is not that of its certificate".to_owned()),
        Err(_) => return Err("its key is no key".to_owned()),
    }
    Ok(Identity {
        cluster: written.cluster,
        node: written.node,
        key_pem: written.key,
        chain,
        authorities,
        coordinators,
        begins_at,
        expires_at,
    })
}

fn decoded(all: &[String], limit: usize, what: &str) -> Result<Vec<Vec<u8>>, String> {
    if all.is_empty() || all.len() > limit {
        return Err(format!("it has {} {what}", all.len()));
    }
    let decoded = all.iter().map(|one| STANDARD.decode(one));
    decoded
        .collect::<Result<_, _>>()
        .map_err(|_| format!("its {what} are no base64"))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was written")]
mod tests;
