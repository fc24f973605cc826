//! What high availability is asked to do, from `/etc/pve/ha`.
//!
//! Sections are those of `pve-ha-manager@src/PVE/HA/{Resources,Groups,Rules}.pm`.
//! PVE 8 has groups, PVE 9 rules. Of `fence.cfg` only is told whether it says
//! anything: it is the place for passwords of fence devices.

use pvelens_proto::agent::v1::{CollectionClass, HaConfig, HaGroup, HaNode, HaResource, HaRule};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    section_file::{self, bound, short, short_or_empty},
};
use crate::format::{
    property_string::{boolean, list},
    section_config::Section,
};

const RESOURCES: &str = "/etc/pve/ha/resources.cfg";
const GROUPS: &str = "/etc/pve/ha/groups.cfg";
const RULES: &str = "/etc/pve/ha/rules.cfg";
const FENCE: &str = "/etc/pve/ha/fence.cfg";
const DEFAULTS: &str = "/etc/default/pve-ha-manager";
/// A shell file of a few lines.
const DEFAULTS_LIMIT: u64 = 64 << 10;
/// Sections of one file.
const SECTION_LIMIT: usize = 10_000;
/// Names in one list; more than a cluster can have.
const LIST_LIMIT: usize = 10_000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "ha_config",
    summary: "resources, groups and rules of high availability",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[RESOURCES, GROUPS, RULES, FENCE, DEFAULTS],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    let mut config = HaConfig {
        resources: objects(reading, RESOURCES, resource),
        groups: objects(reading, GROUPS, group),
        rules: objects(reading, RULES, rule),
        has_fence_config: section_file::text(reading, FENCE, &mut false)
            .is_some_and(|text| says_anything(&text)),
        watchdog_module: reading
            .read_optional(DEFAULTS, DEFAULTS_LIMIT)
            .and_then(|text| watchdog_module(&text)),
    };
    config.resources.sort_by(|a, b| a.sid.cmp(&b.sid));
    Ok(Payload::HaConfig(config))
}

fn objects<T>(reading: &mut Reading<'_>, path: &str, object: fn(&Section<'_>) -> T) -> Vec<T> {
    let Some(text) = section_file::text(reading, path, &mut false) else {
        return Vec::new();
    };
    let config = section_file::sections(reading, path, &text);
    let mut objects = config.sections.iter().map(object).collect();
    bound(reading, path, &mut objects, SECTION_LIMIT);
    objects
}

fn resource(section: &Section<'_>) -> HaResource {
    let number = |key: &str| section.get(key).and_then(|value| value.parse().ok());
    HaResource {
        sid: short(&format!("{}:{}", section.kind, section.id)),
        state: match section.get("state") {
            // `enabled` is the old name.
            None | Some("enabled") => "started".to_owned(),
            Some(state) => short(state),
        },
        max_restart: number("max_restart"),
        max_relocate: number("max_relocate"),
        group: short_or_empty(section.get("group")),
        failback: section.get("failback").and_then(boolean),
    }
}

fn group(section: &Section<'_>) -> HaGroup {
    HaGroup {
        name: short(section.id),
        nodes: nodes(section),
        restricted: flag(section, "restricted"),
        no_failback: flag(section, "nofailback"),
    }
}

fn rule(section: &Section<'_>) -> HaRule {
    HaRule {
        id: short(section.id),
        rule_type: short(section.kind),
        resources: names(section.get("resources")),
        nodes: nodes(section),
        strict: flag(section, "strict"),
        affinity: short_or_empty(section.get("affinity")),
        disabled: flag(section, "disable"),
    }
}

fn flag(section: &Section<'_>, key: &str) -> bool {
    section.get(key).and_then(boolean).unwrap_or(false)
}

fn names(text: Option<&str>) -> Vec<String> {
    let names = list(text.unwrap_or_default());
    names
        .iter()
        .take(LIST_LIMIT)
        .map(|name| short(name))
        .collect()
}

/// `pve1:2,pve2`.
fn nodes(section: &Section<'_>) -> Vec<HaNode> {
    names(section.get("nodes"))
        .iter()
        .map(|node| {
            let (name, priority) = node.split_once(':').unwrap_or((node, ""));
            HaNode {
                name: name.to_owned(),
                priority: priority.parse().ok(),
            }
        })
        .collect()
}

