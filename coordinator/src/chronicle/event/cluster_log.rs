//! The log that all members of a cluster share.

use pvelens_proto::agent::v1 as wire;

use super::{Dated, Event, EventKind, Level, text};
use crate::live::seen::plausible;

/// What is not about tasks, which are told from the task list.
pub(in crate::chronicle) fn events(log: &wire::ClusterLog) -> impl Iterator<Item = Dated> {
    log.entries.iter().filter_map(event)
}

fn event(entry: &wire::ClusterLogEntry) -> Option<Dated> {
    if entry.message.contains("UPID:") || entry.message == "starting cluster log" {
        return None;
    }
    let at = plausible(entry.logged_at.as_ref())?;
    let node = text(&entry.node);
    let lower = entry.message.to_ascii_lowercase();
    let failed = lower.contains("authentication failure") || lower.contains("auth failed");
    let (kind, said, user) = if failed {
        // People type passwords for names: neither is repeated.
        (
            EventKind::Login,
            failed_login(&entry.message),
            String::new(),
        )
    } else if lower.contains("successful auth") {
        (EventKind::Login, text(&entry.message), text(&entry.user))
    } else {
        (EventKind::Log, text(&entry.message), text(&entry.user))
    };
    let level = match (failed, entry.priority) {
        (true, _) | (_, 4) => Level::Warning,
        (_, 0..=3) => Level::Error,
        _ => Level::Info,
    };
    let subject = match guest(&entry.message) {
        Some(vmid) => format!("guest/{vmid}"),
        None => format!("node/{node}"),
    };
    Some(Dated {
        at,
        subject: subject.into(),
        // Counted on its node, from anew at each start of its daemon.
        key: format!("log {node} {} {}", entry.uid, at.as_second()),
        event: Event {
            kind,
            level,
            node: node.into(),
            text: said,
            user,
            until: None,
            task: String::new(),
        },
    })
}

/// `update VM 101: -cores 2` is about 101.
fn guest(message: &str) -> Option<u32> {
    let mut words = message.split(|c: char| !c.is_ascii_alphanumeric());
    while let Some(word) = words.next() {
        if matches!(word, "VM" | "CT") {
            return words.next()?.parse().ok();
        }
    }
    None
}

fn failed_login(message: &str) -> String {
    let host = message
        .split([' ', ';'])
        .find_map(|word| word.strip_prefix("rhost="))
        .map(|host| host.trim_start_matches("::ffff:"))
        .filter(|host| host.parse::<std::net::IpAddr>().is_ok());
    match host {
        Some(host) => format!("a login from {host} failed"),
        None => "a login failed".to_owned(),
    }
}

/// Names of the settings that a word of the log says were changed: `cores` and
/// `memory` of `update VM 101: -cores 2 -memory 512`. None of other words.
pub(crate) fn changed_settings(message: &str) -> Option<Vec<String>> {
    let (begin, options) = message.split_once(": ")?;
    begin.starts_with("update ").then(|| {
        let mut names = Vec::new();
        let mut words = options.split_whitespace();
        while let Some(word) = words.next() {
            let Some(option) = word
                .strip_prefix('-')
                .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
            else {
                continue;
            };
            if matches!(option, "delete" | "revert") {
                let list = words.next().unwrap_or_default();
                names.extend(list.split(',').map(str::to_owned));
            } else {
                names.push(option.to_owned());
            }
        }
        names
    })
}
