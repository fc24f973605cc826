//! Certificates of the cluster and its nodes, and how the API is served.
//!
//! `pveproxy-ssl.pem` is shown instead of `pve-ssl.pem` where it exists
//! (`pve-manager@PVE/Service/pveproxy.pm`). Every node has those of all nodes, so
//! one that is down is covered by the others.

use pvelens_proto::agent::v1::{
    CertificateFile, CertificateUse, Certificates, CollectionClass, FailureKind,
};

use super::{
    CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, SLOW, pmxcfs,
};
use crate::{format::plain::name, host::SourceError};

mod chain;
mod pveproxy;

const ROOT_CA: &str = "/etc/pve/pve-root-ca.pem";
const NODES: &str = "/etc/pve/nodes";
const PVEPROXY: &str = "/etc/default/pveproxy";
const PVEPROXY_LIMIT: u64 = 64 << 10;
/// Two of each; a cluster has 32 nodes at most, and leaves directories of others.
const NODE_LIMIT: usize = 100;
const OF_NODES: &[(&str, CertificateUse)] = &[
    ("pve-ssl.pem", CertificateUse::Node),
    ("pveproxy-ssl.pem", CertificateUse::Web),
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "certificates",
    summary: "certificates of the cluster and its nodes, and settings of pveproxy",
    class: CollectionClass::Slow,
    interval: SLOW,
    deadline: FILE_DEADLINE,
    paths: &[
        ROOT_CA,
        "/etc/pve/nodes/*/pve-ssl.pem",
        "/etc/pve/nodes/*/pveproxy-ssl.pem",
        PVEPROXY,
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let nodes = reading
        .list(NODES)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    if nodes.len() > NODE_LIMIT {
        let detail = format!("more than {NODE_LIMIT} nodes");
        reading.fail(SourceError::new(NODES, FailureKind::TooLarge, detail));
    }
    let mut files = Vec::new();
    files.extend(file(reading, ROOT_CA, "", CertificateUse::ClusterCa));
    for node in nodes.iter().filter_map(|node| name(node)).take(NODE_LIMIT) {
        for (name, usage) in OF_NODES {
            files.extend(file(
                reading,
                &format!("{NODES}/{node}/{name}"),
                node,
                *usage,
            ));
        }
    }
    let api_server = reading
        .read_optional(PVEPROXY, PVEPROXY_LIMIT)
        .map(|text| pveproxy::parse(&text));
    Ok(Payload::Certificates(Certificates { files, api_server }))
}

fn file(
    reading: &mut Reading<'_>,
    path: &str,
    node: &str,
    usage: CertificateUse,
) -> Option<CertificateFile> {
    let text = reading.read_optional(path, PMXCFS_FILE_LIMIT)?;
    let chain = chain::parse(&text).map_err(|error| error.at(path));
    let chain = reading.keep(chain)?;
    Some(CertificateFile {
        path: path.to_owned(),
        node: node.to_owned(),
        r#use: usage.into(),
        certificate: Some(chain.first),
        chain_length: chain.length,
        holds_private_key: chain.holds_private_key,
    })
}
