//! The state of the subscription, without its key.
//!
//! `/etc/subscription` is the key, a checksum, and base64 of a JSON object
//! (`proxmox-subscription@src/files.rs`, `pve-common@src/PVE/Subscription.pm`). Its first line is a secret, the
//! object repeats it beside the server's identity, and neither leaves this process:
//! of the object the values that are named here are taken, each in its own form.

use base64::Engine;
use pvelens_proto::agent::v1::FailureKind;
use serde::{Deserialize, Serialize};

use super::reply::{Outcome, Reply};
use crate::{format::plain::short, host::Host};

/// What the probe answers. An empty text is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionState {
    /// `none` = there is no key; `new` = it was never checked; else what the shop says.
    pub status: String,
    /// `c`, `b`, `s` or `p`, from the key.
    pub level: Option<char>,
    pub sockets: Option<u32>,
    pub product_name: String,
    /// Days: `2025-11-02`.
    pub registered_on: String,
    pub next_due_on: String,
    pub checked_at_seconds: Option<i64>,
}

/// The object in the file. The key and the server's identity are not among these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    status: Option<String>,
    checktime: Option<serde_json::Value>,
    productname: Option<String>,
    regdate: Option<String>,
    nextduedate: Option<String>,
}

const STATUSES: &[&str] = &[
    "new",
    "active",
    "notfound",
    "invalid",
    "expired",
    "suspended",
];

pub(super) fn state(host: &Host) -> Reply {
    let state = match host.read_subscription() {
        Ok(text) => parse(&text),
        Err(error) if error.kind == FailureKind::NotFound => Ok(SubscriptionState {
            status: "none".to_owned(),
            ..SubscriptionState::default()
        }),
        Err(error) => Err(error.to_string()),
    };
    let json =
        state.and_then(|state| serde_json::to_vec(&state).map_err(|error| error.to_string()));
    match json {
        Ok(json) => Reply::with(Outcome::Answered {}, json),
        Err(reason) => Reply::only(Outcome::Failed { reason }),
    }
}

fn parse(text: &str) -> Result<SubscriptionState, String> {
    let mut lines = text.lines();
    let key = lines.next().unwrap_or_default().trim();
    if key.is_empty() {
        return Err("the first line of the subscription is empty".to_owned());
    }
    let (sockets, level) = level(key);
    // The checksum.
    lines.next();
    let body: String = lines.flat_map(str::split_whitespace).collect();
    let mut state = SubscriptionState {
        status: "new".to_owned(),
        level,
        sockets,
        ..SubscriptionState::default()
    };
    if body.is_empty() {
        return Ok(state);
    }
    // Neither error is quoted: the text around it may be the key.
    let json = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|_| "the subscription is not base64".to_owned())?;
    // As an object: an array would be taken for the values in order.
    let info: Info = serde_json::from_slice::<serde_json::Map<_, _>>(&json)
        .and_then(|object| serde_json::from_value(object.into()))
        .map_err(|_| "the subscription is not the expected JSON".to_owned())?;
    let status = info.status.unwrap_or_default().to_ascii_lowercase();
    state.status = STATUSES
        .iter()
        .find(|known| **known == status)
        .copied()
        .unwrap_or("unknown")
        .to_owned();
    state.product_name = product_name(&info.productname.unwrap_or_default(), key);
    state.registered_on = day(&info.regdate.unwrap_or_default());
    state.next_due_on = day(&info.nextduedate.unwrap_or_default());
    state.checked_at_seconds = match info.checktime {
        Some(serde_json::Value::Number(number)) => number.as_i64(),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    Ok(state)
}

/// `pve2s-…`: sockets and level. Nothing after the dash is looked at.
fn level(key: &str) -> (Option<u32>, Option<char>) {
    let product = key.split('-').next().unwrap_or_default();
    let Some(rest) = product.strip_prefix("pve") else {
        return (None, None);
    };
    let Some(level) = rest.chars().next_back().filter(|c| "cbsp".contains(*c)) else {
        return (None, None);
    };
    match rest.strip_suffix(level).map(str::parse::<u32>) {
        Some(Ok(sockets)) if sockets <= 64 => (Some(sockets), Some(level)),
        _ => (None, None),
    }
}

