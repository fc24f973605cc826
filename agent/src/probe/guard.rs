//! Why a request is refused although it is well-formed: what it names is not
//! there, or its tool would hang.
//!
//! Only files of the kernel and of `/etc` are looked at, so a guard cannot hang
//! itself.

use pvelens_proto::agent::v1::FilesystemState;

use super::Request;
use crate::{collector::parse_mountinfo, host::Host};

type Guarded = Result<(), String>;

const CEPH_DIRECTORY: &str = "/etc/ceph";
const KEYRING: &str = "ceph.client.pvelens.keyring";
const ZFS_POOLS: &str = "/proc/spl/kstat/zfs";
const DEVICE_MAPPER: &str = "/sys/class/misc/device-mapper";
const MULTIPATH_DIRECTORY: &str = "/etc/multipath";
const MOUNTINFO: &str = "/proc/self/mountinfo";
const MOUNTINFO_LIMIT: u64 = 4 << 20;
const WORD_LIMIT: u64 = 256;
/// Of a process's state or command line.
const COMMAND_LIMIT: u64 = 8 << 10;

pub(super) fn none(_: &Host, _: &Request) -> Guarded {
    Ok(())
}

/// The disk must exist, and not as a part of one.
pub(super) fn disk(host: &Host, request: &Request) -> Guarded {
    let name = value(request, "device")?;
    // The controller of an NVMe disk is no block device.
    let is_there = names(host, &format!("/sys/block/{name}"))?.is_some()
        || names(host, &format!("/sys/class/nvme/{name}"))?.is_some();
    ensure(is_there, || format!("this node has no disk {name}"))
}

pub(super) fn array(host: &Host, request: &Request) -> Guarded {
    let name = value(request, "array")?;
    let is_there = names(host, &format!("/sys/block/{name}/md"))?.is_some();
    ensure(is_there, || format!("this node has no md array {name}"))
}

/// Without the module the tools would try to load it.
pub(super) fn device_mapper(host: &Host, _: &Request) -> Guarded {
    ensure(names(host, DEVICE_MAPPER)?.is_some(), || {
        "this node has no device-mapper: its module is not loaded".to_owned()
    })
}

/// Without its file of aliases, multipath tries to make one and gives up.
pub(super) fn multipath(host: &Host, request: &Request) -> Guarded {
    device_mapper(host, request)?;
    let names = names(host, MULTIPATH_DIRECTORY)?.unwrap_or_default();
    ensure(names.iter().any(|name| name == "bindings"), || {
        format!("multipath has never run on this node: there is no {MULTIPATH_DIRECTORY}/bindings")
    })
}

/// One suspended pool holds locks that every zpool and zfs waits for, whatever
/// pool they are asked about.
pub(super) fn zfs(host: &Host, _: &Request) -> Guarded {
    let pools = names(host, ZFS_POOLS)?
        .ok_or_else(|| "this node has no ZFS: its module is not loaded".to_owned())?;
    for pool in pools {
        // Beside the pools there are files, which have no state.
        match host.read(&format!("{ZFS_POOLS}/{pool}/state"), WORD_LIMIT) {
            Ok(state) if state.trim() == "SUSPENDED" => {
                return Err(format!(
                    "pool {pool} is suspended: every zpool and zfs would hang until it is resumed or the node restarts"
                ));
            }
            Err(error) if !error.is_not_found() => return Err(error.to_string()),
            _ => {}
        }
    }
    Ok(())
}

/// The key is the administrator's to give.
pub(super) fn ceph(host: &Host, _: &Request) -> Guarded {
    // Keys are closed to `Host`, their names are not.
    let names = names(host, CEPH_DIRECTORY)?.unwrap_or_default();
    ensure(names.iter().any(|name| name == KEYRING), || {
        format!(
            "there is no {CEPH_DIRECTORY}/{KEYRING}; to let pvelens read the state of Ceph, run once on a node \
             with a monitor, and copy the file to the others: ceph auth get-or-create client.pvelens mon 'allow r' \
             mgr 'allow r' -o {CEPH_DIRECTORY}/{KEYRING}"
        )
    })
}

/// A network file system must be mounted exactly there.
pub(super) fn mount(host: &Host, request: &Request) -> Guarded {
    let wanted = value(request, "mount_point")?;
    let mounts = host
        .read(MOUNTINFO, MOUNTINFO_LIMIT)
        .map_err(|error| error.to_string())
        .and_then(|text| parse_mountinfo(&text).map_err(|error| error.to_string()))?;
    let mounted = mounts.iter().find(|mount| mount.mount_point == wanted);
    match mounted.map(|mount| (mount.state(), &mount.filesystem_type)) {
        Some((FilesystemState::NotTouched, _)) => Ok(()),
        Some((_, kind)) => Err(format!("a local file system ({kind}) is mounted there")),
        None => {
            Err("no file system of the network is mounted there, or not below /mnt/pve".to_owned())
        }
    }
}

/// The same command of an earlier request that still hangs in the kernel: a
/// second one would hang too. Its parent has ended, so it belongs to process 1.
pub(super) fn left_behind(host: &Host, command: &[String]) -> Guarded {
    let wanted: String = command.iter().map(|word| format!("{word}\0")).collect();
    let processes = host.list("/proc").map_err(|error| error.to_string())?;
    let hanging = processes.iter().find(|process| {
        process.bytes().all(|byte| byte.is_ascii_digit())
            && host
                .read(&format!("/proc/{process}/stat"), COMMAND_LIMIT)
                .is_ok_and(|stat| is_hanging_orphan(&stat))
            && host
                .read(&format!("/proc/{process}/cmdline"), COMMAND_LIMIT)
                .is_ok_and(|line| line == wanted)
    });
    match hanging {
        None => Ok(()),
        Some(process) => Err(format!(
            "the same command of an earlier request still hangs, as process {process}"
        )),
    }
}

/// `pid (name) state parent …`; the name may hold anything.
fn is_hanging_orphan(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| {
        let mut words = rest.split_whitespace();
        words.next() == Some("D") && words.next() == Some("1")
    })
}

/// The names in a directory; `None` when there is no such directory.
fn names(host: &Host, path: &str) -> Result<Option<Vec<String>>, String> {
    match host.list(path) {
        Ok(names) => Ok(Some(names)),
        Err(error) if error.is_not_found() => Ok(None),
        // What cannot be seen is not absent.
        Err(error) => Err(error.to_string()),
    }
}

fn value(request: &Request, name: &str) -> Result<String, String> {
    request.value(name).ok_or_else(|| format!("no {name}"))
}

fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Guarded {
    if holds { Ok(()) } else { Err(reason()) }
}
