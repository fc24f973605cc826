//! The settings that leave the node: an allow-list of keys.
//!
//! Whatever is not named here stays on the node; its key, never its value, is
//! listed in `dropped_keys`. `args`, `cipassword`, `sshkeys`, `env`,
//! `description` and raw `lxc.environment` lines are such keys.

use pvelens_proto::{
    agent::v1::{GuestKind, GuestSettings, HostDeviceKind, RawLxcLine},
    timestamp_from_millis,
};

use super::{Section, arguments, device, machine, volume};
use crate::format::{
    plain,
    property_string::{Properties, boolean, list},
};

const MEBIBYTE: u64 = 1 << 20;
/// Flags of a processor, devices to boot from.
const LIST_LIMIT: usize = 100;
const AFFINITY_LIMIT: usize = 1000;
/// Raw LXC settings that loosen the walls of a container.
const CONFINEMENT: &[&str] = &[
    "lxc.apparmor.profile",
    "lxc.apparmor.allow_nesting",
    "lxc.cap.drop",
    "lxc.cap.keep",
    "lxc.cgroup2.devices.allow",
    "lxc.cgroup.devices.allow",
    "lxc.idmap",
    "lxc.mount.auto",
    "lxc.seccomp.profile",
    "lxc.selinux.context",
];

/// Carries the allow-listed settings of one section.
pub(super) fn carry(kind: GuestKind, section: &Section<'_>) -> GuestSettings {
    let mut settings = GuestSettings {
        has_description: section.has_description,
        ..GuestSettings::default()
    };
    for (key, value) in &section.values {
        // They belong to network devices, which may come later.
        if kind == GuestKind::Qemu && key.starts_with("ipconfig") {
            continue;
        }
        let known =
            scalar(&mut settings, kind, key, value) || list_item(&mut settings, kind, key, value);
        if !known && *key != "description" {
            settings.dropped_keys.push((*key).to_owned());
        }
    }
    if kind == GuestKind::Qemu {
        for (key, value) in &section.values {
            if let Some(number) = key.strip_prefix("ipconfig")
                && !device::configure(&mut settings.nics, number, value)
            {
                settings.dropped_keys.push((*key).to_owned());
            }
        }
    }
    settings.dropped_keys.sort_unstable();
    settings.dropped_keys.dedup();
    settings
}

/// Keys that stand once.
fn scalar(settings: &mut GuestSettings, kind: GuestKind, key: &str, value: &str) -> bool {
    let mebibytes = |text: &str| text.parse::<u64>().ok()?.checked_mul(MEBIBYTE);
    match (kind, key) {
        (GuestKind::Qemu, "name") | (GuestKind::Lxc, "hostname") => settings.name = decoded(value),
        (_, "tags") => settings.tags = list(value),
        (_, "template") => settings.template = boolean(value).unwrap_or(false),
        (_, "onboot") => settings.start_on_boot = boolean(value),
        (_, "protection") => settings.protection = boolean(value),
        (_, "lock") => settings.lock = value.to_owned(),
        (_, "ostype") => settings.os_type = value.to_owned(),
        (_, "cores") => settings.cores = value.parse().ok(),
        (_, "cpulimit") => {
            settings.cpu_limit_cores = value.parse().ok().filter(|v: &f64| v.is_finite())
        }
        (_, "cpuunits") => settings.cpu_units = value.parse().ok(),
        (_, "memory") => {
            settings.memory_bytes = mebibytes(
                Properties::new(value, "current")
                    .get("current")
                    .unwrap_or(value),
            );
        }
        (_, "hookscript") => {
            let (storage, volume) = value.split_once(':').unwrap_or(("", value));
            settings.hook_script_storage = word(Some(storage));
            settings.hook_script_volume = word(Some(volume));
        }
        (_, "startup") => settings.startup = value.to_owned(),
        (_, "parent") => settings.parent_snapshot = value.to_owned(),
        (GuestKind::Lxc, "swap") => settings.swap_bytes = mebibytes(value),
        (GuestKind::Lxc, "unprivileged") => settings.unprivileged = boolean(value),
        (GuestKind::Lxc, "features") => settings.features = features(value),
        (GuestKind::Qemu, "sockets") => settings.sockets = value.parse().ok(),
        (GuestKind::Qemu, "vcpus") => settings.vcpus = value.parse().ok(),
        (GuestKind::Qemu, "cpu") => {
            let properties = Properties::new(value, "cputype");
            settings.cpu_type = properties.text("cputype");
            settings.cpu_flags = names(properties.get("flags").unwrap_or_default());
            settings.cpu_physical_bits = word(properties.get("phys-bits"));
        }
        (GuestKind::Qemu, "affinity") => settings.cpu_affinity = cpus(value),
        (GuestKind::Qemu, "boot") => {
            let properties = Properties::new(value, "legacy");
            settings.boot_order = names(properties.get("order").unwrap_or_default());
            settings.boot_letters = word(properties.get("legacy"));
        }
        (GuestKind::Qemu, "bootdisk") => settings.boot_disk = word(Some(value)),
        (GuestKind::Qemu, "vga") => {
            let properties = Properties::new(value, "type");
            settings.display_type = word(properties.get("type"));
            settings.display_clipboard = word(properties.get("clipboard"));
        }
        (GuestKind::Qemu, "numa") => settings.numa = boolean(value),
        (GuestKind::Qemu, "allow-ksm") => settings.allows_ksm = boolean(value),
        (GuestKind::Qemu, "balloon") => settings.balloon_bytes = mebibytes(value),
        (GuestKind::Qemu, "agent") => {
            let properties = Properties::new(value, "enabled");
            settings.agent_enabled = Some(properties.flag("enabled").unwrap_or(false));
            // The name since PVE 9.2, and the only one before.
            settings.agent_freezes_filesystems = properties
                .flag("freeze-fs")
                .or_else(|| properties.flag("freeze-fs-on-backup"));
        }
        (GuestKind::Qemu, "bios") => settings.bios = value.to_owned(),
        (GuestKind::Qemu, "machine") => settings.machine = machine(value),
        (GuestKind::Qemu, "scsihw") => settings.scsi_controller = value.to_owned(),
        (GuestKind::Qemu, "kvm") => settings.kvm_enabled = boolean(value),
        (GuestKind::Qemu, "args") => {
            settings.has_raw_arguments = true;
            settings.raw_argument_kinds = arguments::kinds(value);
        }
        (GuestKind::Qemu, "watchdog") => settings.ha_watchdog = true,
        (GuestKind::Qemu, "smbios1") => {
            settings.smbios_uuid = Properties::new(value, "uuid").text("uuid")
        }
        (GuestKind::Qemu, "vmgenid") => settings.vm_generation_id = value.to_owned(),
        (GuestKind::Qemu, "meta") => {
            settings.created_at = Properties::new(value, "ctime")
                .number::<i64>("ctime")
                .and_then(|seconds| seconds.checked_mul(1000))
                .map(timestamp_from_millis);
        }
        _ => return false,
    }
    // Its value stays on the node all the same.
    key != "args"
}

