//! One form for a guest's configuration, made twice: from the API's answer by
//! a reader of its own, and from what the agent carries.
//!
//! Each form is a flat map. PVE's defaults are applied to the switches of
//! volumes and NICs on both sides, so that an absent key is compared as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::leaf;

pub(crate) type Flat = BTreeMap<String, String>;

/// Of a key that stays on the node only the fact that it is set.
const SET: &str = "(set)";
const MEBIBYTES: &[&str] = &["memory", "balloon", "swap"];
/// Keys whose value is carried as it stands.
const PLAIN: &[&str] = &[
    "tags",
    "template",
    "onboot",
    "protection",
    "lock",
    "ostype",
    "cores",
    "sockets",
    "vcpus",
    "cpulimit",
    "cpuunits",
    "numa",
    "bios",
    "scsihw",
    "kvm",
    "unprivileged",
    "parent",
    "startup",
    "vmgenid",
];
/// Property strings, with the key of their unnamed value.
const PROPERTIES: &[(&str, &str)] = &[
    ("agent", "enabled"),
    ("cpu", "cputype"),
    ("machine", "type"),
    ("smbios1", "uuid"),
    ("meta", "creation-qemu"),
];

/// What the API says, key by key.
pub(crate) fn of_api(is_container: bool, object: &Map<String, Value>) -> Flat {
    let mut flat = Flat::new();
    for (key, value) in object {
        let value = leaf(value);
        let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
        match family {
            _ if MEBIBYTES.contains(&key.as_str()) => {
                let number = value.trim_start_matches("current=").parse::<u64>();
                let bytes = number.map_or(value, |number| (number << 20).to_string());
                flat.insert(key.clone(), bytes);
            }
            _ if PLAIN.contains(&key.as_str()) => put(&mut flat, key, value),
            "name" | "hostname" => put(&mut flat, "name", value),
            "description" | "args" | "watchdog" => put(&mut flat, key, SET.to_owned()),
            "features" => {
                for (name, value) in properties(&value, "") {
                    put(&mut flat, &format!("features.{name}"), value);
                }
            }
            "serial" => put(&mut flat, &format!("{key}.host"), value),
            "net" => nic(&mut flat, is_container, key, &value),
            "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "unused" | "mp"
            | "rootfs" => {
                volume(&mut flat, is_container, family, key, &value);
            }
            "digest" => put(&mut flat, key, value),
            _ => match PROPERTIES.iter().find(|(name, _)| name == key) {
                Some((_, default)) => {
                    for (name, value) in properties(&value, default) {
                        put(&mut flat, &format!("{key}.{name}"), value);
                    }
                }
                None => put(&mut flat, key, SET.to_owned()),
            },
        }
    }
    flat
}

fn put(flat: &mut Flat, key: &str, value: String) {
    flat.insert(key.to_owned(), value);
}

fn properties<'a>(value: &'a str, default: &'a str) -> Vec<(&'a str, String)> {
    let pair = |word: &'a str| word.split_once('=').unwrap_or((default, word));
    value
        .split(',')
        .map(pair)
        .map(|(key, value)| (key, value.to_owned()))
        .collect()
}

fn nic(flat: &mut Flat, is_container: bool, key: &str, value: &str) {
    for (switch, default) in [("firewall", "0"), ("link_down", "0")] {
        put(flat, &format!("{key}.{switch}"), default.to_owned());
    }
    for (name, value) in properties(value, "model") {
        match name {
            "hwaddr" | "macaddr" => put(flat, &format!("{key}.mac"), value),
            "name" if is_container => put(flat, &format!("{key}.model"), value),
            "bridge" | "firewall" | "tag" | "rate" | "mtu" | "link_down" | "ip" | "queues"
            | "type" => {
                put(flat, &format!("{key}.{name}"), value);
            }
            model => {
                put(flat, &format!("{key}.model"), model.to_owned());
                put(flat, &format!("{key}.mac"), value);
            }
        }
    }
}

