//! The directory of a spool or of the flight recorder: nobody else may write in it,
//! and one process uses it at a time.
//!
//! Everything goes through one descriptor, so what was checked is what is used.

#![expect(
    clippy::disallowed_methods,
    reason = "the agent's own files, in a directory that only it writes"
)]

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdir, renameat, unlinkat},
    io::Errno,
    process::geteuid,
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Rights to write for the group and for everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("{doing}: {source}")]
    Failed {
        doing: &'static str,
        source: io::Error,
    },
    #[error("it belongs to uid {0}, so another than this agent could have written what is in it")]
    Owner(u32),
    #[error("its mode is {0:04o}, so others than this agent could have written what is in it")]
    Mode(u32),
    #[error("another agent uses it")]
    Taken,
}

#[derive(Debug)]
pub(crate) struct Directory {
    /// Locked as long as it is open.
    descriptor: File,
}

impl Directory {
    /// Opens the directory and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, DirectoryError> {
        match mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("making it")(error)),
        }
        let descriptor = open_directory(path).map_err(failed("opening it"))?;
        let status = fstat(&descriptor).map_err(failed("looking at it"))?;
        if status.st_uid != geteuid().as_raw() {
            return Err(DirectoryError::Owner(status.st_uid));
        }
        if status.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(DirectoryError::Mode(status.st_mode & 0o7777));
        }
        match descriptor.try_lock() {
            Ok(()) => Ok(Self { descriptor }),
            Err(TryLockError::WouldBlock) => Err(DirectoryError::Taken),
            Err(TryLockError::Error(error)) => Err(failed("locking it")(error)),
        }
    }

    /// Opens the directory to look at what another process may be writing; `None`
    /// when there is none.
    pub(crate) fn look(path: &Path) -> io::Result<Option<Self>> {
        match open_directory(path) {
            Ok(descriptor) => Ok(Some(Self { descriptor })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Owner and mode of what is used.
    pub(crate) fn owner_and_mode(&self) -> io::Result<(u32, u32)> {
        let status = fstat(&self.descriptor)?;
        Ok((status.st_uid, status.st_mode & 0o7777))
    }

    /// A file to be read only, also where the disk cannot be written.
    pub(crate) fn file_to_read(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Waits until the disk has the names.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.descriptor.sync_all()
    }

    /// Makes a file anew, for reading and writing.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::CREATE | OFlags::TRUNC)
    }

    /// A file for reading and writing, if it is there.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<File>> {
        match self.open_file(name, OFlags::empty()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        self.open_with(name, flags | OFlags::RDWR)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // What is no file must neither block nor be followed.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let file = rustix::fs::openat(&self.descriptor, name, flags, mode)?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no file"));
        }
        Ok(file.into())
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    /// Removes a file; one that is not there is as good.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of what is in it, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

fn open_directory(path: &Path) -> rustix::io::Result<File> {
    // A link in its place is none of the agent's.
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

fn failed<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> DirectoryError {
    move |error| DirectoryError::Failed {
        doing,
        source: error.into(),
    }
}
