//! `/proc/mdstat`: software RAID.

use super::super::{
    number,
    output::{Output, WORD, some, text},
};
use crate::guest_command::facts::{Array, GuestFacts};

const LIMIT: usize = 20;
const DEVICES: usize = 16;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<Array> = Vec::new();
    let mut has_heading = false;
    for line in output.filled() {
        if line.starts_with("Personalities") || line.starts_with("unused devices") {
            has_heading = true;
        } else if line.starts_with(char::is_whitespace) {
            // What follows an array belongs to it.
            if let Some(array) = list.last_mut() {
                detail(line, array);
            }
        } else if let Some(array) = array(line) {
            list.push(array);
        } else {
            facts.unread();
        }
    }
    if !has_heading && list.is_empty() {
        return;
    }
    // The count of members is on the line after the name, which may be cut off.
    if output.is_cut
        && list
            .last()
            .is_some_and(|array| array.devices_total.is_none())
    {
        list.pop();
    }
    facts.understood = !list.is_empty() || !output.is_cut;
    list.sort_by_key(|array| !array.is_degraded);
    facts.bound("arrays", &mut list, LIMIT);
    facts.arrays = facts.understood.then_some(list);
}

/// `md0 : active (auto-read-only) raid1 sdb1[1] sda1[0](F)`.
fn array(line: &str) -> Option<Array> {
    let (name, rest) = line.split_once(" : ")?;
    let mut array = Array {
        name: some(name, WORD)?,
        ..Array::default()
    };
    for word in rest.split_whitespace().take(200) {
        match word {
            "active" => array.is_active = true,
            "inactive" => array.is_active = false,
            "(read-only)" => array.is_read_only = true,
            // Until the first write, by itself.
            "(auto-read-only)" => {}
            _ => match word.split_once('[') {
                Some((device, flags)) if flags.contains("(F)") => {
                    array.is_degraded = true;
                    if array.failed_devices.len() < DEVICES {
                        array.failed_devices.push(text(device, WORD));
                    }
                }
                Some(_) => {}
                None if array.level.is_none() => array.level = some(word, WORD),
                None => {}
            },
        }
    }
    Some(array)
}

fn detail(line: &str, array: &mut Array) {
    // `1047552 blocks super 1.2 [2/1] [U_]`
    let counts = line.split_whitespace().find_map(|word| {
        let (total, working) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((number::small(total)?, number::small(working)?))
    });
    if let Some((total, working)) = counts {
        array.devices_total = Some(total);
        array.devices_working = Some(working).filter(|working| *working <= total);
        array.is_degraded |= working < total;
    }
    // `[==>......]  recovery = 12.6% (37043392/292945152) finish=127.5min`
    if let Some((before, after)) = line.split_once(" = ")
        && let Some(action) = before.split_whitespace().next_back()
    {
        array.action = some(action, WORD);
        array.action_percent = after.split_whitespace().next().and_then(number::percent);
    } else if let Some((action, "DELAYED" | "PENDING")) = line.trim().split_once('=') {
        array.action = some(action, WORD);
    }
}
