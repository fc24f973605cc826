//! LVM and smartctl as they are, on loop devices that the disk probe takes for the
//! disks of a node: see `disk_tools/disks.sh`. That pools are full, and disks ill, is
//! in recorded replies: a loop device has neither SMART nor, on many kernels,
//! device-mapper.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the test is the administrator, who makes the volumes"
)]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::getuid;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens-agent");
const DISKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk_tools/disks.sh");
const GROUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk_tools/data.vg");

/// A file as a block device, given back at the end.
struct LoopDevice(String);

impl LoopDevice {
    fn new(file: &Path) -> Self {
        File::create(file).unwrap().set_len(64 << 20).unwrap();
        let mut command = Command::new("losetup");
        let output = command.args(["--find", "--show"]).arg(file).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        drop(Command::new("losetup").args(["--detach", &self.0]).status());
    }
}

/// Loop devices, namespaces and the tools are there; `tests/run` says so where not.
fn can_run() -> bool {
    let tools = ["vgs", "vgcfgrestore", "smartctl"];
    let mut may_mount = Command::new("unshare");
    getuid().is_root()
        && Path::new("/dev/loop-control").exists()
        && tools
            .iter()
            .all(|tool| Path::new("/usr/sbin").join(tool).exists())
        && may_mount
            .args(["--mount", "true"])
            .status()
            .unwrap()
            .success()
}

/// What `collect` makes of the replies of the probe.
fn collected() -> Value {
    let directory = TempDir::new().unwrap();
    let [first, second] =
        ["first", "second"].map(|name| LoopDevice::new(&directory.path().join(name)));
    let tree: PathBuf = directory.path().join("tree");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", DISKS, PROGRAM, &first.0, &second.0, GROUP]);
    let made = command.arg(&tree).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut command = Command::new(PROGRAM);
    command.args(["collect", "--once", "--output", "json", "--root"]);
    let output = command.arg(&tree).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// These members of each object of a list.
fn table(list: &Value, members: &[&str]) -> Value {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| {
        members
            .iter()
            .map(|member| row[*member].clone())
            .collect::<Value>()
    })
    .collect()
}

#[test]
fn volumes_and_disks_are_what_the_tools_report() {
    if !can_run() {
        return;
    }
    let collected = collected();
    let lvm = &collected["samples"]["lvm"];
    let members = [
        "name",
        "size_bytes",
        "free_bytes",
        "extent_bytes",
        "physical_volumes",
        "logical_volumes",
    ];
    assert_eq!(
        table(&lvm["payload"]["volume_groups"], &members),
        json!([["data", 126 << 20, 78 << 20, 1 << 20, 2, 3]])
    );
    let members = [
        "name",
        "kind",
        "segment_type",
        "size_bytes",
        "pool",
        "health",
    ];
    assert_eq!(
        table(&lvm["payload"]["logical_volumes"], &members),
        json!([
            ["archive", "plain", "linear", 8 << 20, "", "good"],
            ["pool", "thin_pool", "thin-pool", 32 << 20, "", "good"],
            ["vm-100-disk-0", "thin", "thin", 64 << 20, "pool", "good"],
        ])
    );
    // Nobody has activated the pool, so there is no fill to tell, and none is made up.
    assert_eq!(
        lvm["payload"]["logical_volumes"][1]["thin_pool"],
        json!({"chunk_bytes": 64 << 10, "discards": "passdown", "metadata_size_bytes": 4 << 20, "when_full": "queue"})
    );
    let members = [
        "name",
        "volume_group",
        "size_bytes",
        "free_bytes",
        "missing",
        "duplicate",
    ];
    assert_eq!(
        table(&lvm["payload"]["physical_volumes"], &members),
        json!([
            ["/dev/sdy", "data", 63 << 20, 47 << 20, false, false],
            ["/dev/sdz", "data", 63 << 20, 31 << 20, false, false],
        ])
    );
    // dmsetup has nothing to ask on a kernel without device-mapper, and says so.
    if Path::new("/sys/class/misc/device-mapper").exists() {
        assert_eq!(lvm["failures"], json!([]));
    } else {
        let failures = lvm["failures"].as_array().unwrap();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert_eq!(failures[0]["path"], "probe disk: dm_status thin-pool");
        let detail = failures[0]["detail"].as_str().unwrap();
        assert!(
            detail.contains("/dev/mapper/control: open failed"),
            "{detail}"
        );
    }
    // A disk that answers no INQUIRY is neither well nor asleep.
    let health = &collected["samples"]["disk_health"];
    assert_eq!(
        table(
            &health["payload"]["disks"],
            &["name", "state", "exit_status"]
        ),
        json!([["sdy", "no_answer", 2], ["sdz", "no_answer", 2]])
    );
    assert_eq!(health["payload"]["smartctl_missing"], false);
}
