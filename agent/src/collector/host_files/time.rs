//! Sources of time that chrony and timesyncd are told to use.

use pvelens_proto::agent::v1::{TimeSourceKind, TimeSourceSetting};

use super::{Reading, file_and_directory, journal::assignments, texts};
use crate::format::url_host::plain_host;

pub(super) const TIMESYNCD: &str = "/etc/systemd/timesyncd.conf";
const TIMESYNCD_D: &str = "/etc/systemd/timesyncd.conf.d";
pub(super) const CHRONY: &str = "/etc/chrony/chrony.conf";
const CHRONY_D: &str = "/etc/chrony/conf.d";
const SOURCES_D: &str = "/etc/chrony/sources.d";

pub(super) fn collect(reading: &mut Reading<'_>) -> Vec<TimeSourceSetting> {
    let (mut servers, mut fallbacks) = (Vec::new(), Vec::new());
    for text in file_and_directory(reading, TIMESYNCD, TIMESYNCD_D) {
        timesyncd(&text, &mut servers, &mut fallbacks);
    }
    let mut sources = servers;
    sources.append(&mut fallbacks);
    for text in file_and_directory(reading, CHRONY, CHRONY_D) {
        sources.extend(chrony(&text));
    }
    for (_, text) in texts(reading, SOURCES_D, |name| name.ends_with(".sources")) {
        sources.extend(chrony(&text));
    }
    sources
}

/// Names with spaces between them; an empty list takes back those before it
/// (`timesyncd.conf(5)`).
fn timesyncd(
    text: &str,
    servers: &mut Vec<TimeSourceSetting>,
    fallbacks: &mut Vec<TimeSourceSetting>,
) {
    for (key, value) in assignments(text, "Time") {
        let (list, kind) = match key {
            "NTP" => (&mut *servers, TimeSourceKind::Server),
            "FallbackNTP" => (&mut *fallbacks, TimeSourceKind::Fallback),
            _ => continue,
        };
        if value.is_empty() {
            list.clear();
        }
        let hosts = value.split_whitespace().filter_map(plain_host);
        list.extend(hosts.map(|host| setting(kind, host, "timesyncd")));
    }
}

/// Lines `server host options` (`chrony.conf(5)`); the options may name a key.
fn chrony(text: &str) -> impl Iterator<Item = TimeSourceSetting> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let kind = match words.next()?.to_ascii_lowercase().as_str() {
            "server" => TimeSourceKind::Server,
            "pool" => TimeSourceKind::Pool,
            "peer" => TimeSourceKind::Peer,
            "refclock" => TimeSourceKind::ReferenceClock,
            _ => return None,
        };
        let host = plain_host(words.next()?)?;
        Some(setting(kind, host, "chrony"))
    })
}

fn setting(kind: TimeSourceKind, host: &str, program: &str) -> TimeSourceSetting {
    TimeSourceSetting {
        kind: kind.into(),
        host: host.to_owned(),
        program: program.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_list_takes_back_what_was_before() {
        let (mut servers, mut fallbacks) = (Vec::new(), Vec::new());
        timesyncd(
            "[Time]\nNTP=a.test b.test\nFallbackNTP=c.test\n",
            &mut servers,
            &mut fallbacks,
        );
        timesyncd("[Time]\nNTP=\nNTP=10.0.0.1\n", &mut servers, &mut fallbacks);
        assert_eq!(servers.len(), 1);
        assert_eq!(servers[0].host, "10.0.0.1");
        assert_eq!(fallbacks[0].kind(), TimeSourceKind::Fallback);
    }

    #[test]
    fn of_chrony_only_the_names_are_taken() {
        let text = "# canary\npool 2.debian.pool.ntp.org iburst\nServer ntp.example.test key canary\n\
            refclock PHC /dev/ptp_hyperv\nkeyfile /etc/chrony/chrony.keys\npeer\n! server old.test\n";
        let sources: Vec<_> = chrony(text).collect();
        let hosts: Vec<&str> = sources.iter().map(|s| s.host.as_str()).collect();
        assert_eq!(hosts, ["2.debian.pool.ntp.org", "ntp.example.test", "PHC"]);
        assert!(!format!("{sources:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((server|pool|\\[Time\\]|NTP=) ?\\PC{0,9}\n?){0,9}") {
            prop_assert!(chrony(&text).count() <= text.lines().count());
            timesyncd(&text, &mut Vec::new(), &mut Vec::new());
        }
    }
}
