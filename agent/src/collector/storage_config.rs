//! The storages of the cluster, from `/etc/pve/storage.cfg`.
//!
//! Options, defaults and implied settings by type are those of
//! `pve-storage@src/PVE/Storage/*Plugin.pm`. Passwords are not in this file; all
//! the same only the keys that are named here are carried.

use pvelens_proto::agent::v1::{BackupRetention, CollectionClass, StorageConfig, StorageEntry};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
};
use crate::format::{
    plain::short,
    property_string::{Properties, boolean, list},
    section_config::{self, Section},
    whole_lines,
};

const PATH: &str = "/etc/pve/storage.cfg";
/// Lines out of format that are named.
const MALFORMED_LIMIT: usize = 50;
/// Characters of a user with realm and token.
const USER_LIMIT: usize = 128;

/// Keys whose meaning is in a field of [`StorageEntry`].
const CARRIED: &[&str] = &[
    "content",
    "datastore",
    "disable",
    "export",
    "fs-name",
    "is_mountpoint",
    "monhost",
    "namespace",
    "nodes",
    "path",
    "pool",
    "portal",
    "prune-backups",
    "server",
    "share",
    "shared",
    "subdir",
    "target",
    "thinpool",
    "vgname",
];
/// As [`CARRIED`], of backup servers.
const CARRIED_OF_PBS: &[&str] = &["encryption-key", "master-pubkey", "username"];

/// Types whose content every node reaches, whatever `shared` says.
const ALWAYS_SHARED: &[&str] = &[
    "cephfs",
    "cifs",
    "esxi",
    "glusterfs",
    "iscsi",
    "iscsidirect",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "storage_config",
    summary: "configured storages of the cluster",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading
        .read(PATH, PMXCFS_FILE_LIMIT)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    // PVE always writes `local`, so an empty file is no configuration.
    let whole = whole_lines(&text).map_err(|error| error.at(PATH));
    if text.is_empty() {
        whole?;
    } else {
        reading.keep(whole);
    }
    Ok(Payload::StorageConfig(parse(&text)))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> StorageConfig {
    let config = section_config::parse(text);
    let mut storages: Vec<StorageEntry> = config.sections.iter().map(entry).collect();
    match storages.iter_mut().find(|storage| storage.name == "local") {
        // PVE ignores a limit of `local` to some nodes.
        Some(local) => local.nodes.clear(),
        None => storages.push(implied_local()),
    }
    storages.sort_by(|a, b| a.name.cmp(&b.name));
    let mut parsed = StorageConfig {
        storages,
        sha256: String::new(),
        malformed_lines: config
            .malformed_lines
            .into_iter()
            .take(MALFORMED_LIMIT)
            .collect(),
    };
    parsed.sha256 = pmxcfs::digest(&parsed);
    parsed
}

fn entry(section: &Section<'_>) -> StorageEntry {
    let flag = |key: &str| section.get(key).and_then(boolean).unwrap_or(false);
    let text = |key: &str| section.get(key).unwrap_or_default().to_owned();
    StorageEntry {
        name: section.id.to_owned(),
        storage_type: section.kind.to_owned(),
        disabled: flag("disable"),
        shared: flag("shared") || ALWAYS_SHARED.contains(&section.kind),
        content: sorted(
            section
                .get("content")
                .unwrap_or(default_content(section.kind)),
        ),
        nodes: sorted(section.get("nodes").unwrap_or_default()),
        path: text("path"),
        required_mount_point: section
            .get("is_mountpoint")
            .map(|value| match boolean(value) {
                Some(false) => String::new(),
                Some(true) => "yes".to_owned(),
                None => value.to_owned(),
            })
            .unwrap_or_default(),
        server: ["server", "portal", "monhost"]
            .iter()
            .find_map(|key| section.get(key))
            .unwrap_or_default()
            .to_owned(),
        target: target(section),
        retention: section.get("prune-backups").map(retention),
        dropped_keys: dropped_keys(section),
        user_name: match section.kind {
            "pbs" => short(&text("username"), USER_LIMIT),
            _ => String::new(),
        },
        has_encryption_key: section.get("encryption-key").is_some(),
        encryption_key_fingerprint: fingerprint(section),
        has_master_key: section.get("master-pubkey").is_some(),
    }
}

/// What PVE writes in place of the key, which is in `priv`
/// (`pve-storage@src/PVE/Storage/PBSPlugin.pm`). Whatever is no fingerprint stays
/// where it is.
fn fingerprint(section: &Section<'_>) -> String {
    let value = section.get("encryption-key").unwrap_or_default();
    let is_octet = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let octets = value.split(':').count();
    if (octets == 8 || octets == 32) && value.split(':').all(is_octet) {
        value.to_ascii_lowercase()
    } else {
        String::new()
    }
}

/// What holds the data on the server or node: the parts that name it, joined
/// as paths are.
fn target(section: &Section<'_>) -> String {
    let keys: &[&str] = match section.kind {
        "nfs" => &["export"],
        "cifs" => &["share", "subdir"],
        "lvm" => &["vgname"],
        "lvmthin" => &["vgname", "thinpool"],
        "zfspool" => &["pool"],
        "rbd" => &["pool", "namespace"],
        "cephfs" => &["fs-name", "subdir"],
        "iscsi" | "iscsidirect" => &["target"],
        "zfs" => &["target", "pool"],
        "pbs" => &["datastore", "namespace"],
        _ => &[],
    };
    let parts: Vec<&str> = keys.iter().filter_map(|key| section.get(key)).collect();
    parts.join("/")
}

fn default_content(kind: &str) -> &'static str {
    match kind {
        "dir" | "btrfs" | "lvmthin" | "zfspool" => "images,rootdir",
        "cephfs" | "pbs" => "backup",
        "esxi" => "import",
        _ => "images",
    }
}

