//! What becomes of one file, and of names.

use std::collections::BTreeMap;

use super::{Inode, Left, narrow, wide};
use crate::numbers::Numbers;

/// Less is never written in part.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) seen: Vec<u8>,
    pub(super) synced: Vec<u8>,
    /// Since it was synced.
    pub(super) changes: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    /// Within one page.
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Make(Vec<u8>, Inode),
    Remove(Vec<u8>),
    Rename(Vec<u8>, Vec<u8>),
}

impl File {
    pub(super) fn left(&self, left: Left, numbers: &mut Numbers) -> Vec<u8> {
        let mut content = match left {
            Left::Nothing => return self.synced.clone(),
            Left::Everything => return self.seen.clone(),
            Left::Some => self.synced.clone(),
        };
        // So many of eight: sometimes nearly all, sometimes next to nothing.
        let share = 1 + numbers.below(7);
        for change in &self.changes {
            if numbers.below(8) >= share {
                continue;
            }
            match change {
                Change::Write(at, bytes) if numbers.below(16) == 0 => {
                    let sectors = wide(bytes.len().div_ceil(SECTOR));
                    let whole = narrow(numbers.below(sectors + 1)) * SECTOR;
                    let torn = bytes.get(..whole).unwrap_or(bytes).to_vec();
                    Change::Write(*at, torn).make(&mut content);
                }
                _ => change.make(&mut content),
            }
        }
        content
    }
}

impl Change {
    pub(super) fn make(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                if let Some(place) = content.get_mut(*at..end) {
                    place.copy_from_slice(bytes);
                }
            }
            Self::Length(length) => content.resize(*length, 0),
        }
    }
}

impl NameChange {
    pub(super) fn make(self, names: &mut BTreeMap<Vec<u8>, Inode>) {
        match self {
            Self::Make(name, inode) => {
                names.insert(name, inode);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}
