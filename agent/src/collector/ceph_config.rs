//! How Ceph is set up, from `/etc/pve/ceph.conf`.
//!
//! An ini file in which a blank, `_` and `-` in a key are the same. Only the keys
//! named here are carried, and no path of a key ring.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{CephConfig, CephDaemonSection, CephMode, CollectionClass};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading,
    section_file::{self, bound, short, short_or_empty},
};
use crate::format::{
    property_string::{boolean, size},
    whole_lines,
};

const PATH: &str = "/etc/pve/ceph.conf";
/// Lines out of format that are named.
const MALFORMED_LIMIT: usize = 50;
/// Sections of single daemons.
const DAEMON_LIMIT: usize = 5000;
/// Items of one list.
const LIST_LIMIT: usize = 200;

const MODES: &[&str] = &[
    "ms_client_mode",
    "ms_cluster_mode",
    "ms_mon_client_mode",
    "ms_mon_cluster_mode",
    "ms_mon_service_mode",
    "ms_service_mode",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "ceph_config",
    summary: "monitors, networks and authentication of Ceph as configured",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

type Values<'a> = BTreeMap<String, &'a str>;

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    let text = match reading.read(PATH, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() => return Err(CollectError::NoData("no Ceph")),
        result => result?,
    };
    reading.keep(whole_lines(&text).map_err(|error| error.at(PATH)));
    let mut config = parse(&text);
    bound(reading, PATH, &mut config.daemons, DAEMON_LIMIT);
    Ok(Payload::CephConfig(config))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> CephConfig {
    let (sections, malformed_lines) = sections(text);
    let empty = Values::new();
    let global = sections.get("global").unwrap_or(&empty);
    let get = |key: &str| global.get(key).copied();
    let number = |key: &str| get(key).and_then(|value| value.parse().ok());
    CephConfig {
        fsid: short_or_empty(get("fsid")),
        monitor_hosts: hosts(get("mon_host").unwrap_or_default()),
        public_networks: hosts(get("public_network").unwrap_or_default()),
        cluster_networks: hosts(get("cluster_network").unwrap_or_default()),
        auth_cluster_required: short_or_empty(get("auth_cluster_required")),
        auth_service_required: short_or_empty(get("auth_service_required")),
        auth_client_required: short_or_empty(get("auth_client_required")),
        // PVE writes it for the monitors only.
        insecure_global_id_reclaim: [sections.get("mon"), Some(global)]
            .into_iter()
            .flatten()
            .find_map(|values| values.get("auth_allow_insecure_global_id_reclaim"))
            .and_then(|value| boolean(value)),
        messenger_modes: MODES
            .iter()
            .filter_map(|key| {
                Some(CephMode {
                    key: (*key).to_owned(),
                    value: short(get(key)?),
                })
            })
            .collect(),
        pool_default_size: number("osd_pool_default_size"),
        pool_default_minimum_size: number("osd_pool_default_min_size"),
        osd_memory_target_bytes: [sections.get("osd"), Some(global)]
            .into_iter()
            .flatten()
            .find_map(|values| values.get("osd_memory_target"))
            .and_then(|value| size(value)),
        bind_ipv4: get("ms_bind_ipv4").and_then(boolean),
        bind_ipv6: get("ms_bind_ipv6").and_then(boolean),
        daemons: sections
            .iter()
            .filter_map(|(name, values)| daemon(name, values))
            .collect(),
        malformed_lines,
    }
}

/// The sections by name, and numbers of lines that are in none.
fn sections(text: &str) -> (BTreeMap<String, Values<'_>>, Vec<u32>) {
    let mut sections: BTreeMap<String, Values<'_>> = BTreeMap::new();
    let mut malformed = Vec::new();
    let mut current = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split(['#', ';']).next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            current = Some(sections.entry(name.trim().to_owned()).or_default());
        } else if let (Some(values), Some((key, value))) = (&mut current, line.split_once('=')) {
            values.insert(normal_key(key), value.trim().trim_matches('"'));
        } else if malformed.len() < MALFORMED_LIMIT {
            malformed.push(number);
        }
    }
    (sections, malformed)
}

