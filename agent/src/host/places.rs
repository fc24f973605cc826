//! Directories that a reader has been to, so that the next file in one is a step away.
//!
//! Opening a path name by name from the root costs a system call for each name, and
//! collectors read dozens of files of one directory. What is remembered is an open
//! directory and where it really is: a file in it is opened by its name, and a link is
//! not followed but led through [`Host::resolve`] as ever. It is kept for one run of one
//! collector, so nothing that is replaced on the node stays in use.

use std::{
    cell::RefCell,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use rustix::{
    fs::{AtFlags, FileType, OFlags},
    io::Errno,
};

use super::{Host, SourceError, ban, banned, errno, resolve};

/// Directories that are kept: those that lead to all guests, and the dozen of one VM
/// with its threads.
const PLACES: usize = 24;

/// The places of one run, the one used last at the end.
#[derive(Debug, Default)]
pub(crate) struct Places(RefCell<Vec<Rc<Place>>>);

#[derive(Debug)]
struct Place {
    /// As it was asked for.
    path: String,
    /// Where the kernel says that it is, below the root.
    real: String,
    directory: OwnedFd,
}

impl Places {
    /// The place of this path, which counts as used now.
    fn known(&self, path: &str) -> Option<Rc<Place>> {
        let mut places = self.0.borrow_mut();
        let position = places.iter().rposition(|place| place.path == path)?;
        let place = places.remove(position);
        places.push(Rc::clone(&place));
        Some(place)
    }
}

impl Host {
    /// As [`Host::resolve`], by way of a place where that is known.
    pub(super) fn resolve_near(
        &self,
        places: &Places,
        path: &str,
        flags: OFlags,
    ) -> Result<OwnedFd, SourceError> {
        // A recorded refusal is asked of every step.
        if !self.refused.is_empty() {
            return self.resolve(path, flags);
        }
        if ban::is_banned(path) {
            return Err(banned(path));
        }
        let Some((directory, name)) = split(path) else {
            return self.resolve(path, flags);
        };
        let Some(place) = self.place(places, directory)? else {
            return self.resolve(path, flags);
        };
        match open(place.directory.as_fd(), name, flags) {
            Ok(Some(file)) => {
                self.witness(|witness| witness.paths.push(path.to_owned()));
                if place.real != directory && ban::is_banned(&format!("{}/{name}", place.real)) {
                    return Err(banned(path));
                }
                Ok(file)
            }
            Ok(None) => self.resolve(path, flags),
            Err(error) => {
                self.witness(|witness| witness.paths.push(path.to_owned()));
                Err(errno(path, error))
            }
        }
    }

    /// As [`Host::exists`], by way of a place where that is known.
    pub(crate) fn exists_near(&self, places: &Places, path: &str) -> bool {
        let step = match split(path) {
            Some((directory, name)) if self.refused.is_empty() && !ban::is_banned(path) => self
                .place(places, directory)
                .ok()
                .flatten()
                .filter(|place| place.real == directory)
                .map(|place| rustix::fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW)),
            _ => None,
        };
        match step {
            // A link has to be led to, and so has what is above a banned place.
            Some(Ok(stat)) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                self.witness(|witness| witness.paths.push(path.to_owned()));
                true
            }
            Some(Err(Errno::NOENT)) => {
                self.witness(|witness| witness.paths.push(path.to_owned()));
                false
            }
            _ => self.exists(path),
        }
    }

    /// The directory, opened if it is not known; `None` for one that has to be led to.
    fn place(&self, places: &Places, path: &str) -> Result<Option<Rc<Place>>, SourceError> {
        if let Some(known) = places.known(path) {
            return Ok(Some(known));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let above = match split(path) {
            Some((above, name)) => self.place(places, above)?.map(|above| (above, name)),
            None => None,
        };
        let step = above.and_then(|(above, name)| {
            let directory = open(above.directory.as_fd(), name, flags).ok().flatten()?;
            Some((directory, format!("{}/{name}", above.real)))
        });
        let (directory, real) = match step {
            Some(step) => step,
            // Whatever is in the way, also that nothing is there, is told by who asks.
            None => {
                let Ok(directory) = resolve::open(&self.root, path, flags) else {
                    return Ok(None);
                };
                let Some(real) = self.real_path(&directory) else {
                    return Ok(None);
                };
                (directory, real)
            }
        };
        if ban::is_banned(&real) {
            return Err(banned(path));
        }
        let place = Rc::new(Place {
            path: path.to_owned(),
            real,
            directory,
        });
        let mut known = places.0.borrow_mut();
        if known.len() >= PLACES {
            known.remove(0);
        }
        known.push(Rc::clone(&place));
        Ok(Some(place))
    }
}

