//! One node's file tree on disk: writes what changed and nothing else.
//!
//! Small files are overwritten in place with one write, larger ones are
//! replaced by rename, so that a reader beside the simulator does not see half
//! of one. Edits of a scenario lie over what the simulator generates.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    ops::Bound,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Kernel and file systems replace a page at a time.
const PAGE: usize = 4096;

/// A change of one file of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub node: String,
    /// Absolute, as on the node.
    pub path: String,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Replaces every occurrence of a text.
    Replace {
        from: String,
        to: String,
    },
    Append(String),
    Write(String),
    Remove,
}

/// The root directory of a node.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// Hash of what was last written, by path.
    written: BTreeMap<String, u64>,
    edits: Vec<Edit>,
    /// Text below the edits of files that the simulator does not rewrite.
    originals: BTreeMap<String, String>,
    /// What belongs in files that somebody has taken, by path.
    held: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Makes an empty tree.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            root: root.to_path_buf(),
            written: BTreeMap::new(),
            edits: Vec::new(),
            originals: BTreeMap::new(),
            held: BTreeMap::new(),
        })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lays an edit over a file from now on.
    pub fn add_edit(&mut self, edit: Edit) {
        self.written.remove(&edit.path);
        self.edits.push(edit);
    }

    /// Takes a file away and gives its content; nothing is written there until it
    /// is released, whatever somebody puts in its place.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn hold(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let place = self.place(path);
        let content = fs::read(&place)?;
        fs::remove_file(place)?;
        self.held.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// Puts a file back as it would be by now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn release(&mut self, path: &str) -> io::Result<()> {
        let Some(content) = self.held.remove(path) else {
            return Ok(());
        };
        let place = self.place(path);
        remove(&place)?;
        fs::write(place, content)
    }

    /// Edits so far; a change counter for whoever polls one.
    #[must_use]
    pub fn edit_count(&self) -> u64 {
        u64::try_from(self.edits.len()).unwrap_or(u64::MAX)
    }

    /// Writes the files of edits that the simulator does not write itself.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_edited(&mut self) -> io::Result<()> {
        let paths: Vec<String> = self.edits.iter().map(|edit| edit.path.clone()).collect();
        for path in paths {
            if !self.written.contains_key(&path) {
                let place = self.place(&path);
                let original = self
                    .originals
                    .entry(path.clone())
                    .or_insert_with(|| fs::read_to_string(place).unwrap_or_default())
                    .clone();
                self.write(&path, &original)?;
            }
        }
        Ok(())
    }

    /// Writes a file unless it already holds this text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        let hash = hash(text);
        match self.written.get_mut(path) {
            Some(last) if *last == hash => return Ok(()),
            Some(last) => *last = hash,
            None => {
                self.written.insert(path.to_owned(), hash);
            }
        }
        if let Some(held) = self.held.get_mut(path) {
            *held = text.as_bytes().to_vec();
            return Ok(());
        }
        if self.edits.iter().any(|edit| edit.path == path) {
            return match self.edited(path, text) {
                Some(text) => put(&self.place(path), &text),
                None => remove(&self.place(path)),
            };
        }
        put(&self.place(path), text)
    }

    /// Removes a file or a directory with all that is in it.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        let mut known = self.written.remove(path).is_some();
        let below = format!("{path}/");
        while let Some((written, _)) = self
            .written
            .range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded))
            .next()
            && written.starts_with(&below)
        {
            let written = written.clone();
            self.written.remove(&written);
            known = true;
        }
        if known {
            remove(&self.place(path))
        } else {
            Ok(())
        }
    }

    /// Makes an empty directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.place(path))
    }

    /// Makes a symbolic link, replacing what was there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let place = self.place(path);
        if fs::read_link(&place).is_ok_and(|old| old == Path::new(target)) {
            return Ok(());
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        remove(&place)?;
        symlink(target, place)
    }

    fn edited(&self, path: &str, text: &str) -> Option<String> {
        let mut text = Some(text.to_owned());
        for edit in self.edits.iter().filter(|edit| edit.path == path) {
            text = match &edit.operation {
                Operation::Replace { from, to } => text.map(|text| text.replace(from, to)),
                Operation::Append(more) => Some(text.unwrap_or_default() + more),
                Operation::Write(all) => Some(all.clone()),
                Operation::Remove => None,
            };
        }
        text
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn put(place: &Path, text: &str) -> io::Result<()> {
    if text.len() <= PAGE {
        match overwrite(place, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    // The name pmxcfs uses for half-written files; readers ignore it.
    let mut temporary = place.as_os_str().to_owned();
    temporary.push(".tmp.1");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, place)
}

fn overwrite(place: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(place)?;
    let length = file.metadata()?.len();
    file.write_all(text.as_bytes())?;
    let now = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if length > now {
        file.set_len(now)?;
    }
    Ok(())
}

fn remove(place: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_lie_over_what_is_written_and_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(directory.path()).unwrap();
        let read = || fs::read_to_string(directory.path().join("etc/a")).ok();
        tree.write("/etc/a", "one two\n").unwrap();
        let edit = |operation| Edit {
            node: "n".to_owned(),
            path: "/etc/a".to_owned(),
            operation,
        };
        tree.add_edit(edit(Operation::Replace {
            from: "two".into(),
            to: "2".into(),
        }));
        tree.add_edit(edit(Operation::Append("more\n".into())));
        tree.write("/etc/a", "one two three\n").unwrap();
        assert_eq!(read().as_deref(), Some("one 2 three\nmore\n"));
        tree.add_edit(edit(Operation::Remove));
        tree.write_edited().unwrap();
        assert_eq!(read(), None);
    }

    #[test]
    fn a_file_that_is_held_comes_back_as_it_would_be() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(directory.path()).unwrap();
        let place = directory.path().join("a");
        tree.write("/a", "one\n").unwrap();
        assert_eq!(tree.hold("/a").unwrap(), b"one\n");
        fs::create_dir(&place).unwrap();
        tree.write("/a", "two\n").unwrap();
        assert!(place.is_dir());
        tree.release("/a").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two\n");
        tree.write("/a", "three\n").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"three\n");
    }

    #[test]
    fn a_shorter_text_leaves_nothing_of_the_longer_one() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(directory.path()).unwrap();
        tree.write("/x/y", "long long text\n").unwrap();
        tree.write("/x/y", "short\n").unwrap();
        assert_eq!(
            fs::read_to_string(directory.path().join("x/y")).unwrap(),
            "short\n"
        );
        tree.remove("/x").unwrap();
        assert!(!directory.path().join("x").exists());
    }
}
