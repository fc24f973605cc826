//! Targets and matchers of notifications, from `/etc/pve/notifications.cfg`.
//!
//! Options are those of `proxmox-rs@proxmox-notify/src/{endpoints,matcher.rs}`.
//! URLs of webhooks hold tokens in their path, and headers and bodies hold more;
//! of a URL only its scheme, host and port are carried.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{
    CollectionClass, LegacyNotificationSection, NotificationConfig, NotificationMatcher,
    NotificationTarget,
};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    pmxcfs::{self, SettingsFile},
};
use crate::format::{
    property_string::{boolean, list},
    section_config::{self, Section},
    url_host::{UrlHost, plain_host},
};

const PATH: &str = "/etc/pve/notifications.cfg";

pub(super) const COLLECTOR: Collector = Collector {
    name: "notification_config",
    summary: "targets and matchers of notifications, without secrets",
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
    pmxcfs::limit(reading, PATH, &mut config.targets);
    pmxcfs::limit(reading, PATH, &mut config.matchers);
    pmxcfs::limit(reading, PATH, &mut config.legacy_sections);
    pmxcfs::limit(reading, PATH, &mut config.other_types);
    Ok(Payload::NotificationConfig(config))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> NotificationConfig {
    let file = section_config::parse(text);
    let mut config = NotificationConfig {
        malformed_lines: pmxcfs::first_lines(file.malformed_lines),
        ..NotificationConfig::default()
    };
    let mut other_types = BTreeSet::new();
    for section in &file.sections {
        match section.kind {
            "sendmail" | "smtp" | "gotify" | "webhook" => config.targets.push(target(section)),
            "matcher" => config.matchers.push(matcher(section)),
            "filter" | "group" => config.legacy_sections.push(LegacyNotificationSection {
                section_type: section.kind.to_owned(),
                name: section.id.to_owned(),
            }),
            other => {
                other_types.insert(other.to_owned());
            }
        }
    }
    config.targets.sort_by(|a, b| a.name.cmp(&b.name));
    config.matchers.sort_by(|a, b| a.name.cmp(&b.name));
    config.legacy_sections.sort_by(|a, b| a.name.cmp(&b.name));
    config.other_types = other_types.into_iter().collect();
    config
}

fn target(section: &Section<'_>) -> NotificationTarget {
    let url = match section.kind {
        "gotify" => section.get("server"),
        "webhook" => section.get("url"),
        _ => None,
    };
    let url = UrlHost::of(url.unwrap_or_default());
    let mail = section.kind == "smtp";
    let of_mail = |key: &str| section.get(key).filter(|_| mail);
    let (host, port) = if mail {
        let host = of_mail("server").and_then(plain_host).unwrap_or_default();
        (host, of_mail("port").and_then(|port| port.parse().ok()))
    } else {
        (url.host, url.port)
    };
    NotificationTarget {
        name: section.id.to_owned(),
        target_type: section.kind.to_owned(),
        disabled: is_disabled(section),
        origin: origin(section),
        host: host.to_owned(),
        port,
        mode: of_mail("mode").unwrap_or_default().to_owned(),
        url_scheme: url.scheme.to_owned(),
        http_method: section.get("method").unwrap_or_default().to_owned(),
        mail_recipients: count(all(section, "mailto").len()),
        mail_users: all(section, "mailto-user"),
        has_login: of_mail("username").is_some(),
    }
}

fn matcher(section: &Section<'_>) -> NotificationMatcher {
    NotificationMatcher {
        name: section.id.to_owned(),
        disabled: is_disabled(section),
        origin: origin(section),
        mode: section.get("mode").unwrap_or_default().to_owned(),
        inverted: flag(section, "invert-match"),
        match_fields: lines(section, "match-field"),
        match_severities: lines(section, "match-severity"),
        match_calendars: lines(section, "match-calendar"),
        targets: all(section, "target"),
    }
}

fn flag(section: &Section<'_>, key: &str) -> bool {
    section.get(key).and_then(boolean).unwrap_or(false)
}

fn is_disabled(section: &Section<'_>) -> bool {
    flag(section, "disable")
}

fn origin(section: &Section<'_>) -> String {
    section.get("origin").unwrap_or_default().to_owned()
}

/// Every value of a key that is repeated.
fn lines(section: &Section<'_>, key: &str) -> Vec<String> {
    let properties = section.properties.iter();
    properties
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| (*value).to_owned())
        .collect()
}

