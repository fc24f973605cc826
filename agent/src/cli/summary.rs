//! One line about a payload.

use pvelens_proto::agent::v1::{
    FilesystemState, GuestKind, InterfaceKind, Pressure, ResourcePressure, sample::Payload,
};

mod cluster;
mod config;
mod connection;
mod guest;
mod hardware;
mod host;
mod lifecycle;
mod probed;
mod remote;
mod storage;
mod system;
mod task;

/// Each knows some payloads.
const MORE: &[fn(&Payload) -> Option<String>] = &[
    cluster::line,
    config::line,
    connection::line,
    guest::line,
    hardware::line,
    host::line,
    lifecycle::line,
    probed::line,
    remote::line,
    storage::line,
    system::line,
    task::line,
];

/// What was collected, in a few words.
pub(super) fn line(payload: &Payload) -> String {
    match payload {
        Payload::NoData(none) => none.reason.clone(),
        Payload::Unchanged(_) => "unchanged".to_owned(),
        Payload::Cpu(cpu) => format!("{} online", count(size(cpu.online_cpus), "CPU")),
        Payload::Pressure(pressure) => pressures(pressure),
        Payload::Memory(memory) => {
            let arc = memory
                .arc
                .as_ref()
                .map(|arc| format!(", ZFS cache {}", bytes(arc.size_bytes)))
                .unwrap_or_default();
            format!(
                "{} of {} available{arc}",
                bytes(memory.available_bytes),
                bytes(memory.total_bytes)
            )
        }
        Payload::Load(load) => format!(
            "{:.2} {:.2} {:.2}, up {}",
            load.load1,
            load.load5,
            load.load15,
            uptime(load.uptime_seconds)
        ),
        Payload::Disks(disks) => count(disks.disks.len(), "device"),
        Payload::Filesystems(all) => {
            let measured = all
                .filesystems
                .iter()
                .filter(|filesystem| filesystem.state() == FilesystemState::Measured)
                .count();
            format!(
                "{}, {measured} measured",
                count(all.filesystems.len(), "file system")
            )
        }
        Payload::Network(network) => count(network.interfaces.len(), "interface"),
        Payload::InterfaceStates(network) => {
            let of = |kind| {
                let interfaces = network.interfaces.iter();
                interfaces
                    .filter(|interface| interface.kind() == kind)
                    .count()
            };
            format!(
                "{}: {} physical, {}, {} of guests",
                count(network.interfaces.len(), "interface"),
                of(InterfaceKind::Physical),
                count(of(InterfaceKind::Bridge), "bridge"),
                of(InterfaceKind::Guest)
            )
        }
        Payload::GuestRuntimes(all) => format!(
            "{} running",
            guests(all.guests.iter().map(|guest| guest.kind()))
        ),
        Payload::ClusterBroadcast(all) => format!(
            "{}, {}, {}",
            count(all.nodes.len(), "node"),
            count(all.guests.len(), "guest"),
            count(all.storages.len(), "storage")
        ),
        Payload::PveStatus(status) => format!(
            "{}, {}",
            guests(status.guests.iter().map(|guest| guest.kind())),
            count(status.storages.len(), "storage")
        ),
        Payload::Sensors(sensors) => count(sensors.temperatures.len(), "temperature"),
        Payload::ClusterMembers(members) => match &members.cluster {
            None => format!("{} stands alone", members.node_name),
            Some(cluster) => {
                let online = members
                    .members
                    .iter()
                    .filter(|member| member.online)
                    .count();
                format!(
                    "cluster {}: {online} of {} online, {}",
                    cluster.name,
                    count(members.members.len(), "node"),
                    if cluster.quorate {
                        "quorate"
                    } else {
                        "NO QUORUM"
                    }
                )
            }
        },
        Payload::GuestList(list) => guests(list.guests.iter().map(|guest| guest.kind())),
        Payload::ConfigVersions(versions) => {
            format!("{} watched", count(versions.versions.len(), "file"))
        }
        Payload::GuestConfigs(configs) => guests(configs.guests.iter().map(|guest| guest.kind())),
        Payload::StorageConfig(config) => {
            let disabled = config.storages.iter().filter(|s| s.disabled).count();
            format!(
                "{}, {disabled} disabled",
                count(config.storages.len(), "storage")
            )
        }
        Payload::CorosyncConfig(config) => format!(
            "cluster {}, {}, configuration {}",
            config.cluster_name,
            count(config.nodes.len(), "node"),
            config.config_version
        ),
        Payload::HostIdentity(identity) => format!(
            "{}, {}",
            if identity.cpu_model.is_empty() {
                "unknown processor"
            } else {
                &identity.cpu_model
            },
            count(size(identity.cpu_threads), "thread")
        ),
        other => MORE
            .iter()
            .find_map(|line| line(other))
            .unwrap_or_else(|| "collected".to_owned()),
    }
}

fn guests(kinds: impl Iterator<Item = GuestKind>) -> String {
    let (mut vms, mut containers) = (0_usize, 0_usize);
    for kind in kinds {
        if kind == GuestKind::Lxc {
            containers = containers.saturating_add(1);
        } else {
            vms = vms.saturating_add(1);
        }
    }
    format!("{}, {}", count(vms, "VM"), count(containers, "container"))
}

fn pressures(pressure: &Pressure) -> String {
    let parts: Vec<String> = [
        ("CPU", &pressure.cpu),
        ("memory", &pressure.memory),
        ("I/O", &pressure.io),
    ]
    .into_iter()
    .filter_map(|(name, resource)| Some((name, some(resource.as_ref()?)?)))
    .map(|(name, ratio)| format!("{name} {:.1} %", ratio * 100.0))
    .collect();
    if parts.is_empty() {
        "not offered by this kernel".to_owned()
    } else {
        format!("{} of the last 10 s stalled", parts.join(", "))
    }
}

fn some(resource: &ResourcePressure) -> Option<f64> {
    resource.some.as_ref().map(|some| some.avg10_ratio)
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// In binary units, with three significant digits.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let decimals = if unit == "bytes" || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {unit}")
}

pub(super) fn uptime(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let minutes = (seconds / 60.0) as u64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!(
            "{} {hours} h",
            count(usize::try_from(days).unwrap_or(usize::MAX), "day")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_nouns() {
        assert_eq!(count(1, "VM"), "1 VM");
        assert_eq!(count(0, "storage"), "0 storages");
        assert_eq!(
            guests([GuestKind::Qemu, GuestKind::Lxc].into_iter()),
            "1 VM, 1 container"
        );
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(25_276_502_016), "23.5 GiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(uptime(59.0), "0 min");
        assert_eq!(uptime(4742.0), "1 h 19 min");
        assert_eq!(uptime(90_000.0), "1 day 1 h");
        assert_eq!(uptime(-1.0), "0 min");
    }
}
