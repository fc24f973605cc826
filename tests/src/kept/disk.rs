//! A disk that forgets what was not synced.
//!
//! There is what processes see, and what would be left if the power went now: of a
//! file what was written before it was synced, of the names what was there before the
//! directory was. At a loss of power each page that was written since may be there or
//! not, whole or in part, in any order; of the changes to names the first so many are
//! there. It promises less than any file system that is in use, and no more than POSIX.

use std::{collections::BTreeMap, sync::Mutex};

use rustix::io::Errno;

use crate::numbers::Numbers;

mod file;

use file::{Change, File, NameChange};

/// What a disk has, with the power off: files by name, in one directory.
pub type Image = BTreeMap<Vec<u8>, Vec<u8>>;
/// Names a file, whatever its name is.
pub(super) type Inode = u64;

/// Pages reach the disk each for itself.
const PAGE: usize = 4096;

/// How a disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nature {
    /// Of which files a sync does what it says.
    pub syncs: Syncs,
    pub limit_bytes: u64,
    pub is_read_only: bool,
    pub cut: Option<Cut>,
}

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Only operations on files whose names end so count; empty = all.
    pub of: &'static str,
    /// Before this one of them, counted from one.
    pub before: u64,
}

/// A disk that lies would lose what was said to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    All,
    None,
    /// All but the files whose names end so.
    AllBut(&'static str),
    /// All but the directory.
    AllButNames,
}

impl Default for Nature {
    fn default() -> Self {
        Self {
            syncs: Syncs::All,
            limit_bytes: 1 << 32,
            is_read_only: false,
            cut: None,
        }
    }
}

/// What becomes of what was not synced, when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Some,
    Everything,
}

/// One disk.
#[derive(Debug)]
pub struct Disk(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    nature: Nature,
    files: BTreeMap<Inode, File>,
    names: BTreeMap<Vec<u8>, Inode>,
    synced_names: BTreeMap<Vec<u8>, Inode>,
    /// Since the directory was synced.
    renamed: Vec<NameChange>,
    next: Inode,
    operations: u64,
    /// Of these, those that count for the cut.
    counted: u64,
    is_cut: bool,
}

impl Disk {
    #[must_use]
    pub fn of(image: Image, nature: Nature) -> Self {
        let mut state = State {
            nature,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            renamed: Vec::new(),
            // One is the directory.
            next: 2,
            operations: 0,
            counted: 0,
            is_cut: false,
        };
        for (name, content) in image {
            let file = File {
                seen: content.clone(),
                synced: content,
                changes: Vec::new(),
            };
            state.files.insert(state.next, file);
            state.names.insert(name, state.next);
            state.next += 1;
        }
        state.synced_names = state.names.clone();
        Self(Mutex::new(state))
    }

    /// From now on it behaves so.
    pub fn change(&self, change: impl FnOnce(&mut Nature)) {
        change(&mut self.state().nature);
    }

    /// Whether the power has gone.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Operations that change something, so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether a file has something that is not synced.
    pub(super) fn holds_back(&self, name: &str) -> bool {
        let state = self.state();
        let file = state.named(name.as_bytes()).ok();
        let file = file.and_then(|inode| state.files.get(&inode));
        file.is_some_and(|file| !file.changes.is_empty())
    }

    /// The power goes, if it has not yet: what is left.
    pub(super) fn lose(&self, left: Left, numbers: &mut Numbers) -> Image {
        let mut state = self.state();
        state.is_cut = true;
        state.left(left, numbers)
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Whoever panicked left whole entries.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// What every request asks first.
    pub(super) fn ready(&self) -> Result<(), Errno> {
        if self.is_cut { Err(Errno::IO) } else { Ok(()) }
    }

    /// What every request asks first that changes something, of a file or of the names.
    fn change(&mut self, inode: Option<Inode>) -> Result<(), Errno> {
        self.ready()?;
        self.operations += 1;
        if let Some(cut) = self.nature.cut {
            let counts = cut.of.is_empty() || inode.is_some_and(|it| self.ends(it, cut.of));
            self.counted += u64::from(counts);
            self.is_cut = counts && self.counted == cut.before;
        }
        self.ready()
    }

    /// Whether the name of a file ends so.
    fn ends(&self, inode: Inode, end: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(name, of)| *of == inode && name.ends_with(end.as_bytes()))
    }

