//! Rules and options of the firewall, from `/etc/pve`.
//!
//! One sweep, one file after the other, as for the guests. Absent files mean
//! PVE's defaults, which are not filled in here.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FirewallConfigs, FirewallFile, FirewallScope};

use super::{CONFIG, CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, section_file};
use crate::format::whole_lines;

mod parse;

const CLUSTER: &str = "/etc/pve/firewall";
const VNETS: &str = "/etc/pve/sdn/firewall";
/// Options, members and rules that one sample carries.
const ENTRY_LIMIT: usize = 50_000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "firewall_config",
    summary: "rules and options of the firewall, without comments",
    class: CollectionClass::Config,
    interval: CONFIG,
    // Up to one file for each guest, each through FUSE.
    deadline: Duration::from_secs(60),
    paths: &[
        "/etc/pve/firewall/*.fw",
        "/etc/pve/nodes/*/host.fw",
        "/etc/pve/sdn/firewall/*.fw",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let nodes = section_file::nodes(reading)?;
    let mut places = Vec::new();
    for name in names(reading, CLUSTER) {
        let path = format!("{CLUSTER}/{name}.fw");
        if name == "cluster" {
            places.push((FirewallScope::Datacenter, String::new(), path));
        } else if name.parse::<u32>().is_ok() {
            places.push((FirewallScope::Guest, name, path));
        }
    }
    for node in nodes {
        let path = format!("/etc/pve/nodes/{node}/host.fw");
        places.push((FirewallScope::Node, node, path));
    }
    for name in names(reading, VNETS) {
        let path = format!("{VNETS}/{name}.fw");
        places.push((FirewallScope::Vnet, name, path));
    }
    // What matters most comes first, should there be too much.
    places.sort();
    let mut configs = FirewallConfigs::default();
    let mut room = ENTRY_LIMIT;
    for (scope, name, path) in places {
        let Some(text) = whole(reading, &path) else {
            continue;
        };
        let (file, is_whole) = parse::file(&text, &mut room);
        if !is_whole {
            configs.truncated = true;
            reading.fail(section_file::too_many(&path, ENTRY_LIMIT));
        }
        configs.files.push(FirewallFile {
            scope: scope.into(),
            name: section_file::short(&name),
            ..file
        });
        if !is_whole {
            break;
        }
    }
    Ok(Payload::FirewallConfigs(configs))
}

/// Names of the `.fw` files in a directory that may be absent. PVE's temporary
/// files (`100.fw.tmp.4711`) are none.
fn names(reading: &mut Reading<'_>, directory: &str) -> Vec<String> {
    let names = match reading.list(directory) {
        Err(error) if error.is_not_found() => Vec::new(),
        result => reading.keep(result).unwrap_or_default(),
    };
    names
        .iter()
        .filter_map(|name| name.strip_suffix(".fw"))
        .map(str::to_owned)
        .collect()
}

/// The text of one file. PVE removes a file without content, so an empty one is
/// named; one whose last line does not end is named and kept.
fn whole(reading: &mut Reading<'_>, path: &str) -> Option<String> {
    let text = reading.read_optional(path, PMXCFS_FILE_LIMIT)?;
    reading.keep(whole_lines(&text).map_err(|error| error.at(path)));
    Some(text)
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn every_file_has_its_scope_and_no_comment_leaves() {
        let sweep = sample(
            &COLLECTOR,
            &[
                (
                    "etc/pve/firewall/cluster.fw",
                    "[RULES]\nIN ACCEPT # canary-comment\n",
                ),
                ("etc/pve/firewall/101.fw", "[OPTIONS]\nenable: 1\n"),
                ("etc/pve/firewall/101.fw.tmp.9", "[OPTIONS]\nenable: 0\n"),
                ("etc/pve/nodes/a/host.fw", "[OPTIONS]\nnftables: 1\n"),
                (
                    "etc/pve/sdn/firewall/v1.fw",
                    "[OPTIONS]\npolicy_forward: DROP\n",
                ),
                ("etc/pve/firewall/102.fw", ""),
            ],
        );
        assert_eq!(kinds(&sweep), [FailureKind::Truncated]);
        assert!(!format!("{sweep:?}").contains("canary"));
        let Some(Payload::FirewallConfigs(configs)) = sweep.payload else {
            panic!("{sweep:?}");
        };
        let scopes: Vec<_> = configs
            .files
            .iter()
            .map(|file| (file.scope(), file.name.as_str()))
            .collect();
        assert_eq!(
            scopes,
            [
                (FirewallScope::Datacenter, ""),
                (FirewallScope::Node, "a"),
                (FirewallScope::Guest, "101"),
                (FirewallScope::Guest, "102"),
                (FirewallScope::Vnet, "v1")
            ]
        );
    }

    #[test]
    fn too_many_rules_are_cut_and_that_is_named() {
        let rules = format!("[RULES]\n{}", "IN DROP\n".repeat(ENTRY_LIMIT + 1));
        let sweep = sample(
            &COLLECTOR,
            &[
                ("etc/pve/nodes/a/host.fw", ""),
                ("etc/pve/firewall/cluster.fw", &rules),
            ],
        );
        assert_eq!(kinds(&sweep), [FailureKind::TooLarge]);
        let Some(Payload::FirewallConfigs(configs)) = sweep.payload else {
            panic!("no payload");
        };
        assert!(configs.truncated);
        // The header takes one.
        assert_eq!(configs.files[0].rules.len(), ENTRY_LIMIT - 1);
    }
}
