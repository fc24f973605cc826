//! ISO images, snippets and hook scripts in local directories, by name: whether what a
//! guest's configuration names is on this node, too.
//!
//! As with backups, the directories are configured, so [`Collector::paths`] cannot
//! name them, a directory on a network mount is never touched, and nothing is opened.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, LocalMedia, LocalMediaStorage};

use super::{
    CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, backups::is_safe,
    filesystem::LocalMounts, pmxcfs,
};
use crate::{
    format::{
        plain::short,
        property_string::{boolean, list},
        section_config::{self, Section},
        whole_lines,
    },
    host::SourceError,
};

const STORAGE_CFG: &str = "/etc/pve/storage.cfg";
const STORAGE_LIMIT: usize = 50;
/// Names of one kind in one storage.
const FILE_LIMIT: usize = 500;
/// Bytes of a name, as file systems allow.
const NAME_LIMIT: usize = 255;

pub(super) const COLLECTOR: Collector = Collector {
    name: "local_media",
    summary: "names of ISO images and snippets on local disks",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(1800),
    deadline: Duration::from_secs(10),
    paths: &[STORAGE_CFG, "/proc/1/mountinfo", "/proc/mounts"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading
        .read(STORAGE_CFG, PMXCFS_FILE_LIMIT)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    // PVE always writes `local`, so an empty file is no configuration.
    let whole = whole_lines(&text).map_err(|error| error.at(STORAGE_CFG));
    if text.is_empty() {
        whole?;
    } else {
        reading.keep(whole);
    }
    let config = section_config::parse(&text);
    let mounts = LocalMounts::read(reading)?;
    let storages = config
        .sections
        .iter()
        .filter(|section| matches!(section.kind, "dir" | "btrfs"))
        .filter(|section| !section.get("disable").and_then(boolean).unwrap_or(false))
        .take(STORAGE_LIMIT)
        .filter_map(|section| storage(reading, &mounts, section))
        .collect();
    Ok(Payload::LocalMedia(LocalMedia { storages }))
}

/// `None` for a storage that holds neither.
fn storage(
    reading: &mut Reading<'_>,
    mounts: &LocalMounts,
    section: &Section<'_>,
) -> Option<LocalMediaStorage> {
    let content = list(section.get("content").unwrap_or_default());
    let path = section.get("path")?.trim_end_matches('/');
    let mut found = LocalMediaStorage {
        storage: section.id.to_owned(),
        ..LocalMediaStorage::default()
    };
    let mut is_any = false;
    for (kind, directory) in [("iso", "template/iso"), ("snippets", "snippets")] {
        if !content.iter().any(|one| one == kind) {
            continue;
        }
        is_any = true;
        let directory = format!("{path}/{directory}");
        if !is_safe(reading, mounts, &directory) {
            found.not_touched = true;
            continue;
        }
        let mut names = reading.list_optional(&directory);
        names.retain(|name| !name.starts_with('.') && name.len() <= NAME_LIMIT);
        if names.len() > FILE_LIMIT {
            let detail = format!("more than {FILE_LIMIT} files");
            reading.fail(SourceError::new(&directory, FailureKind::TooLarge, detail));
            names.truncate(FILE_LIMIT);
        }
        let names = names.iter().map(|name| short(name, NAME_LIMIT)).collect();
        if kind == "iso" {
            found.iso_images = names;
        } else {
            found.snippets = names;
        }
    }
    is_any.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    const CFG: &str = "dir: local\n\tpath /var/lib/vz/\n\tcontent iso,snippets\n\n\
        dir: nas\n\tpath /mnt/pve/nas\n\tcontent iso\n\n\
        dir: linked\n\tpath /linked\n\tcontent snippets\n\n\
        dir: images\n\tpath /images\n\tcontent images\n\n\
        dir: off\n\tpath /off\n\tcontent iso\n\tdisable\n";
    const MOUNTS: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        23 22 0:50 / /mnt/pve/nas rw - nfs4 192.0.2.1:/x rw\n";

    #[test]
    fn names_of_local_directories_are_listed_and_others_not_touched() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/storage.cfg", CFG),
                ("proc/1/mountinfo", MOUNTS),
                ("var/lib/vz/template/iso/debian-13.iso", "canary"),
                ("var/lib/vz/template/iso/.hidden", ""),
                ("var/lib/vz/snippets/hook.pl", "canary"),
                ("mnt/pve/nas/template/iso/other.iso", ""),
                ("linked@", "/mnt/pve/nas"),
                ("off/template/iso/off.iso", ""),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::LocalMedia(all)) = node.payload else {
            panic!("{node:?}");
        };
        let [linked, local, nas] = {
            let mut storages = all.storages;
            storages.sort_by(|a, b| a.storage.cmp(&b.storage));
            <[_; 3]>::try_from(storages).unwrap()
        };
        assert_eq!(local.iso_images, ["debian-13.iso"]);
        assert_eq!(local.snippets, ["hook.pl"]);
        assert!(!local.not_touched && linked.not_touched && nas.not_touched);
        assert!(nas.iso_images.is_empty() && linked.snippets.is_empty());
    }

    #[test]
    fn a_long_list_is_cut_and_said_to_be() {
        let names: Vec<String> = (0..600)
            .map(|number| format!("var/lib/vz/snippets/{number}"))
            .collect();
        let mut files = vec![("etc/pve/storage.cfg", CFG), ("proc/1/mountinfo", MOUNTS)];
        files.extend(names.iter().map(|name| (name.as_str(), "")));
        let node = sample(&COLLECTOR, &files);
        assert_eq!(kinds(&node), [FailureKind::TooLarge]);
    }
}
