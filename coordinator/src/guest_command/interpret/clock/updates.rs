//! `apt-get -s upgrade`.

use super::super::{
    number,
    output::{NAME, Output, count, some},
};
use crate::guest_command::facts::{GuestFacts, Updates};

const PACKAGES: usize = 30;

/// `Inst libc6 [2.36-9] (2.36-10 Debian-Security:12/stable-security [amd64])`, and a
/// sum: `3 upgraded, 0 newly installed, 0 to remove and 1 not upgraded.`
pub(in super::super) fn apt(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut packages: Vec<(bool, String)> = Vec::new();
    let mut sum = None;
    for line in output.filled() {
        if let Some(rest) = line.strip_prefix("Inst ") {
            let name = rest
                .split_whitespace()
                .next()
                .and_then(|name| some(name, NAME));
            packages.extend(name.map(|name| (is_security(rest), name)));
        } else if let Some(numbers) = sum_of(line) {
            sum = Some(numbers);
        }
    }
    let is_whole = sum.is_some() && !output.is_cut;
    if packages.is_empty() && !is_whole {
        return;
    }
    facts.understood = true;
    let security = packages
        .iter()
        .filter(|(is_security, _)| *is_security)
        .count();
    let listed = count(&packages);
    packages.sort_by_key(|(is_security, _)| !is_security);
    let mut packages: Vec<String> = packages.into_iter().map(|(_, name)| name).collect();
    facts.bound("updates.packages", &mut packages, PACKAGES);
    facts.updates = Some(Updates {
        pending: Some(listed),
        security: u32::try_from(security).ok(),
        held_back: sum.map(|[_, _, _, held]| held),
        packages,
        reboot_required: None,
    });
}

/// Archives of security updates have it in their name: `Debian-Security`,
/// `Ubuntu:22.04/jammy-security`.
fn is_security(rest: &str) -> bool {
    rest.split_once('(').is_some_and(|(_, origin)| {
        let origin = origin.to_ascii_lowercase();
        origin.contains("-security") || origin.contains("security:")
    })
}

/// The one line with four numbers, in any language: installed, new, removed, kept.
/// apt 3 has `Upgrading: 3, Installing: 0, Removing: 0, Not Upgrading: 1`.
fn sum_of(line: &str) -> Option<[u32; 4]> {
    let line = line.trim_start();
    if !line.starts_with(|c: char| c.is_ascii_digit()) && !line.starts_with("Upgrading: ") {
        return None;
    }
    let numbers: Vec<u32> = line
        .split_whitespace()
        .filter_map(|word| number::small(word.trim_end_matches([',', '.'])))
        .take(5)
        .collect();
    numbers.try_into().ok()
}
