//! The text of `zpool status -s` of OpenZFS before 2.3: for each pool lines of
//! `label: value`, continued on indented lines, and below `config:` a table whose
//! indentation is the tree.

use pvelens_proto::agent::v1::{ZfsPool, ZfsVdev, ZfsVdevClass as Class};

use super::{POOL_LIMIT, json::VDEV_LIMIT, json::features_pending, scan_line, too_many};
use crate::format::{FormatError, loose::short, whole_lines};

/// Blanks for each level of the tree.
const INDENT: usize = 2;

pub(super) fn status(text: &str) -> Result<Vec<ZfsPool>, FormatError> {
    if text.trim() == "no pools available" {
        return Ok(Vec::new());
    }
    let mut pools: Vec<ZfsPool> = Vec::new();
    let mut lines = whole_lines(text)?.lines().peekable();
    let mut class = Class::Data;
    let mut in_config = false;
    while let Some(line) = lines.next() {
        if let Some((label, value)) = label(line) {
            in_config = label == "config";
            if label == "pool" {
                if pools.len() >= POOL_LIMIT {
                    return Err(too_many("pools"));
                }
                class = Class::Data;
                pools.push(ZfsPool {
                    name: short(value),
                    ..ZfsPool::default()
                });
                continue;
            }
            let Some(pool) = pools.last_mut() else {
                return Err(FormatError::malformed("a status before its pool"));
            };
            let mut more = Vec::new();
            while let Some(next) = lines.next_if(|next| !in_config && is_continued(next)) {
                more.push(next.trim());
            }
            take(pool, label, value, &more);
        } else if in_config && let Some(row) = line.strip_prefix('\t') {
            let Some(pool) = pools.last_mut() else {
                continue;
            };
            if pool.vdevs.len() >= VDEV_LIMIT {
                return Err(too_many("devices"));
            }
            pool.vdevs.extend(vdev(row, &mut class));
        }
    }
    if pools.is_empty() {
        return Err(FormatError::malformed("no pool"));
    }
    Ok(pools)
}

/// `  pool: rpool`; the table begins with a tab.
fn label(line: &str) -> Option<(&str, &str)> {
    if line.starts_with('\t') {
        return None;
    }
    let (label, value) = line.split_once(':')?;
    let label = label.trim_start();
    let known = [
        "pool",
        "state",
        "status",
        "action",
        "see",
        "scan",
        "remove",
        "checkpoint",
        "config",
        "errors",
        "dedup",
        "scrub",
        "expand",
    ];
    known.contains(&label).then_some((label, value.trim()))
}

fn is_continued(line: &str) -> bool {
    line.starts_with(['\t', ' ']) && label(line).is_none()
}

fn take(pool: &mut ZfsPool, label: &str, value: &str, more: &[&str]) {
    match label {
        "status" => {
            let whole = [&[value], more].concat().join(" ");
            pool.features_pending = features_pending(&whole);
        }
        "see" => {
            let code = value.rsplit('/').next().unwrap_or_default();
            pool.message_id = short(code);
        }
        // A second one tells of a resilver after the last scrub.
        "scan" if pool.scan.is_none() => pool.scan = Some(scan_line::parse(value, more)),
        "errors" => pool.permanent_errors = errors(value),
        _ => {}
    }
}

/// `No known data errors`, or `3 data errors, use '-v' for a list`.
fn errors(value: &str) -> Option<u64> {
    if value.starts_with("No known data errors") {
        return Some(0);
    }
    value.split_once(" data error")?.0.parse().ok()
}

