//! The container probe against real mounts, as its unit starts it: the real program,
//! nobody's, with the two capabilities of the unit or fewer.
//!
//! What stands for a container is a process in namespaces of its own, with and
//! without a user namespace, that mounts what a hostile one could: see
//! `containers/inside.sh`. Nothing of it outlives the test. That the unit itself
//! gives what is needed, and no more, is for `tests/units`.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are LXC, which starts the container, and systemd, which starts the probe"
)]

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use pvelens_agent::{
    host::FilesystemSize,
    probe::{ContainerLine, Header, Outcome, Seen, SeenFilesystem, SeenState},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens-agent");
const INSIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers/inside.sh");
const BOTH: &str = "-all,+sys_ptrace,+dac_read_search";
/// Of the unprivileged container's root, as Proxmox VE has it.
const MAP: &str = "0 100000 65536\n";
/// Looks at the container that is being made, ten milliseconds apart.
const PATIENCE: usize = 1_000;

/// A container that ends with the test.
struct Container {
    process: Child,
    /// Of its first process, as the node counts.
    pid: u32,
    directory: TempDir,
    _devices: TempDir,
    has_ended: bool,
}

impl Container {
    /// `None` where this is not allowed: not as root.
    fn start(is_privileged: bool) -> Option<Self> {
        if !getuid().is_root() {
            return None;
        }
        let directory = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child"]);
        if is_privileged {
            command.args(["sh", INSIDE]);
        } else {
            // Its numbers are given from outside.
            let waiting = "until read -r id rest </proc/self/uid_map; do sleep 0.01; done; \
                           exec setpriv --reuid 0 --regid 0 --clear-groups sh \"$@\"";
            command.args(["--user", "--keep-caps", "sh", "-c", waiting, "sh", INSIDE]);
        }
        command.arg(directory.path());
        command.arg(if is_privileged { "" } else { ",userxattr" });
        let devices = TempDir::new().unwrap();
        command.arg(fuse(devices.path()));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        if !is_privileged {
            for map in ["gid_map", "uid_map"] {
                give(&format!("/proc/{}/{map}", process.id()));
            }
        }
        let mut said = String::new();
        let output = process.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        let pid = said.trim().parse().unwrap();
        Some(Self {
            process,
            pid,
            directory,
            _devices: devices,
            has_ended: false,
        })
    }

    /// Asks the probe with these capabilities, about this container as number 110.
    fn seen(&self, capabilities: &str) -> Seen {
        let groups = "set -e; mount -t tmpfs groups /sys/fs/cgroup; cd /sys/fs/cgroup; \
                      mkdir -p lxc/110/ns/init.scope; : >cgroup.controllers; \
                      echo \"$1\" >lxc/110/ns/init.scope/cgroup.procs; \
                      exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
                      --bounding-set=\"$2\" --inh-caps=\"$2\" --ambient-caps=\"$2\" \"$3\" answer-probe container";
        let (mut caller, socket) = UnixStream::pair().unwrap();
        let mut probe = Command::new("unshare")
            .args(["--mount", "sh", "-c", groups, "sh"])
            .args([&self.pid.to_string(), capabilities, PROGRAM])
            .stdin(OwnedFd::from(socket.try_clone().unwrap()))
            .stdout(OwnedFd::from(socket))
            .spawn()
            .unwrap();
        caller.write_all(b"{\"entry\":\"filesystems\"}\n").unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        caller.read_to_string(&mut reply).unwrap();
        assert!(probe.wait().unwrap().success());
        let (header, lines) = reply.split_once('\n').unwrap();
        let header: Header = serde_json::from_str(header).unwrap();
        assert_eq!(header.outcome, Outcome::Answered {});
        let mut lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let Some(ContainerLine::Container(seen)) = lines.next() else {
            panic!("{reply}");
        };
        assert_eq!(lines.next(), Some(ContainerLine::End { left_out: 0 }));
        assert_eq!(seen.vmid, 110);
        seen
    }

    /// What `statvfs` says inside.
    fn size(&self, mount_point: &str) -> FilesystemSize {
        let output = Command::new("nsenter")
            .args(["--target", &self.pid.to_string(), "--mount", "--root"])
            .args(["stat", "-f", "-c", "%S %b %f %a %c %d", mount_point])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<u64> = text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let [block, total, free, available, inodes, inodes_free] = numbers[..] else {
            panic!("{mount_point}: {text}");
        };
        FilesystemSize {
            total_bytes: block * total,
            free_bytes: block * free,
            available_bytes: block * available,
            inodes_total: inodes,
            inodes_free,
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Who has changed its user does not end with its parent.
        let first = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(first) = first.filter(|_| !self.has_ended) {
            kill_process(first, Signal::KILL).unwrap();
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A device that also the unprivileged may open, as udev makes it: where udev never ran
/// only root may open the machine's own.
fn fuse(directory: &Path) -> PathBuf {
    let path = directory.join("fuse");
    let everybody = Mode::from_raw_mode(0o666);
    mknodat(
        CWD,
        &path,
        FileType::CharacterDevice,
        everybody,
        makedev(10, 229),
    )
    .unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    path
}

/// Writes a map as soon as the process has a user namespace.
fn give(path: &str) {
    for _ in 0..PATIENCE {
        if fs::write(path, MAP).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{path} takes no map");
}

fn by_point(seen: &Seen) -> BTreeMap<&str, &SeenFilesystem> {
    let all = seen.filesystems.iter();
    all.map(|one| (one.mount_point.as_str(), one)).collect()
}

fn looked_into(container: &Container) {
    let seen = container.seen(BOTH);
    assert_eq!(seen.problem, "");
    let all = by_point(&seen);
    assert_eq!(seen.filesystems[0].mount_point, "/");
    // Sizes are those that the container has of itself.
    for point in [
        "/",
        "/covered",
        "/data",
        "/data/deep er",
        "/elsewhere/point",
        "/private/x",
    ] {
        let one = all
            .get(point)
            .unwrap_or_else(|| panic!("{point} of {seen:?}"));
        assert_eq!(one.state, SeenState::Measured, "{point}");
        assert_eq!(one.size.unwrap(), container.size(point), "{point}");
    }
    assert_eq!(all["/covered"].size.unwrap().total_bytes, 2 << 20);
    assert_eq!(all["/data"].size.unwrap().inodes_total, 77);
    assert!(all["/data/deep er"].size.unwrap().free_bytes < 1 << 20);
    // What the node lends is told as a part.
    assert!(all["/usr"].is_part && !all["/data"].is_part);
    // Nobody waits for what does not answer, nor for what lies behind it.
    for point in ["/closed", "/closed/inner"] {
        assert_eq!(all[point].state, SeenState::NotTouched, "{point}");
    }
    assert_eq!(all["/closed"].kind, "fuse");
    assert!(
        seen.filesystems
            .iter()
            .all(|one| one.state != SeenState::Hangs)
    );
    // The root a second time, memory of the system, and what is covered are left out;
    // so is what is beyond the limit, and that is counted.
    for point in ["/self", "/run", "/merged"] {
        assert!(!all.contains_key(point), "{point}");
    }
    assert_eq!(seen.filesystems.len(), 32);
    assert_eq!(all.len(), 32, "one is listed twice");
    assert!(seen.table_is_whole && seen.left_out > 20, "{seen:?}");
    assert_eq!((seen.overlays, seen.fuse_overlays), (1, 0));
    assert_eq!(seen.has_docker, Some(true));
    assert_eq!(seen.docker_drivers, ["overlay2", "vfs"]);
    // Nothing of the node: neither its paths nor its mounts.
    let text = format!("{seen:?}");
    let outside = container.directory.path().to_str().unwrap();
    assert!(!text.contains(outside), "{text}");
    assert!(!Path::new(outside).join("usr/bin").exists());
}

/// Each of the two capabilities is needed, and for no more than that.
fn looked_into_with_less(container: &Container) {
    let seen = container.seen("-all,+sys_ptrace");
    let all = by_point(&seen);
    assert_eq!(all["/private/x"].state, SeenState::Failed);
    assert_eq!(all["/data"].state, SeenState::Measured);
    assert_eq!(seen.has_docker, None);
    for capabilities in ["-all", "-all,+dac_read_search"] {
        let seen = container.seen(capabilities);
        assert!(seen.problem.starts_with("opening its root"), "{seen:?}");
        assert!(seen.filesystems.is_empty());
    }
}

#[test]
fn a_privileged_container_is_looked_into() {
    if let Some(container) = Container::start(true) {
        looked_into(&container);
        looked_into_with_less(&container);
    }
}

#[test]
fn an_unprivileged_container_is_looked_into() {
    if let Some(container) = Container::start(false) {
        looked_into(&container);
        looked_into_with_less(&container);
    }
}

#[test]
fn a_container_that_has_ended_is_named() {
    let Some(mut container) = Container::start(true) else {
        return;
    };
    let pid = container.pid;
    container.has_ended = true;
    container.process.kill().unwrap();
    container.process.wait().unwrap();
    // The number is of no process, or of one that is not the first of a container.
    while fs::read_to_string(format!("/proc/{pid}/status")).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
    let seen = container.seen(BOTH);
    assert_eq!(seen.problem, "its first process was not found");
}
