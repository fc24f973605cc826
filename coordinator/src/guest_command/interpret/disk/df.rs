//! `df`, of space and of inodes, of GNU and of `BusyBox`.
//!
//! Headings may be translated and names may have blanks, so a row is found by its
//! shape: three numbers and a share in a row.

use super::{
    super::{
        number,
        output::{Output, split},
    },
    file_system::{keep, named, sizes},
};
use crate::guest_command::facts::{FileSystem, GuestFacts};

/// What the three numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Counts {
    Space,
    Inodes,
}

/// What the heading tells.
#[derive(Debug, Clone, Copy)]
struct Heading {
    unit: u64,
    has_kind: bool,
}

pub(in super::super) fn read(output: &Output<'_>, counts: Counts, facts: &mut GuestFacts) {
    let mut heading = None;
    let mut list = Vec::new();
    // A long device name may stand alone, with its numbers on the next line.
    let mut alone: Option<&str> = None;
    for line in output.filled() {
        if heading.is_none()
            && list.is_empty()
            && let Some(found) = heading_of(line, counts)
        {
            heading = Some(found);
            continue;
        }
        let joined = alone
            .take()
            .map(|device| format!("{device} {}", line.trim_start()));
        if let Some(one) = row(joined.as_deref().unwrap_or(line), heading, counts) {
            list.push(one);
        } else if joined.is_none() && !line.starts_with(' ') && line.split_whitespace().count() == 1
        {
            alone = Some(line);
        } else {
            facts.unread();
        }
    }
    if alone.is_some() {
        facts.unread();
    }
    keep(facts, list);
}

/// The first line, when no numbers stand in it. For space, the third or second word
/// has the unit: `1024-blocks`, `1K-blocks`, `1K-Blöcke`.
fn heading_of(line: &str, counts: Counts) -> Option<Heading> {
    if line.contains('/') || find(line).is_some() {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    if counts == Counts::Inodes {
        // Of inodes nobody asks with the kind.
        return (words.len() > 3).then_some(Heading {
            unit: 1,
            has_kind: false,
        });
    }
    let position = words
        .iter()
        .position(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let word = words.get(position)?;
    let end = word.find('-').unwrap_or(word.len());
    let unit = match word.split_at_checked(end)?.0 {
        "1K" | "1k" | "1024" | "1kB" | "1kiB" | "1KiB" => 1024,
        "512" | "512B" => 512,
        "1" | "1B" => 1,
        "1M" | "1MiB" | "1048576" => 1 << 20,
        _ => return None,
    };
    Some(Heading {
        unit,
        has_kind: position == 2,
    })
}

/// Where the three numbers and the share of a row begin, by tokens.
fn find(line: &str) -> Option<usize> {
    let tokens: Vec<&str> = line.split_whitespace().take(40).collect();
    let is_number = |token: &str| {
        let digits = token.strip_prefix('-').unwrap_or(token);
        token == "-" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_share = |token: &str| {
        let digits = token.strip_suffix('%').unwrap_or_default();
        token == "-" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    tokens.windows(4).position(|four| match four {
        [size, used, free, share] => {
            is_number(size) && is_number(used) && is_number(free) && is_share(share)
        }
        _ => false,
    })
}

fn row(line: &str, heading: Option<Heading>, counts: Counts) -> Option<FileSystem> {
    let begin = find(line)?;
    let (tokens, mount) = split(line, begin.checked_add(4)?);
    let (names, numbers) = tokens.split_at_checked(begin)?;
    let [size, used, free, share] = numbers else {
        return None;
    };
    let (first, others) = names.split_first()?;
    if mount.is_empty() {
        return None;
    }
    let has_kind = counts == Counts::Space
        && heading.map_or(names.len() == 2, |heading| {
            heading.has_kind && names.len() >= 2
        });
    let (kind, device) = match others.split_last() {
        Some((kind, others)) if has_kind => (*kind, joined(first, others)),
        _ => ("", joined(first, others)),
    };
    let mut one = named(&device, kind, mount);
    match counts {
        Counts::Space => {
            let unit = heading.map_or(1024, |heading| heading.unit);
            let bytes = |text: &str| match text.strip_prefix('-') {
                // Root uses its reserve: nothing is left for others.
                Some(digits) if !digits.is_empty() => Some(0),
                _ => number::bytes(text, unit),
            };
            sizes(&mut one, bytes(size), bytes(used), bytes(free));
            // Of two numbers that do not agree, the share is no better.
            let is_odd = one.used_bytes.is_none() || one.available_bytes.is_none();
            if one.used_percent.is_none() && !is_odd {
                one.used_percent = number::percent(share);
            }
        }
        Counts::Inodes => inodes(
            &mut one,
            number::total(size),
            number::total(used),
            number::total(free),
        ),
    }
    Some(one)
}

/// btrfs and vfat have no fixed number of inodes and say 0.
fn inodes(one: &mut FileSystem, total: Option<u64>, used: Option<u64>, free: Option<u64>) {
    let total = total.filter(|total| *total > 0);
    let fits = |part: &u64| total.is_some_and(|total| *part <= total);
    one.inodes_total = total;
    one.inodes_used = used.filter(fits);
    one.inodes_free = free.filter(fits);
    one.inode_percent = total
        .zip(one.inodes_used)
        .and_then(|(total, used)| number::share(used, total));
}

fn joined(first: &str, others: &[&str]) -> String {
    let mut all = vec![first];
    all.extend(others);
    all.join(" ")
}