/// Numbered keys, and raw LXC lines.
fn list_item(settings: &mut GuestSettings, kind: GuestKind, key: &str, value: &str) -> bool {
    if key.starts_with("lxc.") {
        if CONFINEMENT.contains(&key) {
            settings.confinement_lines.push(RawLxcLine {
                key: key.to_owned(),
                value: value.to_owned(),
            });
        } else {
            settings.other_raw_lxc_lines = settings.other_raw_lxc_lines.saturating_add(1);
        }
        return CONFINEMENT.contains(&key);
    }
    if let Some(volume) = volume::parse(kind, key, value) {
        settings.volumes.push(volume);
        return true;
    }
    match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "net" => settings.nics.push(device::nic(kind, key, value)),
        "hostpci" => settings
            .host_devices
            .push(device::passed(HostDeviceKind::Pci, key, value)),
        "usb" => settings
            .host_devices
            .push(device::passed(HostDeviceKind::Usb, key, value)),
        "serial" => settings
            .host_devices
            .push(device::passed(HostDeviceKind::Serial, key, value)),
        "parallel" => {
            settings
                .host_devices
                .push(device::passed(HostDeviceKind::Parallel, key, value))
        }
        "virtiofs" => {
            settings
                .host_devices
                .push(device::passed(HostDeviceKind::Virtiofs, key, value))
        }
        _ => return false,
    }
    true
}

/// `nesting=1,keyctl=0,mount=nfs;cifs`: the names of those that are on.
fn features(value: &str) -> Vec<String> {
    Properties::new(value, "")
        .iter()
        .filter(|(_, value)| *value != "0")
        .map(|(key, value)| match boolean(value) {
            Some(true) => key.to_owned(),
            _ => format!("{key}={value}"),
        })
        .collect()
}

/// A short plain word, or nothing.
fn word(text: Option<&str>) -> String {
    text.and_then(plain::name).unwrap_or_default().to_owned()
}

/// The plain words of a list.
fn names(text: &str) -> Vec<String> {
    let words = text.split(';').filter_map(plain::name);
    words.take(LIST_LIMIT).map(str::to_owned).collect()
}

/// Numbers and ranges of CPUs; nothing when it is not that.
fn cpus(text: &str) -> String {
    let is_list = |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b'-');
    if text.len() <= AFFINITY_LIMIT && text.bytes().all(is_list) {
        text.to_owned()
    } else {
        String::new()
    }
}

/// PVE percent-encodes what does not fit a line.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                // Two hexadecimal digits are ASCII, so this is a boundary.
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}