/// As `lines`, where one line may hold a list.
fn all(section: &Section<'_>, key: &str) -> Vec<String> {
    let lines = lines(section, key);
    lines.iter().flat_map(|value| list(value)).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn targets_and_matchers_are_taken_apart() {
        let config = parse(
            "sendmail: mail-to-root\n\tmailto-user root@pam\n\torigin modified-builtin\n\tdisable true\n\n\
             smtp: relay\n\tserver mail.example.test\n\tport 587\n\tmode starttls\n\tusername u\n\tmailto a@example.test\n\tmailto b@example.test\n\tfrom-address x@y\n\n\
             gotify: push\n\tserver http://192.0.2.9:8080\n\n\
             matcher: night\n\tmode any\n\tinvert-match true\n\tmatch-field exact:type=vzdump,replication\n\tmatch-field regex:hostname=^a b$\n\
             \tmatch-severity warning,error\n\tmatch-calendar mon..fri 8-17\n\ttarget relay\n\ttarget push\n\n\
             filter: old\n\tmin-severity error\n\ngroup: both\n\tendpoint relay\n\nfuture: x\n",
        );
        let [root, push, relay] = config.targets.as_slice() else {
            panic!("{config:?}");
        };
        assert!(root.disabled);
        assert_eq!(root.mail_users, ["root@pam"]);
        assert_eq!(root.origin, "modified-builtin");
        assert_eq!((push.url_scheme.as_str(), push.port), ("http", Some(8080)));
        assert_eq!(push.host, "192.0.2.9");
        assert_eq!((relay.mode.as_str(), relay.port), ("starttls", Some(587)));
        assert_eq!((relay.mail_recipients, relay.has_login), (2, true));
        let night = &config.matchers[0];
        assert!(night.inverted);
        assert_eq!(
            night.match_fields,
            ["exact:type=vzdump,replication", "regex:hostname=^a b$"]
        );
        assert_eq!(night.match_calendars, ["mon..fri 8-17"]);
        assert_eq!(night.targets, ["relay", "push"]);
        let legacy: Vec<_> = config.legacy_sections.iter().map(|s| &s.name).collect();
        assert_eq!(legacy, ["both", "old"]);
        assert_eq!(config.other_types, ["future"]);
    }

    #[test]
    fn no_secret_and_no_address_leaves_the_node() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/a"),
                (
                    "etc/pve/notifications.cfg",
                    "webhook: hook\n\turl https://chat.example.test/canary?canary\n\theader name=canary,value=Y2FuYXJ5\n\tbody canary\n\tsecret name=canary,value=canary\n\tcomment canary\n\n\
                     webhook: template\n\turl https://{{ secrets.canary }}/x\n\n\
                     gotify: push\n\tserver https://canary:canary@push.example.test/canary\n\ttoken canary\n\n\
                     smtp: relay\n\tserver canary@host\n\tusername canary\n\tpassword canary\n\tmailto canary@example.test\n\tfrom-address canary@example.test\n\tauthor canary\n\n\
                     matcher: m\n\tcomment canary\n\tcanary canary\n\ncanary\n\tcanary\n",
                ),
            ],
        );
        assert_eq!(kinds(&node), []);
        assert!(!format!("{node:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_targets(text in "((smtp|webhook|matcher|[a-z]{1,4}): ?[a-z0-9]{0,4}\n|\t(url|server|mailto|target|match-field) ?\\PC{0,12}\n|\n){0,9}") {
            let config = parse(&text);
            prop_assert!(config.targets.len() + config.matchers.len() <= text.lines().count());
        }
    }
}
