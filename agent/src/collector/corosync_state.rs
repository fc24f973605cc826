//! What corosync on this node says of its links and of the quorum.

mod parse;

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, CorosyncState};

use super::{
    CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, STATE, asked::Answer, pmxcfs,
};
use crate::{
    format::{FormatError, corosync_conf},
    host::SourceError,
    probe::{Request, request::ClusterRequest},
};

/// The copy that corosync itself reads.
const LOCAL: &str = "/etc/corosync/corosync.conf";
const SHARED: &str = "/etc/pve/corosync.conf";
/// `corosync-quorumtool` ends with this where there is no quorum
/// (`corosync@tools/corosync-quorumtool.c`).
const NOT_QUORATE: i32 = 2;

pub(super) const COLLECTOR: Collector = Collector {
    name: "corosync_state",
    summary: "links of corosync with their latency and losses, votes and quorum",
    class: CollectionClass::State,
    interval: STATE,
    deadline: Duration::from_secs(25),
    paths: &[LOCAL, SHARED],
    probes: &[
        "corosync_links",
        "corosync_nodes",
        "corosync_stats",
        "corosync_quorum",
    ],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    if !reading.exists(LOCAL) && !reading.exists(SHARED) {
        return Err(CollectError::NoData("a standalone node: no corosync.conf"));
    }
    let mut state = CorosyncState::default();
    let local = reading.read_optional(LOCAL, PMXCFS_FILE_LIMIT);
    let shared = reading.read_optional(SHARED, PMXCFS_FILE_LIMIT);
    let local = local.and_then(|text| whole(reading, text, LOCAL));
    let shared = shared.and_then(|text| whole(reading, text, SHARED));
    state.local_config_version = local.as_ref().map(|(_, version)| *version);
    state.is_local_config_current = local
        .zip(shared)
        .map(|((local, _), (shared, _))| pmxcfs::sha256(&local) == pmxcfs::sha256(&shared));

    let links = ask(reading, ClusterRequest::CorosyncLinks {}, |answer| {
        parse::links(answer.success()?).map_err(|error| error.at(&answer.source))
    });
    if let Some((local_node_id, links)) = links {
        state.local_node_id = local_node_id;
        state.local_links = links;
    }
    let peers = ask(reading, ClusterRequest::CorosyncNodes {}, |answer| {
        parse::peers(answer.success()?).map_err(|error| error.at(&answer.source))
    });
    state.peers = peers.unwrap_or_default();
    let counters = ask(reading, ClusterRequest::CorosyncStats {}, |answer| {
        parse::counters(answer.success()?).map_err(|error| error.at(&answer.source))
    });
    (state.link_counters, state.totem_counters) = counters.unwrap_or_default();
    state.quorum = ask(reading, ClusterRequest::CorosyncQuorum {}, |answer| {
        let text = if answer.exit_status == NOT_QUORATE {
            answer.text()?
        } else {
            answer.success()?
        };
        parse::quorum(text).map_err(|error| error.at(&answer.source))
    });
    Ok(Payload::CorosyncState(state))
}

/// The text of a whole file, and its `config_version`.
fn whole(reading: &mut Reading<'_>, text: String, path: &str) -> Option<(String, u64)> {
    let config = corosync_conf::parse(&text).map_err(|error: FormatError| error.at(path));
    let version = reading.keep(config)?.config_version;
    Some((text, version))
}

fn ask<T>(
    reading: &mut Reading<'_>,
    request: ClusterRequest,
    understand: impl FnOnce(&Answer) -> Result<T, SourceError>,
) -> Option<T> {
    let answer = reading.ask(&Request::Cluster(request));
    let value = answer.and_then(|answer| understand(&answer));
    reading.keep(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};
    use pvelens_proto::agent::v1::FailureKind;

    const CONF: &str = "totem {\n  cluster_name: c\n  config_version: 3\n}\n";

    #[test]
    fn a_node_alone_has_no_state_of_corosync() {
        let node = sample(&COLLECTOR, &[("etc/pve/local@", "nodes/solo")]);
        assert!(matches!(node.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&node), []);
    }

    #[test]
    fn a_stale_copy_is_seen_without_the_probe_and_the_probe_is_missed_by_name() {
        let newer = CONF.replace('3', "4");
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/corosync/corosync.conf", CONF),
                ("etc/pve/corosync.conf", &newer),
            ],
        );
        assert_eq!(kinds(&node), [FailureKind::NotFound; 4]);
        let Some(Payload::CorosyncState(state)) = node.payload else {
            panic!("no state");
        };
        assert_eq!(state.local_config_version, Some(3));
        assert_eq!(state.is_local_config_current, Some(false));
    }
}
