//! What is thrown at every parser of what a guest, another node or a peer can
//! influence.
//!
//! Each target takes any bytes and must neither panic nor hang nor grow. libFuzzer
//! drives them in `tests/fuzz`; a test drives them with seeds and damaged seeds.

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};
use pvelens_agent::{
    fuzzing,
    probe::{Kind, Request, menu},
    recorder,
};
use tempfile::TempDir;

mod files;
mod guest;
mod node;
mod spool;
mod trust;

/// Something that reads bytes of others.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs that are understood.
    pub seeds: fn() -> Result<Vec<Vec<u8>>>,
}

/// Every target; `tests/fuzz/targets` has a file for each.
pub const TARGETS: &[Target] = &[
    files::CONFIGURATION,
    files::CLUSTER_STATE,
    files::LOGS,
    files::BINARIES,
    files::PACKAGES,
    files::KERNEL,
    files::PROBES,
    Target {
        name: "qmp",
        run: |said| drop(fuzzing::qmp(said)),
        seeds: || Ok(vec![QMP.as_bytes().to_vec()]),
    },
    Target {
        name: "qga",
        run: qga,
        seeds: || {
            Ok(vec![
                OS_INFO.as_bytes().to_vec(),
                FS_INFO.as_bytes().to_vec(),
            ])
        },
    },
    Target {
        name: "probe_reply",
        run: |said| drop(fuzzing::probe_reply(said)),
        seeds: files::probe_replies,
    },
    Target {
        name: "probe_request",
        run: probe_request,
        seeds: probe_requests,
    },
    spool::SPOOL,
    Target {
        name: "flight",
        run: flight,
        seeds: node::updates,
    },
    node::NODE_UPDATE,
    guest::GUEST_END,
    guest::GUEST_POLICY,
    guest::GUEST_OUTPUT,
    trust::JOIN_LINE,
    trust::ENROLMENT,
    trust::CERTIFICATE,
    trust::IDENTITY,
    trust::BACKUP,
];

/// Encoded updates of the small node: one of each of its samples, and one of all.
///
/// # Errors
/// When its files cannot be read.
pub fn small_node_updates() -> Result<Vec<Vec<u8>>> {
    node::updates()
}

/// Runs the target of a name.
///
/// # Panics
/// When there is none, or it does not hold what it promises.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(data),
        None => panic!("no target {name}"),
    }
}

/// Writes the seeds of a target into the directory that `PVELENS_FUZZ_SEEDS` names, if
/// it does, one a file.
///
/// # Panics
/// When they cannot be made or written.
pub fn seed(name: &str) {
    if let Some(directory) = env::var_os("PVELENS_FUZZ_SEEDS")
        && let Err(error) = write_seeds(name, Path::new(&directory))
    {
        panic!("no seeds: {error:#}");
    }
}

fn write_seeds(name: &str, directory: &Path) -> Result<()> {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        bail!("no target {name}");
    };
    fs::create_dir_all(directory)?;
    for (number, seed) in (target.seeds)()?.iter().enumerate() {
        let path = directory.join(format!("seed-{number:04}"));
        fs::write(&path, seed).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

const QMP: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 1, "major": 10}, "package": "pve-qemu-kvm_10.1.2-1"}, "capabilities": ["oob"]}}
{"return": {}, "id": 1}
{"return": {"status": "running", "singlestep": false, "running": true}, "id": 2}
{"return": {"actual": 4294967296, "max_mem": 4294967296, "last_update": 1795349000, "free_mem": -1}, "id": 3}
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "BALLOON_CHANGE", "data": {"actual": 1}}
{"return": [{"device": "drive-scsi0", "qdev": "scsi0", "stats": {"rd_bytes": 1, "wr_bytes": 2, "rd_operations": 3, "failed_rd_operations": 4, "timed_stats": []}}], "id": 4}
{"return": [{"device": "drive-scsi0", "io-status": "ok", "locked": false, "inserted": {"file": "x", "ro": false}}], "id": 5}
"#;
const OS_INFO: &str = r#"{"return": {"name": "Debian GNU/Linux", "kernel-release": "6.12", "version-id": "13", "id": "debian", "machine": "x86_64", "pretty-name": "Debian"}}
"#;
const FS_INFO: &str = r#"{"return": [{"name": "sda1", "mountpoint": "/", "type": "ext4", "used-bytes": 7, "total-bytes": 9, "disk": [{"bus": 0}]}]}
"#;

/// Anything at all, and what comes after the number was given back.
fn qga(said: &[u8]) {
    // The number that is asked for first.
    let synced = [b"\xff{\"return\": 1}\n", said].concat();
    drop((fuzzing::qga(said), fuzzing::qga(&synced)));
}

/// What was read as a request is written as the same one.
fn probe_request(line: &[u8]) {
    for kind in [
        Kind::Disk,
        Kind::Cluster,
        Kind::Ceph,
        Kind::System,
        Kind::Container,
    ] {
        if let Ok(request) = Request::parse(kind, line) {
            let again = Request::parse(kind, request.to_json().as_bytes());
            assert_eq!(again.ok(), Some(request));
        }
    }
}

fn probe_requests() -> Result<Vec<Vec<u8>>> {
    let requests = menu().map(|entry| {
        let parameters = entry.parameters.iter().map(|parameter| {
            let value = if parameter.is_number { "1" } else { "\"sda\"" };
            format!(",\"{}\":{value}", parameter.name)
        });
        let parameters: String = parameters.collect();
        format!("{{\"entry\":\"{}\"{parameters}}}", entry.name).into_bytes()
    });
    Ok(requests.collect())
}

/// A file of the flight recorder: the bytes, or a record with a checksum that fits.
fn flight(data: &[u8]) {
    let directory = directory();
    for (number, content) in [data.to_vec(), fuzzing::framed(data)].iter().enumerate() {
        let file = directory.path().join(format!("flight-{number:020}"));
        write(&file, content);
    }
    if let Err(error) = recorder::read(directory.path(), |_, _| {}) {
        panic!("the directory is readable: {error}");
    }
}

fn directory() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("no directory to work in: {error}"))
}

fn write(path: &Path, content: &[u8]) {
    if let Err(error) = fs::write(path, content) {
        panic!("writing {}: {error}", path.display());
    }
}
