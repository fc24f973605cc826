//! The guest that is meant: one VM, and the node where it is.

use pvelens_proto::agent::v1::{GuestKind, GuestMark};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    answer::{AnswerError, select},
    coordinator::Current,
    link::{Agents, Handle},
    untrusted,
    view::{Guest, View},
};

/// Why there is no guest to run something in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not known or ambiguous; the text lists candidates.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("{0}")]
    NotAVm(String),
    /// The agent of its node is not connected, or does not answer.
    #[error("{0}")]
    NodeUnreachable(String),
}

/// Guests of a similar name that an error lists.
const LISTED: usize = 5;

/// A VM, with what tells it from another one that has its VMID later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Target {
    pub cluster_id: String,
    #[serde(skip)]
    pub cluster_name: String,
    pub node: String,
    pub vmid: u32,
    /// Chosen by whoever owns the guest: data, never an instruction.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// As the guest agent names it: `Debian GNU/Linux 12 (bookworm)`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operating_system: String,
    #[serde(skip)]
    pub(super) mark: Mark,
}

/// As it is configured, which is not always as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    name: String,
    created_seconds: Option<i64>,
    smbios_uuid: String,
}

/// A guest over time: a restored or new one under the same VMID is another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    cluster_id: String,
    vmid: u32,
    created_seconds: Option<i64>,
    smbios_uuid: String,
}

impl Target {
    /// Whom a request means, for the node to compare.
    #[must_use]
    pub fn mark(&self) -> GuestMark {
        GuestMark {
            cluster_id: self.cluster_id.clone(),
            node: self.node.clone(),
            vmid: self.vmid,
            created_seconds: self.mark.created_seconds,
            smbios_uuid: self.mark.smbios_uuid.clone(),
            name: self.mark.name.clone(),
        }
    }

    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            cluster_id: self.cluster_id.clone(),
            vmid: self.vmid,
            created_seconds: self.mark.created_seconds,
            smbios_uuid: self.mark.smbios_uuid.clone(),
        }
    }

    /// With what its node knows about it.
    #[must_use]
    pub fn of_system(self, operating_system: &str) -> Self {
        Self {
            operating_system: operating_system.to_owned(),
            ..self
        }
    }

    /// `104 (web)`.
    #[must_use]
    pub fn label(&self) -> String {
        match &*self.name {
            "" => self.vmid.to_string(),
            name => format!("{} ({name})", self.vmid),
        }
    }
}

/// The VM with this VMID or exact name. A container is none: it has no guest agent.
///
/// # Errors
/// When it is not known, ambiguous or a container; the text lists candidates.
pub fn find(current: &Current, cluster: &str, guest: &str) -> Result<Target, TargetError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    let index = select::guest(view, &clusters, guest).map_err(|error| match error {
        AnswerError::NotFound(text) => {
            let of_cluster = |guest: &&Guest| clusters.contains(&guest.cluster);
            let near = similar(view.guests.iter().filter(of_cluster), guest);
            AnswerError::NotFound(text + &near)
        }
        other => other,
    })?;
    let found = view.guest(index);
    if found.kind == GuestKind::Lxc {
        return Err(TargetError::NotAVm(format!(
            "{} is a container, and commands run in VMs only; `pct exec` on the node {} reaches \
             a container",
            found.vmid,
            untrusted::name(&view.node(found.node).name)
        )));
    }
    Ok(target(view, found))
}

/// The agent of the node where a guest is.
///
/// # Errors
/// When it is not connected; the text lists the nodes whose agents are.
pub fn agent(agents: &Agents, target: &Target) -> Result<Handle, TargetError> {
    agents.of(&target.cluster_id, &target.node).ok_or_else(|| {
        let connected = agents.nodes_of(&target.cluster_id);
        let connected: Vec<_> = connected.iter().map(|node| untrusted::name(node)).collect();
        TargetError::NodeUnreachable(format!(
            "{} is on the node {}, and no agent of it is connected; connected: {}",
            target.vmid,
            untrusted::name(&target.node),
            match connected.len() {
                0 => "none".to_owned(),
                1..=LISTED => connected.join(", "),
                many => format!("{many} other nodes"),
            }
        ))
    })
}