/// Directory and name of a path that needs no thought: absolute, below the root, with
/// no name that stands for another place.
fn split(path: &str) -> Option<(&str, &str)> {
    let (directory, name) = path.rsplit_once('/')?;
    let is_plain = !matches!(name, "" | "." | "..") && directory.starts_with('/');
    is_plain.then_some((directory, name))
}

/// Opens a name without following it; `None` for a link, or what may be one.
fn open(directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    let only_path = flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY);
    if only_path {
        return Ok(None);
    }
    match resolve::openat(directory, name.as_bytes(), flags | OFlags::NOFOLLOW) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::LOOP | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;
    use tempfile::TempDir;

    use super::*;

    fn tree() -> (TempDir, Host) {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        for (path, text) in [
            ("a/b/x", "x"),
            ("a/b/y", "y"),
            ("etc/pve/priv/s", "secret"),
            ("etc/pve/nodes/n/c", "c"),
            ("etc/pve/k.key", "secret"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        for (target, link) in [
            ("/a/b", "l"),
            ("nodes/n", "etc/pve/local"),
            ("/etc/pve/priv", "a/p"),
            ("../b/x", "a/b/to-x"),
            ("/etc/pve", "q"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let host = Host::open(root).unwrap();
        (directory, host)
    }

    fn read(host: &Host, places: &Places, path: &str) -> Result<Vec<u8>, FailureKind> {
        host.read_bytes_near(places, path, 100)
            .map_err(|error| error.kind)
    }

    #[test]
    fn files_of_a_known_directory_are_those_that_are_there() {
        let (directory, host) = tree();
        let places = Places::default();
        assert_eq!(read(&host, &places, "/a/b/x").unwrap(), b"x");
        assert_eq!(read(&host, &places, "/a/b/to-x").unwrap(), b"x");
        assert_eq!(read(&host, &places, "/l/y").unwrap(), b"y");
        assert_eq!(read(&host, &places, "/etc/pve/local/c").unwrap(), b"c");
        assert_eq!(read(&host, &places, "/a/b/z"), Err(FailureKind::NotFound));
        fs::write(directory.path().join("a/b/z"), "z").unwrap();
        assert_eq!(read(&host, &places, "/a/b/z").unwrap(), b"z");
        fs::remove_dir_all(directory.path().join("a/b")).unwrap();
        assert_eq!(read(&host, &places, "/a/b/x"), Err(FailureKind::NotFound));
    }

    #[test]
    fn a_known_directory_opens_no_banned_place() {
        let (_directory, host) = tree();
        let places = Places::default();
        assert_eq!(read(&host, &places, "/etc/pve/local/c").unwrap(), b"c");
        for path in [
            "/etc/pve/priv/s",
            "/a/p/s",
            "/q/priv/s",
            "/q/k.key",
            "/etc/pve/k.key",
        ] {
            assert_eq!(
                read(&host, &places, path),
                Err(FailureKind::Banned),
                "{path}"
            );
        }
    }

    proptest! {
        /// Near or far, the same comes out, whatever was opened before.
        #[test]
        fn a_place_changes_nothing(
            paths in proptest::collection::vec("(/(a|b|x|y|l|p|q|etc|pve|priv|s|local|nodes|n|c|to-x|k.key|\\.|\\.\\.)){1,5}/?", 1..12)
        ) {
            let (_directory, host) = tree();
            let places = Places::default();
            for path in paths {
                let near = host.read_bytes_near(&places, &path, 100);
                prop_assert_eq!(near, host.read_bytes(&path, 100), "{}", path);
                let near = host.exists_near(&places, &path);
                prop_assert_eq!(near, host.exists(&path), "{}", path);
                let near = host.list_near(&places, &path);
                prop_assert_eq!(near, host.list(&path), "{}", path);
            }
        }
    }

    #[test]
    fn a_process_that_looks_at_itself_is_held_back_as_before() {
        let host = Host::open(Path::new("/")).unwrap();
        let places = Places::default();
        for path in [
            "/proc/self/environ",
            "/proc/self/root/etc/passwd",
            "/proc/self/exe",
        ] {
            read(&host, &places, "/proc/self/stat").ok();
            assert_eq!(
                read(&host, &places, path),
                Err(FailureKind::Banned),
                "{path}"
            );
        }
        assert!(
            host.read_bytes_near(&places, "/proc/self/stat", 4096)
                .is_ok()
        );
    }
}
