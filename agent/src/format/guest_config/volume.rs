//! Disks, CD-ROMs, mount points and devices of a guest.

use pvelens_proto::agent::v1::{GuestKind, GuestVolume, GuestVolumeLimits, VolumeKind};

use crate::format::{
    plain,
    property_string::{Properties, size},
};

/// Keys of VM drives; the number that follows is bounded by PVE, not here.
const DRIVES: &[&str] = &["ide", "sata", "scsi", "virtio"];

/// A volume, if the key is one that names a volume.
pub(super) fn parse(kind: GuestKind, key: &str, value: &str) -> Option<GuestVolume> {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = family.len() < key.len();
    match (kind, family) {
        (GuestKind::Qemu, family) if numbered && DRIVES.contains(&family) => {
            Some(drive(key, value))
        }
        // An alias of ide2.
        (GuestKind::Qemu, "cdrom") => Some(drive(key, value)),
        (GuestKind::Qemu, "efidisk") => Some(efi(key, value)),
        (GuestKind::Qemu, "tpmstate") => Some(GuestVolume {
            tpm_version: word(&Properties::new(value, "file"), "version"),
            ..managed(VolumeKind::Tpm, key, value)
        }),
        (_, "unused") if numbered => Some(managed(VolumeKind::Unused, key, value)),
        (GuestKind::Lxc, "rootfs") => Some(mount(VolumeKind::Rootfs, key, value)),
        (GuestKind::Lxc, "mp") if numbered => Some(mount(VolumeKind::MountPoint, key, value)),
        (GuestKind::Lxc, "dev") if numbered => Some(GuestVolume {
            key: key.to_owned(),
            kind: VolumeKind::Device.into(),
            host_path: Properties::new(value, "path").text("path"),
            ..GuestVolume::default()
        }),
        _ => None,
    }
}

fn drive(key: &str, value: &str) -> GuestVolume {
    let properties = Properties::new(value, "file");
    let file = properties.get("file").unwrap_or_default();
    let kind = if file.ends_with("-cloudinit") || file.contains("-cloudinit.") {
        VolumeKind::CloudInit
    } else if properties.get("media") == Some("cdrom") {
        VolumeKind::Cdrom
    } else {
        VolumeKind::Disk
    };
    GuestVolume {
        // Absent means yes, and removable media have nothing to back up.
        backup: kind == VolumeKind::Disk && properties.flag("backup").unwrap_or(true),
        aio: word(&properties, "aio"),
        write_error_policy: word(&properties, "werror"),
        read_error_policy: word(&properties, "rerror"),
        discards_writes: properties.flag("snapshot").unwrap_or(false),
        limits: limits(&properties),
        ..managed(kind, key, value)
    }
}

/// Bursts (`_max`) are left out: they do not slow anything down for long.
fn limits(properties: &Properties<'_>) -> Option<GuestVolumeLimits> {
    // 0 is no limit.
    let bytes = |key| {
        properties
            .number(key)
            .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
    };
    let operations = |key| properties.number(key).filter(|rate: &u32| *rate > 0);
    let limits = GuestVolumeLimits {
        megabytes_per_second: bytes("mbps"),
        read_megabytes_per_second: bytes("mbps_rd"),
        write_megabytes_per_second: bytes("mbps_wr"),
        operations_per_second: operations("iops"),
        read_operations_per_second: operations("iops_rd"),
        write_operations_per_second: operations("iops_wr"),
    };
    (limits != GuestVolumeLimits::default()).then_some(limits)
}

fn efi(key: &str, value: &str) -> GuestVolume {
    let properties = Properties::new(value, "file");
    GuestVolume {
        efi_type: word(&properties, "efitype"),
        has_enrolled_keys: properties.flag("pre-enrolled-keys"),
        efi_certificate: word(&properties, "ms-cert"),
        ..managed(VolumeKind::Efi, key, value)
    }
}

/// The volume with the memory of a snapshot.
pub(super) fn state(key: &str, value: &str) -> GuestVolume {
    managed(VolumeKind::Disk, key, value)
}

/// A short plain word, or nothing.
fn word(properties: &Properties<'_>, key: &str) -> String {
    let word = properties.get(key).and_then(plain::name);
    word.unwrap_or_default().to_owned()
}

/// A container mounts a storage volume, a directory or a device of the host.
fn mount(kind: VolumeKind, key: &str, value: &str) -> GuestVolume {
    let properties = Properties::new(value, "volume");
    let source = properties.get("volume").unwrap_or_default();
    let volume = GuestVolume {
        mount_point: if kind == VolumeKind::Rootfs {
            "/".to_owned()
        } else {
            properties.text("mp")
        },
        read_only: properties.flag("ro").unwrap_or(false),
        ..managed(kind, key, &value.replacen("volume=", "file=", 1))
    };
    if source.starts_with('/') {
        // Bind and device mounts are never backed up.
        return GuestVolume {
            kind: if source.starts_with("/dev/") {
                VolumeKind::Device
            } else {
                VolumeKind::BindMount
            }
            .into(),
            host_path: source.to_owned(),
            storage: String::new(),
            volume: String::new(),
            backup: false,
            ..volume
        };
    }
    GuestVolume {
        // The root is always in a backup; another mount point only when it
        // says so, unlike the disks of a VM (`pve-container@src/PVE/LXC/Config.pm`).
        backup: kind == VolumeKind::Rootfs || properties.flag("backup").unwrap_or(false),
        ..volume
    }
}

/// What every volume on a storage has.
fn managed(kind: VolumeKind, key: &str, value: &str) -> GuestVolume {
    let properties = Properties::new(value, "file");
    let file = properties.get("file").unwrap_or_default();
    let (storage, volume) = match file.split_once(':') {
        Some((storage, volume)) if !file.starts_with('/') => (storage, volume),
        _ => ("", if file.starts_with('/') { "" } else { file }),
    };
    GuestVolume {
        key: key.to_owned(),
        kind: kind.into(),
        storage: storage.to_owned(),
        volume: volume.to_owned(),
        host_path: if file.starts_with('/') {
            file.to_owned()
        } else {
            String::new()
        },
        size_bytes: properties.get("size").and_then(size),
        format: properties.text("format"),
        cache: properties.text("cache"),
        backup: matches!(kind, VolumeKind::Efi | VolumeKind::Tpm),
        replicate: properties.flag("replicate").unwrap_or(true),
        shared: properties.flag("shared").unwrap_or(false),
        io_thread: properties.flag("iothread").unwrap_or(false),
        discard: properties.get("discard") == Some("on"),
        ssd: properties.flag("ssd").unwrap_or(false),
        read_only: properties.flag("ro").unwrap_or(false),
        ..GuestVolume::default()
    }
}