fn normal_key(key: &str) -> String {
    let words: Vec<&str> = key
        .split([' ', '\t', '_', '-'])
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_")
}

/// A list of addresses, networks or names. Commas inside brackets belong to one
/// monitor: `[v2:192.0.2.1:3300,v1:192.0.2.1:6789]`.
fn hosts(text: &str) -> Vec<String> {
    let mut depth = 0_u32;
    text.split(|character: char| {
        match character {
            '[' => depth = depth.saturating_add(1),
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (character == ',' || character.is_whitespace())
    })
    .filter(|host| !host.is_empty())
    .take(LIST_LIMIT)
    .map(short)
    .collect()
}

fn daemon(name: &str, values: &Values<'_>) -> Option<CephDaemonSection> {
    let (kind, id) = name.split_once('.')?;
    let text = |key: &str| short_or_empty(values.get(key).copied());
    ["mon", "mds", "osd", "mgr"]
        .contains(&kind)
        .then(|| CephDaemonSection {
            daemon_type: kind.to_owned(),
            id: short(id),
            host: text("host"),
            public_address: text("public_addr"),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const NODE: (&str, &str) = ("etc/pve/nodes/a/host.fw", "");

    const CONF: &str = "[global]\n\t auth_client_required = cephx\n\t auth cluster required = none\n\t auth-service-required = cephx\n\t cluster_network = 192.0.2.11/24\n\
        \t fsid = 6f1b\n\t mon_allow_pool_delete = true\n\t mon_host = 192.0.2.11, [v2:192.0.2.12:3300,v1:192.0.2.12:6789]\n\t ms_bind_ipv4 = true\n\t ms_bind_ipv6 = false\n\
        \t ms_cluster_mode = secure crc ; note\n\t osd_pool_default_min_size = 2\n\t osd_pool_default_size = 3\n\t public_network = 192.0.2.11/24\n\n\
        [client]\n\t keyring = /etc/pve/priv/canary.keyring\n\n[mon]\nauth_allow_insecure_global_id_reclaim = false\n\n[mon.pve1]\n\t public_addr = 192.0.2.11\n\n[mds.pve1]\n\t host = pve1\n\t keyring = /canary\n";

    #[test]
    fn settings_are_read_however_their_keys_are_written() {
        let config = parse(CONF);
        assert!(!format!("{config:?}").contains("canary"));
        assert_eq!(config.auth_cluster_required, "none");
        assert_eq!(config.auth_service_required, "cephx");
        assert_eq!(
            config.monitor_hosts,
            ["192.0.2.11", "[v2:192.0.2.12:3300,v1:192.0.2.12:6789]"]
        );
        assert_eq!(config.messenger_modes[0].value, "secure crc");
        assert_eq!(config.pool_default_size, Some(3));
        assert_eq!(
            (config.bind_ipv4, config.bind_ipv6),
            (Some(true), Some(false))
        );
        assert_eq!(config.insecure_global_id_reclaim, Some(false));
        let [mds, mon] = config.daemons.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(
            (mds.host.as_str(), mon.public_address.as_str()),
            ("pve1", "192.0.2.11")
        );
        assert_eq!(config.malformed_lines, [0_u32; 0]);
    }

    #[test]
    fn no_file_is_no_ceph_and_what_is_wrong_is_named() {
        let none = sample(&COLLECTOR, &[NODE]);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
        let broken = sample(
            &COLLECTOR,
            &[NODE, ("etc/pve/ceph.conf", "canary\n[global]\nfsid")],
        );
        assert_eq!(kinds(&broken), [FailureKind::Truncated]);
        assert!(!format!("{broken:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_configuration(text in "(\\[(global|mon|mds\\.a)\\]\n|(fsid|mon host|ms_bind-ipv4) ?= ?\\PC{0,9}\n|\\PC{0,9}\n){0,9}") {
            let config = parse(&text);
            prop_assert!(config.malformed_lines.len() <= text.lines().count());
        }
    }
}
