//! Configuration files of VMs and containers.
//!
//! Grammar: `pve-guest-common@src/PVE/AbstractConfig.pm`,
//! `qemu-server@src/PVE/QemuServer.pm` (parse_vm_config),
//! `pve-container@src/PVE/LXC/Config.pm`. The first section is the current
//! configuration, `[PENDING]` and `[pve:pending]` what applies at the next start,
//! any other `[name]` without colon a snapshot.
//!
//! Secrets are dropped here, while parsing: `settings` carries the keys it
//! knows and only names the others. A line that PVE would ignore with a warning
//! is ignored here too, and its number is kept.

use pvelens_proto::{
    agent::v1::{GuestConfig, GuestKind, GuestPending, GuestSnapshot, GuestSnapshotVolume},
    timestamp_from_millis,
};

mod arguments;
mod device;
mod settings;
mod volume;

/// Snapshots of one guest that are carried.
const SNAPSHOT_LIMIT: usize = 1_000;
/// Lines out of format that are named.
const MALFORMED_LIMIT: usize = 50;

/// `key: value` lines of one section.
#[derive(Debug, Default)]
struct Section<'a> {
    name: &'a str,
    values: Vec<(&'a str, &'a str)>,
    has_description: bool,
}

impl<'a> Section<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.values
            .iter()
            .rev()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }
}

/// Reads one file. Never fails: what does not fit is named by line number.
#[must_use]
pub fn parse(kind: GuestKind, vmid: u32, node: &str, text: &str) -> GuestConfig {
    let mut malformed_lines = Vec::new();
    let mut sections = vec![Section::default()];
    for (number, line) in (1..).zip(text.lines()) {
        // A section exists from the start, and none is ever removed.
        let Some(section) = sections.last_mut() else {
            break;
        };
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            section.has_description = true;
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push(Section {
                name,
                ..Section::default()
            });
        } else if let Some(setting) = setting(kind, line) {
            section.has_description |= setting.0 == "description";
            section.values.push(setting);
        } else if malformed_lines.len() < MALFORMED_LIMIT {
            malformed_lines.push(number);
        }
    }
    let mut sections = sections.into_iter();
    let current = sections.next().unwrap_or_default();
    let mut config = GuestConfig {
        vmid,
        kind: kind.into(),
        node: node.to_owned(),
        settings: Some(settings::carry(kind, &current)),
        malformed_lines,
        ..GuestConfig::default()
    };
    for section in sections {
        if section.name.eq_ignore_ascii_case("pending") || section.name == "pve:pending" {
            config.pending = Some(pending(&section));
        } else if section.name == "special:cloudinit" {
            config.stale_cloud_init_keys = stale(&current, &section);
        } else if !section.name.contains(':') && config.snapshots.len() < SNAPSHOT_LIMIT {
            config.snapshots.push(snapshot(kind, &section));
        }
    }
    config
}

/// `key: value`; in containers also raw `lxc.key = value`.
fn setting(kind: GuestKind, line: &str) -> Option<(&str, &str)> {
    let separator = if kind == GuestKind::Lxc && line.starts_with("lxc.") {
        line.find([':', '='])?
    } else {
        line.find(':')?
    };
    let (key, rest) = line.split_at_checked(separator)?;
    let key = key.trim_end();
    let is_key = key.starts_with("lxc.") || is_key(key);
    // The separator is one byte, so this is a boundary.
    is_key.then(|| (key, rest.get(1..).unwrap_or_default().trim()))
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn pending(section: &Section<'_>) -> GuestPending {
    let mut changed_keys: Vec<String> = section
        .values
        .iter()
        .map(|(key, _)| (*key).to_owned())
        .filter(|key| key != "delete")
        .collect();
    changed_keys.sort_unstable();
    changed_keys.dedup();
    GuestPending {
        changed_keys,
        deleted_keys: super::property_string::list(section.get("delete").unwrap_or_default())
            .into_iter()
            .map(|key| key.trim_start_matches('!').to_owned())
            .collect(),
    }
}

fn snapshot(kind: GuestKind, section: &Section<'_>) -> GuestSnapshot {
    GuestSnapshot {
        name: section.name.to_owned(),
        taken_at: section
            .get("snaptime")
            .and_then(|seconds| seconds.parse::<i64>().ok()?.checked_mul(1000))
            .map(timestamp_from_millis),
        parent: section.text("parent"),
        has_memory_state: section.get("vmstate").is_some(),
        unfinished_state: section.text("snapstate"),
        machine: machine(section.get("machine").unwrap_or_default()),
        running_machine: machine(section.get("runningmachine").unwrap_or_default()),
        volumes: section
            .values
            .iter()
            .filter_map(|(key, value)| snapshot_volume(kind, key, value))
            .collect(),
    }
}

/// The type of a `machine`.
fn machine(value: &str) -> String {
    super::property_string::Properties::new(value, "type").text("type")
}

fn snapshot_volume(kind: GuestKind, key: &str, value: &str) -> Option<GuestSnapshotVolume> {
    let volume = if key == "vmstate" {
        volume::state(key, value)
    } else {
        volume::parse(kind, key, value)?
    };
    (!volume.storage.is_empty()).then_some(GuestSnapshotVolume {
        key: volume.key,
        storage: volume.storage,
        volume: volume.volume,
    })
}

/// Keys whose value the cloud-init drive does not have: the section keeps the values
/// that changed since it was made, and names under `added` those that came later
/// (`qemu-server@src/PVE/QemuServer.pm`, cloudinit_pending).
fn stale(current: &Section<'_>, section: &Section<'_>) -> Vec<String> {
    let added = super::property_string::list(section.get("added").unwrap_or_default());
    let added = added
        .into_iter()
        .filter(|key| current.get(key).is_some() && is_key(key));
    let changed = section
        .values
        .iter()
        .filter(|(key, value)| *key != "added" && current.get(key) != Some(*value))
        .map(|(key, _)| (*key).to_owned());
    let mut keys: Vec<String> = changed.chain(added).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests;
