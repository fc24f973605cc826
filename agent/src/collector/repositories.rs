//! Where packages come from, and how far that is trusted.
//!
//! From apt's sources in both formats (sources.list(5)) and its preferences. Of a URI scheme, host and
//! path are carried, and no path either when it holds credentials.

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, Repositories, Repository};

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading, SLOW};
use crate::{format::plain::name, host::SourceError};

mod conf;
mod deb822;
mod one_line;
mod preferences;
mod uri;

const SOURCES: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";
const CONF: &str = "/etc/apt/apt.conf";
const CONF_PARTS: &str = "/etc/apt/apt.conf.d";
const APT: &str = "/etc/apt";
const PREFERENCES: &str = "/etc/apt/preferences";
const PREFERENCES_PARTS: &str = "/etc/apt/preferences.d";
const KEYRING: &str = "trusted.gpg";
const KEYS: &str = "/etc/apt/trusted.gpg.d";
const LIMIT: u64 = 1 << 20;
const FILE_LIMIT: usize = 100;
const REPOSITORY_LIMIT: usize = 500;
const KEY_LIMIT: usize = 50;
const PIN_LIMIT: usize = 200;
/// Words of one field.
const WORD_LIMIT: usize = 50;

pub(super) const COLLECTOR: Collector = Collector {
    name: "repositories",
    summary: "package repositories and how far they are trusted",
    class: CollectionClass::Slow,
    interval: SLOW,
    deadline: FILE_DEADLINE,
    paths: &[
        SOURCES,
        "/etc/apt/sources.list.d/*.list",
        "/etc/apt/sources.list.d/*.sources",
        CONF,
        "/etc/apt/apt.conf.d/*",
        PREFERENCES,
        "/etc/apt/preferences.d/*",
        "/etc/apt/trusted.gpg",
        "/etc/apt/trusted.gpg.d/*",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    if !reading.exists(APT) {
        return Err(CollectError::NoData("no apt on this system"));
    }
    let mut found = Repositories::default();
    let mut all = Vec::new();
    if let Some(text) = reading.read_optional(SOURCES, LIMIT) {
        all.extend(one_line::parse(SOURCES, &text));
    }
    for name in files(reading, PARTS, &mut found.truncated) {
        let path = format!("{PARTS}/{name}");
        let parse = match name.rsplit_once('.') {
            Some((_, "list")) => one_line::parse,
            Some((_, "sources")) => deb822::parse,
            _ => continue,
        };
        if let Some(text) = reading.read_optional(&path, LIMIT) {
            all.extend(parse(&path, &text));
        }
    }
    found.truncated |= all.len() > REPOSITORY_LIMIT;
    all.truncate(REPOSITORY_LIMIT);
    found.repositories = all;
    if let Some(text) = reading.read_optional(CONF, LIMIT) {
        conf::parse(&text, &mut found);
    }
    for name in files(reading, CONF_PARTS, &mut found.truncated) {
        // apt takes those without an ending and those that end in `.conf`.
        let is_taken = !name.contains('.') || name.ends_with(".conf");
        let path = format!("{CONF_PARTS}/{name}");
        if is_taken && let Some(text) = reading.read_optional(&path, LIMIT) {
            conf::parse(&text, &mut found);
        }
    }
    if let Some(text) = reading.read_optional(PREFERENCES, LIMIT) {
        found.pins.extend(preferences::parse(PREFERENCES, &text));
    }
    for name in files(reading, PREFERENCES_PARTS, &mut found.truncated) {
        let is_taken = !name.contains('.') || name.ends_with(".pref");
        let path = format!("{PREFERENCES_PARTS}/{name}");
        if is_taken && let Some(text) = reading.read_optional(&path, LIMIT) {
            found.pins.extend(preferences::parse(&path, &text));
        }
    }
    found.truncated |= found.pins.len() > PIN_LIMIT;
    found.pins.truncate(PIN_LIMIT);
    found.has_global_keyring = reading
        .list_optional(APT)
        .iter()
        .any(|name| name == KEYRING);
    let keys = reading.list_optional(KEYS);
    found.truncated |= keys.len() > KEY_LIMIT;
    let keys = keys.iter().filter_map(|key| name(key)).take(KEY_LIMIT);
    found.global_keys = keys.map(str::to_owned).collect();
    Ok(Payload::Repositories(found))
}

/// Names in a directory of parts, in the order in which apt reads them.
fn files(reading: &mut Reading<'_>, path: &str, truncated: &mut bool) -> Vec<String> {
    let mut names = reading.list_optional(path);
    names.retain(|each| name(each).is_some());
    if names.len() > FILE_LIMIT {
        *truncated = true;
        let detail = format!("more than {FILE_LIMIT} files");
        reading.fail(SourceError::new(path, FailureKind::TooLarge, detail));
        names.truncate(FILE_LIMIT);
    }
    names
}

/// Plain words, the others left out.
fn words<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words
        .filter_map(name)
        .filter(|word| !word.contains("://"))
        .take(WORD_LIMIT)
        .map(str::to_owned)
        .collect()
}

