//! The tables of `zpool list -Hp` and `zfs list -Hp`: a line for each, columns
//! between tabs, `-` where there is no value.

use pvelens_proto::agent::v1::{ZfsDataset, ZfsPool};

use super::{POOL_LIMIT, property, too_many};
use crate::format::{FormatError, loose::short, whole_lines};

/// Datasets that are read at all.
const LINE_LIMIT: usize = 100_000;

pub(super) fn pools(text: &str) -> Result<Vec<ZfsPool>, FormatError> {
    if text.trim() == "no pools available" {
        return Ok(Vec::new());
    }
    let pools = rows(text, property::POOL_COLUMNS, property::pool)?;
    if pools.len() > POOL_LIMIT {
        return Err(too_many("pools"));
    }
    Ok(pools)
}

pub(super) fn datasets(text: &str) -> Result<Vec<ZfsDataset>, FormatError> {
    rows(text, property::DATASET_COLUMNS, property::dataset)
}

fn rows<T>(
    text: &str,
    columns: &[&str],
    row: fn(property::Get<'_>) -> T,
) -> Result<Vec<T>, FormatError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for line in whole_lines(text)?.lines() {
        let values: Vec<&str> = line.split('\t').collect();
        if values.len() != columns.len() {
            return Err(FormatError::malformed("a line with other columns"));
        }
        if rows.len() >= LINE_LIMIT {
            return Err(too_many("lines"));
        }
        rows.push(row(&|key| {
            let mut pairs = columns.iter().zip(&values);
            let value = pairs.find(|(column, _)| **column == key);
            value.map(|(_, value)| short(value)).unwrap_or_default()
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pool_has_its_properties() {
        let text = "rpool\t1000\t400\t600\t12\t40\t1.25\tDEGRADED\t12\toff\toff\t-\t123\n";
        let pool = &pools(text).unwrap()[0];
        assert_eq!(pool.fragmentation_ratio, Some(0.12));
        assert_eq!((pool.dedup_ratio, pool.ashift), (Some(1.25), Some(12)));
        assert_eq!((pool.autotrim, pool.expandable_bytes), (Some(false), None));
        assert_eq!(pool.health, "DEGRADED");
        assert_eq!(pools("no pools available\n"), Ok(Vec::new()));
        assert_eq!(pools(""), Ok(Vec::new()));
        assert!(pools("rpool\t1000\n").is_err());
        assert!(pools("rpool\t1000\t4").is_err());
    }

    #[test]
    fn a_volume_has_a_size_and_a_file_system_is_mounted() {
        let text = "rpool\tfilesystem\t1\t2\t3\t4\t-\tnone\ton\tstandard\toff\toff\t-\tyes\t-\t1700000000\t/rpool\n\
            rpool/data/vm-101-disk-0\tvolume\t1\t2\t3\t4\t34359738368\t34900000000\tlz4\tdisabled\toff\taes-256-gcm\tunavailable\t-\t16384\t1700000001\t-\n";
        let all = datasets(text).unwrap();
        assert_eq!((all[0].volume_bytes, all[0].mounted), (None, Some(true)));
        assert_eq!(
            (all[0].refreservation_bytes, all[0].key_status.as_str()),
            (None, "")
        );
        assert_eq!(all[0].mount_point, "/rpool");
        assert_eq!(all[0].created_at.unwrap().seconds, 1_700_000_000);
        assert!(all[1].is_volume);
        assert_eq!(
            (all[1].volume_block_bytes, all[1].mount_point.as_str()),
            (Some(16_384), "")
        );
        assert_eq!(
            (all[1].volume_bytes, all[1].mounted),
            (Some(34_359_738_368), None)
        );
        assert_eq!(
            (all[1].sync.as_str(), all[1].key_status.as_str()),
            ("disabled", "unavailable")
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(([a-z0-9.%-]{0,5}\t){0,14}[a-z]{0,4}\n?){0,4}") {
            drop(pools(&text));
            drop(datasets(&text));
        }
    }
}
