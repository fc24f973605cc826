//! Where journald keeps its messages, and how many.

use pvelens_proto::agent::v1::JournaldSettings;

use super::{Reading, file_and_directory};
use crate::format::plain;

pub(super) const CONF: &str = "/etc/systemd/journald.conf";
const CONF_D: &str = "/etc/systemd/journald.conf.d";
const DIRECTORY: &str = "/var/log/journal";

pub(super) fn collect(reading: &mut Reading<'_>) -> JournaldSettings {
    let texts = file_and_directory(reading, CONF, CONF_D);
    let mut settings = JournaldSettings {
        has_directory: reading.exists(DIRECTORY),
        ..JournaldSettings::default()
    };
    for text in texts {
        parse(&text, &mut settings);
    }
    settings
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

    proptest! {
        #[test]
        fn any_text_parses(text in "(\\[?(Journal|Storage)\\]?=?\\PC{0,9}\n?){0,9}") {
            parse(&text, &mut JournaldSettings::default());
        }
    }
}
