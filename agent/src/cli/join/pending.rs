//! The key that asks for a certificate, kept until there is one: when the answer is
//! lost, the same line with the same key is answered again.

use std::{
    fs::DirBuilder,
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{identity::new_key_and_csr, spool::directory::Directory};

/// Beside the identity.
const NAME: &str = "pending.json";
const NEW_NAME: &str = "pending.json.new";
const LIMIT: u64 = 64 << 10;
const DIRECTORY_MODE: u32 = 0o700;

/// A key and what it asks for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    token_id: String,
    node: String,
    cluster: String,
    pub(super) key_pem: String,
    csr_base64: String,
}

impl Pending {
    /// The one of an earlier attempt with this token, or a new one, on the disk.
    pub(super) fn get(
        directory: &Path,
        token_id: &str,
        node: &str,
        cluster: &str,
    ) -> anyhow::Result<Self> {
        let mut make = DirBuilder::new();
        make.recursive(true).mode(DIRECTORY_MODE);
        make.create(directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let files = open(directory)?;
        let earlier = read(&files).filter(|earlier| {
            (earlier.token_id.as_str(), earlier.node.as_str()) == (token_id, node)
                && earlier.cluster == cluster
                && earlier.csr_der().is_some()
        });
        if let Some(earlier) = earlier {
            return Ok(earlier);
        }
        let (key_pem, csr_der) = new_key_and_csr(node)?;
        let new = Self {
            token_id: token_id.to_owned(),
            node: node.to_owned(),
            cluster: cluster.to_owned(),
            key_pem,
            csr_base64: STANDARD.encode(csr_der),
        };
        new.write(&files)
            .with_context(|| format!("writing {}", directory.join(NAME).display()))?;
        Ok(new)
    }

    pub(super) fn csr_der(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.csr_base64).ok()
    }

    fn write(&self, files: &Directory) -> io::Result<()> {
        // One that a crash left may have any rights.
        files.remove(NEW_NAME)?;
        let mut file = files.create(NEW_NAME)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        files.rename(NEW_NAME, NAME)?;
        files.sync()
    }
}

/// Forgets the key; none is as good. Says whether there was one.
pub(in crate::cli) fn remove(directory: &Path) -> anyhow::Result<bool> {
    let looked = Directory::look(directory);
    let looked = looked.with_context(|| format!("opening {}", directory.display()))?;
    if looked.is_none() {
        return Ok(false);
    }
    let files = open(directory)?;
    let remove = || {
        let was_there = files.file(NAME)?.is_some();
        files.remove(NAME)?;
        files.remove(NEW_NAME)?;
        files.sync()?;
        Ok::<_, io::Error>(was_there)
    };
    remove().with_context(|| format!("removing {}", directory.join(NAME).display()))
}

fn open(directory: &Path) -> anyhow::Result<Directory> {
    Directory::open(directory).with_context(|| format!("opening {}", directory.display()))
}

/// What cannot be read is as none: a new key is all that is lost.
fn read(files: &Directory) -> Option<Pending> {
    let file = files.file(NAME).ok()??;
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was made")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_same_line_has_the_same_key_until_it_is_forgotten() {
        let directory = TempDir::new().unwrap();
        let path = &directory.path().join("a/identity");
        let key = |token, node, cluster| {
            let pending = Pending::get(path, token, node, cluster).unwrap();
            assert!(pending.csr_der().is_some());
            pending.key_pem
        };
        let first = key("t", "pve1", "c");
        assert_eq!(key("t", "pve1", "c"), first);
        for name in ["", NAME] {
            let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
        assert_ne!(key("t", "pve2", "c"), first);
        assert_ne!(key("other", "pve1", "c"), first);
        fs::write(path.join(NAME), "{").unwrap();
        assert_ne!(key("t", "pve1", "c"), first);
        assert!(remove(path).unwrap());
        assert!(!remove(path).unwrap());
        assert!(!remove(&path.join("nowhere")).unwrap());
    }
}
