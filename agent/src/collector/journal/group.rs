//! Messages of one class, counted.

use std::{collections::BTreeMap, net::IpAddr};

use pvelens_proto::{
    agent::v1::{FailedLogin, JournalClass, JournalGroup, JournalLine, JournalMinute},
    timestamp_from_millis,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    mask,
    pattern::{Source, class},
};
use crate::format::{FormatError, whole_lines};

const SAMPLE_LIMIT: usize = 3;
const ADDRESS_LIMIT: usize = 20;
/// More than the window has, for clocks that jump.
const MINUTE_LIMIT: usize = 30;
/// Boots in the window are few.
const GROUP_LIMIT: usize = 200;
const MICROSECONDS_PER_MINUTE: i64 = 60_000_000;

#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<(i32, String), Group>);

#[derive(Debug, Default)]
struct Group {
    count: u32,
    first: i64,
    last: i64,
    minutes: BTreeMap<i64, u32>,
    samples: Vec<JournalLine>,
    addresses: BTreeMap<String, u32>,
}

impl Groups {
    /// Reads one source's messages, newest first, and says how many they were.
    pub(super) fn read(&mut self, text: &str, source: Source) -> Result<usize, FormatError> {
        if text.is_empty() {
            return Ok(0);
        }
        let mut count = 0_usize;
        for line in whole_lines(text)?.lines() {
            let entry: Value = serde_json::from_str(line)
                .map_err(|_| FormatError::malformed("a line that is not JSON"))?;
            count = count.saturating_add(1);
            self.add(&entry, source);
        }
        Ok(count)
    }

    fn add(&mut self, entry: &Value, source: Source) {
        let Some(message) = message(entry) else {
            return;
        };
        let Some(class) = class(source, &message) else {
            return;
        };
        let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let Ok(at) = word("__REALTIME_TIMESTAMP").parse::<i64>() else {
            return;
        };
        let boot_id: String = word("_BOOT_ID").chars().take(36).collect();
        let key = (i32::from(class), boot_id);
        if self.0.len() >= GROUP_LIMIT && !self.0.contains_key(&key) {
            return;
        }
        let id = format!("{}\n{at}\n{message}", key.1);
        let group = self.0.entry(key).or_default();
        group.first = if group.count == 0 {
            at
        } else {
            group.first.min(at)
        };
        group.last = group.last.max(at);
        group.count = group.count.saturating_add(1);
        let minute = at.div_euclid(MICROSECONDS_PER_MINUTE);
        if group.minutes.len() < MINUTE_LIMIT || group.minutes.contains_key(&minute) {
            let of_minute = group.minutes.entry(minute).or_default();
            *of_minute = of_minute.saturating_add(1);
        }
        if class == JournalClass::AuthenticationFailure {
            let address = address(&message);
            let known = &mut group.addresses;
            if known.len() < ADDRESS_LIMIT || known.contains_key(&address) {
                let of_address = known.entry(address).or_default();
                *of_address = of_address.saturating_add(1);
            }
        } else if group.samples.len() < SAMPLE_LIMIT {
            group.samples.push(JournalLine {
                at: Some(timestamp_from_millis(at.div_euclid(1000))),
                id: crate::hex(&Sha256::digest(id)).chars().take(16).collect(),
                text: mask::sample(&message),
            });
        }
    }

    pub(super) fn finish(self) -> Vec<JournalGroup> {
        let groups = self.0.into_iter().map(|((class, boot_id), group)| {
            let minutes = group
                .minutes
                .into_iter()
                .map(|(minute, count)| JournalMinute {
                    at: Some(timestamp_from_millis(minute.saturating_mul(60_000))),
                    count,
                });
            let logins = group.addresses.into_iter();
            JournalGroup {
                class,
                boot_id,
                count: group.count,
                first_at: Some(timestamp_from_millis(group.first.div_euclid(1000))),
                last_at: Some(timestamp_from_millis(group.last.div_euclid(1000))),
                minutes: minutes.collect(),
                samples: group.samples,
                failed_logins: logins
                    .map(|(address, count)| FailedLogin { address, count })
                    .collect(),
            }
        });
        groups.collect()
    }
}

/// journald gives text that is not printable as a list of bytes.
fn message(entry: &Value) -> Option<String> {
    match entry.get("MESSAGE")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

/// `authentication failure; rhost=::ffff:192.0.2.5 user=root@pam msg=…`, and of sshd
/// `Failed password for invalid user x from 192.0.2.5 port 40022 ssh2`, in which the
/// name comes from outside: the last address counts.
fn address(message: &str) -> String {
    let rest = match message.strip_prefix("authentication failure; ") {
        Some(rest) => rest.split_once("rhost="),
        None => message.rsplit_once(" from "),
    };
    rest.map(|(_, rest)| rest)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse::<IpAddr>().ok())
        .map(|address| address.to_canonical().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn line(at: &str, message: &Value) -> String {
        let entry = json!({"__REALTIME_TIMESTAMP": at, "_BOOT_ID": "b", "MESSAGE": message});
        format!("{entry}\n")
    }

    #[test]
    fn messages_are_counted_by_class_and_minute_and_masked() {
        let message = json!("nfs: server nas not responding, password=canary-journal");
        let text = line("1795348800000001", &message)
            + &line("1795348740000000", &json!("nothing to see"))
            + &line("1795348739000000", &message);
        let mut groups = Groups::default();
        assert_eq!(groups.read(&text, Source::Kernel).unwrap(), 3);
        let groups = groups.finish();
        assert_eq!((groups.len(), groups[0].count), (1, 2));
        assert_eq!(groups[0].minutes.len(), 2);
        assert_eq!(groups[0].first_at.unwrap().seconds, 1_795_348_739);
        assert_ne!(groups[0].samples[0].id, groups[0].samples[1].id);
        assert!(!format!("{groups:?}").contains("canary"));
    }

    #[test]
    fn of_failed_logins_only_addresses_are_kept() {
        let bytes: Vec<u8> = b"authentication failure; rhost=::ffff:192.0.2.5 user=canary-journal\xff@pam msg=canary-journal".to_vec();
        let mut groups = Groups::default();
        groups
            .read(&line("1", &json!(bytes)), Source::Login)
            .unwrap();
        let groups = groups.finish();
        assert_eq!(groups[0].failed_logins[0].address, "192.0.2.5");
        assert!(!format!("{groups:?}").contains("canary"));
    }

    #[test]
    fn of_failed_logins_over_ssh_the_last_address_counts() {
        for (message, wanted) in [
            (
                "Failed password for root from 192.0.2.5 port 40022 ssh2",
                "192.0.2.5",
            ),
            (
                "Failed password for invalid user x from 9.9.9.9 from 2001:db8::5 port 1 ssh2",
                "2001:db8::5",
            ),
            ("Invalid user canary from 192.0.2.6 port 5", "192.0.2.6"),
            ("Invalid user canary", ""),
            (
                "Invalid user rhost=9.9.9.9 from 192.0.2.7 port 5",
                "192.0.2.7",
            ),
        ] {
            assert_eq!(address(message), wanted, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_fails(text in "(\\{\"(MESSAGE|__REALTIME_TIMESTAMP)\":[\"0-9a-z\\[\\]]{0,9}\\}?\n){0,5}\\PC{0,40}") {
            drop(Groups::default().read(&text, Source::Kernel));
        }
    }
}
