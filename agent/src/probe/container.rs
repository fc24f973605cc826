//! The file systems of running containers, as they are inside.
//!
//! No tool runs: this process looks into each container from its first process, as
//! [`crate::host`] lets it, and never enters it. Assume that a container is hostile:
//!
//! | what it controls | what comes of it |
//! | --- | --- |
//! | file systems that do not answer: FUSE, a share, an overlay over one | its type says so before it is touched: it is named, and no way leads through it |
//! | mounts that change after the table was read | what was reached is known by the number of its mount; another one is no answer |
//! | a file system that hangs all the same | each is asked in a thread of its own, for two seconds; a container that hangs twice is left, see [`crew`] |
//! | links, `..`, names that are no text or very long | no link is followed, nothing but names is passed; what leaves is text without control characters, and short |
//! | thousands of mounts | the table is read up to a limit; 32 are named, disks before others; the rest is counted |
//! | sizes | numbers of 64 bits, which the caller takes as the container's word |
//! | the number of its processes, groups, other containers in it | looked at up to a limit; a container whose first process is not found is named |
//! | one container that fills the reply | each has a share of it that is small enough for the others |
//!
//! Of files nothing is read: neither a name in a directory nor a byte. Whether
//! Docker's directory is there is asked by its name.
//!
//! The reply is lines of JSON, one for each container and one for the end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{
    Request,
    reply::{Outcome, Reply},
};
use crate::{
    collector::source_hosts,
    format::plain::short,
    host::{FilesystemSize, Host, Inside, NoWay, Spot},
};

mod crew;
mod table;

use crew::{Crew, Ended, Task};
use table::{Mount, Nature, Table};

/// For one file system, or one mount table.
const PATIENCE: Duration = Duration::from_secs(2);
/// For all of them; the entry has a little more.
const TIME: Duration = Duration::from_secs(20);
/// More than any node runs.
const CONTAINER_LIMIT: usize = 1_000;
/// Bytes of one mount table.
const TABLE_LIMIT: u64 = 4 << 20;
/// File systems of one container.
const FILESYSTEM_LIMIT: usize = 32;
/// Characters of a mount point.
const POINT_LIMIT: usize = 128;
/// Bytes of a source and a type.
const SOURCE_LIMIT: usize = 128;
const KIND_LIMIT: usize = 32;
/// Where Docker keeps its layers, and the drivers that somebody may regret.
const DOCKER: &[u8] = b"/var/lib/docker";
const DRIVERS: &[&str] = &["overlay2", "vfs", "fuse-overlayfs"];

/// A line of the reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    Container(Seen),
    /// The last line: containers that the reply had no room for.
    End {
        left_out: u32,
    },
}

