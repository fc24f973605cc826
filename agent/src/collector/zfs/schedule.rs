//! When scrubs start, and who hears of errors: the cron table and the timers of
//! zfsutils, and the settings of zed (`openzfs/zfs@contrib/debian`,
//! `openzfs/zfs@cmd/zed/zed.d/zed.rc`).

use pvelens_proto::agent::v1::{ZfsPools, ZfsScrubSchedule};

use super::Reading;
use crate::format::plain;

pub(super) const CRON: &str = "/etc/cron.d/zfsutils-linux";
const TIMERS: &str = "/etc/systemd/system/timers.target.wants";
pub(super) const ZED: &str = "/etc/zfs/zed.d/zed.rc";
const LIMIT: u64 = 64 << 10;
const SCHEDULE_LIMIT: usize = 100;

/// Whether it exists.
pub(super) const TIMER: &str = "/etc/systemd/system/timers.target.wants/zfs-scrub-*";

/// Adds what the node's files say.
pub(super) fn collect(reading: &mut Reading<'_>, found: &mut ZfsPools) {
    let cron = reading.read_optional(CRON, LIMIT);
    found.scrub_schedules = cron.iter().flat_map(|text| scrubs(text)).collect();
    let timers = reading.list_optional(TIMERS);
    let timers = timers.iter().filter_map(|name| timer(name));
    found.scrub_schedules.extend(timers);
    found.scrub_schedules.truncate(SCHEDULE_LIMIT);
    if let Some(text) = reading.read_optional(ZED, LIMIT) {
        let address = setting(&text, "ZED_EMAIL_ADDR");
        found.mails_events = Some(!address.is_empty());
        found.mails_root_only = address == "root";
    }
}

/// Lines of a cron table that scrub: five fields, the user, the command.
fn scrubs(text: &str) -> Vec<ZfsScrubSchedule> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#') && line.contains("scrub"))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().take(5).collect();
            let is_time = |field: &&str| {
                let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"*/,-".contains(&b);
                field.len() <= 40 && field.bytes().all(is_plain)
            };
            let is_schedule = fields.len() == 5 && fields.iter().all(is_time);
            is_schedule.then(|| ZfsScrubSchedule {
                schedule: fields.join(" "),
                pool: String::new(),
            })
        })
        .take(SCHEDULE_LIMIT)
        .collect()
}

/// `zfs-scrub-weekly@rpool.timer`; systemd writes `-` of a name as `\x2d`.
fn timer(name: &str) -> Option<ZfsScrubSchedule> {
    let name = name.strip_prefix("zfs-scrub-")?.strip_suffix(".timer")?;
    let (schedule, pool) = name.split_once('@')?;
    Some(ZfsScrubSchedule {
        schedule: plain::name(schedule)?.to_owned(),
        pool: plain::name(&pool.replace("\\x2d", "-"))?.to_owned(),
    })
}

/// The last assignment of a shell variable, without quotes.
fn setting<'a>(text: &'a str, key: &str) -> &'a str {
    let mut values = text.lines().filter_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_prefix('=')?;
        let value = value.split_once(" #").map_or(value, |(value, _)| value);
        Some(value.trim().trim_matches(['"', '\'']))
    });
    values.next_back().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cron_and_timers_say_when_scrubs_start() {
        let cron = "PATH=/usr/bin\n# 0 0 * * * root scrub\n24 0 1-7 * * root [ x ] && trim\n24 0 8-14 * * root if [ $(date +\\%w) -eq 0 ]; then /usr/lib/zfs-linux/scrub; fi\n";
        let found = scrubs(cron);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].schedule, "24 0 8-14 * *");
        let monthly = timer("zfs-scrub-monthly@my\\x2dpool.timer").unwrap();
        assert_eq!(
            (monthly.schedule.as_str(), monthly.pool.as_str()),
            ("monthly", "my-pool")
        );
        assert_eq!(timer("fstrim.timer"), None);
    }

    #[test]
    fn a_mail_address_is_there_or_not() {
        let key = "ZED_EMAIL_ADDR";
        assert_eq!(setting("#ZED_EMAIL_ADDR=\"root\"\n", key), "");
        assert_eq!(setting("ZED_EMAIL_ADDR=\"root\"\n", key), "root");
        assert_eq!(
            setting("ZED_EMAIL_ADDR=a\nZED_EMAIL_ADDR='' # no\n", key),
            ""
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([0-9*] [0-9*/-]{1,3} \\* \\* \\* root scrub\n|ZED_EMAIL_ADDR=\\PC{0,9}\n|\\PC{0,20}\n?){0,5}") {
            for one in scrubs(&text) {
                prop_assert_eq!(one.schedule.split(' ').count(), 5);
            }
            setting(&text, "ZED_EMAIL_ADDR");
            timer(&text);
        }
    }
}
