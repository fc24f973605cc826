//! Memory and swap.

use super::{
    number,
    output::{NAME, Output, WORD, some, split},
    pairs,
};
use crate::guest_command::facts::{GuestFacts, Memory, SwapDevice};

const SWAP_DEVICES: usize = 16;

/// `free -b`: rows in this order, whatever the language of their names.
pub(super) fn free(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut memory = Memory::default();
    let mut headings: Vec<&str> = Vec::new();
    // The row `-/+ buffers/cache:` of versions before 3.3.10.
    let mut adjusted = None;
    let mut rows = 0_u32;
    for line in output.filled() {
        let Some((name, rest)) = line.split_once(':') else {
            headings = line.split_whitespace().collect();
            continue;
        };
        let numbers: Vec<Option<u64>> =
            rest.split_whitespace().take(8).map(number::total).collect();
        let number = |position: usize| numbers.get(position).copied().flatten();
        if name.starts_with("-/+") {
            adjusted = number(1);
            continue;
        }
        match rows {
            0 => {
                memory.total_bytes = number(0);
                memory.used_bytes = number(1);
                memory.free_bytes = number(2);
                memory.shared_bytes = number(3);
                memory.cache_bytes = number(4);
                // Older ones have buffers and cache here, and nothing of the kind.
                if headings.get(4).is_none_or(|heading| *heading != "buffers") {
                    memory.available_bytes = number(5);
                } else {
                    memory.cache_bytes =
                        number(4).zip(number(5)).and_then(|(a, b)| a.checked_add(b));
                }
            }
            // `total:` comes third with an option.
            1 => {
                memory.swap_total_bytes = number(0);
                memory.swap_used_bytes = number(1);
            }
            _ => {}
        }
        rows = rows.saturating_add(1);
    }
    if adjusted.is_some() {
        memory.available_bytes = adjusted;
    }
    finish(memory, facts);
}

/// `/proc/meminfo`.
pub(super) fn meminfo(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut memory = Memory::default();
    let (mut swap_free, mut huge, mut huge_size) = (None, None, None);
    let (mut buffers, mut cached, mut reclaimable) = (None, None, None);
    for (key, value) in pairs::lines(output, ':') {
        let (tokens, unit) = split(value, 1);
        let first = tokens.first().copied().unwrap_or_default();
        let bytes = number::bytes(first, 1024).filter(|_| unit == "kB");
        match key {
            "MemTotal" => memory.total_bytes = bytes,
            "MemFree" => memory.free_bytes = bytes,
            "MemAvailable" => memory.available_bytes = bytes,
            "Buffers" => buffers = bytes,
            "Cached" => cached = bytes,
            "SReclaimable" => reclaimable = bytes,
            "Shmem" => memory.shared_bytes = bytes,
            "SUnreclaim" => memory.unreclaimable_bytes = bytes,
            "Dirty" => memory.dirty_bytes = bytes,
            "SwapTotal" => memory.swap_total_bytes = bytes,
            "SwapFree" => swap_free = bytes,
            "Committed_AS" => memory.committed_bytes = bytes,
            "CommitLimit" => memory.commit_limit_bytes = bytes,
            "HugePages_Total" => huge = number::total(first),
            "Hugepagesize" => huge_size = bytes,
            _ => {}
        }
    }
    let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
    memory.cache_bytes = sum(sum(buffers, cached), reclaimable).or(cached);
    memory.huge_pages_bytes = huge
        .zip(huge_size)
        .and_then(|(count, size)| count.checked_mul(size))
        .and_then(number::sane);
    memory.swap_used_bytes = memory
        .swap_total_bytes
        .zip(swap_free)
        .and_then(|(total, free)| total.checked_sub(free));
    finish(memory, facts);
}

/// Keeps what agrees with the total.
pub(super) fn finish(mut memory: Memory, facts: &mut GuestFacts) {
    let Some(total) = memory.total_bytes.filter(|total| *total > 0) else {
        return;
    };
    for part in [
        &mut memory.used_bytes,
        &mut memory.free_bytes,
        &mut memory.available_bytes,
        &mut memory.cache_bytes,
        &mut memory.shared_bytes,
        &mut memory.unreclaimable_bytes,
        &mut memory.dirty_bytes,
        &mut memory.huge_pages_bytes,
    ] {
        *part = part.filter(|part| *part <= total);
    }
    if let Some(available) = memory.available_bytes {
        memory.used_bytes = total.checked_sub(available);
    }
    memory.swap_used_bytes = memory
        .swap_used_bytes
        .filter(|used| memory.swap_total_bytes.is_some_and(|total| *used <= total));
    facts.understood = true;
    facts.memory = Some(memory);
}

/// `/proc/swaps`: `Filename Type Size Used Priority`, sizes in KiB.
pub(super) fn swaps(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut lines = output.filled();
    let has_heading = lines
        .next()
        .is_some_and(|line| line.starts_with("Filename"));
    let mut devices: Vec<SwapDevice> = Vec::new();
    for line in lines {
        match swap_device(line) {
            Some(device) => devices.push(device),
            None => facts.unread(),
        }
    }
    // The kernel writes the heading even when there is no swap.
    if !has_heading {
        return;
    }
    facts.understood = true;
    let sum = |part: fn(&SwapDevice) -> Option<u64>| {
        let all: Option<Vec<u64>> = devices.iter().map(part).collect();
        all?.into_iter()
            .try_fold(0_u64, u64::checked_add)
            .and_then(number::sane)
    };
    let (total, used) = if output.is_cut {
        (None, None)
    } else {
        (
            sum(|device| device.size_bytes),
            sum(|device| device.used_bytes),
        )
    };
    devices.sort_by_key(|device| std::cmp::Reverse(device.used_bytes));
    facts.bound("memory.swap_devices", &mut devices, SWAP_DEVICES);
    facts.memory = Some(Memory {
        swap_total_bytes: total,
        swap_used_bytes: used,
        swap_devices: devices,
        ..Memory::default()
    });
}

fn swap_device(line: &str) -> Option<SwapDevice> {
    let mut words = line.split_whitespace().rev();
    let (priority, used, size, kind) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let size = number::bytes(size, 1024)?;
    Some(SwapDevice {
        name: some(words.next_back()?, NAME)?,
        kind: some(kind, WORD)?,
        size_bytes: Some(size),
        used_bytes: number::bytes(used, 1024).filter(|used| *used <= size),
        priority: priority.parse().ok(),
    })
}
