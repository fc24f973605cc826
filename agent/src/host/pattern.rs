//! The patterns by which collectors declare their paths, and what is there.
//!
//! A look opens everything that a pattern allows, wanted or not, to tell what
//! may be read. Collectors ask for the paths they know.

use std::{fs::File, io};

use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::OFlags;

use super::{Host, Places, SourceError, io_error, too_large};

/// Names that one look tries; `/proc` of a large node has some ten thousand
/// threads.
const STEP_LIMIT: usize = 100_000;
/// Directories below each other that `**` goes into.
const DEPTH_LIMIT: usize = 4;
/// Bytes of one file, which are counted and not kept.
const FILE_LIMIT: u64 = 64 << 20;

/// A path that fits a pattern, or a directory on the way to some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub path: String,
    pub found: Result<Found, SourceError>,
}

/// What reading a path gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file, or a link to one, that was read to its end.
    File { bytes: u64 },
    /// A directory that may be opened.
    Directory,
    /// A link to anything but a file, as written.
    Link { target: String },
}

/// Whether a path fits a pattern of a collector: `*` within one name, `**` for
/// any number of names.
#[must_use]
pub fn fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    fits_names(&pattern, &path)
}

fn fits_names(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            (0..=path.len()).any(|skip| path.get(skip..).is_some_and(|path| fits_names(rest, path)))
        }
        ([name, rest @ ..], [first, others @ ..]) => {
            fits_name(name, first) && fits_names(rest, others)
        }
        _ => false,
    }
}

fn fits_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|skip| rest.get(skip..).is_some_and(|rest| fits_name(after, rest)))
        }),
    }
}

impl Host {
    /// Reads every path that fits a pattern, in order. What is not there is no
    /// match; a directory on the way that cannot be listed is one, with its
    /// failure. `**` goes through links only where it begins, since those of
    /// `/sys` form circles. Too many names end the look with a failure of the
    /// pattern itself.
    ///
    /// Blocks as long as what it reads: not for a thread that must go on.
    #[must_use]
    pub fn look(&self, pattern: &str) -> Vec<Match> {
        let mut look = Look {
            host: self,
            pattern,
            steps: 0,
            matches: Vec::new(),
        };
        let names: Vec<&str> = pattern.split('/').filter(|name| !name.is_empty()).collect();
        if look.descend("", &names).is_none() {
            let detail = format!("more than {STEP_LIMIT} names to try");
            let error = SourceError::new(pattern, FailureKind::TooLarge, detail);
            look.keep(pattern.to_owned(), Err(error));
        }
        look.matches
    }

    /// What is at a path.
    fn find(&self, path: &str) -> Result<Found, SourceError> {
        let target = match self.link_target(path) {
            Ok(target) => Some(target),
            Err(error) if error.kind == FailureKind::NotAFile => None,
            Err(error) => return Err(error),
        };
        match (self.read_through(path), target) {
            (Ok(bytes), _) => Ok(Found::File { bytes }),
            (Err(error), Some(target))
                if matches!(error.kind, FailureKind::NotAFile | FailureKind::NotFound) =>
            {
                Ok(Found::Link { target })
            }
            (Err(error), None) if error.kind == FailureKind::NotAFile => {
                match self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY) {
                    Ok(_) => Ok(Found::Directory),
                    Err(other) if other.is_not_found() => Err(error),
                    Err(other) => Err(other),
                }
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Reads a file to its end and counts.
    fn read_through(&self, path: &str) -> Result<u64, SourceError> {
        let file = File::from(self.open_file(&Places::default(), path)?);
        let mut bounded = io::Read::take(file, FILE_LIMIT.saturating_add(1));
        match io::copy(&mut bounded, &mut io::sink()) {
            Ok(bytes) if bytes > FILE_LIMIT => Err(too_large(path, FILE_LIMIT)),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(io_error(path, &error)),
        }
    }
}

/// A look in progress. `None` says that it took too many steps.
struct Look<'a> {
    host: &'a Host,
    pattern: &'a str,
    steps: usize,
    matches: Vec<Match>,
}

impl Look<'_> {
    fn descend(&mut self, base: &str, names: &[&str]) -> Option<()> {
        match names {
            [] => {
                let found = self.host.find(base);
                self.keep(base.to_owned(), found);
            }
            ["**", ..] => self.walk(base, DEPTH_LIMIT)?,
            [name, rest @ ..] if name.contains('*') => {
                for entry in self.list(base) {
                    if fits_name(name, &entry) {
                        self.step()?;
                        self.descend(&format!("{base}/{entry}"), rest)?;
                    }
                }
            }
            [name, rest @ ..] => self.descend(&format!("{base}/{name}"), rest)?,
        }
        Some(())
    }

    fn walk(&mut self, base: &str, depth: usize) -> Option<()> {
        for entry in self.list(base) {
            self.step()?;
            let path = format!("{base}/{entry}");
            let found = self.host.find(&path);
            let deeper = match &found {
                Ok(Found::Directory) => true,
                Ok(Found::Link { .. }) => depth == DEPTH_LIMIT,
                _ => false,
            };
            if fits(self.pattern, &path) {
                self.keep(path.clone(), found);
            }
            if let Some(depth) = depth.checked_sub(1).filter(|_| deeper) {
                self.walk(&path, depth)?;
            }
        }
        Some(())
    }

