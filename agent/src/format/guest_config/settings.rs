//! The settings that leave the node: an allow-list of keys.
//!
//! Whatever is not named here stays on the node; its key, never its value, is
//! listed in `dropped_keys`. `args`, `cipassword`, `sshkeys`, `env`,
//! `description` and raw `lxc.environment` lines are such keys.

use pvelens_proto::{
    agent::v1::{GuestKind, GuestNic, GuestSettings, HostDevice, HostDeviceKind, RawLxcLine},
    timestamp_from_millis,
};

use super::{Section, volume};
use crate::format::property_string::{Properties, boolean, list};

const MEBIBYTE: u64 = 1 << 20;
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
        let known =
            scalar(&mut settings, kind, key, value) || list_item(&mut settings, kind, key, value);
        if !known && *key != "description" {
            settings.dropped_keys.push((*key).to_owned());
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
        (_, "startup") => settings.startup = value.to_owned(),
        (_, "parent") => settings.parent_snapshot = value.to_owned(),
        (GuestKind::Lxc, "swap") => settings.swap_bytes = mebibytes(value),
        (GuestKind::Lxc, "unprivileged") => settings.unprivileged = boolean(value),
        (GuestKind::Lxc, "features") => settings.features = features(value),
        (GuestKind::Qemu, "sockets") => settings.sockets = value.parse().ok(),
        (GuestKind::Qemu, "vcpus") => settings.vcpus = value.parse().ok(),
        (GuestKind::Qemu, "cpu") => {
            settings.cpu_type = Properties::new(value, "cputype").text("cputype")
        }
        (GuestKind::Qemu, "numa") => settings.numa = boolean(value),
        (GuestKind::Qemu, "allow-ksm") => settings.allows_ksm = boolean(value),
        (GuestKind::Qemu, "balloon") => settings.balloon_bytes = mebibytes(value),
        (GuestKind::Qemu, "agent") => {
            settings.agent_enabled = Some(
                Properties::new(value, "enabled")
                    .flag("enabled")
                    .unwrap_or(false),
            );
        }
        (GuestKind::Qemu, "bios") => settings.bios = value.to_owned(),
        (GuestKind::Qemu, "machine") => {
            settings.machine = Properties::new(value, "type").text("type")
        }
        (GuestKind::Qemu, "scsihw") => settings.scsi_controller = value.to_owned(),
        (GuestKind::Qemu, "kvm") => settings.kvm_enabled = boolean(value),
        (GuestKind::Qemu, "args") => settings.has_raw_arguments = true,
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
    // The values of these two stay on the node all the same.
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
        "net" => settings.nics.push(nic(kind, key, value)),
        "hostpci" => settings
            .host_devices
            .push(device(HostDeviceKind::Pci, key, value)),
        "usb" => settings
            .host_devices
            .push(device(HostDeviceKind::Usb, key, value)),
        "serial" => settings
            .host_devices
            .push(device(HostDeviceKind::Serial, key, value)),
        "parallel" => settings
            .host_devices
            .push(device(HostDeviceKind::Parallel, key, value)),
        "virtiofs" => settings
            .host_devices
            .push(device(HostDeviceKind::Virtiofs, key, value)),
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

fn nic(kind: GuestKind, key: &str, value: &str) -> GuestNic {
    let properties = Properties::new(value, "model");
    // A VM writes `virtio=BC:24:…`: the model is the name of the key.
    let (model, mac_address) = match kind {
        GuestKind::Lxc => (properties.text("name"), properties.text("hwaddr")),
        _ => properties
            .iter()
            .find(|(_, value)| is_mac(value))
            .filter(|(key, _)| *key != "macaddr")
            .map_or_else(
                || (properties.text("model"), properties.text("macaddr")),
                |(model, mac)| (model.to_owned(), mac.to_owned()),
            ),
    };
    GuestNic {
        key: key.to_owned(),
        model,
        mac_address: mac_address.to_ascii_uppercase(),
        bridge: properties.text("bridge"),
        vlan_tag: properties.number("tag"),
        firewall: properties.flag("firewall").unwrap_or(false),
        link_down: properties.flag("link_down").unwrap_or(false),
        rate_megabytes_per_second: properties.number("rate").filter(|r: &f64| r.is_finite()),
        mtu_bytes: properties.number("mtu"),
    }
}

fn is_mac(text: &str) -> bool {
    let mut octets = 0;
    text.split(':').all(|octet| {
        octets += 1;
        octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit())
    }) && octets == 6
}

fn device(kind: HostDeviceKind, key: &str, value: &str) -> HostDevice {
    let properties = Properties::new(value, "host");
    HostDevice {
        key: key.to_owned(),
        kind: kind.into(),
        host: properties.text("host"),
        mapping: properties.text("mapping"),
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
