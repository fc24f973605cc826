//! Settings of sshd in effect, as `sshd -T` writes them.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, SshdConfig, SshdSetting};

use super::{CollectError, Collector, Payload, Reading, SLOW};
use crate::{
    format::{FormatError, whole_lines},
    probe::{Request, request::ClusterRequest},
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

pub(super) const COLLECTOR: Collector = Collector {
    name: "sshd",
    summary: "settings of sshd in effect that matter to security",
    class: CollectionClass::Slow,
    interval: SLOW,
    deadline: Duration::from_secs(25),
    paths: &[],
    probes: &["sshd_config"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let answer = match reading.ask(&Request::Cluster(ClusterRequest::SshdConfig {})) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no sshd, or no cluster probe"));
        }
        result => result?,
    };
    let config = parse(answer.success()?).map_err(|error| error.at(&answer.source))?;
    Ok(Payload::SshdConfig(config))
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

    use super::*;

    #[test]
    fn only_listed_settings_are_kept_and_users_are_counted() {
        let text = "port 22\nport 2222\npermitrootlogin yes\nbanner /canary\nsetenv X=canary\nallowusers canary\nallowusers root\n";
        let config = parse(text).unwrap();
        assert_eq!((config.settings.len(), config.allow_users_count), (3, 2));
        assert!(!format!("{config:?}").contains("canary"));
        assert!(parse("no such file\n").is_err());
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((port|denyusers) \\PC{0,9}\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
