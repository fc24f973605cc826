//! Settings of sshd in effect, as `sshd -T` writes them.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, SshdConfig, SshdSetting};

use super::{CollectError, Collector, Payload, Reading, SLOW};
use crate::{
    format::{FormatError, whole_lines},
    probe::{
        Request,
        request::{ClusterRequest, HostName, UserName},
    },
};

/// Settings that checks ask for; no other is kept.
const SETTINGS: &[&str] = &[
    "allowtcpforwarding",
    "authorizedkeysfile",
    "ciphers",
    "hostkeyalgorithms",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "listenaddress",
    "logingracetime",
    "loglevel",
    "macs",
    "maxauthtries",
    "passwordauthentication",
    "permitemptypasswords",
    "permitrootlogin",
    "port",
    "pubkeyauthentication",
    "usepam",
    "x11forwarding",
];
const SETTING_LIMIT: usize = 100;
const VALUE_LIMIT: usize = 2000;
/// Name and address, of a network for documentation (RFC 3849).
const STRANGER: (&str, &str) = ("stranger", "2001:db8::1");

pub(super) const COLLECTOR: Collector = Collector {
    name: "sshd",
    summary: "settings of sshd in effect that matter to security",
    class: CollectionClass::Slow,
    interval: SLOW,
    // Twice the time of the entries, and some.
    deadline: Duration::from_secs(40),
    paths: &[],
    probes: &["sshd_config", "sshd_config_for"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let answer = match reading.ask(&Request::Cluster(ClusterRequest::SshdConfig {})) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no sshd, or no cluster probe"));
        }
        result => result?,
    };
    let mut config = parse(answer.success()?).map_err(|error| error.at(&answer.source))?;
    let root = stranger().map(|request| {
        let answer = reading.ask(&request)?;
        parse(answer.success()?).map_err(|error| error.at(&answer.source))
    });
    if let Some(Some(root)) = root.map(|root| reading.keep(root)) {
        config.root_settings = root.settings;
        config
            .root_settings
            .retain(|setting| !config.settings.contains(setting));
    }
    Ok(Payload::SshdConfig(config))
}

/// `root` from an address for documentation, so that no block for a network that is
/// in use applies.
fn stranger() -> Option<Request> {
    Some(Request::Cluster(ClusterRequest::SshdConfigFor {
        user: UserName::try_from("root".to_owned()).ok()?,
        host: HostName::try_from(STRANGER.0.to_owned()).ok()?,
        address: STRANGER.1.parse().ok()?,
    }))
}

fn parse(text: &str) -> Result<SshdConfig, FormatError> {
    let mut config = SshdConfig::default();
    for line in whole_lines(text)?.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let words = u32::try_from(value.split_whitespace().count()).unwrap_or(u32::MAX);
        let counter = match name {
            "allowusers" => &mut config.allow_users_count,
            "denyusers" => &mut config.deny_users_count,
            "allowgroups" => &mut config.allow_groups_count,
            "denygroups" => &mut config.deny_groups_count,
            _ => {
                if SETTINGS.contains(&name) && config.settings.len() < SETTING_LIMIT {
                    config.settings.push(SshdSetting {
                        name: name.to_owned(),
                        value: value.chars().take(VALUE_LIMIT).collect(),
                    });
                }
                continue;
            }
        };
        *counter = counter.saturating_add(words);
    }
    if config.settings.is_empty() {
        return Err(FormatError::malformed("not a setting that is known"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn only_listed_settings_are_kept_and_users_are_counted() {
        let text = "port 22\nport 2222\npermitrootlogin yes\nbanner /canary\nsetenv X=canary\nallowusers canary\nallowusers root\n";
        let config = parse(text).unwrap();
        assert_eq!((config.settings.len(), config.allow_users_count), (3, 2));
        assert!(!format!("{config:?}").contains("canary"));
        assert!(parse("no such file\n").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn what_match_blocks_change_for_root_is_told() {
        let reply = |text: &str| {
            format!(
                "{{\"outcome\":{{\"kind\":\"exited\",\"exit_status\":0}},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"\",\"stderr_truncated\":false,\"duration_milliseconds\":9}}\n{text}",
                text.len()
            )
        };
        let plain = reply("port 22\npermitrootlogin yes\n");
        let root = reply("port 22\npermitrootlogin no\n");
        let base = ".pvelens/probe/cluster/sshd_config";
        let asked = ".pvelens/probe/cluster/sshd_config_for.root.stranger.2001:db8::1";
        let node = sample(&COLLECTOR, &[(base, &plain), (asked, &root)]);
        assert_eq!(kinds(&node), []);
        let Some(Payload::SshdConfig(config)) = node.payload else {
            panic!("{:?}", node.payload);
        };
        assert_eq!(config.settings.len(), 2);
        let [changed] = config.root_settings.as_slice() else {
            panic!("{:?}", config.root_settings);
        };
        assert_eq!(
            (changed.name.as_str(), changed.value.as_str()),
            ("permitrootlogin", "no")
        );
        // Without the second answer the first one stands, and the gap is named.
        let node = sample(&COLLECTOR, &[(base, &plain)]);
        assert_eq!(kinds(&node), [FailureKind::NotFound]);
        assert!(node.payload.is_some());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((port|denyusers) \\PC{0,9}\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