/// A row of the table; headings change the class of those below.
fn vdev(row: &str, class: &mut Class) -> Option<ZfsVdev> {
    let content = row.trim_start();
    let depth = row.len().saturating_sub(content.len()) / INDENT;
    let mut words = content.split_whitespace();
    let name = words.next()?;
    let state = words.next().unwrap_or_default();
    if depth == 0 && state.is_empty() {
        *class = match name {
            "special" => Class::Special,
            "dedup" => Class::Dedup,
            "logs" => Class::Log,
            "cache" => Class::Cache,
            "spares" => Class::Spare,
            _ => Class::Unspecified,
        };
        return None;
    }
    if (name, state) == ("NAME", "STATE") {
        return None;
    }
    let rest: Vec<&str> = words.collect();
    let count = |position: usize| rest.get(position)?.parse().ok();
    let has_counts = count(0).is_some();
    Some(ZfsVdev {
        name: short(name),
        depth: u32::try_from(depth).unwrap_or(u32::MAX),
        class: (*class).into(),
        kind: kind(name, depth),
        state: short(state),
        read_errors_total: count(0),
        write_errors_total: count(1).filter(|_| has_counts),
        checksum_errors_total: count(2).filter(|_| has_counts),
        slow_ios_total: count(3).filter(|_| has_counts),
        configured_ashift: block_size(&rest, "configured"),
        physical_ashift: block_size(&rest, "native"),
        resilvering: rest
            .iter()
            .any(|word| matches!(*word, "(resilvering)" | "(repairing)")),
        ..ZfsVdev::default()
    })
}

/// Names of what has devices below it are `KIND-NUMBER`.
fn kind(name: &str, depth: usize) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match name.split_once('-') {
        _ if depth == 0 => "root".to_owned(),
        // `draid2:4d:8c:0s-0` has more in its name.
        Some((kind, number)) if is_number(number) => {
            kind.split(':').next().unwrap_or_default().to_owned()
        }
        _ => "disk".to_owned(),
    }
}

