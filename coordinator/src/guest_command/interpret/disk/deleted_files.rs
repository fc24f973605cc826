//! `lsof -nP +L1`: open files without a name.

use std::collections::HashSet;

use super::super::{
    number,
    output::{NAME, Output, PATH, some, split, text},
};
use crate::guest_command::facts::{DeletedFile, GuestFacts};

const LIMIT: usize = 30;

/// Memory that looks like a file.
const IN_MEMORY: &[&str] = &[
    "/memfd:",
    "/dev/zero",
    "/SYSV",
    "/dev/shm/",
    "/[aio]",
    "/i915",
    "/drm",
    "/run/",
];

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    // Several processes, or several handles of one, may keep the same file.
    let mut seen = HashSet::new();
    let mut has_heading = false;
    for line in output.filled() {
        if line.starts_with("COMMAND") {
            has_heading = true;
            continue;
        }
        match file(line) {
            Some((file, identity)) => {
                has_heading = true;
                if seen.insert(identity)
                    && !IN_MEMORY.iter().any(|name| file.path.starts_with(name))
                {
                    list.push(file);
                }
            }
            None => facts.unread(),
        }
    }
    if !has_heading && !output.is_empty() {
        return;
    }
    facts.understood = true;
    list.sort_by_key(|file| std::cmp::Reverse(file.size_bytes));
    facts.bound("deleted_files", &mut list, LIMIT);
    facts.deleted_files = (!list.is_empty() || !output.is_cut).then_some(list);
}

/// `COMMAND PID USER FD TYPE DEVICE SIZE/OFF NLINK NODE NAME`, and what tells the file
/// from others.
fn file(line: &str) -> Option<(DeletedFile, (&str, &str))> {
    let (tokens, name) = split(line, 9);
    let [command, pid, _user, _fd, _kind, device, size, links, node] = tokens.as_slice() else {
        return None;
    };
    // The number of names is 0: that is what was asked for, and shows the shape.
    if *links != "0" || !name.starts_with('/') {
        return None;
    }
    let name = name.strip_suffix("(deleted)").unwrap_or(name);
    let file = DeletedFile {
        path: some(name, PATH)?,
        // `0t123` is a place in the file.
        size_bytes: number::total(size),
        process: text(command, NAME),
        pid: number::small(pid),
    };
    Some((file, (*device, *node)))
}
