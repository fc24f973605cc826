//! Change counters of the configuration, from `/etc/pve/.version`.
//!
//! The counters of other nodes' status (`kvstore`) change all the time and say
//! nothing about configuration; they are left out.

use std::collections::BTreeMap;

use pvelens_proto::{
    agent::v1::{CollectionClass, ConfigVersion, ConfigVersions},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{
    CollectError, Collector, FAST, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
};
use crate::format::{FormatError, figure::Figure};

pub(crate) const NAME: &str = "config_versions";
const PATH: &str = "/etc/pve/.version";
/// Counters that the HA manager moves every few seconds.
const RESTLESS: &[&str] = &["ha/crm_commands", "ha/manager_status"];

pub(super) const COLLECTOR: Collector = Collector {
    name: NAME,
    summary: "change counters of the cluster's configuration files",
    class: CollectionClass::Config,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

#[derive(Deserialize)]
struct Versions {
    starttime: Figure,
    #[serde(flatten)]
    counters: BTreeMap<String, Figure>,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading
        .read_dot_file(PATH, PMXCFS_FILE_LIMIT, pmxcfs::is_json)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    Ok(Payload::ConfigVersions(
        parse(&text).map_err(|error| error.at(PATH))?,
    ))
}

fn parse(text: &str) -> Result<ConfigVersions, FormatError> {
    let versions: Versions =
        serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    let started_at = versions
        .starttime
        .whole()
        .and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000))
        .ok_or_else(|| FormatError::malformed("starttime is not a time"))?;
    Ok(ConfigVersions {
        started_at: Some(timestamp_from_millis(started_at)),
        versions: versions
            .counters
            .into_iter()
            .filter_map(|(path, version)| {
                Some(ConfigVersion {
                    path,
                    version: version.whole()?,
                })
            })
            .collect(),
    })
}

/// The counters that tell whether a configuration changed: all but those that
/// never rest, or every sweep would find a reason to run.
pub(crate) fn marks(mut versions: ConfigVersions) -> ConfigVersions {
    versions
        .versions
        .retain(|version| !RESTLESS.contains(&version.path.as_str()));
    versions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"{"starttime": 1795348344, "clinfo": 5, "vmlist": 3, "storage.cfg": 2,
        "ha/manager_status": 65, "kvstore": {"pve1": {"tasklist": 81}}}"#;

    #[test]
    fn counters_are_sorted_and_the_status_of_nodes_is_left_out() {
        let versions = parse(TEXT).unwrap();
        assert_eq!(versions.started_at.unwrap().seconds, 1_795_348_344);
        let paths: Vec<_> = versions.versions.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(
            paths,
            ["clinfo", "ha/manager_status", "storage.cfg", "vmlist"]
        );
    }

    #[test]
    fn the_beat_of_the_ha_manager_is_no_change() {
        let beat = TEXT.replace("65", "66").replace("81", "82");
        assert_eq!(marks(parse(TEXT).unwrap()), marks(parse(&beat).unwrap()));
        let edit = TEXT.replace("\"storage.cfg\": 2", "\"storage.cfg\": 3");
        assert_ne!(marks(parse(TEXT).unwrap()), marks(parse(&edit).unwrap()));
        let restart = TEXT.replace("1795348344", "1795348345");
        assert_ne!(marks(parse(TEXT).unwrap()), marks(parse(&restart).unwrap()));
    }

    #[test]
    fn without_start_time_there_is_nothing_to_compare() {
        for text in [
            "",
            "{}",
            "{\"starttime\": \"x\"}",
            "{\"starttime\": 99999999999999999}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(starttime|vmlist|kvstore)\":|[{}\\[\\],:0-9\"a-z]){0,12}\\}?") {
            drop(parse(&text));
        }
    }
}
