//! Updates that the node knows of, and how old that knowledge is.
//!
//! Proxmox VE writes the list daily and never says which update is one of security:
//! it has the origin of the archive, and Debian's security archive has the same as
//! the others (`pve-manager@PVE/API2/APT.pm`). So the version is looked up in apt's
//! indexes of security archives.

use std::collections::HashSet;

use pvelens_proto::{
    Timestamp,
    agent::v1::{CollectionClass, FailureKind, PackageUpdate, PackageUpdates},
    timestamp_to_millis,
};
use serde::Deserialize;

use super::{CollectError, Collector, Payload, Reading, SLOW, pmxcfs::json_error};
use crate::{
    format::{FormatError, package_index::stanzas, plain::short, whole_lines},
    host::SourceError,
};

const PATH: &str = "/var/lib/pve-manager/pkgupdates";
const LIMIT: u64 = 16 << 20;
const CACHE: &str = "/var/cache/apt/pkgcache.bin";
const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";
const INDEXES: &str = "/var/lib/apt/lists";
const UPDATE_LIMIT: usize = 2000;
/// Files of a long list of repositories.
const INDEX_FILE_LIMIT: usize = 500;
/// Debian's security index of one release has some megabytes.
const INDEX_LIMIT: u64 = 64 << 20;
const WORD: usize = 100;

pub(super) const COLLECTOR: Collector = Collector {
    name: "package_updates",
    summary: "pending updates, and when the node last looked for them",
    class: CollectionClass::Slow,
    interval: SLOW,
    // Megabytes, which may have to come from a slow disk.
    deadline: std::time::Duration::from_secs(10),
    paths: &[
        PATH,
        CACHE,
        STAMP,
        "/var/lib/apt/lists/*Release",
        "/var/lib/apt/lists/*security*_Packages",
        "/.pvelens/modified.json",
    ],
    probes: &[],
    collect,
};

/// One element of the list; all other keys are dropped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    package: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    old_version: Option<String>,
    #[serde(default)]
    origin: Option<String>,
    #[serde(default)]
    section: Option<String>,
    #[serde(default)]
    priority: Option<String>,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = match reading.read(PATH, LIMIT) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData(
                "Proxmox VE has not listed updates on this node yet",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let mut updates = parse(&text).map_err(|error| error.at(PATH))?;
    updates.listed_at = reading.modified_at(PATH);
    updates.package_cache_modified_at = reading.modified_at(CACHE);
    updates.update_succeeded_at = reading.modified_at(STAMP);
    indexes(reading, &mut updates);
    Ok(Payload::PackageUpdates(updates))
}

fn parse(text: &str) -> Result<PackageUpdates, FormatError> {
    let listed: Vec<Listed> = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    let truncated = listed.len() > UPDATE_LIMIT;
    let updates = listed.into_iter().take(UPDATE_LIMIT).map(|update| {
        let word = |text: Option<String>| short(&text.unwrap_or_default(), WORD);
        PackageUpdate {
            name: short(&update.package, WORD),
            version: short(&update.version, WORD),
            old_version: word(update.old_version),
            origin: word(update.origin),
            section: word(update.section),
            priority: word(update.priority),
            is_security: None,
        }
    });
    Ok(PackageUpdates {
        updates: updates.collect(),
        truncated,
        ..PackageUpdates::default()
    })
}

/// What the files of apt's indexes add.
fn indexes(reading: &mut Reading<'_>, updates: &mut PackageUpdates) {
    let mut names = reading.list_optional(INDEXES);
    names.retain(|name| is_release(name) || is_security_index(name));
    if names.len() > INDEX_FILE_LIMIT {
        let detail = format!("more than {INDEX_FILE_LIMIT} indexes");
        reading.fail(SourceError::new(INDEXES, FailureKind::TooLarge, detail));
        names.truncate(INDEX_FILE_LIMIT);
    }
    let mut newest: Option<Timestamp> = None;
    let mut security = None;
    for name in names {
        let path = format!("{INDEXES}/{name}");
        if is_security_index(&name) {
            let Some(text) = reading.read_optional(&path, INDEX_LIMIT) else {
                continue;
            };
            let found = whole_lines(&text).map(|text| listed_in(text, &updates.updates));
            if let Some(found) = reading.keep(found.map_err(|error| error.at(&path))) {
                security.get_or_insert_with(HashSet::new).extend(found);
            }
        } else if let Some(time) = reading.modified_at(&path) {
            let millis = timestamp_to_millis;
            if newest
                .as_ref()
                .is_none_or(|newest| millis(newest) < millis(&time))
            {
                newest = Some(time);
            }
        }
    }
    updates.newest_index_at = newest;
    if let Some(security) = security {
        for (index, update) in updates.updates.iter_mut().enumerate() {
            update.is_security = Some(security.contains(&index));
        }
    }
}

