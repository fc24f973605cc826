//! The three files of a client: its key, its certificate, and whom it trusts. Nobody
//! else's, and none is ever overwritten but by a renewal.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use pvelens_proto::agent::v1::{Authority, CertificateChain};

use crate::cli::{
    Failure,
    client::credentials::{AUTHORITIES, CERTIFICATE, KEY},
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;
/// Characters of a line (RFC 7468, section 2).
const LINE: usize = 64;

/// A directory in which nothing is yet of what we write.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// To be removed again when nothing comes of it.
    is_new: bool,
}

impl Place {
    /// Makes the directory, or looks whether it is ours alone.
    pub(super) fn prepare(directory: &Path) -> Result<Self, Failure> {
        let made = DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
        let is_new = match made {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(failed("making the directory", directory, &error)),
        };
        let place = Self {
            directory: directory.to_owned(),
            is_new,
        };
        if !is_new {
            place.look()?;
        }
        Ok(place)
    }

    fn look(&self) -> Result<(), Failure> {
        let directory = self.directory.display();
        let metadata = fs::metadata(&self.directory)
            .map_err(|error| failed("looking at", &self.directory, &error))?;
        if !metadata.is_dir() {
            return Err(Failure::Usage(format!("{directory} is no directory")));
        }
        if metadata.permissions().mode() & OTHERS != 0 {
            return Err(Failure::Usage(format!(
                "{directory} can be used by others, and a key is to be written there: name one \
                 that is not there yet, or `chmod 700` it"
            )));
        }
        for name in [KEY, CERTIFICATE, AUTHORITIES] {
            let file = self.directory.join(name);
            if fs::symlink_metadata(&file).is_ok() {
                return Err(Failure::Usage(format!(
                    "{} is there already, and is not overwritten: name another directory",
                    file.display()
                )));
            }
        }
        Ok(())
    }

    /// Writes all three, or none.
    pub(super) fn fill(
        self,
        key_pem: &str,
        chain: &CertificateChain,
        authorities: &[Authority],
    ) -> Result<(), Failure> {
        let mut written = Vec::new();
        for (name, text) in [
            (KEY, key_pem.to_owned()),
            (CERTIFICATE, chain_pem(chain)),
            (AUTHORITIES, authorities_pem(authorities)),
        ] {
            let file = self.directory.join(name);
            if let Err(error) = write_new(&file, text.as_bytes()) {
                for file in written {
                    drop(fs::remove_file(file));
                }
                self.give_up();
                return Err(failed("writing", &file, &error));
            }
            written.push(file);
        }
        sync(&self.directory);
        Ok(())
    }

    /// Nothing came of it.
    pub(super) fn give_up(self) {
        if self.is_new {
            // It may not be empty any more; then it stays.
            drop(fs::remove_dir(&self.directory));
        }
    }
}

/// Replaces certificate and authorities, each as a whole. The key stays, so that a
/// power failure between them leaves something that works.
pub(super) fn renew(
    directory: &Path,
    chain: &CertificateChain,
    authorities: &[Authority],
) -> Result<(), Failure> {
    for (name, text) in [
        (AUTHORITIES, authorities_pem(authorities)),
        (CERTIFICATE, chain_pem(chain)),
    ] {
        let (file, beside) = (directory.join(name), directory.join(format!("{name}.new")));
        // One may be left of an attempt that was cut short.
        drop(fs::remove_file(&beside));
        write_new(&beside, text.as_bytes())
            .and_then(|()| fs::rename(&beside, &file))
            .map_err(|error| failed("replacing", &file, &error))?;
    }
    sync(directory);
    Ok(())
}

/// The key as it lies there.
pub(super) fn key(directory: &Path) -> Result<String, Failure> {
    let file = directory.join(KEY);
    fs::read_to_string(&file).map_err(|error| failed("reading", &file, &error))
}

/// Writes a file that is not there yet, for its owner alone.
pub(in crate::cli) fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(file)?;
    let written = made.write_all(content).and_then(|()| made.sync_all());
    if written.is_err() {
        drop(fs::remove_file(file));
    }
    written
}

fn sync(directory: &Path) {
    // What is there is right in any case.
    drop(File::open(directory).and_then(|directory| directory.sync_all()));
}

pub(in crate::cli) fn failed(doing: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{doing} {}: {error}", path.display()))
}

fn chain_pem(chain: &CertificateChain) -> String {
    chain.certificates_der.iter().map(|der| pem(der)).collect()
}

fn authorities_pem(authorities: &[Authority]) -> String {
    authorities
        .iter()
        .map(|authority| pem(&authority.certificate_der))
        .collect()
}

/// A certificate as text (RFC 7468).
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn chain() -> CertificateChain {
        CertificateChain {
            certificates_der: vec![vec![1; 100], vec![2; 3]],
        }
    }

    fn authorities() -> Vec<Authority> {
        vec![Authority {
            certificate_der: vec![3; 48],
            cross_certificates_der: vec![vec![4]],
        }]
    }

    #[test]
    fn files_are_for_their_owner_and_never_overwritten() {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("anna");
        let fill = || Place::prepare(&place)?.fill("key", &chain(), &authorities());
        fill().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        for name in [KEY, CERTIFICATE, AUTHORITIES] {
            assert_eq!(mode(&place.join(name)), 0o600, "{name}");
        }
        let certificates = fs::read_to_string(place.join(CERTIFICATE)).unwrap();
        assert_eq!(certificates.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(certificates.lines().all(|line| line.len() <= LINE));
        let failure = fill().unwrap_err();
        assert!(failure.to_string().contains("not overwritten"), "{failure}");

        renew(&place, &authorities_as_chain(), &authorities()).unwrap();
        let certificates = fs::read_to_string(place.join(CERTIFICATE)).unwrap();
        assert_eq!(certificates.matches("BEGIN CERTIFICATE").count(), 1);
        assert_eq!(key(&place).unwrap(), "key");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 3);
    }

    fn authorities_as_chain() -> CertificateChain {
        CertificateChain {
            certificates_der: vec![vec![5; 10]],
        }
    }

    #[test]
    fn a_place_that_others_can_use_is_no_place_for_a_key() {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let failure = Place::prepare(directory.path()).unwrap_err();
        assert!(failure.to_string().contains("chmod 700"), "{failure}");
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Place::prepare(&file).is_err());
    }

    #[test]
    fn nothing_is_left_when_nothing_comes_of_it() {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("anna");
        Place::prepare(&place).unwrap().give_up();
        assert!(!place.exists());
    }
}