/// Whether there is a line that is neither empty nor a comment.
fn says_anything(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `WATCHDOG_MODULE=name`, with or without quotes; the last one counts.
fn watchdog_module(text: &str) -> Option<String> {
    let module = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("WATCHDOG_MODULE="))
        .next_back()?
        .trim_matches(['"', '\'', ' ']);
    let is_module = !module.is_empty()
        && module
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    is_module.then(|| short(module))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::{FailureKind, Sample};

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const NODE: (&str, &str) = ("etc/pve/nodes/a/lrm_status", "{}");

    fn config(sample: Sample) -> HaConfig {
        match sample.payload {
            Some(Payload::HaConfig(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn resources_groups_and_rules_of_both_versions_are_read() {
        let config = config(sample(
            &COLLECTOR,
            &[
                NODE,
                (
                    "etc/pve/ha/resources.cfg",
                    "vm: 102\n\tcomment canary-comment\n\tmax_relocate 2\n\tfailback 0\n\nct: 110\n\tgroup g\n\tstate stopped\n",
                ),
                (
                    "etc/pve/ha/groups.cfg",
                    "group: g\n\tnodes a:2,b\n\trestricted 1\n\tnofailback\n",
                ),
                (
                    "etc/pve/ha/rules.cfg",
                    "node-affinity: r\n\tnodes a:1\n\tresources vm:102,ct:110\n\tstrict 1\n\nresource-affinity: s\n\taffinity negative\n\tresources vm:102,ct:110\n\tdisable\n",
                ),
                ("etc/pve/ha/fence.cfg", "device x passwd=canary-fence\n"),
                (
                    "etc/default/pve-ha-manager",
                    "#WATCHDOG_MODULE=no\nWATCHDOG_MODULE=\"ipmi_watchdog\"\n",
                ),
            ],
        ));
        let [container, vm] = config.resources.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(
            (container.sid.as_str(), container.state.as_str()),
            ("ct:110", "stopped")
        );
        assert_eq!(
            (vm.state.as_str(), vm.max_relocate, vm.failback),
            ("started", Some(2), Some(false))
        );
        assert!(config.groups[0].restricted && config.groups[0].no_failback);
        assert_eq!(config.groups[0].nodes[0].priority, Some(2));
        assert_eq!(config.groups[0].nodes[1].priority, None);
        assert!(config.rules[0].strict && config.rules[1].disabled);
        assert_eq!(config.rules[1].affinity, "negative");
        assert_eq!(config.rules[0].resources, ["vm:102", "ct:110"]);
        assert!(config.has_fence_config);
        assert_eq!(config.watchdog_module.as_deref(), Some("ipmi_watchdog"));
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn a_cluster_without_high_availability_has_an_empty_configuration() {
        let none = sample(&COLLECTOR, &[NODE, ("etc/pve/ha/resources.cfg", "")]);
        assert_eq!(kinds(&none), []);
        assert_eq!(config(none), HaConfig::default());
    }

    #[test]
    fn pmxcfs_that_is_not_mounted_is_a_failure_and_broken_lines_are_named() {
        let unmounted = sample(&COLLECTOR, &[("etc/pve/x", "")]);
        assert_eq!(kinds(&unmounted), [FailureKind::NotFound]);
        let other = sample(&COLLECTOR, &[("etc/hostname", "x\n")]);
        assert!(matches!(other.payload, Some(Payload::NoData(_))));
        let broken = sample(
            &COLLECTOR,
            &[NODE, ("etc/pve/ha/rules.cfg", "canary\n\tcanary x\n")],
        );
        assert_eq!(kinds(&broken), [FailureKind::Malformed]);
        assert!(!format!("{broken:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_sections(text in "((vm|group|node-affinity): ?[a-z0-9]{0,4}\n|\t(nodes|resources|strict|[a-z]{1,5}) ?\\PC{0,9}\n|WATCHDOG_MODULE=\\PC{0,4}\n|\n){0,9}") {
            let parsed = crate::format::section_config::parse(&text);
            for section in &parsed.sections {
                drop((resource(section), group(section), rule(section)));
            }
            drop((watchdog_module(&text), says_anything(&text)));
        }
    }
}
