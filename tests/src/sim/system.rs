//! What seldom changes on a node: identity, hardware, packages and mounts.

use std::io;

use serde_json::{Map, Value, json};

use super::{
    config::line,
    noise::choose,
    state::{State, real, whole},
    tree::Tree,
};

/// A root CA made for the simulator; its key was thrown away.
const ROOT_CA: &str = include_str!("root-ca.pem");
const CPU_FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat sse sse2 ht syscall nx lm pni ssse3 fma cx16 sse4_1 sse4_2 popcnt aes xsave avx svm avx2";

pub(super) fn write_static(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let name = &node.name;
    tree.link("/etc/pve/local", &format!("nodes/{name}"))?;
    for other in &state.nodes {
        for directory in ["qemu-server", "lxc"] {
            tree.directory(&format!("/etc/pve/nodes/{}/{directory}", other.name))?;
        }
    }
    tree.write("/etc/pve/pve-root-ca.pem", ROOT_CA)?;
    tree.write(
        "/etc/pve/user.cfg",
        "user:root@pam:1:0:::root@example.org::x:\n",
    )?;
    tree.write("/etc/pve/datacenter.cfg", "keyboard: en-us\n")?;
    tree.write("/etc/hostname", &format!("{name}\n"))?;
    tree.write("/proc/sys/kernel/hostname", &format!("{name}\n"))?;
    let (debian, code, manager, kernel) = if state.pve_version < 9 {
        (12, "bookworm", "8.4.14", "6.8.12-15-pve")
    } else {
        (13, "trixie", "9.1.4", "6.17.4-2-pve")
    };
    tree.write("/proc/sys/kernel/osrelease", &format!("{kernel}\n"))?;
    let boot = choose(state.seed, name, 1 << 30);
    tree.write(
        "/proc/sys/kernel/random/boot_id",
        &format!("{boot:08x}-0000-4000-8000-{:012x}\n", node.id),
    )?;
    tree.write(
        "/etc/os-release",
        &format!(
            "PRETTY_NAME=\"Debian GNU/Linux {debian} ({code})\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"{debian}\"\nVERSION_CODENAME={code}\nID=debian\n"
        ),
    )?;
    tree.write(
        "/var/lib/dpkg/status",
        &format!(
            "Package: bash\nStatus: install ok installed\nVersion: 5.2.37-2\n\nPackage: pve-manager\nStatus: install ok installed\nPriority: optional\nVersion: {manager}\n\n"
        ),
    )?;
    let mut cpuinfo = String::new();
    for cpu in 0..node.cpus {
        line(
            &mut cpuinfo,
            &format!(
                "processor\t: {cpu}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9124 16-Core Processor\nphysical id\t: 0\nflags\t\t: {CPU_FLAGS}\n"
            ),
        );
    }
    tree.write("/proc/cpuinfo", &cpuinfo)?;
    for disk in &node.disks {
        let directory = format!("/sys/block/{}", disk.name);
        tree.write(
            &format!("{directory}/size"),
            &format!("{}\n", disk.size_bytes / 512),
        )?;
        tree.write(
            &format!("{directory}/queue/rotational"),
            &format!("{}\n", u8::from(disk.rotational)),
        )?;
        tree.write(
            &format!("{directory}/device/model"),
            &format!("{}\n", disk.model),
        )?;
    }
    Ok(())
}

/// The mount table of process 1, and the sizes of local file systems.
pub(super) fn write_mounts(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let mut table = "22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw\n23 28 0:21 / /proc rw,nosuid - proc proc rw\n".to_owned();
    let mut sizes = Map::new();
    for (number, filesystem) in (30..).zip(node.filesystems.iter().filter(|fs| fs.mounted)) {
        let mode = if filesystem.read_only { "ro" } else { "rw" };
        line(
            &mut table,
            &format!(
                "{number} 1 {} / {} {mode},relatime shared:{number} - {} {} {mode}",
                filesystem.device, filesystem.mount_point, filesystem.kind, filesystem.source
            ),
        );
        if filesystem.kind.starts_with("nfs") {
            continue;
        }
        let free = filesystem.total_bytes - whole(filesystem.used_bytes);
        // ext4 keeps some blocks for root; small enough to leave out here.
        let inodes = whole(real(filesystem.total_bytes) / 16_384.0);
        sizes.insert(
            filesystem.mount_point.clone(),
            json!({
                "total_bytes": filesystem.total_bytes, "free_bytes": free, "available_bytes": free,
                "inodes_total": inodes, "inodes_free": inodes / 10 * 9,
            }),
        );
    }
    table
        .push_str("90 28 0:50 / /etc/pve rw,nosuid,nodev,relatime shared:90 - fuse /dev/fuse rw\n");
    tree.write("/proc/1/mountinfo", &table)?;
    tree.write(
        "/.pvelens/statvfs.json",
        &format!("{}\n", Value::Object(sizes)),
    )
}