fn volume(flat: &mut Flat, is_container: bool, family: &str, key: &str, value: &str) {
    let properties = properties(value, "file");
    let get = |wanted: &str| {
        let found = properties.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let file = get("file").or(get("volume")).unwrap_or_default();
    let is_cdrom = get("media") == Some("cdrom");
    let kind = match family {
        "efidisk" => "EFI",
        "tpmstate" => "TPM",
        "unused" => "UNUSED",
        "rootfs" => "ROOTFS",
        "mp" if file.starts_with("/dev/") => "DEVICE",
        "mp" if file.starts_with('/') => "BIND_MOUNT",
        "mp" => "MOUNT_POINT",
        _ if is_cdrom => "CDROM",
        _ => "DISK",
    };
    let backed_up = match kind {
        "DISK" | "EFI" | "TPM" => get("backup") != Some("0"),
        "ROOTFS" => true,
        "MOUNT_POINT" => get("backup") == Some("1"),
        _ => false,
    };
    let mut leaf = |name: &str, value: &str| put(flat, &format!("{key}.{name}"), value.to_owned());
    leaf("kind", kind);
    leaf("backup", if backed_up { "1" } else { "0" });
    leaf("replicate", get("replicate").unwrap_or("1"));
    leaf(
        "discard",
        if get("discard") == Some("on") {
            "1"
        } else {
            "0"
        },
    );
    for switch in ["iothread", "ssd", "ro", "shared"] {
        leaf(switch, get(switch).unwrap_or("0"));
    }
    match file.split_once(':') {
        Some((storage, volume)) => {
            leaf("storage", storage);
            leaf("volume", volume);
        }
        None => leaf("volume", file),
    }
    if is_container {
        leaf(
            "mp",
            if kind == "ROOTFS" {
                "/"
            } else {
                get("mp").unwrap_or_default()
            },
        );
    }
    for (name, value) in &properties {
        match *name {
            "size" => leaf("size", &bytes(value)),
            "file" | "volume" | "backup" | "replicate" | "discard" | "iothread" | "ssd" | "ro"
            | "shared" | "mp" => {}
            other => leaf(other, value),
        }
    }
}

/// `2G`, `528K`, `0T` in bytes.
fn bytes(size: &str) -> String {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match size.strip_prefix(digits) {
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        Some("T") => 40,
        _ => 0,
    };
    let number = digits.parse::<u64>();
    number.map_or_else(|_| size.to_owned(), |number| (number << shift).to_string())
}

/// What the agent carries of a guest, in the same form.
pub(crate) fn of_ours(guest: &Value) -> Flat {
    let mut flat = Flat::new();
    let settings = guest.get("settings").unwrap_or(&Value::Null);
    let is_container = text(guest, "kind") == "GUEST_KIND_LXC";
    for (field, key) in [
        ("name", "name"),
        ("start_on_boot", "onboot"),
        ("protection", "protection"),
        ("lock", "lock"),
        ("os_type", "ostype"),
        ("cores", "cores"),
        ("sockets", "sockets"),
        ("vcpus", "vcpus"),
        ("cpu_limit_cores", "cpulimit"),
        ("cpu_units", "cpuunits"),
        ("cpu_type", "cpu.cputype"),
        ("numa", "numa"),
        ("memory_bytes", "memory"),
        ("balloon_bytes", "balloon"),
        ("swap_bytes", "swap"),
        ("agent_enabled", "agent.enabled"),
        ("cpu_physical_bits", "cpu.phys-bits"),
        ("bios", "bios"),
        ("machine", "machine.type"),
        ("scsi_controller", "scsihw"),
        ("unprivileged", "unprivileged"),
        ("created_at", "meta.ctime"),
        ("smbios_uuid", "smbios1.uuid"),
        ("vm_generation_id", "vmgenid"),
        ("parent_snapshot", "parent"),
        ("startup", "startup"),
        ("kvm_enabled", "kvm"),
    ] {
        put_known(&mut flat, key, settings.get(field));
    }
    for (field, key, value) in [
        ("template", "template", "1"),
        ("has_description", "description", SET),
        ("has_raw_arguments", "args", SET),
        ("ha_watchdog", "watchdog", SET),
    ] {
        if settings.get(field) == Some(&Value::Bool(true)) {
            put(&mut flat, key, value.to_owned());
        }
    }
    // Set, in another form than PVE's.
    for (field, key) in [
        ("boot_order", "boot"),
        ("boot_letters", "boot"),
        ("boot_disk", "bootdisk"),
        ("cpu_affinity", "affinity"),
        ("display_type", "vga"),
        ("display_clipboard", "vga"),
        ("hook_script_volume", "hookscript"),
    ] {
        let is_set = match settings.get(field) {
            Some(Value::Array(items)) => !items.is_empty(),
            value => value.is_some_and(|value| !leaf(value).is_empty()),
        };
        if is_set {
            put(&mut flat, key, SET.to_owned());
        }
    }
    let flags: Vec<String> = items(settings, "cpu_flags").map(leaf).collect();
    if !flags.is_empty() {
        put(&mut flat, "cpu.flags", flags.join(";"));
    }
    let tags: Vec<String> = items(settings, "tags").map(leaf).collect();
    if !tags.is_empty() {
        put(&mut flat, "tags", tags.join(";"));
    }
    for feature in items(settings, "features").map(leaf) {
        let (name, value) = feature.split_once('=').unwrap_or((&feature, "1"));
        put(&mut flat, &format!("features.{name}"), value.to_owned());
    }
    // `args` is both: known to be set, and dropped.
    for key in items(settings, "dropped_keys").map(leaf) {
        put(&mut flat, &key, SET.to_owned());
    }
    for volume in items(settings, "volumes") {
        let key = text(volume, "key");
        let kind = text(volume, "kind").replace("VOLUME_KIND_", "");
        put(&mut flat, &format!("{key}.kind"), kind);
        for (field, name) in [
            ("storage", "storage"),
            ("volume", "volume"),
            ("host_path", "volume"),
            ("size_bytes", "size"),
            ("cache", "cache"),
            ("format", "format"),
            ("backup", "backup"),
            ("replicate", "replicate"),
            ("io_thread", "iothread"),
            ("discard", "discard"),
            ("ssd", "ssd"),
            ("read_only", "ro"),
            ("shared", "shared"),
            ("mount_point", "mp"),
            ("aio", "aio"),
            ("write_error_policy", "werror"),
            ("read_error_policy", "rerror"),
            ("efi_type", "efitype"),
            ("has_enrolled_keys", "pre-enrolled-keys"),
            ("efi_certificate", "ms-cert"),
            ("tpm_version", "version"),
        ] {
            put_known(&mut flat, &format!("{key}.{name}"), volume.get(field));
        }
    }
    for nic in items(settings, "nics") {
        let key = text(nic, "key");
        for (field, name) in [
            ("model", "model"),
            ("mac_address", "mac"),
            ("bridge", "bridge"),
            ("vlan_tag", "tag"),
            ("firewall", "firewall"),
            ("link_down", "link_down"),
            ("rate_megabytes_per_second", "rate"),
            ("mtu_bytes", "mtu"),
            ("queues", "queues"),
            ("ipv4_address", "ip"),
        ] {
            // Of a VM they are those of cloud-init.
            let is_elsewhere = name == "ip" && !is_container;
            if !is_elsewhere {
                put_known(&mut flat, &format!("{key}.{name}"), nic.get(field));
            }
        }
        let is_configured = ["ipv4_address", "ipv6_address"]
            .iter()
            .any(|field| !text(nic, field).is_empty());
        if is_configured && !is_container {
            let key = key.replace("net", "ipconfig");
            put(&mut flat, &key, SET.to_owned());
        }
    }
    for device in items(settings, "host_devices") {
        put_known(
            &mut flat,
            &format!("{}.host", text(device, "key")),
            device.get("host"),
        );
    }
    flat
}

/// Keys that change at the next start, as the agent carries them.
pub(crate) fn pending_keys(guest: &Value) -> Vec<String> {
    let pending = guest.get("pending").unwrap_or(&Value::Null);
    let keys = items(pending, "changed_keys").chain(items(pending, "deleted_keys"));
    keys.map(leaf).collect()
}

fn put_known(flat: &mut Flat, key: &str, value: Option<&Value>) {
    let value = value.map(leaf).unwrap_or_default();
    if !value.is_empty() {
        put(flat, key, value);
    }
}

pub(crate) fn items<'a>(
    value: &'a Value,
    field: &str,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value.get(field).map(leaf).unwrap_or_default()
}
