//! A small node as a tree of files: one VM, one container, a bridge, a cluster
//! of two. It has at least one file for every path of every collector.

#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its node cannot be made"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// What a process without capabilities is refused, see `sandboxed.rs`.
const REFUSED: (&str, &str) = (
    ".pvelens/refused.json",
    include_str!("../fixtures/sandboxed/refused.json"),
);
/// Its files and links, one for one as on a node.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/node");

/// The tree on disk, removed at the end.
#[derive(Debug)]
pub(crate) struct Node {
    directory: TempDir,
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, PathBuf>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let mut node = Self {
            directory: TempDir::new().unwrap(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let (path, refused) = REFUSED;
        node.files
            .insert(path.to_owned(), refused.as_bytes().to_vec());
        node.load(Path::new(TREE), "");
        // Readable by whoever the test reads as.
        fs::set_permissions(node.root(), fs::Permissions::from_mode(0o755)).unwrap();
        for path in node.files.keys().chain(node.links.keys()) {
            fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        }
        for (path, content) in &node.files {
            fs::write(node.path(path), content).unwrap();
        }
        for (path, target) in &node.links {
            symlink(target, node.path(path)).unwrap();
        }
        node
    }

    fn load(&mut self, directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.load(&entry.path(), &format!("{path}/"));
            } else if kind.is_symlink() {
                self.links
                    .insert(path, fs::read_link(entry.path()).unwrap());
            } else {
                self.files.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Where a path of the node is on disk.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Every file and link, as absolute paths of the node.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        let all = self.files.keys().chain(self.links.keys());
        all.map(|path| format!("/{path}"))
    }

    pub(crate) fn is_link(&self, path: &str) -> bool {
        self.links.contains_key(path.trim_start_matches('/'))
    }

    /// Puts a file or link back as it was, whatever is there now.
    pub(crate) fn restore(&self, path: &str) {
        let relative = path.trim_start_matches('/');
        self.clear(path);
        if let Some(content) = self.files.get(relative) {
            fs::write(self.path(path), content).unwrap();
        }
        if let Some(target) = self.links.get(relative) {
            symlink(target, self.path(path)).unwrap();
        }
    }

    /// Removes what is there.
    pub(crate) fn clear(&self, path: &str) {
        let path = self.path(path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir(path).unwrap(),
            Ok(_) => fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }
}
