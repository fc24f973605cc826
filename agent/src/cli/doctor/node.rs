//! The node itself: what it is, and whether its cluster works.

use pvelens_proto::agent::v1::sample::Payload;

use super::{explain::explain, reading::Reading, report::Item};

const PMXCFS: &str = "/etc/pve/";

pub(super) fn look(reading: &Reading) -> Vec<Item> {
    let mut items = vec![identity(reading)];
    items.extend(reading.payloads().find_map(quorum));
    items
}

fn identity(reading: &Reading) -> Item {
    let Some(identity) = reading.identity() else {
        return Item::unknown("who this node is")
            .why("the source that says so gave nothing yet")
            .fix("look again in ten seconds; if it stays, see the sources below");
    };
    let name = match identity.node_name.as_str() {
        "" => "this node",
        name => name,
    };
    let system = match identity.operating_system.as_str() {
        "" => "an unknown system",
        system => system,
    };
    if identity.is_pve_node {
        let version = match identity.pve_manager_version.as_str() {
            "" => "of unknown version",
            version => version,
        };
        return Item::ok(format!(
            "{name} is a Proxmox VE node, {version} on {system}; /etc/pve is mounted"
        ));
    }
    let broken = reading
        .newest
        .values()
        .flat_map(|newest| &newest.sample.failures)
        .find(|failure| failure.path.starts_with(PMXCFS));
    match broken {
        Some(failure) => {
            let explanation = explain(&failure.path, failure.kind());
            Item::problem(format!("/etc/pve cannot be read on {name}"))
                .why(explanation.why)
                .fix(explanation.fix)
        }
        None => Item::warning(format!("{name} is not a Proxmox VE node, but {system}"))
            .why("there is no /etc/pve, so only facts of the host are read")
            .fix("install the agent on nodes of Proxmox VE"),
    }
}

fn quorum(payload: &Payload) -> Option<Item> {
    let Payload::ClusterMembers(members) = payload else {
        return None;
    };
    let Some(cluster) = &members.cluster else {
        return Some(Item::ok("it stands alone, so it needs no quorum"));
    };
    let online = members.members.iter().filter(|member| member.online);
    let (online, all) = (online.count(), members.members.len());
    Some(if cluster.quorate {
        Item::ok(format!(
            "the cluster {} has quorum, {online} of {all} nodes are online",
            cluster.name
        ))
    } else {
        Item::warning(format!("the cluster {} has no quorum", cluster.name))
            .why("too few nodes see each other: /etc/pve cannot be written, guests do not start; pvelens reads on")
            .fix("look at `pvecm status` on each node")
    })
}
