//! Where journald keeps its messages, how many and since when, and whether its
//! files were closed in order.

use pvelens_proto::{Timestamp, agent::v1::JournaldSettings, timestamp_from_millis};

use super::{Reading, file_and_directory};
use crate::format::plain;

pub(super) const CONF: &str = "/etc/systemd/journald.conf";
const CONF_D: &str = "/etc/systemd/journald.conf.d";
const DIRECTORY: &str = "/var/log/journal";
/// Of this and other installations; journals of other machines may be there, too.
const MACHINES_LIMIT: usize = 16;
/// Compared, and not carried.
const MACHINE_ID: &str = "/etc/machine-id";

pub(super) fn collect(reading: &mut Reading<'_>) -> JournaldSettings {
    let texts = file_and_directory(reading, CONF, CONF_D);
    let mut settings = JournaldSettings {
        has_directory: reading.exists(DIRECTORY),
        ..JournaldSettings::default()
    };
    for text in texts {
        parse(&text, &mut settings);
    }
    if settings.has_directory {
        files(reading, &mut settings);
    }
    settings
}

/// Looks at the names of the files of this machine; none of them is opened.
fn files(reading: &mut Reading<'_>, settings: &mut JournaldSettings) {
    let Some(machine) = reading.read_word(MACHINE_ID) else {
        return;
    };
    let machines = reading.list_optional(DIRECTORY);
    let Some(machine) = machines
        .iter()
        .take(MACHINES_LIMIT)
        .find(|name| **name == machine)
    else {
        return;
    };
    for name in reading.list_optional(&format!("{DIRECTORY}/{machine}")) {
        file(&name, settings);
    }
}

/// `system@ID-NUMBER-TIME.journal` is a finished file, TIME being that of its first
/// message; `system@TIME-RANDOM.journal~` one that was found not closed at TIME.
/// Both in hexadecimal microseconds
/// (`systemd@src/libsystemd/sd-journal/journal-file.c`, archiving and disposing).
fn file(name: &str, settings: &mut JournaldSettings) {
    let Some(rest) = name.strip_prefix("system@") else {
        return;
    };
    if let Some(times) = rest.strip_suffix(".journal~") {
        settings.unclean_files = settings.unclean_files.saturating_add(1);
        let at = times.split('-').next().and_then(time);
        let newest = settings.newest_unclean_at.take();
        settings.newest_unclean_at = later(newest, at);
    } else if let Some(times) = rest.strip_suffix(".journal") {
        let at = times.rsplit('-').next().and_then(time);
        let oldest = settings.oldest_message_at.take();
        settings.oldest_message_at = earlier(oldest, at);
    }
}

fn time(microseconds: &str) -> Option<Timestamp> {
    let microseconds = i64::from_str_radix(microseconds, 16).ok()?;
    (microseconds > 0).then(|| timestamp_from_millis(microseconds / 1000))
}

fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).max_by_key(order)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min_by_key(order)
}

fn order(time: &Timestamp) -> (i64, i32) {
    (time.seconds, time.nanos)
}

/// The last assignment counts, and an empty one takes back (`journald.conf(5)`).
fn parse(text: &str, settings: &mut JournaldSettings) {
    for (key, value) in assignments(text, "Journal") {
        let value = plain::name(value).map(str::to_owned);
        match key {
            "Storage" => settings.storage = value,
            "SystemMaxUse" => settings.system_max_use = value,
            _ => {}
        }
    }
}

/// The `Key=value` lines of a section in a file of systemd.
pub(super) fn assignments<'a>(
    text: &'a str,
    section: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut is_inside = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            is_inside = name.trim_end_matches(']') == section;
        }
        if !is_inside || line.starts_with(['#', ';']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_assignment_counts() {
        let mut settings = JournaldSettings::default();
        parse(
            "[Other]\nStorage=none\n[Journal]\n#Storage=auto\nStorage=volatile\n",
            &mut settings,
        );
        assert_eq!(settings.storage.as_deref(), Some("volatile"));
        parse(
            "[Journal]\nStorage = persistent\nSystemMaxUse=1G\n",
            &mut settings,
        );
        assert_eq!(settings.storage.as_deref(), Some("persistent"));
        assert_eq!(settings.system_max_use.as_deref(), Some("1G"));
        parse("[Journal]\nSystemMaxUse=\n", &mut settings);
        assert_eq!(settings.system_max_use, None);
    }

    #[test]
    fn names_tell_the_oldest_message_and_an_end_without_order() {
        let mut settings = JournaldSettings::default();
        for name in [
            "system.journal",
            "user-1000@0005d2f9c2a1f6d6-7bd4d3c6ea4bb16d.journal~",
            "system@9f0c5d2b2a7e4b7c8f1e2d3c4b5a6978-0000000000000001-000627b3f1a40000.journal",
            "system@9f0c5d2b2a7e4b7c8f1e2d3c4b5a6978-0000000000000900-000627b3f1a5ffff.journal",
            "system@000627b3f1a60000-7bd4d3c6ea4bb16d.journal~",
            "system@nonsense.journal~",
            "system@.journal",
        ] {
            file(name, &mut settings);
        }
        let oldest = i64::from_str_radix("000627b3f1a40000", 16).unwrap() / 1_000_000;
        assert_eq!(settings.oldest_message_at.unwrap().seconds, oldest);
        let unclean = i64::from_str_radix("000627b3f1a60000", 16).unwrap() / 1_000_000;
        assert_eq!(settings.newest_unclean_at.unwrap().seconds, unclean);
        assert_eq!(settings.unclean_files, 2);
    }

    proptest! {
        #[test]
        fn any_name_is_read(name in "system@[0-9a-f]{0,20}(-[0-9a-f]{0,17}){0,3}\\.journal~?|\\PC{0,20}") {
            file(&name, &mut JournaldSettings::default());
        }

        #[test]
        fn any_text_parses(text in "(\\[?(Journal|Storage)\\]?=?\\PC{0,9}\n?){0,9}") {
            parse(&text, &mut JournaldSettings::default());
        }
    }
}
