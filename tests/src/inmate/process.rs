//! Attempts on a process of root: uid 0 without capabilities still owns it.

use std::{
    fs::{self, OpenOptions},
    io,
};

use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, pidfd_open, prlimit,
    setpriority_process,
};

use super::{Unit, attempt::Attempt, neighbour};

/// Readable only with `CAP_SYS_PTRACE`; collectors must not come to need them.
const READ: &[&str] = &[
    "io",
    "environ",
    "maps",
    "mem",
    "smaps_rollup",
    "root/etc/passwd",
    "fd/0",
    "ns/mnt",
];

/// What CAP_SYS_ADMIN shows besides, as CAP_PERFMON does.
const SHOWN_TO_ADMIN: &[&str] = &["environ", "maps", "smaps_rollup"];

/// Writable by the owner.
const WRITE: &[&str] = &["oom_score_adj", "coredump_filter", "clear_refs", "comm"];

pub(super) fn attempts(unit: Unit) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    // Process 1 is always there; the others may not even see the neighbour.
    for name in READ.iter().filter(|name| match unit {
        Unit::DiskProbe => !SHOWN_TO_ADMIN.contains(name),
        // This is what it has its capability for.
        Unit::ContainerProbe => false,
        _ => true,
    }) {
        attempts.push(Attempt::new(format!("read /proc/1/{name}"), move || {
            read(&format!("/proc/1/{name}"))
        }));
    }
    if unit == Unit::ContainerProbe {
        attempts.extend(against_all());
    }
    // The probes end their own children by a signal.
    if !unit.starts_programs() {
        attempts.push(Attempt::new("signal process 1", || {
            Ok(rustix::process::test_kill_process(Pid::INIT)?)
        }));
    }
    if unit != Unit::Agent {
        return attempts;
    }
    for name in READ {
        attempts.push(Attempt::new(format!("read {name} of a VM"), move || {
            read(&format!("/proc/{}/{name}", neighbour()?))
        }));
    }
    for name in WRITE {
        attempts.push(Attempt::new(format!("write {name} of a VM"), move || {
            let path = format!("/proc/{}/{name}", neighbour()?);
            OpenOptions::new().write(true).open(path).map(drop)
        }));
    }
    attempts.push(Attempt::new("end a VM by a signal", || {
        Ok(kill_process(pid()?, Signal::TERM)?)
    }));
    attempts.push(Attempt::new("hold a VM by a file descriptor", || {
        Ok(pidfd_open(pid()?, PidfdFlags::empty()).map(drop)?)
    }));
    attempts.push(Attempt::new("limit the CPU time of a VM", || {
        let limit = Rlimit {
            current: Some(1_000_000),
            maximum: Some(1_000_000),
        };
        Ok(prlimit(Some(pid()?), Resource::Cpu, limit).map(drop)?)
    }));
    attempts.push(Attempt::new("lower the priority of a VM", || {
        Ok(setpriority_process(Some(pid()?), 5)?)
    }));
    attempts
}

/// What CAP_SYS_PTRACE must not be good for: changing what it can see.
fn against_all() -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for path in [
        "/proc/1/mem",
        "/proc/1/oom_score_adj",
        "/proc/self/oom_score_adj",
        "/proc/1/root/etc/passwd",
        "/proc/1/root/proc/1/mem",
    ] {
        attempts.push(Attempt::new(
            format!("open {path} for writing"),
            move || OpenOptions::new().write(true).open(path).map(drop),
        ));
    }
    for path in ["/proc/1/root/was-here", "/proc/1/root/tmp/was-here"] {
        attempts.push(Attempt::new(
            format!("make the directory {path}"),
            move || fs::create_dir(path),
        ));
    }
    attempts.push(Attempt::new("hold process 1 by a file descriptor", || {
        Ok(pidfd_open(Pid::INIT, PidfdFlags::empty()).map(drop)?)
    }));
    attempts
}

fn read(path: &str) -> io::Result<()> {
    use std::io::Read;
    if path.contains("/ns/") || path.contains("/fd/") {
        return fs::read_link(path).map(drop);
    }
    fs::File::open(path)?.read(&mut [0_u8; 16]).map(drop)
}

fn pid() -> io::Result<Pid> {
    Pid::from_raw(neighbour()?).ok_or_else(|| io::Error::other("no process"))
}
