//! Options of `vzdump`, wherever they are written.
//!
//! Names are those of `pve-guest-common@src/PVE/VZDump/Common.pm`.

use pvelens_proto::agent::v1::{BackupFleecing, BackupOptions};

use crate::{
    collector::storage_config::retention,
    format::{
        property_string::{Properties, boolean, list},
        settings::last,
    },
};

const MINUTE: u64 = 60;
/// What `bwlimit` is given in.
const KIB: u64 = 1024;

/// Of keys and values in their order.
pub(super) fn parse(pairs: &[(&str, &str)]) -> BackupOptions {
    let get = |key: &str| last(pairs, key);
    let text = |key: &str| get(key).unwrap_or_default().to_owned();
    let flag = |key: &str| get(key).and_then(boolean);
    let number = |key: &str| get(key).and_then(|text| text.parse::<u32>().ok());
    let product = |key: &str, unit: u64| {
        get(key)
            .and_then(|text| text.parse::<u64>().ok())
            .map(|number| number.saturating_mul(unit))
    };
    let performance = Properties::new(get("performance").unwrap_or_default(), "");
    BackupOptions {
        all: flag("all"),
        vmids: vmids(pairs, "vmid"),
        pool: text("pool"),
        excluded_vmids: vmids(pairs, "exclude"),
        node: text("node"),
        storage: text("storage"),
        dump_directory: text("dumpdir"),
        mode: text("mode"),
        compression: text("compress"),
        retention: get("prune-backups").map(retention),
        max_files: number("maxfiles"),
        remove: flag("remove"),
        protected: flag("protected"),
        fleecing: get("fleecing").map(fleecing),
        notification_mode: text("notification-mode"),
        notification_policy: text("notification-policy"),
        has_notification_target: get("notification-target").is_some(),
        mail_recipients: count(list(get("mailto").unwrap_or_default()).len()),
        mail_notification: text("mailnotification"),
        bandwidth_limit_bytes_per_second: product("bwlimit", KIB),
        io_priority: number("ionice"),
        max_workers: performance.number("max-workers"),
        pbs_entries_max: performance.number("pbs-entries-max"),
        lock_wait_seconds: product("lockwait", MINUTE),
        stop_wait_seconds: product("stopwait", MINUTE),
        has_hook_script: get("script").is_some(),
        exclude_paths: exclude_paths(pairs),
        standard_excludes: flag("stdexcludes"),
        pbs_change_detection_mode: text("pbs-change-detection-mode"),
        temporary_directory: text("tmpdir"),
        zstd_threads: number("zstd"),
        has_notes_template: get("notes-template").is_some(),
    }
}

fn vmids(pairs: &[(&str, &str)], key: &str) -> Vec<u32> {
    let all = pairs.iter().filter(|(name, _)| *name == key);
    let mut vmids: Vec<u32> = all
        .flat_map(|(_, value)| list(value))
        .filter_map(|id| id.parse().ok())
        .collect();
    vmids.sort_unstable();
    vmids.dedup();
    vmids
}

fn fleecing(text: &str) -> BackupFleecing {
    let properties = Properties::new(text, "enabled");
    BackupFleecing {
        enabled: properties.flag("enabled").unwrap_or(false),
        storage: properties.text("storage"),
    }
}

/// The key is repeated.
fn exclude_paths(pairs: &[(&str, &str)]) -> Vec<String> {
    let all = pairs.iter().filter(|(name, _)| *name == "exclude-path");
    all.map(|(_, value)| (*value).to_owned()).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_units_and_parts() {
        let options = parse(&[
            ("all", "1"),
            ("exclude", "101,100"),
            ("prune-backups", "keep-daily=7,keep-weekly=4"),
            ("fleecing", "1,storage=local-lvm"),
            ("bwlimit", "1000"),
            ("lockwait", "180"),
            ("performance", "max-workers=8,pbs-entries-max=10"),
            ("exclude-path", "/tmp/?*"),
            ("exclude-path", "/var/a b"),
            ("mailto", "a@example.test, b@example.test"),
        ]);
        assert_eq!(options.excluded_vmids, [100, 101]);
        assert_eq!(options.retention.unwrap().keep_weekly, 4);
        let fleecing = options.fleecing.unwrap();
        assert!(fleecing.enabled);
        assert_eq!(fleecing.storage, "local-lvm");
        assert_eq!(options.bandwidth_limit_bytes_per_second, Some(1_024_000));
        assert_eq!(options.lock_wait_seconds, Some(10_800));
        assert_eq!(options.max_workers, Some(8));
        assert_eq!(options.exclude_paths, ["/tmp/?*", "/var/a b"]);
        assert_eq!(options.mail_recipients, 2);
        assert_eq!(options.protected, None);
    }

    #[test]
    fn what_is_not_set_is_absent() {
        assert_eq!(parse(&[]), BackupOptions::default());
        let strange = parse(&[("bwlimit", "-1"), ("all", "maybe"), ("vmid", "x")]);
        assert_eq!(strange, BackupOptions::default());
    }
}
