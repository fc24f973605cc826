//! Where the time ends in a log line and who wrote it.

use super::Entry;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Severities of syslog by number, as words.
pub(in super::super) const SEVERITIES: [&str; 8] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug",
];

/// A line of the kernel's ring: `[ 123.4] text`, `2024-05-01T10:00:00,123456+02:00 text`,
/// `<6>[ 123.4] text`.
pub(super) fn kernel_entry(line: &str) -> Entry<'_> {
    let (severity, rest) = level(line);
    Entry {
        line,
        stamp: split(rest).map(|(stamp, _)| stamp),
        source: None,
        severity,
    }
}

/// A line of syslog, the journal or a program.
pub(super) fn entry(line: &str) -> Entry<'_> {
    let Some((stamp, rest)) = split(line) else {
        return Entry {
            line,
            ..Entry::default()
        };
    };
    let mut words = rest.split_whitespace();
    let (first, second, third) = (words.next(), words.next(), words.next());
    let (source, severity) = match (first, second, third) {
        // `host daemon.err program[1]:`, of `BusyBox`.
        (Some(_), Some(priority), Some(program)) if facility(priority).is_some() => {
            (program_name(program), facility(priority))
        }
        // `- util.py[WARNING]:`, of cloud-init.
        (Some("-"), Some(place), _) => (program_name(place), word_in_brackets(place)),
        // `host program[1]:`
        (Some(host), Some(program), _) if !host.ends_with(':') => (program_name(program), None),
        _ => (None, None),
    };
    Entry {
        line,
        stamp: Some(stamp),
        source,
        severity,
    }
}

/// `<3>` in front: the severity in the lowest three bits.
fn level(line: &str) -> (Option<&'static str>, &str) {
    let parts = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let Some((digits, rest)) = parts.filter(|(digits, _)| digits.len() <= 3) else {
        return (None, line);
    };
    match digits.parse::<usize>() {
        Ok(number) => (SEVERITIES.get(number & 7).copied(), rest),
        Err(_) => (None, line),
    }
}

/// Time and what follows it. None when the line does not begin with a time.
fn split(line: &str) -> Option<(&str, &str)> {
    if let Some(inner) = line.strip_prefix('[') {
        let (stamp, rest) = inner.split_once(']')?;
        let looks_right = stamp.len() <= 40
            && stamp.contains(['.', ':'])
            && stamp.ends_with(|c: char| c.is_ascii_digit());
        return looks_right.then_some((stamp.trim(), rest));
    }
    if is_date(line) {
        let (_, after) = line.split_at_checked(10)?;
        // With `T`, or with a blank between day and time.
        let time = after.strip_prefix(['T', ' '])?;
        if !is_clock(time) {
            return None;
        }
        let end = line.len().checked_sub(time.len())?;
        let length = time.find(char::is_whitespace).unwrap_or(time.len());
        return line
            .split_at_checked(end.checked_add(length)?)
            .filter(|(stamp, _)| stamp.len() <= 40);
    }
    // `May  1 10:00:00`
    let (month, rest) = line.split_at_checked(3)?;
    let (day, rest) = rest.split_at_checked(4)?;
    let day = day.trim();
    let is_day = !day.is_empty() && day.len() <= 2 && day.bytes().all(|b| b.is_ascii_digit());
    if !MONTHS.contains(&month) || !is_day || !is_clock(rest) {
        return None;
    }
    line.split_at_checked(15)
}

/// `2024-05-01` in front.
fn is_date(line: &str) -> bool {
    line.as_bytes().first_chunk::<10>().is_some_and(|bytes| {
        bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    })
}

/// `10:00:00` in front.
fn is_clock(text: &str) -> bool {
    text.as_bytes().first_chunk::<8>().is_some_and(|bytes| {
        bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    })
}

/// `sshd[123]:`, `kernel:`.
fn program_name(word: &str) -> Option<&str> {
    let word = word.strip_suffix(':')?;
    let name = word.split(['[', '(']).next()?;
    (!name.is_empty()).then_some(name)
}

/// `daemon.err`
fn facility(word: &str) -> Option<&'static str> {
    const FACILITIES: &[&str] = &[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp",
    ];
    let (facility, level) = word.split_once('.')?;
    if !FACILITIES.contains(&facility) && !facility.starts_with("local") {
        return None;
    }
    severity(level)
}

fn word_in_brackets(word: &str) -> Option<&'static str> {
    let (_, rest) = word.split_once('[')?;
    severity(rest.split(']').next()?)
}

fn severity(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "emerg" | "panic" => "emergency",
        "alert" => "alert",
        "crit" | "critical" => "critical",
        "err" | "error" => "error",
        "warn" | "warning" => "warning",
        "notice" => "notice",
        "info" => "info",
        "debug" => "debug",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_their_many_forms() {
        for (line, stamp, source) in [
            (
                "2024-05-01T10:00:00+0200 web sshd[7]: x",
                "2024-05-01T10:00:00+0200",
                Some("sshd"),
            ),
            (
                "2024-05-01T10:00:00.123456+02:00 web kernel: x",
                "2024-05-01T10:00:00.123456+02:00",
                Some("kernel"),
            ),
            (
                "May  1 10:00:00 web CRON[1]: x",
                "May  1 10:00:00",
                Some("CRON"),
            ),
            (
                "May 11 10:00:00 web daemon.err ntpd[1]: x",
                "May 11 10:00:00",
                Some("ntpd"),
            ),
            (
                "2024-05-01 10:00:00,123 - util.py[WARNING]: x",
                "2024-05-01 10:00:00,123",
                Some("util.py"),
            ),
            (
                "2024-05-01 10:00:00 status installed x:amd64 1",
                "2024-05-01 10:00:00",
                None,
            ),
            (
                "2024-05-01T10:00:00.123456789Z GET / 200",
                "2024-05-01T10:00:00.123456789Z",
                None,
            ),
        ] {
            let entry = entry(line);
            assert_eq!((entry.stamp, entry.source), (Some(stamp), source), "{line}");
        }
        for line in [
            "no time",
            "    at foo(bar)",
            "2024-05-01",
            "May",
            "[x] y",
            "äöü äöü äöü",
            "",
        ] {
            assert_eq!(entry(line).stamp, None, "{line}");
        }
    }

    #[test]
    fn the_kernel_has_times_of_its_own() {
        for (line, stamp, severity) in [
            ("[    1.234567] x", "1.234567", None),
            (
                "[Wed May  1 10:00:00 2024] x",
                "Wed May  1 10:00:00 2024",
                None,
            ),
            ("<3>[ 12.5] x", "12.5", Some("error")),
            (
                "2024-05-01T10:00:00,123456+02:00 x",
                "2024-05-01T10:00:00,123456+02:00",
                None,
            ),
        ] {
            let entry = kernel_entry(line);
            assert_eq!(
                (entry.stamp, entry.severity),
                (Some(stamp), severity),
                "{line}"
            );
        }
        assert_eq!(
            entry("May  1 10:00:00 web daemon.err a: b").severity,
            Some("error")
        );
    }
}
