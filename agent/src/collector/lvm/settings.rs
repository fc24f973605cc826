//! The settings of `/etc/lvm/lvm.conf` that matter for thin pools.
//!
//! `key = value`, in a section or with the section before it and a slash
//! (`lvm.conf(5)`); the last one counts, `#` opens a comment. A list may go over
//! several lines.

use pvelens_proto::agent::v1::LvmSettings;

pub(super) fn parse(text: &str) -> LvmSettings {
    let mut settings = LvmSettings::default();
    let mut lines = text.lines().map(without_comment);
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = key.trim();
        match key.rsplit_once('/').map_or(key, |(_, key)| key) {
            "thin_pool_autoextend_threshold" => {
                settings.thin_pool_autoextend_threshold_ratio = percent(value);
            }
            "thin_pool_autoextend_percent" => settings.thin_pool_autoextend_ratio = percent(value),
            "thin_check_options" => {
                let mut options = value.to_owned();
                while options.contains('[') && !options.contains(']') {
                    let Some(line) = lines.next() else { break };
                    options.push_str(line);
                }
                settings.has_thin_check_options = true;
                settings.thin_check_clears_flag = options.contains("--clear-needs-check-flag");
            }
            _ => {}
        }
    }
    settings
}

/// No value that is looked at holds a `#`.
fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(before, _)| before)
}

fn percent(value: &str) -> Option<f64> {
    let percent: u8 = value.trim().parse().ok()?;
    Some(f64::from(percent) / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_are_no_settings_and_the_last_one_counts() {
        let settings = parse(
            "# thin_pool_autoextend_threshold = 50\nactivation {\n\tthin_pool_autoextend_threshold=100\n\tthin_pool_autoextend_percent = 20 # a part\n}\n\
             activation/thin_pool_autoextend_threshold = 80\n",
        );
        assert_eq!(settings.thin_pool_autoextend_threshold_ratio, Some(0.8));
        assert_eq!(settings.thin_pool_autoextend_ratio, Some(0.2));
        assert!(!settings.has_thin_check_options);
        assert_eq!(parse(""), LvmSettings::default());
    }

    #[test]
    fn options_of_the_check_may_take_several_lines() {
        for text in [
            "global {\nthin_check_options = [ \"-q\", \"--clear-needs-check-flag\" ]\n}\n",
            "global {\nthin_check_options = [\n\t\"-q\",\n\t\"--clear-needs-check-flag\"\n]\n}\n",
        ] {
            let settings = parse(text);
            assert!(settings.has_thin_check_options && settings.thin_check_clears_flag);
        }
        assert!(!parse("thin_check_options = [ \"-q\" ]\n").thin_check_clears_flag);
    }

    proptest! {
        #[test]
        fn any_text_gives_settings(text in "((thin_pool_autoextend_threshold|thin_check_options|[a-z/]{1,5}) ?= ?[0-9\\[\\]\"#]{0,9}\n|\\PC{0,20}\n?){0,6}") {
            parse(&text);
        }
    }
}
