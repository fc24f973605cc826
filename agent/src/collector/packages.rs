//! Installed packages that matter, and packages in a wrong state.
//!
//! From dpkg's database. Names are carried of the packages that are listed here and
//! of kernels, and of those that are on hold or unfinished; what else is installed
//! is the node's own matter.

use pvelens_proto::agent::v1::{CollectionClass, Package, PackageState, Packages};

use super::{CollectError, Collector, Payload, Reading, SLOW};
use crate::format::{
    FormatError,
    package_index::{Stanza, stanzas},
    plain::{name, short},
    whole_lines,
};

const PATH: &str = "/var/lib/dpkg/status";
const LIMIT: u64 = 64 << 20;
/// Names of packages on hold, and unfinished ones.
const ODD_LIMIT: usize = 200;
/// Kernels and the packages that are looked for.
const LISTED_LIMIT: usize = 500;

/// Packages that are looked for, sorted.
const LISTED: &[&str] = &[
    "aide",
    "amd64-microcode",
    "auditd",
    "ceph",
    "ceph-common",
    "ceph-fuse",
    "ceph-mds",
    "ceph-mgr",
    "ceph-mon",
    "ceph-osd",
    "chrony",
    "containerd",
    "containerd.io",
    "corosync",
    "corosync-qdevice",
    "dkms",
    "dnsmasq",
    "docker-ce",
    "docker.io",
    "fail2ban",
    "frr",
    "gdm3",
    "grub-efi-amd64",
    "grub-pc",
    "ifupdown",
    "ifupdown2",
    "intel-microcode",
    "k3s",
    "ksm-control-daemon",
    "libknet1",
    "libknet1t64",
    "libproxmox-acme-perl",
    "libpve-access-control",
    "libpve-common-perl",
    "libpve-guest-common-perl",
    "libpve-network-perl",
    "libpve-rs-perl",
    "libpve-storage-perl",
    "libqb0",
    "libqb100",
    "lightdm",
    "linux-image-amd64",
    "lldpd",
    "lvm2",
    "lxc-pve",
    "lxcfs",
    "mariadb-server",
    "multipath-tools",
    "mysql-server",
    "nfs-kernel-server",
    "novnc-pve",
    "ntpsec",
    "openssh-server",
    "openssl",
    "openvswitch-switch",
    "postfix",
    "postgresql",
    "proxmox-backup-client",
    "proxmox-backup-server",
    "proxmox-default-headers",
    "proxmox-default-kernel",
    "proxmox-firewall",
    "proxmox-kernel-helper",
    "proxmox-mail-forward",
    "proxmox-ve",
    "proxmox-widget-toolkit",
    "pve-cluster",
    "pve-container",
    "pve-docs",
    "pve-edk2-firmware",
    "pve-esxi-import-tools",
    "pve-firewall",
    "pve-firmware",
    "pve-ha-manager",
    "pve-manager",
    "pve-qemu-kvm",
    "pve-xtermjs",
    "qemu-server",
    "rasdaemon",
    "samba",
    "sddm",
    "shim-signed",
    "smartmontools",
    "spiceterm",
    "sshguard",
    "sudo",
    "swtpm",
    "systemd-boot",
    "systemd-boot-efi",
    "systemd-boot-tools",
    "task-cinnamon-desktop",
    "task-desktop",
    "task-gnome-desktop",
    "task-kde-desktop",
    "task-lxde-desktop",
    "task-lxqt-desktop",
    "task-mate-desktop",
    "task-xfce-desktop",
    "unattended-upgrades",
    "vncterm",
    "xserver-xorg-core",
    "zfsutils-linux",
];

/// Beginnings of the names of kernels and of the headers that DKMS needs.
const KERNELS: &[&str] = &[
    "linux-image-",
    "proxmox-headers-",
    "proxmox-kernel-",
    "pve-headers-",
    "pve-kernel-",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "packages",
    summary: "versions of the packages that matter, and packages in a wrong state",
    class: CollectionClass::Slow,
    interval: SLOW,
    // Megabytes, which may have to come from a slow disk.
    deadline: std::time::Duration::from_secs(10),
    paths: &[PATH, "/.pvelens/modified.json"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = match reading.read(PATH, LIMIT) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("dpkg has no database here"));
        }
        Err(error) => return Err(error.into()),
    };
    let mut packages = parse(&text).map_err(|error| error.at(PATH))?;
    packages.status_modified_at = reading.modified_at(PATH);
    Ok(Payload::Packages(packages))
}

