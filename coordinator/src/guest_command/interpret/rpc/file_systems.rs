//! `guest-get-fsinfo`.

use serde_json::Value;

use super::{
    super::{
        disk::file_system::{keep, named, sizes},
        json,
        output::{NAME, Output, WORD, member, some},
    },
    entries,
};
use crate::guest_command::facts::{FileSystem, GuestFacts};

const DISKS: usize = 4;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((list, _)) = entries(output, facts, file_system) {
        keep(facts, list);
    }
}

/// `name`, `mountpoint`, `type`, `used-bytes`, `total-bytes`, `disk`. What a volume of
/// Windows has as its mount point ends with a backslash: `C:\`.
fn file_system(value: &Value) -> Option<FileSystem> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let mount = text("mountpoint")?;
    let mount = match mount.strip_suffix('\\') {
        Some(drive) if drive.ends_with(':') => drive,
        _ => mount,
    };
    let mut one = named(
        text("name").unwrap_or_default(),
        text("type").unwrap_or_default(),
        mount,
    );
    let (used, all) = (
        json::number(value, "used-bytes"),
        json::number(value, "total-bytes"),
    );
    let all = all.filter(|all| *all > 0);
    // `total-bytes` is what all users can use together, so the rest is free for them.
    let available = all.zip(used).and_then(|(all, used)| all.checked_sub(used));
    sizes(&mut one, all, used, available);
    if let Some(disks) = value.get("disk").and_then(Value::as_array) {
        one.disks = disks.iter().filter_map(disk).take(DISKS).collect();
    }
    Some(one)
}

/// `dev`, else bus, unit and serial.
fn disk(value: &Value) -> Option<String> {
    if let Some(device) = member(value, "dev", WORD) {
        return Some(device);
    }
    let bus = member(value, "bus-type", WORD)?;
    let unit = json::number(value, "unit");
    let unit = unit.map(|unit| unit.to_string()).unwrap_or_default();
    let serial = member(value, "serial", WORD).unwrap_or_default();
    some(&format!("{bus}{unit} {serial}"), NAME)
}
