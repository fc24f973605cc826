//! The root below which all files are read.
//!
//! Every read of the agent passes through here, so this is where it is made
//! safe: links are resolved inside the root and never through the magic links
//! of `/proc`, the size is bounded, FIFOs, sockets and devices are refused
//! without blocking, and banned paths stay closed whatever link leads to them.
//! Nothing here writes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::{Dir, FileType, Mode, OFlags};

mod ban;
mod connect;
mod error;
mod guest_policy;
mod inside;
mod pattern;
mod places;
mod refused;
mod resolve;
mod size;
mod subscription;
mod time;
mod tools;

pub use error::SourceError;
pub use pattern::{Found, Match, fits};
pub use refused::kind_name;
pub use size::FilesystemSize;

use crate::guest_socket::{Memory, Turns};
use error::{banned, errno, into_text, io_error, malformed, too_large};
use refused::Refused;
use tools::Tools;
pub(crate) use {
    guest_policy::GUEST_POLICY,
    inside::{CONTAINERS, Inside, NoWay, Spot},
    places::Places,
};

/// Names that one directory may have; a longer one is refused.
const DIRECTORY_LIMIT: usize = 200_000;
/// Room for a file that is read in one go.
const READ_AT_ONCE: usize = 2 << 10;
/// Reads of a pmxcfs dot file before it counts as torn.
const DOT_FILE_ATTEMPTS: u32 = 3;

/// A node's file tree. Paths are absolute as on the node.
#[derive(Debug)]
pub struct Host {
    root: OwnedFd,
    /// Real path of the root, without a final slash; empty for `/`.
    prefix: String,
    clock: Clock,
    refused: Refused,
    /// What was read, when that is kept.
    witness: Option<Mutex<Witness>>,
    guest_agents: Memory,
    guest_turns: Turns,
    /// What this process may start itself; the agent may nothing.
    tools: Option<Tools>,
}

/// What has been read, for whoever records a node or measures the reading.
#[derive(Debug, Default)]
pub struct Witness {
    /// Whole replies of probes, by kind and name.
    pub replies: BTreeMap<(&'static str, String), Vec<u8>>,
    /// Files, directories and links in order of reading, each as often as it was.
    pub paths: Vec<String>,
}

/// What time the agent believes it is.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Milliseconds since the epoch, moved by whoever simulates the node.
    Fixed(Arc<AtomicI64>),
}