/// A list without doubles; `none` is the empty list.
fn sorted(text: &str) -> Vec<String> {
    let mut items = list(text);
    items.retain(|item| item != "none");
    items.sort_unstable();
    items.dedup();
    items
}

/// Of `prune-backups`.
pub(super) fn retention(text: &str) -> BackupRetention {
    let properties = Properties::new(text, "keep-all");
    let keep = |key: &str| properties.number(key).unwrap_or_default();
    BackupRetention {
        keep_all: properties.flag("keep-all").unwrap_or(false),
        keep_last: keep("keep-last"),
        keep_hourly: keep("keep-hourly"),
        keep_daily: keep("keep-daily"),
        keep_weekly: keep("keep-weekly"),
        keep_monthly: keep("keep-monthly"),
        keep_yearly: keep("keep-yearly"),
    }
}

fn dropped_keys(section: &Section<'_>) -> Vec<String> {
    let mut keys: Vec<String> = section
        .properties
        .iter()
        .filter(|(key, _)| !CARRIED.contains(key))
        .filter(|(key, _)| section.kind != "pbs" || !CARRIED_OF_PBS.contains(key))
        .map(|(key, _)| (*key).to_owned())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What PVE adds when there is no `local`.
fn implied_local() -> StorageEntry {
    StorageEntry {
        name: "local".to_owned(),
        storage_type: "dir".to_owned(),
        content: sorted("backup,images,iso,rootdir,snippets,vztmpl"),
        path: "/var/lib/vz".to_owned(),
        retention: Some(BackupRetention {
            keep_all: true,
            ..BackupRetention::default()
        }),
        ..StorageEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const CFG: &str = "dir: local\n\tpath /var/lib/vz\n\tcontent iso,backup\n\tnodes a\n\n\
        nfs: n1\n\tpath /mnt/pve/n1\n\tserver 10.0.0.1\n\texport /e\n\toptions vers=4\n\tprune-backups keep-last=3,keep-daily=7\n\tnodes b,a\n\n\
        pbs: p\n\tdatastore main\n\tnamespace team\n\tserver 10.0.0.2\n\tusername backup@pbs!pve\n\tfingerprint 00:11\n\tencryption-key 00:11:22:33:44:55:AA:bb\n\tmaster-pubkey 1\n\tcontent backup\n\tdisable\n\n\
        dir: tank\n\tpath /tank\n\tis_mountpoint /tank\n\tcontent none\n";

    fn named<'a>(config: &'a StorageConfig, name: &str) -> &'a StorageEntry {
        config
            .storages
            .iter()
            .find(|storage| storage.name == name)
            .unwrap()
    }

    #[test]
    fn types_imply_sharing_content_and_target() {
        let config = parse(CFG);
        let nfs = named(&config, "n1");
        assert!(nfs.shared);
        assert_eq!(
            (nfs.server.as_str(), nfs.target.as_str()),
            ("10.0.0.1", "/e")
        );
        assert_eq!(
            (nfs.content.as_slice(), nfs.nodes.as_slice()),
            (
                &["images".to_owned()][..],
                &["a".to_owned(), "b".to_owned()][..]
            )
        );
        assert_eq!(nfs.retention.unwrap().keep_daily, 7);
        assert_eq!(nfs.dropped_keys, ["options"]);
        let pbs = named(&config, "p");
        assert!(pbs.disabled && pbs.shared);
        assert_eq!(pbs.target, "main/team");
        assert_eq!(pbs.retention, None);
        assert_eq!(pbs.user_name, "backup@pbs!pve");
        assert!(pbs.has_encryption_key && pbs.has_master_key);
        assert_eq!(pbs.encryption_key_fingerprint, "00:11:22:33:44:55:aa:bb");
        assert_eq!(pbs.dropped_keys, ["fingerprint"]);
        let tank = named(&config, "tank");
        assert_eq!(tank.required_mount_point, "/tank");
        assert!(tank.content.is_empty() && !tank.shared);
    }

    #[test]
    fn what_is_no_fingerprint_and_users_of_others_stay_there() {
        let config = parse(
            "pbs: p\n\tencryption-key 1\n\npbs: q\n\tencryption-key canary\n\ncifs: c\n\tusername canary\n",
        );
        assert!(!format!("{config:?}").contains("canary"));
        assert!(named(&config, "p").has_encryption_key && named(&config, "q").has_encryption_key);
        assert_eq!(named(&config, "c").dropped_keys, ["username"]);
    }

    #[test]
    fn local_is_on_every_node_and_always_there() {
        assert!(named(&parse(CFG), "local").nodes.is_empty());
        let implied = parse("dir: other\n\tpath /o\n");
        assert_eq!(named(&implied, "local").path, "/var/lib/vz");
        assert!(named(&implied, "local").retention.unwrap().keep_all);
    }

    #[test]
    fn an_empty_file_is_no_configuration_and_a_cut_one_is_named() {
        let empty = sample(&COLLECTOR, &[("etc/pve/storage.cfg", "")]);
        assert_eq!(
            (kinds(&empty), empty.payload),
            (vec![FailureKind::Truncated], None)
        );
        let cut = sample(&COLLECTOR, &[("etc/pve/storage.cfg", "dir: local\n\tpa")]);
        assert_eq!(kinds(&cut), [FailureKind::Truncated]);
        assert!(cut.payload.is_some());
    }

    proptest! {
        #[test]
        fn any_text_gives_a_configuration(text in "((dir|nfs|pbs|[a-z]{1,4}): ?[a-z0-9]{0,4}\n|\t(path|content|nodes|prune-backups|is_mountpoint|[a-z]{1,5}) ?\\PC{0,9}\n|\n){0,9}") {
            let config = parse(&text);
            prop_assert!(config.storages.iter().any(|storage| storage.name == "local"));
        }
    }
}