fn is_release(name: &str) -> bool {
    name.ends_with("Release")
}

/// `security.debian.org_debian-security_dists_trixie-security_main_binary-amd64_Packages`.
fn is_security_index(name: &str) -> bool {
    name.contains("security") && name.ends_with("_Packages")
}

/// Places of the updates whose version is in an index.
fn listed_in(text: &str, updates: &[PackageUpdate]) -> Vec<usize> {
    let wanted: std::collections::HashMap<(&str, &str), usize> = updates
        .iter()
        .enumerate()
        .map(|(index, update)| ((update.name.as_str(), update.version.as_str()), index))
        .collect();
    stanzas(text)
        .filter_map(|stanza| wanted.get(&(stanza.name, stanza.version)).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::sample;

    const LIST: &str = r#"[{"Package":"openssl","Title":"t","Description":"free text","Origin":"Debian","Section":"utils","Priority":"optional","Arch":"amd64","Version":"3.5.1-1+deb13u1","OldVersion":"3.5.1-1"},{"Package":"new","Version":"2","NotifyStatus":"1"}]"#;
    const INDEX: &str = "var/lib/apt/lists/deb.example_debian-security_dists_trixie-security_main_binary-amd64_Packages";

    fn updates(files: &[(&str, &str)]) -> PackageUpdates {
        let sample = sample(&COLLECTOR, files);
        assert_eq!(sample.failures, []);
        match sample.payload {
            Some(Payload::PackageUpdates(updates)) => updates,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_has_its_versions_and_no_free_text() {
        let all = updates(&[("var/lib/pve-manager/pkgupdates", LIST)]);
        assert_eq!(all.updates.len(), 2);
        assert_eq!(all.updates[0].old_version, "3.5.1-1");
        assert_eq!(all.updates[1].old_version, "");
        assert_eq!(all.updates[0].is_security, None);
        assert!(!format!("{all:?}").contains("free text"));
        assert_eq!(all.listed_at, None);
    }

    #[test]
    fn a_version_in_a_security_index_is_a_security_update() {
        let index = "Package: openssl\nVersion: 3.5.1-1+deb13u1\n\nPackage: new\nVersion: 1\n";
        let all = updates(&[("var/lib/pve-manager/pkgupdates", LIST), (INDEX, index)]);
        let flags: Vec<_> = all
            .updates
            .iter()
            .map(|update| update.is_security)
            .collect();
        assert_eq!(flags, [Some(true), Some(false)]);
    }

    #[test]
    fn times_come_from_the_tree_where_there_is_one() {
        let times = r#"{"/var/lib/pve-manager/pkgupdates": 1795349087, "/var/lib/apt/lists/a_InRelease": 7, "/var/lib/apt/lists/b_Release": 9}"#;
        let all = updates(&[
            ("var/lib/pve-manager/pkgupdates", "[]"),
            ("var/lib/apt/lists/a_InRelease", ""),
            ("var/lib/apt/lists/b_Release", ""),
            (".pvelens/modified.json", times),
        ]);
        assert_eq!(all.listed_at.unwrap().seconds, 1_795_349_087);
        assert_eq!(all.newest_index_at.unwrap().seconds, 9);
        assert_eq!(all.update_succeeded_at, None);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\[?(\\{\"(Package|Version|Origin)\":(\"\\PC{0,5}\"|null|7)\\},?|\\PC{0,9}){0,5}\\]?") {
            drop(parse(&text));
        }
    }
}