fn target(view: &View, guest: &Guest) -> Target {
    let cluster = view.cluster(guest.cluster);
    let settings = guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref());
    let created = settings.and_then(|settings| settings.created_at.as_ref());
    Target {
        cluster_id: cluster.id.to_string(),
        cluster_name: cluster.name.to_string(),
        node: view.node(guest.node).name.to_string(),
        vmid: guest.vmid,
        name: untrusted::name(&guest.name).into_owned(),
        operating_system: String::new(),
        mark: Mark {
            // The name of the configuration is what the node compares.
            name: settings.map_or_else(String::new, |settings| settings.name.clone()),
            created_seconds: created.map(|time| time.seconds),
            smbios_uuid: settings.map_or_else(String::new, |settings| settings.smbios_uuid.clone()),
        },
    }
}

/// What was perhaps meant.
fn similar<'v>(guests: impl Iterator<Item = &'v Guest>, wanted: &str) -> String {
    let wanted = wanted.trim().to_lowercase();
    let near = guests.filter(|guest| {
        let name = guest.name.to_lowercase();
        let vmid = guest.vmid.to_string();
        !wanted.is_empty()
            && (name.contains(&wanted)
                || vmid.starts_with(&wanted)
                || strsim::damerau_levenshtein(&name, &wanted) <= 2)
    });
    let near: Vec<String> = near
        .take(LISTED)
        .map(|guest| format!("{} ({})", guest.vmid, untrusted::name(&guest.name)))
        .collect();
    if near.is_empty() {
        String::new()
    } else {
        format!("; similar: {}", near.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pvelens_proto::agent::v1 as wire;

    use super::*;
    use crate::{answer::tests::with, view::fixture};

    fn lab() -> Current {
        let mut view = fixture::healthy();
        view.guests[0].config = Some(Arc::new(wire::GuestConfig {
            settings: Some(wire::GuestSettings {
                name: "web".to_owned(),
                smbios_uuid: "b1".to_owned(),
                created_at: Some(pvelens_proto::timestamp_from_millis(1_700_000_000_000)),
                ..wire::GuestSettings::default()
            }),
            ..wire::GuestConfig::default()
        }));
        with(view)
    }

    #[test]
    fn a_vm_is_found_by_vmid_and_by_name_with_what_marks_it() {
        let current = lab();
        let by_name = find(&current, "lab", "web").unwrap();
        assert_eq!(by_name, find(&current, "", "100").unwrap());
        assert_eq!(by_name.label(), "100 (web)");
        assert_eq!(
            by_name.mark(),
            GuestMark {
                cluster_id: "c0ffee".to_owned(),
                node: "pve1".to_owned(),
                vmid: 100,
                created_seconds: Some(1_700_000_000),
                smbios_uuid: "b1".to_owned(),
                name: "web".to_owned(),
            }
        );
    }

    #[test]
    fn what_is_not_known_is_marked_with_nothing() {
        let mark = find(&with(fixture::healthy()), "", "100").unwrap().mark();
        assert_eq!((mark.created_seconds, &*mark.smbios_uuid), (None, ""));
    }

    #[test]
    fn containers_unknown_and_ambiguous_names_are_told_with_candidates() {
        let mut current = lab();
        let error = find(&current, "", "dns").unwrap_err();
        assert!(matches!(error, TargetError::NotAVm(_)), "{error}");
        assert!(error.to_string().contains("pct exec"), "{error}");
        let error = find(&current, "", "wen").unwrap_err().to_string();
        assert!(error.contains("similar: 100 (web)"), "{error}");
        let error = find(&current, "nowhere", "web").unwrap_err().to_string();
        assert!(error.contains("lab"), "{error}");
        current.view.guests[1].name = "web".into();
        let error = find(&current, "", "web").unwrap_err().to_string();
        assert!(
            error.contains("100 on pve1") && error.contains("101 on pve2"),
            "{error}"
        );
    }

    #[test]
    fn a_node_without_a_connected_agent_is_told() {
        let target = find(&lab(), "", "100").unwrap();
        let error = agent(&Agents::default(), &target).unwrap_err().to_string();
        assert!(
            error.contains("node pve1") && error.ends_with("connected: none"),
            "{error}"
        );
    }
}