/// The exponent of `block size: 512B configured, 4096B native`.
fn block_size(rest: &[&str], word: &str) -> Option<u32> {
    let position = rest
        .iter()
        .position(|each| each.trim_end_matches(',') == word)?;
    let size = rest.get(position.checked_sub(1)?)?;
    let bytes: u64 = size.trim_end_matches('B').parse().ok()?;
    bytes.is_power_of_two().then(|| bytes.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::{ZfsScanKind, ZfsScanState};

    use super::*;

    const STATUS: &str = "  pool: rpool\n state: DEGRADED\nstatus: One or more devices has experienced an unrecoverable error.  An\n\tattempt was made to correct the error.  Applications are unaffected.\naction: Determine if the device needs to be replaced, and clear the errors\n\tusing 'zpool clear' or replace the device with 'zpool replace'.\n   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-9P\n  scan: scrub in progress since Sun Nov  8 00:24:01 2026\n\t12.3G / 99.0G scanned at 1.2G/s, 9.1G / 99.0G issued at 300M/s\n\t0B repaired, 12.50% done, 00:10:00 to go\nconfig:\n\n\tNAME                     STATE     READ WRITE CKSUM  SLOW\n\trpool                    DEGRADED     0     0     0     -\n\t  mirror-0               DEGRADED     0     0     0     -\n\t    /dev/sda3            ONLINE       0     0     7     3  block size: 512B configured, 4096B native\n\t    replacing-1          DEGRADED     0     0     0     -\n\t      123456789          UNAVAIL      1     2     0     0  was /dev/sdb3/old\n\t      /dev/sdc3          ONLINE       0     0     0     0  (resilvering)\n\tspecial\t\n\t  mirror-1               ONLINE       0     0     0     -\n\t    /dev/nvme0n1p2       ONLINE       0     0     0     0\n\tlogs\t\n\t  /dev/nvme1n1p1         ONLINE       0     0     0     0\n\tspares\n\t  /dev/sdd               AVAIL   \n\nerrors: 3 data errors, use '-v' for a list\n\n  pool: tank\n state: ONLINE\nstatus: Some supported and requested features are not enabled on the pool.\n\tThe pool can still be used, but some features are unavailable.\n  scan: none requested\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM  SLOW\n\ttank        ONLINE       0     0     0     -\n\t  /dev/sde  ONLINE       0     0     0     0\n\nerrors: No known data errors\n";

    #[test]
    fn the_table_is_a_tree_with_classes() {
        let pools = status(STATUS).unwrap();
        let tree: Vec<(&str, u32, &str, Class)> = pools[0]
            .vdevs
            .iter()
            .map(|vdev| {
                (
                    vdev.name.as_str(),
                    vdev.depth,
                    vdev.kind.as_str(),
                    vdev.class(),
                )
            })
            .collect();
        assert_eq!(
            tree,
            [
                ("rpool", 0, "root", Class::Data),
                ("mirror-0", 1, "mirror", Class::Data),
                ("/dev/sda3", 2, "disk", Class::Data),
                ("replacing-1", 2, "replacing", Class::Data),
                ("123456789", 3, "disk", Class::Data),
                ("/dev/sdc3", 3, "disk", Class::Data),
                ("mirror-1", 1, "mirror", Class::Special),
                ("/dev/nvme0n1p2", 2, "disk", Class::Special),
                ("/dev/nvme1n1p1", 1, "disk", Class::Log),
                ("/dev/sdd", 1, "disk", Class::Spare)
            ]
        );
        let vdevs = &pools[0].vdevs;
        assert_eq!(
            (vdevs[2].checksum_errors_total, vdevs[2].slow_ios_total),
            (Some(7), Some(3))
        );
        assert_eq!(
            (vdevs[2].configured_ashift, vdevs[2].physical_ashift),
            (Some(9), Some(12))
        );
        assert_eq!(
            (vdevs[1].slow_ios_total, vdevs[1].read_errors_total),
            (None, Some(0))
        );
        assert!(vdevs[5].resilvering && !vdevs[4].resilvering);
        assert_eq!(
            (vdevs[9].read_errors_total, vdevs[9].state.as_str()),
            (None, "AVAIL")
        );
    }

    #[test]
    fn labels_say_the_rest() {
        let pools = status(STATUS).unwrap();
        assert_eq!(
            (pools[0].name.as_str(), pools[0].message_id.as_str()),
            ("rpool", "ZFS-8000-9P")
        );
        assert_eq!(
            (pools[0].permanent_errors, pools[1].permanent_errors),
            (Some(3), Some(0))
        );
        assert!(!pools[0].features_pending && pools[1].features_pending);
        let scan = pools[0].scan.as_ref().unwrap();
        assert_eq!(
            (scan.kind(), scan.state()),
            (ZfsScanKind::Scrub, ZfsScanState::Running)
        );
        assert_eq!(scan.done_ratio, Some(0.125));
        assert_eq!(pools[1].vdevs.len(), 2);
        let other = pools[1].scan.as_ref().unwrap();
        assert_eq!(other.kind(), ZfsScanKind::None);
    }

    #[test]
    fn a_scrub_counts_before_the_resilver_that_is_told_after_it() {
        let text = "  pool: rpool\n state: ONLINE\n  scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov  8 00:25:24 2026\n  scan: resilvered (mirror-0) 1.00G in 00:01:00 with 0 errors on Sun Nov 15 00:25:24 2026\nconfig:\n\n\tNAME   STATE     READ WRITE CKSUM  SLOW\n\trpool  ONLINE       0     0     0     -\n\nerrors: No known data errors\n";
        let pool = status(text).unwrap().remove(0);
        let scan = pool.scan.unwrap();
        assert_eq!(scan.kind(), ZfsScanKind::Scrub);
        assert_eq!(scan.local_time, "2026-11-08T00:25:24");
        assert_eq!(pool.vdevs.len(), 1);
    }

    #[test]
    fn no_pools_and_no_status() {
        assert_eq!(status("no pools available\n"), Ok(Vec::new()));
        for text in ["", "x\n", " state: ONLINE\n", "  pool: a"] {
            assert!(status(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(  (pool|scan|errors|config|status): ?\\PC{0,12}\n|\t {0,6}[a-z0-9-]{1,9}( [A-Z0-9]{1,6}){0,5}\n|\\PC{0,20}\n?){0,6}") {
            drop(status(&text));
        }
    }
}