/// As apt's `StringToBool` (`apt@apt-pkg/contrib/strutl.cc`).
fn is_true(value: &str) -> bool {
    let value = value.trim();
    value.parse() == Ok(1_u8)
        || ["yes", "true", "with", "on", "enable"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
}

fn is_false(value: &str) -> bool {
    let value = value.trim();
    value.parse() == Ok(0_u8)
        || ["no", "false", "without", "off", "disable"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
}

/// Fills in what is known of the URI, and what that makes it.
fn located(uri: &str, mut repository: Repository) -> Repository {
    uri::fill(uri, &mut repository);
    repository.kind = uri::kind(&repository).into();
    repository
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::RepositoryKind;

    use super::*;
    use crate::collector::tests::sample;

    #[test]
    fn both_formats_are_read_and_no_credential_leaves() {
        let sample = sample(
            &COLLECTOR,
            &[
                (
                    "etc/apt/sources.list",
                    "deb http://ftp.debian.org/debian trixie main\n# deb [trusted=yes] https://user:canary-a@example.org/canary-b?canary-c x y\n",
                ),
                (
                    "etc/apt/sources.list.d/pve.sources",
                    "Types: deb\nURIs: http://download.proxmox.com/debian/pve\nSuites: trixie\nComponents: pve-no-subscription\nSigned-By: /usr/share/keyrings/x.gpg\n",
                ),
                ("etc/apt/sources.list.d/x.list.save", "deb http://no/ a b\n"),
                (
                    "etc/apt/apt.conf.d/99x",
                    "Acquire::http::Proxy \"http://u:canary-d@proxy\";\nAPT::Get::AllowUnauthenticated \"true\";\n",
                ),
                ("etc/apt/trusted.gpg", "x"),
                ("etc/apt/trusted.gpg.d/a.gpg", "x"),
            ],
        );
        assert_eq!(sample.failures, []);
        assert!(!format!("{sample:?}").contains("canary"));
        let Some(Payload::Repositories(found)) = sample.payload else {
            panic!("{sample:?}");
        };
        let kinds: Vec<_> = found
            .repositories
            .iter()
            .map(|each| (each.kind(), each.enabled, each.has_credentials))
            .collect();
        assert_eq!(
            kinds,
            [
                (RepositoryKind::Debian, true, false),
                (RepositoryKind::Other, false, true),
                (RepositoryKind::PveNoSubscription, true, false),
            ]
        );
        assert!(found.repositories[1].is_trusted_unsigned);
        assert!(found.repositories[2].has_signed_by);
        assert!(found.allows_unauthenticated && !found.allows_insecure_repositories);
        assert!(found.has_global_keyring);
        assert_eq!(found.global_keys, ["a.gpg"]);
    }

    #[test]
    fn without_apt_there_is_nothing() {
        let sample = sample(&COLLECTOR, &[]);
        assert!(matches!(sample.payload, Some(Payload::NoData(_))));
    }
}
