//! The columns that are asked for, whatever their format, and small texts of ZFS.

use pvelens_proto::{
    agent::v1::{ZfsDataset, ZfsPool},
    timestamp_from_millis,
};

use crate::format::loose::decimal_text;

/// As the menu of the probes has them.
pub(super) const POOL_COLUMNS: &[&str] = &[
    "name",
    "size",
    "allocated",
    "free",
    "fragmentation",
    "capacity",
    "dedupratio",
    "health",
    "ashift",
    "autotrim",
    "readonly",
    "expandsize",
    "guid",
];
pub(super) const DATASET_COLUMNS: &[&str] = &[
    "name",
    "type",
    "used",
    "available",
    "referenced",
    "usedbysnapshots",
    "volsize",
    "refreservation",
    "compression",
    "sync",
    "dedup",
    "encryption",
    "keystatus",
    "mounted",
    "volblocksize",
    "creation",
    "mountpoint",
];

/// Gives the text of a property; empty when there is none.
pub(super) type Get<'a> = &'a dyn Fn(&str) -> String;

/// A pool from the text of its properties.
pub(super) fn pool(get: Get<'_>) -> ZfsPool {
    let ratio = |key| decimal_text(&get(key)).map(|percent| percent / 100.0);
    ZfsPool {
        name: get("name"),
        health: get("health"),
        guid: get("guid"),
        size_bytes: number(&get("size")),
        allocated_bytes: number(&get("allocated")),
        free_bytes: number(&get("free")),
        fragmentation_ratio: ratio("fragmentation"),
        capacity_ratio: ratio("capacity"),
        dedup_ratio: decimal_text(&get("dedupratio")),
        ashift: get("ashift").parse().ok(),
        autotrim: flag(&get("autotrim"), "on", "off"),
        read_only: get("readonly") == "on",
        expandable_bytes: number(&get("expandsize")),
        ..ZfsPool::default()
    }
}

/// A dataset from the text of its properties.
pub(super) fn dataset(get: Get<'_>) -> ZfsDataset {
    let known = |key| {
        Some(get(key))
            .filter(|word| word != "-")
            .unwrap_or_default()
    };
    let bytes = |key| number(&get(key));
    ZfsDataset {
        name: get("name"),
        is_volume: get("type").eq_ignore_ascii_case("volume"),
        used_bytes: bytes("used").unwrap_or_default(),
        available_bytes: bytes("available").unwrap_or_default(),
        referenced_bytes: bytes("referenced").unwrap_or_default(),
        used_by_snapshots_bytes: bytes("usedbysnapshots").unwrap_or_default(),
        volume_bytes: bytes("volsize"),
        // 0 and `none` are the same.
        refreservation_bytes: bytes("refreservation").filter(|bytes| *bytes > 0),
        compression: known("compression"),
        sync: known("sync"),
        dedup: known("dedup"),
        encryption: known("encryption"),
        key_status: known("keystatus"),
        mounted: flag(&get("mounted"), "yes", "no"),
        volume_block_bytes: bytes("volblocksize"),
        created_at: get("creation")
            .parse::<i64>()
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .map(timestamp_from_millis),
        mount_point: known("mountpoint"),
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn flag(text: &str, on: &str, off: &str) -> Option<bool> {
    if text == on {
        Some(true)
    } else {
        (text == off).then_some(false)
    }
}

/// `2.3.4-pve1` as two numbers.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// An option of the module, in a file of modprobe: `options zfs KEY=VALUE …`; the
/// last one counts, in the node's own notation (`modprobe.d(5)`).
pub(super) fn option(text: &str, key: &str) -> Option<u64> {
    let lines = text.lines().map(str::split_whitespace);
    let options = lines.filter_map(|mut words| {
        (words.next() == Some("options") && words.next() == Some("zfs")).then_some(words)
    });
    let mut values = options
        .flatten()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| *name == key);
    let value = values.next_back()?.1;
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_columns_are_those_of_the_menu() {
        for (entry, columns) in [("zpool_list", POOL_COLUMNS), ("zfs_list", DATASET_COLUMNS)] {
            let mut menu = crate::probe::menu();
            let entry = menu.find(|row| row.name == entry).unwrap();
            let joined = columns.join(",");
            assert!(entry.template().any(|word| word == joined), "{joined}");
        }
    }

    #[test]
    fn options_of_the_module_are_found_among_others() {
        let text = "# options zfs zfs_arc_max=1\noptions zfs zfs_arc_min=2 zfs_arc_max=3\noptions kvm x=1\noptions zfs zfs_arc_max=8589934592";
        assert_eq!(option(text, "zfs_arc_max"), Some(8_589_934_592));
        assert_eq!(
            option("options zfs zfs_arc_max=0x10\n", "zfs_arc_max"),
            Some(16)
        );
        assert_eq!(option("options zfs zfs_arc_max=8G\n", "zfs_arc_max"), None);
        assert_eq!(option("", "zfs_arc_max"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("2.3.4-pve1"), Some((2, 3)));
        assert!(version("2.10.0") > version("2.3.0"));
        assert_eq!(version("2.4-rc1"), Some((2, 4)));
        assert_eq!(version(""), None);
    }

    proptest! {
        #[test]
        fn any_text_has_an_option_or_none(text in "(options zfs( [a-z_]{1,12}=[0-9x]{0,9}){0,3}\n|\\PC{0,20}\n?){0,4}") {
            option(&text, "zfs_arc_max");
            version(&text);
        }
    }
}
