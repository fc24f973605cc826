//! The cluster as this node's pmxcfs sees it, from `/etc/pve/.members`.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{ClusterMember, ClusterMembers, ClusterSummary, CollectionClass};
use serde::Deserialize;

use super::{
    CollectError, Collector, FAST, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
};
use crate::format::{
    FormatError,
    figure::{Figure, Word},
};

const PATH: &str = "/etc/pve/.members";

pub(super) const COLLECTOR: Collector = Collector {
    name: "members",
    summary: "members and quorum of the cluster",
    class: CollectionClass::Config,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

#[derive(Deserialize)]
struct Members {
    nodename: String,
    #[serde(default)]
    version: Figure,
    cluster: Option<Cluster>,
    #[serde(default)]
    nodelist: BTreeMap<String, Member>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    name: Word,
    #[serde(default)]
    version: Figure,
    #[serde(default)]
    nodes: Figure,
    quorate: Figure,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    id: Figure,
    online: Figure,
    /// Missing until the member has published it.
    #[serde(default)]
    ip: Word,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading
        .read_dot_file(PATH, PMXCFS_FILE_LIMIT, pmxcfs::is_json)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    Ok(Payload::ClusterMembers(
        parse(&text).map_err(|error| error.at(PATH))?,
    ))
}

fn parse(text: &str) -> Result<ClusterMembers, FormatError> {
    let members: Members =
        serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    Ok(ClusterMembers {
        node_name: members.nodename,
        version: members.version.whole().unwrap_or_default(),
        cluster: members.cluster.map(|cluster| ClusterSummary {
            name: cluster.name.0,
            config_version: cluster.version.whole().unwrap_or_default(),
            node_count: cluster.nodes.small().unwrap_or_default(),
            quorate: cluster.quorate.flag(),
        }),
        members: members
            .nodelist
            .into_iter()
            .map(|(name, member)| ClusterMember {
                name,
                node_id: member.id.small().unwrap_or_default(),
                online: member.online.flag(),
                ip_address: member.ip.0,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_may_have_no_address_yet() {
        let members = parse(
            r#"{"nodename":"a1","version":7,"cluster":{"name":"c","version":3,"nodes":2,"quorate":0},
            "nodelist":{"a2":{"id":2,"online":0},"a1":{"id":1,"online":1,"ip":"192.0.2.1"}}}"#,
        )
        .unwrap();
        let cluster = members.cluster.unwrap();
        assert_eq!((cluster.config_version, cluster.node_count), (3, 2));
        assert!(!cluster.quorate);
        let names: Vec<_> = members
            .members
            .iter()
            .map(|m| (m.name.as_str(), m.online))
            .collect();
        assert_eq!(names, [("a1", true), ("a2", false)]);
        assert_eq!(members.members[1].ip_address, "");
    }

    #[test]
    fn a_standalone_node_has_no_cluster() {
        let members = parse(r#"{"nodename":"solo","version":2}"#).unwrap();
        assert_eq!(members.cluster, None);
        assert_eq!(members.node_name, "solo");
    }

    #[test]
    fn what_is_missing_is_named() {
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"nodename":"a","cluster":{"name":"c"}}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(nodename|cluster|nodelist|id)\":|[{}\\[\\],:0-9\"a-z]){0,12}\\}?") {
            drop(parse(&text));
        }
    }
}
