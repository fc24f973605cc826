//! Settings of the whole cluster, from `/etc/pve/datacenter.cfg`.
//!
//! Keys and formats are those of `pve-cluster@src/PVE/DataCenterConfig.pm`. The
//! proxy may hold a password, so only whether there is one is carried.

use pvelens_proto::agent::v1::{BandwidthLimit, CollectionClass, DatacenterConfig, LegacyNotify};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    pmxcfs::{self, SettingsFile},
};
use crate::format::{
    property_string::{Properties, boolean, list},
    settings::{self, Settings},
};

const PATH: &str = "/etc/pve/datacenter.cfg";
/// What `bwlimit` is given in.
const KIB: u64 = 1024;
/// In the order of the message.
const LIMITED: &[&str] = &["default", "clone", "migration", "move", "restore"];

pub(super) const COLLECTOR: Collector = Collector {
    name: "datacenter_config",
    summary: "settings of the whole cluster",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let file = SettingsFile::read(reading, PATH)?;
    let mut config = parse(&file.text);
    config.sha256 = file.digest(&config);
    pmxcfs::limit(reading, PATH, &mut config.registered_tags);
    pmxcfs::limit(reading, PATH, &mut config.user_allowed_tags);
    Ok(Payload::DatacenterConfig(config))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> DatacenterConfig {
    let settings = settings::parse(text);
    let properties = |key: &str, default_key| {
        Properties::new(settings.get(key).unwrap_or_default(), default_key)
    };
    let migration = properties("migration", "type");
    let replication = properties("replication", "type");
    let scheduler = properties("crs", "");
    let next_id = properties("next-id", "");
    let tag_access = properties("user-tag-access", "");
    let proxy = settings.get("http_proxy").unwrap_or_default();
    DatacenterConfig {
        migration_type: migration.text("type"),
        migration_network: migration.text("network"),
        migration_unsecure: settings.get("migration_unsecure").and_then(boolean),
        replication_type: replication.text("type"),
        replication_network: replication.text("network"),
        scheduler: scheduler.text("ha"),
        scheduler_rebalances_on_start: scheduler.flag("ha-rebalance-on-start"),
        ha_shutdown_policy: properties("ha", "").text("shutdown_policy"),
        fencing: settings.text("fencing"),
        bandwidth_limits: bandwidth_limits(&properties("bwlimit", "")),
        mac_prefix: settings.text("mac_prefix"),
        max_workers: settings
            .get("max_workers")
            .and_then(|text| text.parse().ok()),
        console: settings.text("console"),
        next_vmid_lower: next_id.number("lower"),
        next_vmid_upper: next_id.number("upper"),
        has_tag_style: settings.has("tag-style"),
        user_tag_access: tag_access.text("user-allow"),
        user_allowed_tags: list(tag_access.get("user-allow-list").unwrap_or_default()),
        registered_tags: list(settings.get("registered-tags").unwrap_or_default()),
        has_http_proxy: !proxy.is_empty(),
        http_proxy_has_credentials: proxy.contains('@'),
        legacy_notify: settings.get("notify").map(legacy_notify),
        has_webauthn: settings.has("webauthn"),
        has_u2f: settings.has("u2f"),
        has_email_from: settings.has("email_from"),
        has_consent_text: settings.has("consent-text"),
        has_description: has_description(&settings),
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(settings.malformed_lines),
    }
}

fn bandwidth_limits(properties: &Properties<'_>) -> Vec<BandwidthLimit> {
    let limit = |operation: &&str| {
        Some(BandwidthLimit {
            operation: (*operation).to_owned(),
            bytes_per_second: properties.number::<u64>(operation)?.saturating_mul(KIB),
        })
    };
    LIMITED.iter().filter_map(limit).collect()
}

fn legacy_notify(text: &str) -> LegacyNotify {
    let properties = Properties::new(text, "");
    LegacyNotify {
        package_updates: properties.text("package-updates"),
        fencing: properties.text("fencing"),
        replication: properties.text("replication"),
        has_targets: properties.iter().any(|(key, _)| key.starts_with("target-")),
    }
}

/// Notes are written as `#` lines, and by hand as a setting.
fn has_description(settings: &Settings<'_>) -> bool {
    settings.has_notes || settings.has("description")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn settings_are_taken_apart() {
        let config = parse(
            "migration: insecure,network=192.0.2.0/24\nreplication: type=secure\ncrs: ha=static,ha-rebalance-on-start=1\n\
             ha: shutdown_policy=migrate\nbwlimit: move=100,default=0,clone=x\nnext-id: lower=200,upper=300\n\
             mac_prefix: BC:24:11\nuser-tag-access: user-allow=list,user-allow-list=a;b\nregistered-tags: prod;critical\n\
             notify: package-updates=never,target-fencing=x\nmax_workers: 4\n",
        );
        assert_eq!(config.migration_type, "insecure");
        assert_eq!(config.migration_network, "192.0.2.0/24");
        assert_eq!(config.replication_type, "secure");
        assert_eq!(config.scheduler, "static");
        assert_eq!(config.scheduler_rebalances_on_start, Some(true));
        assert_eq!(config.ha_shutdown_policy, "migrate");
        let limits: Vec<_> = config
            .bandwidth_limits
            .iter()
            .map(|limit| (limit.operation.as_str(), limit.bytes_per_second))
            .collect();
        assert_eq!(limits, [("default", 0), ("move", 102_400)]);
        assert_eq!(config.next_vmid_upper, Some(300));
        assert_eq!(config.user_allowed_tags, ["a", "b"]);
        assert_eq!(config.registered_tags, ["prod", "critical"]);
        let notify = config.legacy_notify.unwrap();
        assert_eq!(notify.package_updates, "never");
        assert!(notify.has_targets);
    }

    #[test]
    fn without_a_file_nothing_is_set_and_without_pmxcfs_it_is_unknown() {
        let node = sample(&COLLECTOR, &[("etc/pve/local@", "nodes/a")]);
        assert_eq!(
            node.payload,
            Some(Payload::DatacenterConfig(DatacenterConfig::default()))
        );
        let unmounted = sample(&COLLECTOR, &[("etc/pve/x", "")]);
        assert_eq!(kinds(&unmounted), [FailureKind::NotFound]);
        let other = sample(&COLLECTOR, &[("etc/hostname", "x\n")]);
        assert!(matches!(other.payload, Some(Payload::NoData(_))));
    }

    #[test]
    fn the_digest_tells_nothing_of_what_is_dropped() {
        let digest = |text: &str| {
            let node = sample(&COLLECTOR, &[("etc/pve/datacenter.cfg", text)]);
            match node.payload {
                Some(Payload::DatacenterConfig(config)) => config.sha256,
                other => panic!("{other:?}"),
            }
        };
        let one = digest("http_proxy: http://user:one@proxy:3128\nmac_prefix: BC:24:11\n");
        let two = digest("mac_prefix: BC:24:11\nhttp_proxy: http://user:two@proxy:3128\n");
        assert_eq!((one.len(), &one), (64, &two));
        assert_ne!(one, digest("mac_prefix: BC:24:12\n"));
    }

    #[test]
    fn no_secret_and_no_note_leaves_the_node() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/a"),
                (
                    "etc/pve/datacenter.cfg",
                    "# canary\nhttp_proxy: http://canary:canary@192.0.2.1:3128/\nemail_from: canary@example.test\n\
                     consent-text: canary\nwebauthn: rp=canary,id=canary\ncanary: canary\ncanary\n",
                ),
            ],
        );
        assert!(!format!("{node:?}").contains("canary"));
        let Some(Payload::DatacenterConfig(config)) = node.payload else {
            panic!("no payload");
        };
        assert!(config.has_http_proxy && config.http_proxy_has_credentials);
        assert!(config.has_description && config.has_webauthn);
        assert_eq!(config.malformed_lines, [7]);
    }

    proptest! {
        #[test]
        fn any_text_gives_settings(text in "((migration|bwlimit|next-id|notify|[a-z]{0,4}):? ?\\PC{0,12}\n?){0,9}") {
            let config = parse(&text);
            prop_assert!(config.bandwidth_limits.len() <= LIMITED.len());
        }
    }
}
