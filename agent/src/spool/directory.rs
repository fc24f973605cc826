//! The directory of a spool: nobody else may write in it, and one process uses
//! it at a time.
//!
//! Everything goes through one descriptor, so what was checked is what is used.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fstatvfs, mkdir, renameat, unlinkat},
    io::Errno,
    process::geteuid,
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Rights to write for the group and for everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why a directory is not used at all: somebody else could have written what
/// is in it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} {problem}; the spool needs a directory of its own, owned by uid {} with mode 0700",
    .path.display(), geteuid().as_raw()
)]
pub struct RefusedDirectory {
    path: PathBuf,
    problem: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Refused(#[from] RefusedDirectory),
    #[error("{doing}: {source}")]
    Failed {
        doing: &'static str,
        source: io::Error,
    },
}

#[derive(Debug)]
pub(super) struct Directory {
    /// Locked as long as it is open.
    descriptor: File,
}

impl Directory {
    /// Opens the directory and makes it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |doing| {
            move |error: Errno| OpenError::Failed {
                doing,
                source: error.into(),
            }
        };
        match mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("making the directory")(error)),
        }
        let descriptor = match open_directory(path) {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(refused(path, "is a link or no directory").into());
            }
            result => result.map_err(failed("opening the directory"))?,
        };
        let status = fstat(&descriptor).map_err(failed("looking at the directory"))?;
        if status.st_uid != geteuid().as_raw() {
            let owner = format!("belongs to uid {}", status.st_uid);
            return Err(refused(path, &owner).into());
        }
        if status.st_mode & WRITABLE_BY_OTHERS != 0 {
            let mode = format!("has mode {:04o}", status.st_mode & 0o7777);
            return Err(refused(path, &mode).into());
        }
        match descriptor.try_lock() {
            Ok(()) => Ok(Self { descriptor }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Failed {
                doing: "taking the directory",
                source: io::Error::other("another agent uses it"),
            }),
            Err(TryLockError::Error(source)) => Err(OpenError::Failed {
                doing: "taking the directory",
                source,
            }),
        }
    }

    /// Makes a file anew, for reading and writing.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::CREATE | OFlags::TRUNC)
    }

    /// A file that is there, for reading and writing.
    pub(super) fn file(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::empty())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's own files, in a directory that only it writes"
    )]
    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let file = rustix::fs::openat(&self.descriptor, name, flags, mode)?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(file.into())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    /// Removes a file; one that is not there is as good.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of what is in it, sorted.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
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

    /// Bytes that its file system has left.
    pub(super) fn room(&self) -> io::Result<u64> {
        let size = fstatvfs(&self.descriptor)?;
        Ok(size.f_bavail.saturating_mul(size.f_frsize))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent's own directory; the link itself is what must not be followed"
)]
fn open_directory(path: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

fn refused(path: &Path, problem: &str) -> RefusedDirectory {
    RefusedDirectory {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
