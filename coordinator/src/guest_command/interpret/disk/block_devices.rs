//! `lsblk -b -P`: `NAME="sda" TYPE="disk" SIZE="34359738368" ...`.

use super::super::{
    number,
    output::{NAME, Output, PATH, WORD, some},
    pairs,
};
use crate::guest_command::facts::{BlockDevice, GuestFacts};

const LIMIT: usize = 60;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled() {
        match device(line) {
            Some(device) => list.push(device),
            None => facts.unread(),
        }
    }
    facts.understood = !list.is_empty();
    // Loop devices are packages of snap, mostly.
    list.sort_by_key(|device| device.kind == "loop");
    facts.bound("block_devices", &mut list, LIMIT);
    facts.block_devices = list;
}

fn device(line: &str) -> Option<BlockDevice> {
    let pairs = pairs::quoted(line)?;
    let value = |name: &str| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let flag = |name: &str| match value(name) {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    };
    Some(BlockDevice {
        name: some(value("NAME"), NAME)?,
        kind: some(value("TYPE"), WORD).unwrap_or_default(),
        size_bytes: number::total(value("SIZE")),
        file_system: some(value("FSTYPE"), WORD),
        mount: some(value("MOUNTPOINT"), PATH),
        read_only: flag("RO"),
        rotational: flag("ROTA"),
    })
}
