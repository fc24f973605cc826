//! Opens a path below a root, name by name.
//!
//! What `openat2` does with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`
//! (openat2(2)). It is done here because the unit forbids set-id files, and with
//! them systemd denies `openat2`, whose flags no filter of system calls can see.
//! No step follows a link by itself, so a tree that changes meanwhile leads to an
//! error at worst, never out of the root.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC},
    io::Errno,
};

/// Links on one way; the kernel's own limit (path_resolution(7)).
const LINK_LIMIT: usize = 40;
/// Bytes of what is left of a way, with the links it has passed.
const WAY_LIMIT: usize = 64 << 10;
/// Inode of the top of a procfs. Links there, such as `self`, are plain text; all
/// others below it are magic (kernel `include/linux/proc_fs.h`, `fs/proc/base.c`).
const PROC_TOP: u64 = 1;

/// Opens `path` with the flags, taking `root` for `/` and passing no magic link.
/// A link at the end is followed unless the flags have `NOFOLLOW`.
///
/// # Errors
/// As openat2(2): `LOOP` for too many links and for a magic one.
pub(super) fn open(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut way = Way {
        root,
        passed: Vec::new(),
        names: VecDeque::new(),
        links: 0,
    };
    way.lead(path.as_bytes())?;
    while let Some(name) = way.names.pop_front() {
        let at_end = way.names.is_empty();
        match name.as_slice() {
            // Above the root is the root.
            b".." => drop(way.passed.pop()),
            b"." if !at_end => {}
            name if at_end => match way.open(name, flags)? {
                Some(file) => return Ok(file),
                None => way.follow(name)?,
            },
            name => match way.open(name, OFlags::PATH | OFlags::DIRECTORY)? {
                Some(directory) => way.passed.push(directory),
                None => way.follow(name)?,
            },
        }
    }
    openat(way.directory(), b".", flags)
}

/// How far the way has led, and what is left of it.
struct Way<'r> {
    root: &'r OwnedFd,
    /// Directories below the root; the last one is where the way has led.
    passed: Vec<OwnedFd>,
    names: VecDeque<Vec<u8>>,
    links: usize,
}