fn parse(text: &str) -> Result<Packages, FormatError> {
    let mut packages = Packages::default();
    for stanza in stanzas(whole_lines(text)?) {
        let Some((hold, package)) = package(&stanza) else {
            continue;
        };
        // Of a name that dpkg would not take nothing is said.
        let Some(package) = package else {
            packages.truncated = true;
            continue;
        };
        if package.state() == PackageState::Installed {
            packages.installed_count = packages.installed_count.saturating_add(1);
        }
        let is_finished = matches!(
            package.state(),
            PackageState::Installed | PackageState::ConfigFiles
        );
        let truncated = &mut packages.truncated;
        if hold && package.state() != PackageState::ConfigFiles {
            keep(
                &mut packages.held,
                package.name.clone(),
                ODD_LIMIT,
                truncated,
            );
        }
        if !is_finished || package.needs_reinstall {
            keep(
                &mut packages.unfinished,
                package.clone(),
                ODD_LIMIT,
                truncated,
            );
        }
        if is_listed(&package.name) {
            keep(&mut packages.packages, package, LISTED_LIMIT, truncated);
        }
    }
    if packages.installed_count == 0 {
        return Err(FormatError::truncated("no installed package"));
    }
    packages.packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages.unfinished.sort_by(|a, b| a.name.cmp(&b.name));
    packages.held.sort_unstable();
    Ok(packages)
}

/// Whether it is on hold, and the package, unless there is nothing of it on the
/// node. dpkg's words are `want flag state` (`dpkg@lib/dpkg/parsehelp.c`).
fn package(stanza: &Stanza<'_>) -> Option<(bool, Option<Package>)> {
    let mut words = stanza.status.split_ascii_whitespace();
    let (want, flag, state) = (words.next()?, words.next()?, words.next()?);
    let state = match state {
        "installed" => PackageState::Installed,
        "config-files" => PackageState::ConfigFiles,
        "half-installed" => PackageState::HalfInstalled,
        "unpacked" => PackageState::Unpacked,
        "half-configured" => PackageState::HalfConfigured,
        "triggers-awaited" => PackageState::TriggersAwaited,
        "triggers-pending" => PackageState::TriggersPending,
        _ => return None,
    };
    let package = name(stanza.name).map(|name| Package {
        name: name.to_owned(),
        version: short(stanza.version, 100),
        state: state.into(),
        needs_reinstall: flag == "reinstreq",
    });
    Some((want == "hold", package))
}

fn is_listed(name: &str) -> bool {
    LISTED.binary_search(&name).is_ok() || KERNELS.iter().any(|kernel| name.starts_with(kernel))
}

fn keep<T>(list: &mut Vec<T>, item: T, limit: usize, truncated: &mut bool) {
    if list.len() < limit {
        list.push(item);
    } else {
        *truncated = true;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn stanza(name: &str, status: &str) -> String {
        format!("Package: {name}\nStatus: {status}\nVersion: 1-2\n\n")
    }

    #[test]
    fn the_list_is_sorted_to_be_searched() {
        assert!(LISTED.is_sorted());
    }

    #[test]
    fn only_packages_that_matter_are_named() {
        let text = [
            stanza("vim", "install ok installed"),
            stanza("pve-manager", "install ok installed"),
            stanza("proxmox-kernel-6.17.2-1-pve-signed", "install ok installed"),
            stanza("docker.io", "deinstall ok not-installed"),
            stanza("proxmox-ve", "deinstall ok config-files"),
        ]
        .concat();
        let packages = parse(&text).unwrap();
        assert_eq!(packages.installed_count, 3);
        let names: Vec<_> = packages.packages.iter().map(|p| p.name.as_str()).collect();
        let kernel = "proxmox-kernel-6.17.2-1-pve-signed";
        assert_eq!(names, [kernel, "proxmox-ve", "pve-manager"]);
        assert_eq!(packages.packages[1].state(), PackageState::ConfigFiles);
        assert_eq!(packages.packages[2].version, "1-2");
        assert!(packages.held.is_empty() && packages.unfinished.is_empty());
    }

    #[test]
    fn packages_on_hold_and_unfinished_ones_are_named_whatever_they_are() {
        let text = [
            stanza("vim", "hold ok installed"),
            stanza("nano", "install ok half-configured"),
            stanza("ed", "install reinstreq half-installed"),
            stanza("old", "hold ok config-files"),
        ]
        .concat();
        let packages = parse(&text).unwrap();
        assert_eq!(packages.held, ["vim"]);
        let unfinished: Vec<_> = packages
            .unfinished
            .iter()
            .map(|p| (p.name.as_str(), p.state(), p.needs_reinstall))
            .collect();
        assert_eq!(
            unfinished,
            [
                ("ed", PackageState::HalfInstalled, true),
                ("nano", PackageState::HalfConfigured, false)
            ]
        );
        assert!(packages.packages.is_empty());
    }

    #[test]
    fn long_lists_are_cut_and_said_so() {
        let mut text = String::new();
        for number in 0..300 {
            write!(
                text,
                "{}",
                stanza(&format!("p{number}"), "hold ok installed")
            )
            .unwrap();
        }
        let packages = parse(&text).unwrap();
        assert_eq!((packages.held.len(), packages.truncated), (ODD_LIMIT, true));
        assert_eq!(packages.installed_count, 300);
    }

    #[test]
    fn a_database_without_packages_is_none() {
        assert!(parse("").is_err());
        assert!(parse("\n").is_err());
        assert!(parse("Package: a\nStatus: install ok installed").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(Package: [a-z \\PC]{0,9}\n|Status: (hold|install|x) (ok|reinstreq) (installed|unpacked|\\PC{0,4})\n|\n|\\PC{0,9}\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
