//! The crontab of backups before PVE 7.1: `30 2 * * 6 root vzdump 100 --mode stop`.
//!
//! A `#` before the command disables the job
//! (`pve-guest-common@src/PVE/VZDump/Common.pm`, parse_vzdump_cron_config).

use pvelens_proto::agent::v1::{BackupJob, CronJobs};

use super::{options, pmxcfs};

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Never fails: what does not fit is named by line number.
pub(super) fn parse(text: &str) -> CronJobs {
    let mut jobs = CronJobs::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("PATH") {
            continue;
        }
        match job(number, line) {
            Some(job) => jobs.backups.push(job),
            None => jobs.malformed_lines.push(number),
        }
    }
    jobs.malformed_lines = pmxcfs::first_lines(jobs.malformed_lines);
    jobs
}

fn job(number: u32, line: &str) -> Option<BackupJob> {
    let mut words = words(line).into_iter();
    let minute: u32 = words.next()?.parse().ok()?;
    let hour: u32 = words.next()?.parse().ok()?;
    let (day_of_month, month) = (words.next()?, words.next()?);
    let days = words.next()?;
    let user = words.next()?;
    let command = words.next()?;
    let (enabled, command) = match command.rsplit_once('#') {
        Some((directory, program)) => (false, format!("{directory}{program}")),
        None => (true, command),
    };
    let is_vzdump = command == "vzdump" || command.ends_with("/vzdump");
    let is_ours = is_vzdump && user == "root" && day_of_month == "*" && month == "*";
    if !is_ours || minute > 59 || hour > 23 {
        return None;
    }
    let arguments: Vec<String> = words.collect();
    let pairs: Vec<(&str, &str)> = pairs(&arguments);
    Some(BackupJob {
        id: number.to_string(),
        enabled,
        schedule: format!("{}{hour:02}:{minute:02}", day_list(&days)?),
        repeat_missed: None,
        options: Some(options::parse(&pairs)),
    })
}

/// Days as a calendar event names them, with a space; nothing for every day.
fn day_list(text: &str) -> Option<String> {
    if text == "*" {
        return Some(String::new());
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        for (index, day) in days.iter_mut().enumerate() {
            // Sunday is 0 and 7, so a range may end there.
            *day |= (first..=last).contains(&index) || (index == 0 && (first..=last).contains(&7));
        }
    }
    let names = DAYS.iter().zip(days).filter(|(_, chosen)| *chosen);
    let names: Vec<&str> = names.map(|(name, _)| *name).collect();
    Some(format!("{} ", names.join(",")))
}

fn day(text: &str) -> Option<usize> {
    match text.parse::<usize>() {
        Ok(number) => (number <= 7).then_some(number),
        Err(_) => DAYS.iter().position(|name| text.eq_ignore_ascii_case(name)),
    }
}

/// Options and their values; words without an option are VMIDs.
fn pairs(arguments: &[String]) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(word) = rest.next() {
        let Some(option) = word.strip_prefix('-') else {
            pairs.push(("vmid", word.as_str()));
            continue;
        };
        let option = option.strip_prefix('-').unwrap_or(option);
        match option.split_once('=') {
            Some((key, value)) => pairs.push((key, value)),
            None => {
                let value = rest.next_if(|word| !word.starts_with('-'));
                pairs.push((option, value.map_or("1", String::as_str)));
            }
        }
    }
    pairs
}

/// Words as a shell separates them: white space, quotes and backslash.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = characters.next();
                word.get_or_insert_default().extend(next);
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_crontab_is_read_as_jobs() {
        let jobs = parse(
            "# cluster wide vzdump cron schedule\nPATH=\"/usr/sbin:/usr/bin\"\n\n\
             30 2 * * 1,6-7 root vzdump 101 100 --mode snapshot --storage nfs --quiet 1 --mailto a@example.test --exclude-path '/var/a b' --exclude-path=/x\n\
             0 4 * * *           root #vzdump --all 1 --maxfiles 2\n\
             5 1 * * mon-fri root /usr/bin/vzdump --all --compress zstd\n\
             0 4 1 * * root vzdump --all\nnonsense\n",
        );
        let facts: Vec<_> = jobs
            .backups
            .iter()
            .map(|job| (job.id.as_str(), job.enabled, job.schedule.as_str()))
            .collect();
        assert_eq!(
            facts,
            [
                ("4", true, "sun,mon,sat 02:30"),
                ("5", false, "04:00"),
                ("6", true, "mon,tue,wed,thu,fri 01:05"),
            ]
        );
        let first = jobs.backups[0].options.as_ref().unwrap();
        assert_eq!(first.vmids, [100, 101]);
        assert_eq!(first.storage, "nfs");
        assert_eq!(first.exclude_paths, ["/var/a b", "/x"]);
        assert_eq!(first.mail_recipients, 1);
        let second = jobs.backups[1].options.as_ref().unwrap();
        assert_eq!((second.all, second.max_files), (Some(true), Some(2)));
        let third = jobs.backups[2].options.as_ref().unwrap();
        assert_eq!(
            (third.all, third.compression.as_str()),
            (Some(true), "zstd")
        );
        assert_eq!(jobs.malformed_lines, [7, 8]);
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(
            words(r#"a 'b c' "d\"e" f\ g '' "#),
            ["a", "b c", "d\"e", "f g", ""]
        );
        assert_eq!(words("'open end"), ["open end"]);
        assert_eq!(words("end\\"), ["end"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_jobs(text in "([0-9]{1,3} [0-9]{1,2} \\* \\* [a-z0-9,*-]{1,9} root #?vzdump \\PC{0,20}\n?|\\PC{0,20}\n?){0,6}") {
            let jobs = parse(&text);
            prop_assert!(jobs.backups.len() <= text.lines().count());
        }

        #[test]
        fn quoted_words_come_back(all in proptest::collection::vec("[a-z /\"\\\\*]{0,9}", 0..5)) {
            let text: Vec<String> = all.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(words(&text.join(" ")), all);
        }
    }
}
