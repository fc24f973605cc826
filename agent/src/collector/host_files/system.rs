//! Locale, the watchdog of systemd, and where it sends the journal.

use super::{FILE_LIMIT, Reading, file_and_directory, journal::assignments};
use crate::format::{
    plain,
    url_host::{UrlHost, plain_host},
};

pub(super) const LOCALE: &str = "/etc/default/locale";
pub(super) const SYSTEMD: &str = "/etc/systemd/system.conf";
const SYSTEMD_D: &str = "/etc/systemd/system.conf.d";
pub(super) const JOURNAL_UPLOAD: &str = "/etc/systemd/journal-upload.conf";
const JOURNAL_UPLOAD_D: &str = "/etc/systemd/journal-upload.conf.d";

/// On newer systems a link to `/etc/locale.conf`, of the same form.
pub(super) fn locale(reading: &mut Reading<'_>) -> Option<String> {
    language(&reading.read_optional(LOCALE, FILE_LIMIT)?)
}

/// `LANG="en_US.UTF-8"`.
fn language(text: &str) -> Option<String> {
    let values = text.lines().rev();
    let mut values = values.filter_map(|line| line.trim().strip_prefix("LANG="));
    let value = values.next()?.trim_matches(['"', '\'']);
    plain::name(value).map(str::to_owned)
}

pub(super) fn watchdog(reading: &mut Reading<'_>) -> Option<String> {
    let texts = file_and_directory(reading, SYSTEMD, SYSTEMD_D);
    let value = last(&texts, "Manager", "RuntimeWatchdogSec")?;
    plain::name(&value).map(str::to_owned)
}

/// The URL may hold a user and a password: only its host is taken.
pub(super) fn journal_upload(reading: &mut Reading<'_>) -> Option<String> {
    let texts = file_and_directory(reading, JOURNAL_UPLOAD, JOURNAL_UPLOAD_D);
    let value = last(&texts, "Upload", "URL")?;
    Some(upload_host(&value))
}

/// Without a scheme it is taken for a host with `https`
/// (`systemd-journal-upload(8)`).
fn upload_host(url: &str) -> String {
    let host = match url.contains("://") {
        true => UrlHost::of(url).host,
        false => plain_host(url.split(':').next().unwrap_or_default()).unwrap_or_default(),
    };
    host.to_owned()
}

/// The last assignment counts, and an empty one takes back.
fn last(texts: &[String], section: &str, key: &str) -> Option<String> {
    let all = texts.iter().flat_map(|text| assignments(text, section));
    let value = all.filter(|(name, _)| *name == key).last()?.1;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_language_may_stand_in_quotes() {
        assert_eq!(
            language("LANG=en_US.UTF-8\n").as_deref(),
            Some("en_US.UTF-8")
        );
        assert_eq!(language("LC_ALL=C\nLANG=\"C\"\n").as_deref(), Some("C"));
        assert_eq!(language("#LANG=C\n"), None);
        assert_eq!(language("LANG=\n"), None);
    }

    #[test]
    fn of_a_destination_only_the_host_is_left() {
        for (url, host) in [
            (
                "https://canary:canary@logs.example.test:19532/canary",
                "logs.example.test",
            ),
            ("logs.example.test:19532", "logs.example.test"),
            ("canary/canary", ""),
        ] {
            assert_eq!(upload_host(url), host, "{url}");
        }
    }

    #[test]
    fn the_last_assignment_of_the_section_counts() {
        let texts = [
            "[Manager]\nRuntimeWatchdogSec=20s\n[Other]\nRuntimeWatchdogSec=1\n".to_owned(),
            "[Manager]\nRuntimeWatchdogSec=off\n".to_owned(),
        ];
        let value = last(&texts, "Manager", "RuntimeWatchdogSec");
        assert_eq!(value.as_deref(), Some("off"));
        assert_eq!(last(&texts[..1], "Manager", "URL"), None);
        assert_eq!(
            last(&["[Manager]\nA=1\nA=\n".to_owned()], "Manager", "A"),
            None
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\[?(Manager|LANG|URL)\\]?=?\\PC{0,9}\n?){0,9}") {
            drop(language(&text));
            drop(upload_host(&text));
        }
    }
}