    fn list(&mut self, directory: &str) -> Vec<String> {
        // The root has no name before its slash.
        let directory = if directory.is_empty() { "/" } else { directory };
        self.host.list(directory).unwrap_or_else(|error| {
            self.keep(directory.to_owned(), Err(error));
            Vec::new()
        })
    }

    fn keep(&mut self, path: String, found: Result<Found, SourceError>) {
        if !found.as_ref().is_err_and(SourceError::is_not_found) {
            self.matches.push(Match { path, found });
        }
    }

    fn step(&mut self) -> Option<()> {
        self.steps = self.steps.saturating_add(1);
        (self.steps <= STEP_LIMIT).then_some(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::{collector::COLLECTORS, host::kind_name};

    fn look(files: &[(&str, &str)], pattern: &str) -> Vec<(String, String)> {
        let directory = TempDir::new().unwrap();
        for (path, content) in files {
            let full = directory.path().join(path.trim_end_matches('@'));
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            if path.ends_with('@') {
                symlink(content, full).unwrap();
            } else {
                fs::write(full, content).unwrap();
            }
        }
        let host = Host::open(directory.path()).unwrap();
        let words = |found: Result<Found, SourceError>| match found {
            Ok(Found::File { bytes }) => format!("{bytes} bytes"),
            Ok(Found::Directory) => "directory".to_owned(),
            Ok(Found::Link { target }) => format!("to {target}"),
            Err(error) => kind_name(error.kind),
        };
        host.look(pattern)
            .into_iter()
            .map(|matched| (matched.path, words(matched.found)))
            .collect()
    }

    fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
        found
            .iter()
            .map(|(path, words)| (path.as_str(), words.as_str()))
            .collect()
    }

    const NODE: &[(&str, &str)] = &[
        ("proc/7/stat", "seven"),
        ("proc/8/stat", ""),
        ("proc/8/io", "secret"),
        ("proc/meminfo", "x"),
        ("sys/class/net/eth0/master@", "../vmbr0"),
        ("sys/class/net/vmbr0/mtu", "1500"),
        ("sys/devices/hw0/temp1", "20"),
        ("sys/devices/hw0/power/state", "on"),
        ("sys/devices/hw0/device@", "../hw0"),
        ("sys/class/hwmon/hwmon0@", "../../devices/hw0"),
        (
            ".pvelens/refused.json",
            "{\"/proc/8/stat\": \"permission_denied\", \"/run/locked\": \"permission_denied\"}",
        ),
        ("run/locked", ""),
    ];

    #[test]
    fn stars_stand_for_names_that_are_there() {
        assert_eq!(
            pairs(&look(NODE, "/proc/*/stat")),
            [
                ("/proc/7/stat", "5 bytes"),
                ("/proc/8/stat", "permission_denied")
            ]
        );
        assert_eq!(
            pairs(&look(NODE, "/sys/class/net/*/m*")),
            [
                ("/sys/class/net/eth0/master", "to ../vmbr0"),
                ("/sys/class/net/vmbr0/mtu", "4 bytes")
            ]
        );
        assert_eq!(look(NODE, "/proc/none"), []);
        assert_eq!(look(NODE, "/proc/none/*/x"), []);
        assert_eq!(pairs(&look(NODE, "/proc/7")), [("/proc/7", "directory")]);
        assert_eq!(pairs(&look(NODE, "/proc/8/i*")), [("/proc/8/io", "banned")]);
    }

    #[test]
    fn a_directory_on_the_way_that_cannot_be_listed_is_named() {
        assert_eq!(
            pairs(&look(NODE, "/run/locked/*.pid")),
            [("/run/locked", "permission_denied")]
        );
    }

    #[test]
    fn two_stars_go_deep_and_not_in_circles() {
        assert_eq!(
            pairs(&look(NODE, "/sys/class/hwmon/**")),
            [
                ("/sys/class/hwmon/hwmon0", "to ../../devices/hw0"),
                ("/sys/class/hwmon/hwmon0/device", "to ../hw0"),
                ("/sys/class/hwmon/hwmon0/power", "directory"),
                ("/sys/class/hwmon/hwmon0/power/state", "2 bytes"),
                ("/sys/class/hwmon/hwmon0/temp1", "2 bytes"),
            ]
        );
        assert_eq!(
            pairs(&look(NODE, "/sys/**/temp*")),
            [("/sys/devices/hw0/temp1", "2 bytes")]
        );
    }

    #[test]
    fn every_pattern_of_the_collectors_can_be_looked_at_here() {
        let host = Host::open(Path::new("/")).unwrap();
        for pattern in COLLECTORS.iter().flat_map(|collector| collector.paths) {
            for matched in host.look(pattern) {
                let on_the_way = matched.found.is_err();
                assert!(on_the_way || fits(pattern, &matched.path), "{matched:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_found_fits(pattern in "(/(\\*\\*|[ab*]{1,2})){1,4}") {
            let files = [("a/a/a", ""), ("a/b", ""), ("b/ab/ba", ""), ("ab@", "a")];
            for (path, _) in look(&files, &pattern) {
                prop_assert!(fits(&pattern, &path), "{pattern} {path}");
            }
        }
    }
}
