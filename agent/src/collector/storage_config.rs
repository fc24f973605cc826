//! The storages of the cluster, from `/etc/pve/storage.cfg`.
//!
//! Options, defaults and implied settings by type are those of
//! `pve-storage@src/PVE/Storage/*Plugin.pm`. Passwords are not in this file; all
//! the same only the keys that are named here are carried.

use pvelens_proto::agent::v1::{
    BackupRetention, CollectionClass, StorageConfig, StorageContentDirectory, StorageEntry,
};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
};
use crate::format::{
    plain::{self, short},
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
    "content-dirs",
    "datastore",
    "disable",
    "export",
    "fs-name",
    "is_mountpoint",
    "krbd",
    "monhost",
    "namespace",
    "nodes",
    "options",
    "path",
    "pool",
    "portal",
    "prune-backups",
    "server",
    "share",
    "shared",
    "smbversion",
    "subdir",
    "target",
    "thinpool",
    "username",
    "vgname",
];
/// As [`CARRIED`], of backup servers.
const CARRIED_OF_PBS: &[&str] = &["encryption-key", "master-pubkey"];

/// Options of network mounts that are carried (`nfs(5)`, `mount.cifs(8)`); others may
/// hold names and passwords.
const MOUNT_OPTIONS: &[&str] = &[
    "actimeo",
    "async",
    "cache",
    "hard",
    "intr",
    "lookupcache",
    "mfsymlinks",
    "nconnect",
    "nfsvers",
    "noac",
    "nobrl",
    "nolock",
    "noserverino",
    "port",
    "proto",
    "retrans",
    "ro",
    "rsize",
    "seal",
    "sec",
    "sign",
    "soft",
    "softerr",
    "sync",
    "tcp",
    "timeo",
    "udp",
    "vers",
    "wsize",
    "xprtsec",
];
/// Kinds of content, options of one mount.
const LIST_LIMIT: usize = 50;

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
        krbd: section.get("krbd").and_then(boolean),
        smb_version: plain::name(section.get("smbversion").unwrap_or_default())
            .unwrap_or_default()
            .to_owned(),
        mount_options: mount_options(section.get("options").unwrap_or_default()),
        has_user: section.get("username").is_some(),
        content_directories: content_directories(section.get("content-dirs").unwrap_or_default()),
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

fn mount_options(text: &str) -> Vec<String> {
    let is_listed = |option: &&str| {
        let name = option.split('=').next().unwrap_or_default();
        MOUNT_OPTIONS.contains(&name) && option.len() <= 50
    };
    let options = text.split([',', ' ']).map(str::trim).filter(is_listed);
    options
        .filter(|option| !option.chars().any(char::is_control))
        .take(LIST_LIMIT)
        .map(str::to_owned)
        .collect()
}

/// `backup=other/backups,iso=iso`.
fn content_directories(text: &str) -> Vec<StorageContentDirectory> {
    Properties::new(text, "")
        .iter()
        .filter_map(|(content, directory)| {
            Some(StorageContentDirectory {
                content: plain::name(content)?.to_owned(),
                directory: plain::name(directory)?.to_owned(),
            })
        })
        .take(LIST_LIMIT)
        .collect()
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
        assert_eq!(nfs.mount_options, ["vers=4"]);
        assert_eq!(nfs.dropped_keys, [""; 0]);
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
        assert!(named(&config, "c").has_user && named(&config, "c").user_name.is_empty());
    }

    #[test]
    fn of_options_only_listed_ones_are_carried() {
        let config = parse(
            "cifs: c\n\tpath /mnt/pve/c\n\tusername canary\n\tsmbversion 2.1\n\toptions vers=2.1,password=canary,seal\n\n\
            rbd: r\n\tpool p\n\tkrbd 1\n\n\
            dir: d\n\tpath /d\n\tcontent-dirs backup=dump,vztmpl=dump\n",
        );
        let cifs = named(&config, "c");
        assert_eq!(cifs.mount_options, ["vers=2.1", "seal"]);
        assert!(cifs.has_user);
        assert_eq!(cifs.smb_version, "2.1");
        assert_eq!(named(&config, "r").krbd, Some(true));
        let directories = &named(&config, "d").content_directories;
        assert_eq!(directories.len(), 2);
        assert_eq!(directories[1].directory, "dump");
        assert!(!format!("{config:?}").contains("canary"));
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
