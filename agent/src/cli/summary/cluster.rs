//! One line about high availability, firewall, networks and mappings.

use pvelens_proto::agent::v1::{FirewallFile, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::HaConfig(config) => format!(
            "{}, {}, {}",
            count(config.resources.len(), "resource"),
            count(config.groups.len(), "group"),
            count(config.rules.len(), "rule")
        ),
        Payload::HaState(state) => {
            let master = if state.master_node.is_empty() {
                "no master".to_owned()
            } else {
                format!("master {}", state.master_node)
            };
            let disarmed = if state.disarm.is_some() {
                ", not armed"
            } else {
                ""
            };
            format!(
                "{master}, {}, {}{disarmed}",
                count(state.services.len(), "service"),
                count(state.local_managers.len(), "local manager")
            )
        }
        Payload::FirewallConfigs(all) => format!(
            "{}, {}",
            count(all.files.len(), "file"),
            count(all.files.iter().map(rules).sum(), "rule")
        ),
        Payload::SdnConfig(config) => format!(
            "{}, {} applied",
            count(config.desired.len(), "object"),
            config.applied.len()
        ),
        Payload::MappingConfig(config) => count(config.mappings.len(), "mapping"),
        Payload::CpuModelConfig(config) => count(config.models.len(), "model"),
        Payload::CephConfig(config) => format!(
            "{}, {}",
            count(config.monitor_hosts.len(), "monitor"),
            count(config.daemons.len(), "daemon section")
        ),
        _ => return None,
    })
}

fn rules(file: &FirewallFile) -> usize {
    let in_groups = file.groups.iter().map(|group| group.rules.len());
    in_groups.chain([file.rules.len()]).sum()
}