/// What one container has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub vmid: u32,
    /// Why nothing is known; empty otherwise.
    pub problem: String,
    pub table_is_whole: bool,
    pub filesystems: Vec<SeenFilesystem>,
    pub left_out: u32,
    pub overlays: u32,
    pub fuse_overlays: u32,
    /// Absent when it could not be told.
    pub has_docker: Option<bool>,
    pub docker_drivers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenFilesystem {
    pub mount_point: String,
    /// A device or dataset, or the hosts of a share.
    pub source: String,
    pub kind: String,
    pub device: String,
    pub is_read_only: bool,
    /// A directory or file of a file system, and not a whole one.
    pub is_part: bool,
    pub state: SeenState,
    pub size: Option<FilesystemSize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenState {
    Measured,
    NotTouched,
    Hangs,
    Failed,
    NotAsked,
}

/// A container that could be looked into.
struct Open {
    table: Table,
    /// `None` where the root must not be touched.
    root: Option<Spot>,
}

/// What came of a task of the second round.
enum Found {
    Size(SeenState, Option<FilesystemSize>),
    Docker(Option<Docker>),
}

/// What Docker has made.
#[derive(Default)]
struct Docker {
    is_there: bool,
    drivers: Vec<&'static str>,
}

pub(super) fn filesystems(host: &Arc<Host>, request: &Request, limit: usize) -> Reply {
    let wanted: Option<u32> = request.value("vmid").and_then(|vmid| vmid.parse().ok());
    let mut vmids = match host.containers() {
        Ok(vmids) => vmids,
        Err(error) => {
            return Reply::only(Outcome::Failed {
                reason: error.to_string(),
            });
        }
    };
    vmids.retain(|vmid| wanted.is_none_or(|wanted| wanted == *vmid));
    let beyond = vmids.len().saturating_sub(CONTAINER_LIMIT);
    vmids.truncate(CONTAINER_LIMIT);
    let crew = Crew::new(PATIENCE, Instant::now() + TIME);
    let all = look(host, &vmids, crew);
    match lines(&all, beyond, limit) {
        Ok(lines) => Reply::with(Outcome::Answered {}, lines),
        Err(error) => Reply::only(Outcome::Failed {
            reason: error.to_string(),
        }),
    }
}

/// Opens all containers, then asks what is mounted in them.
fn look(host: &Arc<Host>, vmids: &[u32], mut crew: Crew) -> Vec<Seen> {
    let tasks = vmids.iter().map(|vmid| {
        let (of, host) = (*vmid, Arc::clone(host));
        let run = Box::new(move || open(&host, of));
        Task { of, run }
    });
    let opened = crew.run(tasks.collect());
    let mut all: Vec<Seen> = Vec::new();
    let mut tasks = Vec::new();
    // Which container and which of its file systems a task is about.
    let mut about = Vec::new();
    for (vmid, ended) in vmids.iter().zip(opened) {
        let mut seen = Seen {
            vmid: *vmid,
            ..Seen::default()
        };
        match ended {
            Ended::Done(Ok(open)) => {
                let open = Arc::new(open);
                seen.tell(&open.table);
                for (index, mount) in open.table.mounts.iter().enumerate() {
                    if mount.may_be_touched() {
                        about.push((all.len(), Some(index)));
                        let open = Arc::clone(&open);
                        tasks.push(task(*vmid, move || measure(&open, index)));
                    }
                }
                about.push((all.len(), None));
                tasks.push(task(*vmid, move || Found::Docker(docker(&open))));
            }
            Ended::Done(Err(problem)) => seen.problem = short(&problem, 200),
            Ended::Hangs => "its mount table was not read in time".clone_into(&mut seen.problem),
            Ended::NotBegun => "too many others hang".clone_into(&mut seen.problem),
        }
        all.push(seen);
    }
    for ((container, filesystem), ended) in about.into_iter().zip(crew.run(tasks)) {
        let Some(seen) = all.get_mut(container) else {
            continue;
        };
        let (state, size) = match ended {
            Ended::Done(Found::Docker(docker)) => {
                seen.has_docker = docker.as_ref().map(|docker| docker.is_there);
                let drivers = docker.unwrap_or_default().drivers.into_iter();
                seen.docker_drivers = drivers.map(str::to_owned).collect();
                continue;
            }
            Ended::Done(Found::Size(state, size)) => (state, size),
            Ended::Hangs => (SeenState::Hangs, None),
            Ended::NotBegun => (SeenState::NotAsked, None),
        };
        let place = filesystem.and_then(|index| seen.filesystems.get_mut(index));
        if let Some(place) = place {
            (place.state, place.size) = (state, size);
        }
    }
    all
}

fn task<T>(of: u32, run: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    Task {
        of,
        run: Box::new(run),
    }
}

fn open(host: &Host, vmid: u32) -> Result<Open, String> {
    let inside: Inside = host
        .inside(vmid)
        .map_err(|error| error.to_string())?
        .ok_or("its first process was not found")?;
    let (text, is_whole) = inside
        .mount_table(TABLE_LIMIT)
        .map_err(|error| format!("reading its mount table: {error}"))?;
    let mut table = Table::parse(&text, FILESYSTEM_LIMIT);
    table.is_whole &= is_whole;
    let mut roots = table.mounts.iter().filter(|mount| mount.is_root());
    let root = match roots.next_back() {
        Some(root) if root.may_be_touched() => Some(
            inside
                .root()
                .map_err(|error| format!("opening its root: {}", words(error)))?,
        ),
        _ => None,
    };
    Ok(Open { table, root })
}

fn measure(open: &Open, index: usize) -> Found {
    let failed = Found::Size(SeenState::Failed, None);
    let Some(mount) = open.table.mounts.get(index) else {
        return failed;
    };
    let Some(root) = &open.root else {
        return Found::Size(SeenState::NotTouched, None);
    };
    match root.go(&mount.point, |number| open.table.may_pass(number)) {
        Ok(spot) if spot.mount == mount.number => match spot.size() {
            Ok(size) => Found::Size(SeenState::Measured, Some(size)),
            Err(_) => failed,
        },
        // Another mount is seen there, or none any more.
        Ok(_) => failed,
        Err(NoWay::Closed) => Found::Size(SeenState::NotTouched, None),
        Err(NoWay::Broken(_)) => failed,
    }
}

/// Whether Docker's directory is there, and those of drivers in it; `None` when that
/// cannot be told.
fn docker(open: &Open) -> Option<Docker> {
    let may_pass = |number| open.table.may_pass(number);
    let directory = match open.root.as_ref()?.go(DOCKER, may_pass) {
        Ok(directory) => directory,
        Err(NoWay::Broken(Errno::NOENT)) => return Some(Docker::default()),
        // A link on the way, or something that must not be touched.
        Err(_) => return None,
    };
    let mut docker = Docker {
        is_there: true,
        ..Docker::default()
    };
    for driver in DRIVERS {
        match directory.go(driver.as_bytes(), may_pass) {
            Ok(_) => docker.drivers.push(driver),
            Err(NoWay::Broken(Errno::NOENT)) => {}
            Err(_) => return None,
        }
    }
    Some(docker)
}

impl Seen {
    fn tell(&mut self, table: &Table) {
        self.table_is_whole = table.is_whole;
        self.left_out = table.left_out;
        self.overlays = table.overlays;
        self.fuse_overlays = table.fuse_overlays;
        self.filesystems = table.mounts.iter().map(SeenFilesystem::of).collect();
    }
}

impl SeenFilesystem {
    fn of(mount: &Mount) -> Self {
        let kind = String::from_utf8_lossy(&mount.kind);
        let source = String::from_utf8_lossy(&mount.source);
        Self {
            mount_point: short(&String::from_utf8_lossy(&mount.point), POINT_LIMIT),
            source: match mount.nature {
                Nature::Disk => plain(&source, SOURCE_LIMIT).to_owned(),
                // What others than the kernel mount may have anything for a source,
                // a password too.
                Nature::Other => short(&source_hosts(&kind, &source), SOURCE_LIMIT),
                _ => String::new(),
            },
            kind: match plain(&kind, KIND_LIMIT) {
                "" => "fuse".to_owned(),
                kind => kind.to_owned(),
            },
            device: mount.device.clone(),
            is_read_only: mount.is_read_only,
            is_part: mount.part != b"/",
            state: SeenState::NotTouched,
            size: None,
        }
    }
}

/// A word of the signs that devices, datasets and types have, or nothing.
fn plain(text: &str, limit: usize) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.:+@".contains(&byte);
    if text.len() <= limit && text.bytes().all(is_plain) {
        text
    } else {
        ""
    }
}

