//! Which configurations a report holds, and what each of them is.

use std::sync::Arc;

use prost::Message;
use pvelens_proto::agent::v1::{self as wire, FirewallScope};

use super::content::{Content, Shape};
use crate::{live::seen::What, untrusted, view::Name};

/// One configuration in a report.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) subject: Name,
    pub(super) content: Source,
}

/// Made only when it is needed: a report holds thousands, and mostly none is new.
#[derive(Debug)]
pub(super) enum Source {
    Guest(Arc<wire::GuestConfig>),
    Made(Content),
}

impl Source {
    pub(super) fn content(&self) -> Content {
        match self {
            Self::Guest(config) => Content::new(Shape::Guest, &of_guest(config)),
            Self::Made(content) => content.clone(),
        }
    }
}

/// The configurations of a report.
#[derive(Debug)]
pub(super) struct Report {
    /// What it is a report of: another one of the same tells what is gone.
    pub(super) of: Name,
    /// Of the whole cluster: every member reads the same.
    pub(super) is_shared: bool,
    pub(super) pieces: Vec<Piece>,
}

/// None of what is no configuration.
pub(super) fn report(what: &What, node: &Name) -> Option<Report> {
    let whole = |of: &str, shape: Shape, message: &dyn Encoded| {
        shared(of, vec![piece(format!("cluster/{of}"), shape, message)])
    };
    Some(match what {
        What::Guests(guests) => shared(
            "guests",
            guests
                .iter()
                .map(|config| Piece {
                    subject: format!("guest/{}", config.vmid).into(),
                    content: Source::Guest(Arc::clone(config)),
                })
                .collect(),
        ),
        What::Storages(storages) => {
            let of_entry = |entry: &Arc<wire::StorageEntry>| {
                let subject = format!("storage/{}", untrusted::name(&entry.name));
                piece(subject, Shape::Storage, &**entry)
            };
            shared("storages", storages.iter().map(of_entry).collect())
        }
        What::Nodes(nodes) => {
            let of_node = |node: &wire::NodeConfig| {
                let subject = format!("node/{}", untrusted::name(&node.node));
                let settings = node.settings.as_ref()?;
                Some(piece(subject, Shape::Node, settings))
            };
            shared("nodes", nodes.nodes.iter().filter_map(of_node).collect())
        }
        What::Firewall(firewall) => {
            let of_file = |file: &wire::FirewallFile| {
                let name = untrusted::name(&file.name);
                let subject = match file.scope() {
                    FirewallScope::Node => format!("node/{name}/firewall"),
                    FirewallScope::Guest => format!("guest/{name}/firewall"),
                    FirewallScope::Vnet => format!("vnet/{name}/firewall"),
                    FirewallScope::Datacenter | FirewallScope::Unspecified => {
                        "cluster/firewall".to_owned()
                    }
                };
                piece(subject, Shape::Firewall, file)
            };
            shared("firewall", firewall.files.iter().map(of_file).collect())
        }
        What::Corosync(config) => whole("corosync", Shape::Corosync, &**config),
        What::Access(config) => whole("access", Shape::Access, &**config),
        What::Datacenter(config) => whole("datacenter", Shape::Datacenter, &**config),
        What::Jobs(config) => whole("jobs", Shape::Jobs, &**config),
        What::Replication(config) => whole("replication", Shape::Replication, &**config),
        What::Notifications(config) => whole("notifications", Shape::Notifications, &**config),
        What::MetricServers(config) => whole("metric-servers", Shape::MetricServers, &**config),
        What::Ha(config) => whole("ha", Shape::Ha, &**config),
        What::Sdn(config) => whole("sdn", Shape::Sdn, &**config),
        What::Mappings(config) => whole("mappings", Shape::Mappings, &**config),
        What::CpuModels(config) => whole("cpu-models", Shape::CpuModels, &**config),
        What::Ceph(config) => whole("ceph", Shape::Ceph, &**config),
        What::Packages(packages) => {
            let packages = wire::Packages {
                // Told by the lists; and when, which is no content.
                installed_count: 0,
                status_modified_at: None,
                ..wire::Packages::clone(packages)
            };
            own(node, "packages", Shape::Packages, &packages)
        }
        What::HostFiles(files) => own(node, "host", Shape::HostFiles, &**files),
        What::Sshd(config) => own(node, "sshd", Shape::Sshd, &**config),
        What::Tasks(_) | What::ClusterLog(_) | What::Journal(_) => return None,
    })
}

/// Everything that may have revisions beside the subject itself.
pub(crate) fn parts(subject: &str) -> Vec<String> {
    let below: &[&str] = match subject.split_once('/') {
        Some(("guest", _)) => &["firewall"],
        Some(("node", _)) => &["host", "packages", "sshd", "firewall"],
        _ => &[],
    };
    let mut parts = vec![subject.to_owned()];
    parts.extend(below.iter().map(|part| format!("{subject}/{part}")));
    parts
}

/// What clusters have that is no node's, guest's or storage's.
pub(crate) const OF_CLUSTER: &[&str] = &[
    "access",
    "ceph",
    "corosync",
    "cpu-models",
    "datacenter",
    "firewall",
    "ha",
    "jobs",
    "mappings",
    "metric-servers",
    "notifications",
    "replication",
    "sdn",
];

/// A guest's configuration without what is a state: a lock comes with every backup.
fn of_guest(config: &wire::GuestConfig) -> wire::GuestConfig {
    let mut config = config.clone();
    config.sha256.clear();
    if let Some(settings) = &mut config.settings {
        settings.lock.clear();
    }
    config
}

fn shared(of: &str, pieces: Vec<Piece>) -> Report {
    Report {
        of: of.into(),
        is_shared: true,
        pieces,
    }
}

fn own(node: &Name, part: &str, shape: Shape, message: &dyn Encoded) -> Report {
    let subject = format!("node/{node}/{part}");
    Report {
        of: subject.as_str().into(),
        is_shared: false,
        pieces: vec![piece(subject, shape, message)],
    }
}

fn piece(subject: String, shape: Shape, message: &dyn Encoded) -> Piece {
    Piece {
        subject: subject.into(),
        content: Source::Made(Content::of_bytes(shape, &message.encoded())),
    }
}

/// A message of whatever type, encoded.
trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl<M: Message> Encoded for M {
    fn encoded(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}
