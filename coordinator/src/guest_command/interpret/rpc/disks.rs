//! `guest-get-disks`.

use serde_json::Value;

use super::{
    super::output::{NAME, Output, WORD, member, some},
    entries,
};
use crate::guest_command::facts::{GuestDisk, GuestFacts};

const LIMIT: usize = 40;
const DEPENDS_ON: usize = 4;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((mut list, _)) = entries(output, facts, disk) {
        list.sort_by_key(|disk| (disk.is_partition, disk.name.starts_with("/dev/loop")));
        facts.bound("guest_disks", &mut list, LIMIT);
        facts.guest_disks = list;
    }
}

fn disk(value: &Value) -> Option<GuestDisk> {
    let address = value.get("address").cloned().unwrap_or_default();
    let depends = value.get("dependencies").and_then(Value::as_array);
    let depends = depends.into_iter().flatten().filter_map(Value::as_str);
    Some(GuestDisk {
        name: member(value, "name", NAME)?,
        is_partition: value.get("partition").and_then(Value::as_bool)?,
        bus: member(&address, "bus-type", WORD),
        serial: member(&address, "serial", WORD),
        device: member(&address, "dev", WORD),
        alias: member(value, "alias", NAME),
        depends_on: depends
            .filter_map(|name| some(name, WORD))
            .take(DEPENDS_ON)
            .collect(),
    })
}