/// The error without its number.
fn words(error: Errno) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The reply, of as many containers as there is room for.
fn lines(all: &[Seen], beyond: usize, limit: usize) -> Result<Vec<u8>, serde_json::Error> {
    /// Of the last line.
    const END: usize = 64;
    let mut reply = Vec::new();
    let mut left_out = beyond;
    for seen in all {
        let mut line = serde_json::to_vec(&Line::Container(seen.clone()))?;
        line.push(b'\n');
        if reply.len() + line.len() + END <= limit {
            reply.append(&mut line);
        } else {
            left_out += 1;
        }
    }
    let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
    reply.append(&mut serde_json::to_vec(&Line::End { left_out })?);
    reply.push(b'\n');
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> SeenFilesystem {
        let table = Table::parse(line.as_bytes(), 32);
        SeenFilesystem::of(&table.mounts[0])
    }

    #[test]
    fn what_leaves_is_short_plain_and_no_secret() {
        let disk = seen("1 0 0:60 / / ro - zfs rpool/data/subvol-110-disk-0 rw\n");
        assert_eq!(disk.source, "rpool/data/subvol-110-disk-0");
        assert!(disk.is_read_only && !disk.is_part);
        let nfs = seen("1 0 0:60 / /x rw - nfs4 192.0.2.1:/export/secret rw\n");
        assert_eq!(
            (nfs.source.as_str(), nfs.kind.as_str()),
            ("192.0.2.1", "nfs4")
        );
        for (kind, source) in [
            ("davfs", "https://user:canary@host/"),
            ("fuse.rclone", "canary:"),
            ("fuse.canary\\040", "canary"),
            ("tmpfs", "canary"),
            ("ext4", "/dev/x\\012canary"),
        ] {
            let it = seen(&format!("1 0 0:60 / /x rw - {kind} {source} rw\n"));
            assert!(!format!("{it:?}").contains("canary"), "{it:?}");
        }
        let long = format!(
            "1 0 0:60 / /a\\012\\033{} rw - ext4 x rw\n",
            "é".repeat(4_000)
        );
        let it = seen(&long);
        assert_eq!(it.mount_point.chars().count(), POINT_LIMIT);
        assert!(!it.mount_point.contains(char::is_control));
    }

    #[test]
    fn a_reply_has_as_many_containers_as_fit_and_says_how_many_do_not() {
        let all: Vec<Seen> = (100..200)
            .map(|vmid| Seen {
                vmid,
                problem: "x".repeat(100),
                ..Seen::default()
            })
            .collect();
        let reply = lines(&all, 3, 2_000).unwrap();
        assert!(reply.len() <= 2_000);
        let text = String::from_utf8(reply).unwrap();
        let kept = text.lines().count() - 1;
        let end: Line = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let left_out = u32::try_from(103 - kept).unwrap();
        assert!(kept > 0);
        assert_eq!(end, Line::End { left_out });
    }

    #[test]
    fn the_worst_that_a_container_can_say_leaves_room_for_others() {
        let name = "\u{10348}".repeat(POINT_LIMIT);
        let worst = SeenFilesystem {
            mount_point: name,
            source: "x".repeat(SOURCE_LIMIT),
            kind: "x".repeat(KIND_LIMIT),
            device: "1".repeat(24),
            is_read_only: false,
            is_part: false,
            state: SeenState::Measured,
            size: Some(FilesystemSize {
                total_bytes: u64::MAX,
                free_bytes: u64::MAX,
                available_bytes: u64::MAX,
                inodes_total: u64::MAX,
                inodes_free: u64::MAX,
            }),
        };
        let seen = Seen {
            filesystems: vec![worst; FILESYSTEM_LIMIT],
            ..Seen::default()
        };
        let bytes = serde_json::to_vec(&seen).unwrap().len();
        assert!(bytes < 48 << 10, "{bytes}");
    }
}
