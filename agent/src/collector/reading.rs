//! What a collector reads with: every read is counted, bounded and named while it
//! lasts, and what fails is kept.

use pvelens_proto::{
    Timestamp,
    agent::v1::{FailureKind, SourceFailure},
    timestamp_from_millis,
};

use super::{Answer, WORD_LIMIT, asked, is_pve_node, run::Whereabouts};
use crate::{
    format::{FormatError, whole_lines},
    host::{FilesystemSize, Host, Places, SourceError},
    probe::Request,
};

/// Failures that one sample names; a broken directory of thousands of files
/// must not fill the wire.
const FAILURE_LIMIT: usize = 100;
/// Bytes of a failure's text.
const DETAIL_LIMIT: usize = 300;

/// One run of one collector: the files below the host, the bytes read, and
/// what could not be read so far.
#[derive(Debug)]
pub struct Reading<'a> {
    host: &'a Host,
    /// What is being read at the moment.
    whereabouts: &'a Whereabouts,
    places: Places,
    bytes: u64,
    failures: Vec<SourceFailure>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(host: &'a Host, whereabouts: &'a Whereabouts) -> Self {
        Self {
            host,
            whereabouts,
            places: Places::default(),
            bytes: 0,
            failures: Vec::new(),
        }
    }

    /// The bytes that were read, and what could not be.
    pub(super) fn end(self) -> (u64, Vec<SourceFailure>) {
        (self.bytes, self.failures)
    }

    /// As [`Host::read`].
    ///
    /// # Errors
    /// As [`Host::read`].
    pub fn read(&mut self, path: &str, limit: u64) -> Result<String, SourceError> {
        let text = self
            .whereabouts
            .at(path, || self.host.read_near(&self.places, path, limit))?;
        self.count(text.len());
        Ok(text)
    }

    /// As [`Host::read_bytes`].
    ///
    /// # Errors
    /// As [`Host::read_bytes`].
    pub fn read_bytes(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = self.whereabouts.at(path, || {
            self.host.read_bytes_near(&self.places, path, limit)
        })?;
        self.count(bytes.len());
        Ok(bytes)
    }

    /// The text of a log that may be absent. Programs write whatever bytes they
    /// get into logs: bytes that are not UTF-8 are named, and replaced.
    pub fn read_log(&mut self, path: &str, limit: u64) -> Option<String> {
        let bytes = match self.read_bytes(path, limit) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return None,
            Err(error) => {
                self.fail(error);
                return None;
            }
        };
        Some(String::from_utf8(bytes).unwrap_or_else(|error| {
            let detail = "not UTF-8";
            self.fail(SourceError::new(path, FailureKind::NotUtf8, detail));
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))
    }

    /// As [`Host::read_first_line`].
    ///
    /// # Errors
    /// As [`Host::read_first_line`].
    pub fn read_first_line(&mut self, path: &str, limit: u64) -> Result<String, SourceError> {
        let text = self
            .whereabouts
            .at(path, || self.host.read_first_line(path, limit))?;
        self.count(text.len());
        Ok(text)
    }

    /// As [`Host::read_dot_file`].
    ///
    /// # Errors
    /// As [`Host::read_dot_file`].
    pub fn read_dot_file(
        &mut self,
        path: &str,
        limit: u64,
        is_complete: fn(&str) -> bool,
    ) -> Result<String, SourceError> {
        let text = self
            .whereabouts
            .at(path, || self.host.read_dot_file(path, limit, is_complete))?;
        self.count(text.len());
        Ok(text)
    }

    /// The text of a file that may be absent. Anything else that is wrong with
    /// it is named, and the collector goes on without it.
    pub fn read_optional(&mut self, path: &str, limit: u64) -> Option<String> {
        match self.read(path, limit) {
            Ok(text) => Some(text),
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// The line in a small file that may be absent, trimmed. The kernel ends its
    /// lines, so one that does not end is named.
    pub fn read_word(&mut self, path: &str) -> Option<String> {
        let text = self.read_optional(path, WORD_LIMIT)?;
        let word = whole_lines(&text).map(|line| line.trim().to_owned());
        self.keep(word.map_err(|error| error.at(path)))
    }

    /// The number in a small file that may be absent.
    pub fn read_number(&mut self, path: &str) -> Option<u64> {
        let number = self.read_word(path)?.parse();
        self.keep(number.map_err(|_| FormatError::malformed("not a number").at(path)))
    }

    /// As [`Host::list`].
    ///
    /// # Errors
    /// As [`Host::list`].
    pub fn list(&self, path: &str) -> Result<Vec<String>, SourceError> {
        self.whereabouts
            .at(path, || self.host.list_near(&self.places, path))
    }

    /// As [`Host::link_target`].
    ///
    /// # Errors
    /// As [`Host::link_target`].
    pub fn link_target(&self, path: &str) -> Result<String, SourceError> {
        self.whereabouts.at(path, || self.host.link_target(path))
    }

    /// As [`Host::statvfs`].
    ///
    /// # Errors
    /// As [`Host::statvfs`].
    pub fn statvfs(&self, path: &str) -> Result<Option<FilesystemSize>, SourceError> {
        self.whereabouts.at(path, || self.host.statvfs(path))
    }

    /// When a file that may be absent was last changed. Anything else that is wrong
    /// with it is named. See [`Host::modified_at`].
    pub fn modified_at(&mut self, path: &str) -> Option<Timestamp> {
        match self.whereabouts.at(path, || self.host.modified_at(path)) {
            Ok(time) => time.map(|time| timestamp_from_millis(time.as_millisecond())),
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.whereabouts
            .at(path, || self.host.exists_near(&self.places, path))
    }

    /// The names in a directory that may be absent. Anything else that is wrong with
    /// it is named.
    pub fn list_optional(&mut self, path: &str) -> Vec<String> {
        match self.list(path) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => {
                self.fail(error);
                Vec::new()
            }
        }
    }

    /// Asks a probe, and gives what its tool wrote; in a tree of files, what was recorded.
    ///
    /// # Errors
    /// When there is no such reply.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, SourceError> {
        let answer = self
            .whereabouts
            .at(&asked::source(request), || asked::ask(self.host, request))?;
        self.count(answer.stdout.len());
        Ok(answer)
    }

    /// The host itself, to ask guests over their sockets from several threads.
    pub(crate) fn host(&self) -> &Host {
        self.host
    }

    /// By the node's clock.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.host.now()
    }

    /// Whether this is the running system and not a tree of files.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.host.is_live()
    }

    #[must_use]
    pub fn is_pve_node(&self) -> bool {
        self.whereabouts
            .at("/etc/pve/local", || is_pve_node(self.host))
    }

    /// Names a source that could not be read; the collector goes on.
    pub fn fail(&mut self, error: SourceError) {
        if self.failures.len() < FAILURE_LIMIT {
            self.failures.push(failure(error));
        }
    }

    /// Keeps a value, or names why there is none.
    pub fn keep<T>(&mut self, result: Result<T, SourceError>) -> Option<T> {
        result.map_err(|error| self.fail(error)).ok()
    }

    fn count(&mut self, bytes: usize) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

pub(super) fn failure(error: SourceError) -> SourceFailure {
    SourceFailure {
        path: error.path,
        kind: error.kind.into(),
        detail: error.detail.chars().take(DETAIL_LIMIT).collect(),
    }
}
