//! The status lines of `dmsetup status --target thin-pool`:
//! `name: start length thin-pool`, then transaction, used/total metadata and data
//! blocks, held root, mode, discards, what happens without space, whether a check
//! is needed, low water mark (kernel
//! `Documentation/admin-guide/device-mapper/thin-provisioning.rst`). A pool that
//! failed has `Fail` or `Error` alone.

use std::collections::HashMap;

use pvelens_proto::agent::v1::{ThinPoolMode as Mode, ThinPoolStatus};

use crate::format::FormatError;

/// What dmsetup says when there is none.
const NONE: &str = "No devices found";

/// The status of a pool by the name that LVM gives its device: a dash in a name is
/// doubled, and `tpool` added once the pool has had a volume.
pub(super) fn of(
    pools: &HashMap<String, ThinPoolStatus>,
    volume_group: &str,
    pool: &str,
) -> Option<ThinPoolStatus> {
    let escaped = |name: &str| name.replace('-', "--");
    let name = format!("{}-{}", escaped(volume_group), escaped(pool));
    let used = pools.get(&format!("{name}-tpool"));
    used.or_else(|| pools.get(&name)).copied()
}

/// The pools by name of their device.
pub(super) fn parse(text: &str) -> Result<HashMap<String, ThinPoolStatus>, FormatError> {
    let mut pools = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == NONE {
            continue;
        }
        let (name, status) =
            pool(line).ok_or_else(|| FormatError::malformed("not the status of a thin pool"))?;
        pools.insert(name.to_owned(), status);
    }
    Ok(pools)
}

fn pool(line: &str) -> Option<(&str, ThinPoolStatus)> {
    let (name, rest) = line.split_once(": ")?;
    let mut words = rest.split_whitespace();
    if words.nth(2)? != "thin-pool" {
        return None;
    }
    let words: Vec<&str> = words.collect();
    let status = match words.as_slice() {
        ["Fail" | "Error", ..] => ThinPoolStatus {
            mode: Mode::Failed.into(),
            ..ThinPoolStatus::default()
        },
        [_, metadata, data, _, mode, rest @ ..] => {
            let (used_metadata_blocks, total_metadata_blocks) = pair(metadata)?;
            let (used_data_blocks, total_data_blocks) = pair(data)?;
            let mode = match *mode {
                "rw" => Mode::ReadWrite,
                "ro" => Mode::ReadOnly,
                "out_of_data_space" => Mode::OutOfDataSpace,
                _ => Mode::Unspecified,
            };
            ThinPoolStatus {
                mode: mode.into(),
                needs_check: rest.contains(&"needs_check"),
                used_data_blocks,
                total_data_blocks,
                used_metadata_blocks,
                total_metadata_blocks,
                queues_without_space: rest.contains(&"queue_if_no_space"),
            }
        }
        _ => return None,
    };
    Some((name, status))
}

fn pair(word: &str) -> Option<(u64, u64)> {
    let (used, total) = word.split_once('/')?;
    Some((used.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_have_blocks_mode_and_flags() {
        let pools = parse(
            "pve-data-tpool: 0 285474816 thin-pool 21 6523/73728 1122300/2230272 - rw discard_passdown queue_if_no_space - 1024\n\
             my--vg-bad-tpool: 0 8 thin-pool Fail\n\
             pve-ro: 0 8 thin-pool 1 2/3 4/5 - ro no_discard_passdown error_if_no_space needs_check\n",
        )
        .unwrap();
        let data = of(&pools, "pve", "data").unwrap();
        assert_eq!(data.mode(), Mode::ReadWrite);
        assert_eq!(
            (data.used_data_blocks, data.total_data_blocks),
            (1_122_300, 2_230_272)
        );
        assert_eq!(data.total_metadata_blocks, 73_728);
        assert!(data.queues_without_space && !data.needs_check);
        assert_eq!(of(&pools, "my-vg", "bad").unwrap().mode(), Mode::Failed);
        let read_only = of(&pools, "pve", "ro").unwrap();
        assert_eq!(read_only.mode(), Mode::ReadOnly);
        assert!(read_only.needs_check);
        assert_eq!(of(&pools, "pve", "other"), None);
    }

    #[test]
    fn no_pools_and_other_lines() {
        assert_eq!(parse("No devices found\n"), Ok(HashMap::new()));
        assert!(parse("pve-root: 0 8 linear \n").is_err());
        assert!(parse("pve-data-tpool: 0 8 thin-pool 21 6523/73\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([a-z-]{1,5}: 0 8 thin-pool( [0-9/a-z_-]{1,9}){0,9}\n|\\PC{0,30}\n?){0,4}") {
            drop(parse(&text));
        }
    }
}
