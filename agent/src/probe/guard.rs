//! Why a request is refused although it is well-formed: what it names is not
//! there, or its tool would hang.
//!
//! Only files of the kernel and of `/etc` are looked at, so a guard cannot hang
//! itself.

use pvelens_proto::agent::v1::FilesystemState;

use super::Request;
use crate::{
    collector::parse_mountinfo,
    host::{CONTAINERS, Host},
};

type Guarded = Result<(), String>;

const CEPH_DIRECTORY: &str = "/etc/ceph";
/// The name of the key that the Ceph probe shows; a refusal without it names it.
pub(crate) const KEYRING: &str = "ceph.client.pvelens.keyring";
const ZFS_POOLS: &str = "/proc/spl/kstat/zfs";
const DEVICE_MAPPER: &str = "/sys/class/misc/device-mapper";
const MULTIPATH_DIRECTORY: &str = "/etc/multipath";
const MOUNTINFO: &str = "/proc/self/mountinfo";
const MOUNTINFO_LIMIT: u64 = 4 << 20;
/// In the top directory of that hierarchy alone.
const CGROUP_V2: &str = "/sys/fs/cgroup/cgroup.controllers";
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

/// Containers are found by their groups.
pub(super) fn container(host: &Host, request: &Request) -> Guarded {
    ensure(host.exists(CGROUP_V2), || {
        "the groups of containers are not those of cgroup v2".to_owned()
    })?;
    let Some(vmid) = request.value("vmid") else {
        return Ok(());
    };
    let runs = names(host, &format!("{CONTAINERS}/{vmid}"))?.is_some();
    ensure(runs, || {
        format!("container {vmid} does not run on this node")
    })
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::probe::Kind;

    /// What the guard of a request says about a node of these files. A path
    /// that ends in `/` is a directory.
    fn guarded(kind: Kind, request: &str, files: &[(&str, &str)]) -> Guarded {
        let request = Request::parse(kind, request.as_bytes()).unwrap();
        (request.entry().unwrap().guard)(&node(files).1, &request)
    }

    fn node(files: &[(&str, &str)]) -> (TempDir, Host) {
        let directory = TempDir::new().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, content).unwrap();
            }
        }
        let host = Host::open(directory.path()).unwrap();
        (directory, host)
    }

    fn refusal(kind: Kind, request: &str, files: &[(&str, &str)]) -> String {
        guarded(kind, request, files).unwrap_err()
    }

    #[test]
    fn a_device_must_be_a_whole_disk_of_this_node() {
        let smart = |name: &str| format!("{{\"entry\":\"smart\",\"device\":\"{name}\"}}");
        let disks = [("sys/block/sda/", ""), ("sys/class/nvme/nvme0/", "")];
        assert_eq!(guarded(Kind::Disk, &smart("sda"), &disks), Ok(()));
        assert_eq!(guarded(Kind::Disk, &smart("nvme0"), &disks), Ok(()));
        let refusal = refusal(Kind::Disk, &smart("sdb"), &disks);
        assert_eq!(refusal, "this node has no disk sdb");
        let array = r#"{"entry":"md_detail","array":"md0"}"#;
        let arrays = [("sys/block/md0/md/", "")];
        assert_eq!(guarded(Kind::Disk, array, &arrays), Ok(()));
        // A name of md that belongs to no array.
        guarded(Kind::Disk, array, &[("sys/block/md0/", "")]).unwrap_err();
    }

    #[test]
    fn one_suspended_pool_refuses_every_question_about_zfs() {
        let pools = |state| {
            [
                ("proc/spl/kstat/zfs/arcstats", "x"),
                ("proc/spl/kstat/zfs/rpool/state", "ONLINE\n"),
                ("proc/spl/kstat/zfs/tank/state", state),
            ]
        };
        for entry in ["zpool_list", "zpool_status", "zfs_list"] {
            let request = format!("{{\"entry\":\"{entry}\",\"format\":\"text\"}}");
            let ask = |files: &[(&str, &str)]| guarded(Kind::Disk, &request, files);
            assert_eq!(ask(&pools("DEGRADED\n")), Ok(()));
            let refusal = ask(&pools("SUSPENDED\n")).unwrap_err();
            assert!(refusal.starts_with("pool tank is suspended"), "{refusal}");
            let refusal = ask(&[]).unwrap_err();
            assert!(refusal.contains("no ZFS"), "{refusal}");
            // A state that cannot be read may be that one.
            ask(&[("proc/spl/kstat/zfs/tank/state/", "")]).unwrap_err();
        }
    }

    #[test]
    fn no_tool_is_started_that_would_load_a_module() {
        let mapper = ("sys/class/misc/device-mapper/", "");
        for entry in ["vgs", "lvs", "pvs", "dm_status", "multipath"] {
            let request = format!("{{\"entry\":\"{entry}\"}}");
            let refusal = refusal(Kind::Disk, &request, &[]);
            assert!(refusal.contains("no device-mapper"), "{refusal}");
            let both = [mapper, ("etc/multipath/bindings", "")];
            assert_eq!(guarded(Kind::Disk, &request, &both), Ok(()));
        }
        let refusal = refusal(Kind::Disk, r#"{"entry":"multipath"}"#, &[mapper]);
        assert!(refusal.contains("never run"), "{refusal}");
    }

    #[test]
    fn without_its_key_ceph_is_refused_with_the_command_that_makes_it() {
        let status = r#"{"entry":"status"}"#;
        let refusal = refusal(Kind::Ceph, status, &[("etc/ceph/ceph.conf", "")]);
        assert!(
            refusal.ends_with(
                "ceph auth get-or-create client.pvelens mon 'allow r' mgr 'allow r' \
                 -o /etc/ceph/ceph.client.pvelens.keyring"
            ),
            "{refusal}"
        );
        let key = [("etc/ceph/ceph.client.pvelens.keyring", "")];
        assert_eq!(guarded(Kind::Ceph, status, &key), Ok(()));
    }

    #[test]
    fn only_a_network_mount_is_asked_whether_it_lives() {
        let table = "25 1 252:1 / / rw - ext4 /dev/root rw\n\
                     41 25 0:51 / /mnt/pve/my\\040nfs rw - nfs4 192.0.2.1:/x rw\n";
        let files = [("proc/self/mountinfo", table)];
        let ask = |point: &str| {
            let request = format!("{{\"entry\":\"mount_liveness\",\"mount_point\":\"{point}\"}}");
            guarded(Kind::Cluster, &request, &files)
        };
        assert_eq!(ask("/mnt/pve/my nfs"), Ok(()));
        assert!(ask("/").unwrap_err().contains("ext4"));
        // Neither a part of the name nor a place below it.
        ask("/mnt/pve/my").unwrap_err();
        ask("/mnt/pve/my nfs/dump").unwrap_err();
        ask("/mnt/pve/my\\\\040nfs").unwrap_err();
    }

    #[test]
    fn containers_are_looked_for_where_cgroup_v2_has_them() {
        let ask = |request: &str, files: &[(&str, &str)]| guarded(Kind::Container, request, files);
        let (all, one) = (
            r#"{"entry":"filesystems"}"#,
            r#"{"entry":"filesystems","vmid":110}"#,
        );
        assert!(ask(all, &[]).unwrap_err().contains("cgroup v2"));
        let unified = ("sys/fs/cgroup/cgroup.controllers", "cpu\n");
        assert_eq!(ask(all, &[unified]), Ok(()));
        let refusal = ask(one, &[unified]).unwrap_err();
        assert_eq!(refusal, "container 110 does not run on this node");
        let running = [unified, ("sys/fs/cgroup/lxc/110/", "")];
        assert_eq!(ask(one, &running), Ok(()));
    }

    #[test]
    fn what_hangs_from_an_earlier_request_is_not_started_again() {
        let command = ["/usr/sbin/smartctl".to_owned(), "/dev/sda".to_owned()];
        let process = |stat: &'static str, line: &'static str| {
            let files = [("proc/77/stat", stat), ("proc/77/cmdline", line)];
            left_behind(&node(&files).1, &command)
        };
        let same = "/usr/sbin/smartctl\0/dev/sda\0";
        let refusal = process("77 (smart) ctl) D 1 77 0\n", same).unwrap_err();
        assert!(refusal.ends_with("process 77"), "{refusal}");
        // In the middle of its work, of a parent that lives, of another disk.
        for (stat, line) in [
            ("77 (smartctl) S 1 77 0\n", same),
            ("77 (smartctl) D 12 77 0\n", same),
            ("77 (D 1) S 12 77 0\n", same),
            ("77 (smartctl) D 1 77 0\n", "/usr/sbin/smartctl\0/dev/sdb\0"),
            ("", same),
        ] {
            assert_eq!(process(stat, line), Ok(()), "{stat}");
        }
    }
}