fn product_name(text: &str, key: &str) -> String {
    // By whatever mistake of the shop.
    let secret = key.split_once('-').map_or(key, |(_, secret)| secret);
    if text.contains(secret) {
        return String::new();
    }
    short(text, 100)
}

/// `2025-11-02`, with or without a time behind it.
fn day(text: &str) -> String {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let is_day = day.len() == 10
        && day
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_day {
        day.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use proptest::prelude::*;

    use super::*;

    fn file(json: &str) -> String {
        let body = base64::engine::general_purpose::STANDARD.encode(json);
        let (first, second) = body.split_at(body.len() / 2);
        format!("pve2s-canary-key\ncanary-checksum\n{first}\n{second}\n")
    }

    const INFO: &str = r#"{"status":"active","key":"pve2s-canary-key","serverid":"canary-id","checktime":1795349087,"productname":"Proxmox VE Standard Subscription 2 CPUs/year","regdate":"2025-11-02 00:00:00","nextduedate":"2026-11-02","message":"canary-message","signature":"canary-signature"}"#;

    #[test]
    fn of_a_subscription_everything_leaves_but_its_secrets() {
        let state = parse(&file(INFO)).unwrap();
        assert_eq!((state.level, state.sockets), (Some('s'), Some(2)));
        assert_eq!(state.status, "active");
        assert_eq!(
            state.product_name,
            "Proxmox VE Standard Subscription 2 CPUs/year"
        );
        assert_eq!(
            (state.registered_on.as_str(), state.next_due_on.as_str()),
            ("2025-11-02", "2026-11-02")
        );
        assert_eq!(state.checked_at_seconds, Some(1_795_349_087));
        assert!(!format!("{state:?}").contains("canary"));
    }

    #[test]
    fn what_is_broken_is_named_without_its_content() {
        for text in [
            "\n",
            "pve2s-canary\nx\n!canary\n",
            &file("canary"),
            &file("[\"canary\"]"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(!reason.contains("canary"), "{reason}");
        }
        let odd = file(
            r#"{"status":"canary","productname":"for canary-key","nextduedate":"canary","regdate":"0000-canar"}"#,
        );
        let state = parse(&odd).unwrap();
        assert_eq!(state.status, "unknown");
        assert!(!format!("{state:?}").contains("canar"), "{state:?}");
    }

    #[test]
    fn a_key_alone_is_new_and_odd_ones_have_no_level() {
        let state = parse("pve1c-0000000000\n").unwrap();
        assert_eq!(
            (state.status.as_str(), state.level, state.sockets),
            ("new", Some('c'), Some(1))
        );
        for key in [
            "x",
            "pve",
            "pve1",
            "pvec-",
            "pve1z-0",
            "pmg1c-0",
            "pve999c-0",
        ] {
            assert_eq!(level(key), (None, None), "{key}");
        }
    }

    #[test]
    fn the_probe_reads_the_file_and_no_link_to_another() {
        let directory = tempfile::TempDir::new().unwrap();
        let host = Host::open(directory.path()).unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        let path = directory.path().join("etc/subscription");
        let none = state(&host);
        assert!(String::from_utf8(none.stdout).unwrap().contains("\"none\""));
        fs::write(&path, file(INFO)).unwrap();
        assert_eq!(state(&host).header.outcome, Outcome::Answered {});
        // To everyone else it stays closed.
        host.read("/etc/subscription", 1000).unwrap_err();
        fs::rename(&path, directory.path().join("etc/other")).unwrap();
        symlink("other", &path).unwrap();
        let reply = state(&host);
        assert!(
            matches!(reply.header.outcome, Outcome::Failed { .. }),
            "{reply:?}"
        );
        assert!(reply.stdout.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(pve[0-9]{1,3}[a-z]-?[a-z0-9]{0,5}\n|\\PC{0,9}\n|[A-Za-z0-9+/=]{0,20}\n){0,5}") {
            drop(parse(&text));
        }
    }
}