impl Way<'_> {
    fn directory(&self) -> &OwnedFd {
        self.passed.last().unwrap_or(self.root)
    }

    /// Puts a path before what is left; an absolute one begins at the root.
    fn lead(&mut self, path: &[u8]) -> Result<(), Errno> {
        if path.starts_with(b"/") {
            self.passed.clear();
        }
        // Behind a slash at the end there can only be a directory.
        let end = path.ends_with(b"/").then_some(b".".as_slice());
        let names = path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty());
        let mut names: VecDeque<Vec<u8>> = names.chain(end).map(<[u8]>::to_vec).collect();
        names.append(&mut self.names);
        self.names = names;
        let bytes: usize = self.names.iter().map(Vec::len).sum();
        if bytes > WAY_LIMIT {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(())
    }

    /// Opens a name where the way has led; `None` when it is a link to be followed.
    fn open(&self, name: &[u8], flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
        let follow = !flags.contains(OFlags::NOFOLLOW);
        match openat(self.directory(), name, flags | OFlags::NOFOLLOW) {
            // PATH opens the link itself, unless it has to be a directory.
            Ok(file) if follow && flags & (OFlags::PATH | OFlags::DIRECTORY) == OFlags::PATH => {
                Ok((!is_link(&file)?).then_some(file))
            }
            Ok(file) => Ok(Some(file)),
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) if follow => {
                let itself = openat(self.directory(), name, OFlags::PATH | OFlags::NOFOLLOW)?;
                if is_link(&itself)? {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on where a link leads.
    fn follow(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINK_LIMIT || is_magic_place(self.directory())? {
            return Err(Errno::LOOP);
        }
        let target = rustix::fs::readlinkat(self.directory(), name, Vec::new())?;
        self.lead(target.as_bytes())
    }
}

fn is_link(file: &OwnedFd) -> Result<bool, Errno> {
    let mode = rustix::fs::fstat(file)?.st_mode;
    Ok(FileType::from_raw_mode(mode) == FileType::Symlink)
}

/// Whether links in a directory are not what their text says.
fn is_magic_place(directory: &OwnedFd) -> Result<bool, Errno> {
    Ok(rustix::fs::fstatfs(directory)?.f_type == PROC_SUPER_MAGIC
        && rustix::fs::fstat(directory)?.st_ino != PROC_TOP)
}

#[expect(clippy::disallowed_methods, reason = "every read passes here")]
pub(super) fn openat(directory: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "openat2 is what it is compared with"
)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use proptest::prelude::*;
    use rustix::fs::ResolveFlags;
    use tempfile::TempDir;

    use super::*;

    fn root(path: &Path) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).unwrap()
    }

    /// What openat2 opens for a relative path, for comparison.
    fn by_kernel(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat2(
            root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }

    fn outcome(opened: Result<OwnedFd, Errno>) -> Result<(u64, u64), Errno> {
        let stat = rustix::fs::fstat(opened?)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    const WAYS: &[OFlags] = &[
        OFlags::PATH,
        OFlags::PATH.union(OFlags::NOFOLLOW),
        OFlags::RDONLY.union(OFlags::DIRECTORY),
        OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY),
    ];

    fn assert_as_kernel(root: &OwnedFd, path: &str) {
        for flags in WAYS {
            assert_eq!(
                outcome(open(root, path, *flags)),
                outcome(by_kernel(root, path, *flags)),
                "{path:?} with {flags:?}"
            );
        }
    }

    #[test]
    fn files_of_the_kernel_are_opened_as_openat2_opens_them() {
        let root = root(Path::new("/"));
        let me = std::process::id();
        let deep: Vec<String> = [
            "exe", "cwd", "cwd/x", "root", "root/etc", "fd/0", "ns/mnt", "task",
        ]
        .iter()
        .flat_map(|name| [format!("proc/self/{name}"), format!("/proc/{me}/{name}")])
        .collect();
        let plain = [
            "/",
            ".",
            "..",
            "proc",
            "proc/",
            "/proc/self",
            "proc/self/",
            "proc/mounts",
            "proc/net/dev",
            "proc/thread-self/status",
            "proc/self/status/",
            "proc/self/status/x",
            "proc/uptime/..",
            "proc/meminfo",
            "etc/mtab",
            "dev/stdin",
            "dev/fd/0",
            "sys/class/net/lo/mtu",
            "sys/class/net/lo/../lo/address",
            "nowhere",
            "nowhere/..",
            "bin/sh",
            "../etc/passwd",
        ];
        for path in plain.iter().copied().chain(deep.iter().map(String::as_str)) {
            assert_as_kernel(&root, path);
        }
    }

    #[test]
    fn loops_and_endless_ways_end() {
        let tree = TempDir::new().unwrap();
        symlink("b", tree.path().join("a")).unwrap();
        symlink("a", tree.path().join("b")).unwrap();
        symlink("long/".repeat(500), tree.path().join("long")).unwrap();
        for count in [39, 40] {
            for number in 0..=count {
                let name = tree.path().join(format!("{count}-{number}"));
                symlink(format!("{count}-{}", number + 1), name).unwrap();
            }
            fs::write(tree.path().join(format!("{count}-{}", count + 1)), "").unwrap();
        }
        let root = root(tree.path());
        for path in ["a", "a/x", "39-0", "40-0", "40-1"] {
            assert_as_kernel(&root, path);
        }
        assert!(
            open(&root, "39-0", OFlags::RDONLY).is_ok()
                && open(&root, "40-0", OFlags::RDONLY).is_err()
        );
        assert!(open(&root, "long", OFlags::RDONLY).is_err());
    }

    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "..", ".", "", "/"]).prop_map(str::to_owned)
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec(name(), 1..6)
            .prop_map(|names| names.join("/"))
            .prop_filter("no link is empty", |path| !path.is_empty())
    }

    proptest! {
        #[test]
        fn any_tree_is_walked_as_openat2_walks_it(
            entries in prop::collection::vec((path(), 0..3_u8, path()), 0..12),
            asked in prop::collection::vec(path(), 1..8),
        ) {
            let tree = TempDir::new().unwrap();
            let inner = tree.path().join("root");
            fs::create_dir(&inner).unwrap();
            let root = root(&inner);
            for (place, kind, target) in entries {
                // Made where the names say, without links: what fails is not there.
                let place = place.split('/').filter(|name| !matches!(*name, "" | "." | ".."));
                let place = place.fold(inner.clone(), |path, name| path.join(name));
                drop(match kind {
                    0 => fs::create_dir_all(&place),
                    1 => fs::write(&place, ""),
                    _ => symlink(target, &place),
                });
            }
            for path in asked {
                assert_as_kernel(&root, &path);
            }
        }
    }
}
