//! Maps of multipath, and the Fibre Channel hosts and iSCSI sessions below them.
//!
//! The disk probe is asked only where multipath has run, which its file of aliases
//! tells: without that file the tool would try to make it, so the probe refuses.
//! `multipath -l` shows what sysfs and device-mapper know and sends no I/O down a
//! path.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, FibreChannelHost, IscsiSession, MultipathMap, MultipathMaps,
};

use super::{CollectError, Collector, Payload, Reading};
use crate::probe::{Request, request::DiskRequest};

mod listing;

const CONF: &str = "/etc/multipath.conf";
const BINDINGS: &str = "/etc/multipath/bindings";
const DEVICE_MAPPER: &str = "/sys/class/misc/device-mapper";
const HOSTS: &str = "/sys/class/fc_host";
const SESSIONS: &str = "/sys/class/iscsi_session";
/// Hosts or sessions; a session for each target and portal.
const ENTRY_LIMIT: usize = 256;

pub(super) const COLLECTOR: Collector = Collector {
    name: "multipath",
    summary: "multipath maps, their paths, Fibre Channel hosts and iSCSI sessions",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    deadline: Duration::from_secs(35),
    paths: &[
        "/sys/class/fc_host/*/port_state",
        "/sys/class/fc_host/*/speed",
        "/sys/class/iscsi_session/*/state",
        "/sys/class/iscsi_session/*/targetname",
    ],
    probes: &["multipath"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut found = MultipathMaps {
        has_configuration: reading.exists(CONF),
        ..MultipathMaps::default()
    };
    for name in entries(reading, HOSTS) {
        let mut word = |file| reading.read_word(&format!("{HOSTS}/{name}/{file}"));
        found.fibre_channel_hosts.push(FibreChannelHost {
            port_state: word("port_state").unwrap_or_default(),
            speed: word("speed").unwrap_or_default(),
            name,
        });
    }
    for name in entries(reading, SESSIONS) {
        let mut word = |file| reading.read_word(&format!("{SESSIONS}/{name}/{file}"));
        found.iscsi_sessions.push(IscsiSession {
            state: word("state").unwrap_or_default(),
            target: word("targetname").unwrap_or_default(),
            name,
        });
    }
    if reading.exists(BINDINGS) && reading.exists(DEVICE_MAPPER) {
        found.maps = maps(reading);
    }
    if found.maps.is_empty()
        && found.fibre_channel_hosts.is_empty()
        && found.iscsi_sessions.is_empty()
    {
        return Err(CollectError::NoData(
            "no multipath maps, Fibre Channel hosts or iSCSI sessions",
        ));
    }
    Ok(Payload::MultipathMaps(found))
}

/// Names in a directory that is there only with its driver, sorted.
fn entries(reading: &mut Reading<'_>, directory: &str) -> Vec<String> {
    match reading.list(directory) {
        Ok(mut names) => {
            names.sort();
            names.truncate(ENTRY_LIMIT);
            names
        }
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => {
            reading.fail(error);
            Vec::new()
        }
    }
}

fn maps(reading: &mut Reading<'_>) -> Vec<MultipathMap> {
    let maps = match reading.ask(&Request::Disk(DiskRequest::Multipath {})) {
        // The tool was removed, and its file of aliases was not.
        Err(error) if error.is_not_found() => return Vec::new(),
        Err(error) => Err(error),
        // Without maps it says nothing and its status differs by version.
        Ok(answer) if answer.stdout.is_empty() => return Vec::new(),
        Ok(answer) => answer
            .success()
            .and_then(|text| listing::parse(text).map_err(|error| error.at(&answer.source))),
    };
    reading.keep(maps).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn a_node_with_neither_maps_nor_hosts_has_nothing_and_asks_nothing() {
        for files in [&[][..], &[("etc/multipath.conf", "defaults {\n}\n")]] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn sessions_count_without_multipath() {
        let node = sample(
            &COLLECTOR,
            &[
                ("sys/class/iscsi_session/session2/state", "FAILED\n"),
                (
                    "sys/class/iscsi_session/session2/targetname",
                    "iqn.2001-05.com.example:san\n",
                ),
                ("sys/class/iscsi_session/session1/state", "LOGGED_IN\n"),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::MultipathMaps(found)) = node.payload else {
            panic!("{node:?}");
        };
        let states: Vec<&str> = found
            .iscsi_sessions
            .iter()
            .map(|s| s.state.as_str())
            .collect();
        assert_eq!(states, ["LOGGED_IN", "FAILED"]);
        assert!(found.maps.is_empty() && !found.has_configuration);
    }
}
