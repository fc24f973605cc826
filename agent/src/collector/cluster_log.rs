//! The newest entries of the cluster's log, from `/etc/pve/.clusterlog`.
//!
//! One entry a line. pmxcfs escapes quotes and what is not ASCII, writes control
//! bytes as `#NNN`, and leaves backslashes as they are, so a message may make the line no JSON
//! (`pve-cluster@src/pmxcfs/logger.c`): the message is cut out of the line by
//! its place, which is the last. Failed logins are among the entries, and so is
//! whatever was typed as the name of the user.

use pvelens_proto::{
    agent::v1::{ClusterLog, ClusterLogEntry, CollectionClass},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading, STATE, pmxcfs};
use crate::format::{
    FormatError,
    figure::{Figure, Word},
    free_text,
};

const PATH: &str = "/etc/pve/.clusterlog";
/// The ring in pmxcfs has 128 KiB; escaping makes it at most four times as long.
const LIMIT: u64 = 1 << 20;
const ENTRY_LIMIT: usize = 200;
/// Characters of a message.
const MESSAGE_LIMIT: usize = 300;
/// Characters of a name.
const NAME_LIMIT: usize = 100;
const MESSAGE: &str = "\"msg\": \"";

pub(super) const COLLECTOR: Collector = Collector {
    name: "cluster_log",
    summary: "newest entries of the cluster's log",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    uid: Figure,
    time: Figure,
    pri: Figure,
    tag: Word,
    pid: Figure,
    node: Word,
    user: Word,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading
        .read_dot_file(PATH, LIMIT, is_complete)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    let (log, malformed) = parse(&text);
    if malformed > 0 {
        let detail = format!("{malformed} lines are not in the format");
        reading.fail(FormatError::malformed(detail).at(PATH));
    }
    Ok(Payload::ClusterLog(log))
}

fn is_complete(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{')
        && text.ends_with('}')
        && text.trim_end_matches('}').trim_end().ends_with(']')
}

/// The entries, and the number of lines that are none.
fn parse(text: &str) -> (ClusterLog, usize) {
    let mut entries = Vec::new();
    let mut malformed = 0_usize;
    let lines = text.lines().map(str::trim);
    for line in lines
        .filter(|line| line.starts_with("{\""))
        .take(ENTRY_LIMIT)
    {
        match entry(line) {
            Some(entry) => entries.push(entry),
            None => malformed = malformed.saturating_add(1),
        }
    }
    (ClusterLog { entries }, malformed)
}

fn entry(line: &str) -> Option<ClusterLogEntry> {
    let line = line.trim_end_matches(',');
    let (head, message) = line.split_once(MESSAGE)?;
    let message = message.strip_suffix("\"}")?;
    let head = head.trim_end().strip_suffix(',')?;
    let head: Head = json(&format!("{head}}}"))?;
    let seconds = i64::try_from(head.time.whole()?).ok()?;
    Some(ClusterLogEntry {
        logged_at: Some(timestamp_from_millis(seconds.checked_mul(1000)?)),
        node: free_text::bounded(&head.node.0, NAME_LIMIT),
        priority: head.pri.small()?,
        tag: free_text::bounded(&head.tag.0, NAME_LIMIT),
        user: free_text::bounded(&head.user.0, NAME_LIMIT),
        pid: head.pid.small().unwrap_or_default(),
        uid: head.uid.whole().unwrap_or_default(),
        message: free_text::bounded(&unescape(message), MESSAGE_LIMIT),
    })
}

/// Quotes are written `\"` and what is not ASCII `\u00e9`; any other backslash is
/// one.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after
            .strip_prefix('u')
            .and_then(|after| after.split_at_checked(4))
            .filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|(code, end)| {
                let code = u32::from_str_radix(code, 16).ok()?;
                Some((char::from_u32(code)?, end))
            });
        if let Some((c, end)) = code {
            out.push(c);
            rest = end;
        } else {
            if !after.starts_with('"') {
                out.push('\\');
            }
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// As it is, or with its backslashes taken for what they are.
fn json(text: &str) -> Option<Head> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&text.replace('\\', "\\\\")))
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const LOG: &str = r#"{
"data": [
{"uid": 27, "time": 1795350048, "pri": 4, "tag": "pvedaemon", "pid": 4229, "node": "pve1", "user": "root@pam", "msg": "authentication failure; rhost=::ffff:198.51.100.9 user=admin\x@pve msg=no such user ('a\"b')"},
{"uid": 26, "time": 1795350046, "pri": 6, "tag": "vzdump", "pid": 1, "node": "pve2", "user": "dom\user@ad", "msg": "ends in \"},
{"uid": 25, "time": 1795350045, "pri": 6, "tag": "cluster", "pid": 2, "node": "pve2", "user": "root", "msg": ""}
]
}
"#;

    #[test]
    fn messages_that_are_no_json_are_read() {
        let (log, malformed) = parse(LOG);
        assert_eq!(malformed, 0);
        let [failure, odd, empty] = log.entries.as_slice() else {
            panic!("{log:?}");
        };
        assert_eq!(
            failure.message,
            "authentication failure; rhost=::ffff:198.51.100.9 user=admin\\x@pve msg=no such user ('a\"b')"
        );
        assert_eq!((failure.priority, failure.uid), (4, 27));
        assert_eq!(
            (odd.user.as_str(), odd.message.as_str()),
            ("dom\\user@ad", "ends in \\")
        );
        assert_eq!(empty.message, "");
        assert_eq!(
            unescape(r#"Zo\u00eb \u12 \ud800 \"x\""#),
            r#"Zoë \u12 \ud800 "x""#
        );
    }

    #[test]
    fn a_torn_file_is_named_and_a_new_log_is_empty() {
        let cut = sample(
            &COLLECTOR,
            &[("etc/pve/.clusterlog", LOG.get(..200).unwrap())],
        );
        assert_eq!(
            (kinds(&cut), cut.payload),
            (vec![FailureKind::Truncated], None)
        );
        let none = sample(
            &COLLECTOR,
            &[("etc/pve/.clusterlog", "{\n\"data\": [\n]\n}\n")],
        );
        assert_eq!(kinds(&none), []);
        let odd = LOG.replace("\"time\": 1795350045, ", "");
        let odd = sample(&COLLECTOR, &[("etc/pve/.clusterlog", &odd)]);
        assert_eq!(kinds(&odd), [FailureKind::Malformed]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\{\"uid\": 1, \"time\": [0-9]{0,12}, \"pri\": 1, \"user\": \"[a\\\\\"]{0,3}\", \"msg\": \"[a\\\\\",}]{0,9}\"\\},?\n|\\PC{0,20}\n){0,5}") {
            let (log, malformed) = parse(&text);
            prop_assert!(log.entries.len() + malformed <= text.lines().count());
        }
    }
}