    fn change_content(&mut self, inode: Option<Inode>) -> Result<(), Errno> {
        self.writable()?;
        self.change(inode)
    }

    /// Whether a file may be opened for writing.
    pub(super) fn writable(&self) -> Result<(), Errno> {
        if self.nature.is_read_only {
            return Err(Errno::ROFS);
        }
        Ok(())
    }

    pub(super) fn named(&self, name: &[u8]) -> Result<Inode, Errno> {
        self.names.get(name).copied().ok_or(Errno::NOENT)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&[u8], Inode)> {
        self.names.iter().map(|(name, inode)| (&**name, *inode))
    }

    pub(super) fn content(&self, inode: Inode) -> Result<&[u8], Errno> {
        let file = self.files.get(&inode).ok_or(Errno::NOENT)?;
        Ok(&file.seen)
    }

    /// Bytes that may be written, and those that are free.
    pub(super) fn room(&self) -> (u64, u64) {
        let named = self.names.values().filter_map(|name| self.files.get(name));
        let used: u64 = named.map(|file| wide(file.seen.len())).sum();
        let limit = self.nature.limit_bytes;
        (limit, limit.saturating_sub(used))
    }

    pub(super) fn create(&mut self, name: &[u8]) -> Result<Inode, Errno> {
        self.change_content(None)?;
        let inode = self.next;
        self.next += 1;
        self.files.insert(inode, File::default());
        self.rename_by(NameChange::Make(name.to_vec(), inode));
        Ok(inode)
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.named(name)?;
        self.change_content(None)?;
        self.rename_by(NameChange::Remove(name.to_vec()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.named(from)?;
        self.change_content(None)?;
        self.rename_by(NameChange::Rename(from.to_vec(), to.to_vec()));
        Ok(())
    }

    pub(super) fn write(&mut self, inode: Inode, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.change_content(Some(inode))?;
        let (_, free) = self.room();
        let file = self.files.get_mut(&inode).ok_or(Errno::NOENT)?;
        let more = (at + bytes.len()).saturating_sub(file.seen.len());
        if wide(more) > free {
            return Err(Errno::NOSPC);
        }
        let (mut at, mut bytes) = (at, bytes);
        while !bytes.is_empty() {
            let (page, others) = bytes.split_at((PAGE - at % PAGE).min(bytes.len()));
            let change = Change::Write(at, page.to_vec());
            change.make(&mut file.seen);
            file.changes.push(change);
            (at, bytes) = (at + page.len(), others);
        }
        Ok(())
    }

    pub(super) fn set_length(&mut self, inode: Inode, length: usize) -> Result<(), Errno> {
        self.change_content(Some(inode))?;
        let file = self.files.get_mut(&inode).ok_or(Errno::NOENT)?;
        let change = Change::Length(length);
        change.make(&mut file.seen);
        file.changes.push(change);
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: Inode) -> Result<(), Errno> {
        self.change(Some(inode))?;
        let lied = match self.nature.syncs {
            Syncs::All | Syncs::AllButNames => false,
            Syncs::None => true,
            Syncs::AllBut(end) => self.ends(inode, end),
        };
        if !lied && let Some(file) = self.files.get_mut(&inode) {
            for change in std::mem::take(&mut file.changes) {
                change.make(&mut file.synced);
            }
        }
        Ok(())
    }

    pub(super) fn sync_names(&mut self) -> Result<(), Errno> {
        self.change(None)?;
        if !matches!(self.nature.syncs, Syncs::None | Syncs::AllButNames) {
            for change in std::mem::take(&mut self.renamed) {
                change.make(&mut self.synced_names);
            }
        }
        Ok(())
    }

    fn rename_by(&mut self, change: NameChange) {
        change.clone().make(&mut self.names);
        self.renamed.push(change);
    }

    fn left(&self, left: Left, numbers: &mut Numbers) -> Image {
        let renamed = match left {
            Left::Nothing => 0,
            Left::Some => numbers.below(wide(self.renamed.len()) + 1),
            Left::Everything => wide(self.renamed.len()),
        };
        let mut names = self.synced_names.clone();
        for change in self.renamed.iter().take(narrow(renamed)) {
            change.clone().make(&mut names);
        }
        let named = names.into_iter().filter_map(|(name, inode)| {
            let file = self.files.get(&inode)?;
            Some((name, file.left(left, numbers)))
        });
        named.collect()
    }
}

pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

pub(super) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