impl Host {
    /// Opens a root directory; `/` is the live system.
    ///
    /// # Errors
    /// When it is not a readable directory, or a recording whose list of refused
    /// paths cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this is the root of all reads")]
    pub fn open(root: &Path) -> Result<Self, SourceError> {
        let name = root.display().to_string();
        let root: PathBuf = root
            .canonicalize()
            .map_err(|error| io_error(&name, &error))?;
        let directory = rustix::fs::open(
            &root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| errno(&name, error))?;
        let prefix = root
            .to_str()
            .ok_or_else(|| SourceError::new(&name, FailureKind::NotUtf8, "path is not UTF-8"))?
            .trim_end_matches('/')
            .to_owned();
        let mut host = Self {
            root: directory,
            prefix,
            clock: Clock::System,
            refused: Refused::default(),
            witness: None,
            guest_agents: Memory::default(),
            guest_turns: Turns::default(),
            tools: None,
        };
        host.refused = Refused::of(&host)?;
        Ok(host)
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps from now on what is read.
    #[must_use]
    pub fn witnessed(mut self) -> Self {
        self.witness = Some(Mutex::default());
        self
    }

    /// What has been read since it was last asked.
    #[must_use]
    pub fn take_witness(&self) -> Witness {
        self.witness
            .as_ref()
            .map_or_else(Witness::default, |witness| {
                std::mem::take(&mut *witness.lock().unwrap_or_else(PoisonError::into_inner))
            })
    }

    pub(crate) fn witness(&self, note: impl FnOnce(&mut Witness)) {
        if let Some(witness) = &self.witness {
            note(&mut witness.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether this is the running system and not a tree of files.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.prefix.is_empty()
    }

    /// What is known of the guest agents of this node from run to run.
    pub(crate) fn guest_agents(&self) -> &Memory {
        &self.guest_agents
    }

    /// Who talks to the guest agents of this node.
    pub(crate) fn guest_turns(&self) -> &Turns {
        &self.guest_turns
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::System => Timestamp::now(),
            Clock::Fixed(millis) => {
                Timestamp::from_millisecond(millis.load(Ordering::Acquire)).unwrap_or_default()
            }
        }
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn read_bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        self.read_bytes_near(&Places::default(), path, limit)
    }

    /// As [`Host::read_bytes`], from where a run of a collector has been before.
    pub(crate) fn read_bytes_near(
        &self,
        places: &Places,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, SourceError> {
        // Most files of the kernel fit, and are read at once.
        let mut bytes = Vec::with_capacity(READ_AT_ONCE);
        let read = File::from(self.open_file(places, path)?)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| io_error(path, &error))?;
        if u64::try_from(read).is_ok_and(|read| read > limit) {
            return Err(too_large(path, limit));
        }
        Ok(bytes)
    }

    /// Reads a text file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Host::read_bytes`], or when it is not UTF-8.
    pub fn read(&self, path: &str, limit: u64) -> Result<String, SourceError> {
        self.read_near(&Places::default(), path, limit)
    }

    /// As [`Host::read`], from where a run of a collector has been before.
    pub(crate) fn read_near(
        &self,
        places: &Places,
        path: &str,
        limit: u64,
    ) -> Result<String, SourceError> {
        into_text(path, self.read_bytes_near(places, path, limit)?)
    }

    /// Reads up to the first newline, which is not part of the result.
    ///
    /// # Errors
    /// As [`Host::read`]; a line without its newline is truncated.
    pub fn read_first_line(&self, path: &str, limit: u64) -> Result<String, SourceError> {
        let mut bytes = Vec::new();
        BufReader::new(File::from(self.open_file(&Places::default(), path)?).take(limit))
            .read_until(b'\n', &mut bytes)
            .map_err(|error| io_error(path, &error))?;
        if bytes.pop_if(|last| *last == b'\n').is_none() {
            let full = u64::try_from(bytes.len()).is_ok_and(|length| length >= limit);
            return Err(if full {
                too_large(path, limit)
            } else {
                SourceError::new(path, FailureKind::Truncated, "the first line does not end")
            });
        }
        into_text(path, bytes)
    }

    /// Reads a dot file of pmxcfs.
    ///
    /// Its content is made when the file is stat'ed and served from one buffer
    /// to every reader, so a large one can tear: it is stat'ed first, checked
    /// with `is_complete`, and read again a moment later when it is torn
    /// (`pve-cluster@src/pmxcfs/cfs-plug-func.c`).
    ///
    /// # Errors
    /// As [`Host::read`]; what is still incomplete at the last attempt is truncated.
    pub fn read_dot_file(
        &self,
        path: &str,
        limit: u64,
        is_complete: fn(&str) -> bool,
    ) -> Result<String, SourceError> {
        for attempt in 1..=DOT_FILE_ATTEMPTS {
            // Opening goes through lookup and getattr, which renews the content.
            let text = self.read(path, limit)?;
            if is_complete(&text) {
                return Ok(text);
            }
            if attempt < DOT_FILE_ATTEMPTS && self.is_live() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Err(SourceError::new(
            path,
            FailureKind::Truncated,
            "incomplete at every attempt",
        ))
    }

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// When it cannot be listed, or has more than 200,000 names.
    pub fn list(&self, path: &str) -> Result<Vec<String>, SourceError> {
        self.list_near(&Places::default(), path)
    }

    /// As [`Host::list`], from where a run of a collector has been before.
    pub(crate) fn list_near(
        &self,
        places: &Places,
        path: &str,
    ) -> Result<Vec<String>, SourceError> {
        let directory = self.resolve_near(places, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::new(directory).map_err(|error| errno(path, error))? {
            let entry = entry.map_err(|error| errno(path, error))?;
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            if names.len() >= DIRECTORY_LIMIT {
                return Err(SourceError::new(
                    path,
                    FailureKind::TooLarge,
                    "too many names",
                ));
            }
            names.push(name.into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where a symbolic link points, as written.
    ///
    /// # Errors
    /// When there is no link, or it cannot be read.
    pub fn link_target(&self, path: &str) -> Result<String, SourceError> {
        let itself = OFlags::PATH | OFlags::NOFOLLOW;
        self.recorded(path, itself)?;
        let link = self.resolve(path, itself)?;
        let kind = file_type(path, &link)?;
        if kind != FileType::Symlink {
            let detail = format!("a {} where a link is expected", kind_word(kind));
            return Err(SourceError::new(path, FailureKind::NotAFile, detail));
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new()).map_err(|e| errno(path, e))?;
        Ok(target.to_string_lossy().into_owned())
    }

    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlags::PATH).is_ok()
    }

    /// Opens a regular file for reading; never blocks on a FIFO.
    fn open_file(&self, places: &Places, path: &str) -> Result<OwnedFd, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve_near(places, path, flags)?;
        let kind = file_type(path, &file)?;
        if kind == FileType::RegularFile {
            Ok(file)
        } else {
            Err(SourceError::new(
                path,
                FailureKind::NotAFile,
                format!("a {} where a file is expected", kind_word(kind)),
            ))
        }
    }

    /// Opens a path inside the root, unless it or what it leads to is banned or,
    /// for more than its name, refused.
    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, SourceError> {
        if ban::is_banned(path) {
            return Err(banned(path));
        }
        self.witness(|witness| witness.paths.push(path.to_owned()));
        if !flags.contains(OFlags::PATH) {
            self.recorded(path, OFlags::PATH)?;
        }
        let file = resolve::open(&self.root, path, flags).map_err(|error| errno(path, error))?;
        // A path that cannot be told counts as banned.
        if self.real_path(&file).as_deref().is_none_or(ban::is_banned) {
            return Err(banned(path));
        }
        Ok(file)
    }

    /// Asks the kernel where an open file really is, below the root.
    fn real_path(&self, file: &OwnedFd) -> Option<String> {
        use std::os::fd::AsRawFd;
        let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        let target = rustix::fs::readlink(link, Vec::new()).ok()?;
        let path = target.to_str().ok()?.strip_prefix(self.prefix.as_str())?;
        Some(path.to_owned())
    }
}

fn file_type(path: &str, file: &OwnedFd) -> Result<FileType, SourceError> {
    rustix::fs::fstat(file)
        .map(|stat| FileType::from_raw_mode(stat.st_mode))
        .map_err(|error| errno(path, error))
}

fn kind_word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "special file",
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests;
