//! The line `scan:` of `zpool status`, and its local times
//! (`zfs@cmd/zpool/zpool_main.c`, `print_scan_scrub_resilver_status`):
//!
//! ```text
//! scrub repaired 0B in 00:01:23 with 0 errors on Sun Nov  8 00:25:24 2026
//! scrub in progress since Sun Nov  8 00:24:01 2026
//! scrub paused since …, scrub canceled on …, resilvered 1.2G in … , none requested
//! ```

use jiff::fmt::strtime;
use pvelens_proto::agent::v1::{ZfsScan, ZfsScanKind as Kind, ZfsScanState as State};

use crate::format::loose::decimal_text;

/// Reads the line, and the lines of progress below it.
pub(super) fn parse(line: &str, more: &[&str]) -> ZfsScan {
    let (kind, state) = if line.starts_with("none requested") {
        (Kind::None, State::Unspecified)
    } else if line.starts_with("scrub repaired") {
        (Kind::Scrub, State::Finished)
    } else if line.starts_with("resilvered") {
        (Kind::Resilver, State::Finished)
    } else if line.starts_with("scrub ") {
        (Kind::Scrub, unfinished(line))
    } else if line.starts_with("resilver") {
        (Kind::Resilver, unfinished(line))
    } else {
        (Kind::Unspecified, State::Unspecified)
    };
    let after = |mark: &str| line.split_once(mark).map(|(_, rest)| rest);
    let time = match state {
        State::Finished | State::Canceled => after(" on "),
        _ => after(" since "),
    };
    let is_finished = state == State::Finished;
    let processed = || match kind {
        Kind::Scrub => after(" repaired ").and_then(size),
        _ => after("resilvered ").and_then(size),
    };
    ZfsScan {
        kind: kind.into(),
        state: state.into(),
        local_time: time.and_then(local_time).unwrap_or_default(),
        errors: after(" with ").and_then(first_number),
        processed_bytes: is_finished.then(processed).flatten(),
        done_ratio: more.iter().find_map(|line| done(line)),
        ..ZfsScan::default()
    }
}

fn unfinished(line: &str) -> State {
    if line.contains(" in progress ") {
        State::Running
    } else if line.contains(" paused ") {
        State::Paused
    } else if line.contains(" canceled ") {
        State::Canceled
    } else {
        State::Unspecified
    }
}

/// `Sun Nov  8 00:25:24 2026` as `2026-11-08T00:25:24`.
pub(super) fn local_time(text: &str) -> Option<String> {
    // The day of the week follows from the rest; of two blanks one is enough.
    let words: Vec<&str> = text.split_whitespace().skip(1).take(4).collect();
    let time = strtime::parse("%b %d %H:%M:%S %Y", words.join(" ")).ok()?;
    Some(time.to_datetime().ok()?.to_string())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// `1.25G` in binary units; with `-p` the number alone.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn size(text: &str) -> Option<u64> {
    let word = text.split_whitespace().next()?.trim_end_matches('B');
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let exponent = match unit {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return None,
    };
    let number = decimal_text(word.strip_suffix(unit)?)?;
    Some((number * 1024_f64.powi(exponent)) as u64)
}

/// `0B repaired, 12.50% done, 00:10:00 to go`
fn done(line: &str) -> Option<f64> {
    let (before, _) = line.split_once("% done")?;
    let percent = before.split_whitespace().next_back()?;
    decimal_text(percent).map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_way_of_saying_it_is_understood() {
        for (line, kind, state, time) in [
            ("none requested", Kind::None, State::Unspecified, ""),
            (
                "scrub in progress since Sun Nov  8 00:24:01 2026",
                Kind::Scrub,
                State::Running,
                "2026-11-08T00:24:01",
            ),
            (
                "scrub paused since Sun Nov 15 00:24:01 2026",
                Kind::Scrub,
                State::Paused,
                "2026-11-15T00:24:01",
            ),
            (
                "scrub canceled on Sun Nov  8 00:24:01 2026",
                Kind::Scrub,
                State::Canceled,
                "2026-11-08T00:24:01",
            ),
            (
                "resilver in progress since Sun Nov  8 00:24:01 2026",
                Kind::Resilver,
                State::Running,
                "2026-11-08T00:24:01",
            ),
            // Of the blocks with errors alone.
            (
                "scrubbed 3 error blocks in 0 days 00:00:01 on Sun Nov  8 00:24:01 2026",
                Kind::Unspecified,
                State::Unspecified,
                "",
            ),
            ("something new", Kind::Unspecified, State::Unspecified, ""),
        ] {
            let scan = parse(line, &[]);
            assert_eq!((scan.kind(), scan.state()), (kind, state), "{line}");
            assert_eq!(scan.local_time, time, "{line}");
            assert_eq!((scan.errors, scan.processed_bytes), (None, None), "{line}");
        }
    }

    #[test]
    fn a_finished_one_says_what_it_did() {
        let scan = parse(
            "scrub repaired 1.50M in 1 days 02:01:23 with 3 errors on Sun Nov  8 00:25:24 2026",
            &[],
        );
        assert_eq!((scan.kind(), scan.state()), (Kind::Scrub, State::Finished));
        assert_eq!(
            (scan.errors, scan.processed_bytes),
            (Some(3), Some(1_572_864))
        );
        assert_eq!(scan.local_time, "2026-11-08T00:25:24");
        let scan = parse(
            "resilvered 0B in 00:00:01 with 0 errors on Sun Nov  8 00:25:24 2026",
            &[],
        );
        assert_eq!(
            (scan.kind(), scan.processed_bytes),
            (Kind::Resilver, Some(0))
        );
        let scan = parse(
            "scrub in progress since Sun Nov  8 00:24:01 2026",
            &[
                "12.3G / 99.0G scanned",
                "0B repaired, 12.50% done, 00:10:00 to go",
            ],
        );
        assert_eq!(scan.done_ratio, Some(0.125));
    }

    proptest! {
        #[test]
        fn any_line_is_a_scan(line in "((scrub|resilver(ed)?) (repaired|in progress|canceled) [0-9.]{0,9}[A-Z]{0,2} (with|on|since) \\PC{0,20}|\\PC{0,40})") {
            parse(&line, &[&line]);
            local_time(&line);
        }
    }
}
