//! Load average and uptime, from `/proc/loadavg` and `/proc/uptime`.
//!
//! Read directly, so that recorded and simulated nodes can be read as well.

use pvelens_proto::agent::v1::{CollectionClass, Load};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, Payload, Reading};
use crate::format::{FormatError, whole_lines};

pub(super) const LOADAVG: &str = "/proc/loadavg";
const UPTIME: &str = "/proc/uptime";
const LIMIT: u64 = 4096;

pub(super) const COLLECTOR: Collector = Collector {
    name: "load",
    summary: "load average and uptime",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[LOADAVG, UPTIME],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let loadavg = reading.read(LOADAVG, LIMIT)?;
    let mut load = parse_loadavg(&loadavg).map_err(|error| error.at(LOADAVG))?;
    let uptime = reading.read(UPTIME, LIMIT)?;
    load.uptime_seconds = parse_uptime(&uptime).map_err(|error| error.at(UPTIME))?;
    Ok(Payload::Load(load))
}

/// `0.20 0.18 0.12 1/80 11206`: three averages, runnable and all tasks, last PID.
pub(super) fn parse_loadavg(text: &str) -> Result<Load, FormatError> {
    let malformed = || FormatError::malformed("not a load average");
    let mut words = whole_lines(text)?.split_ascii_whitespace();
    let mut average = || words.next().and_then(finite).ok_or_else(malformed);
    let (load1, load5, load15) = (average()?, average()?, average()?);
    let (runnable, tasks) = words
        .next()
        .and_then(|word| word.split_once('/'))
        .ok_or_else(malformed)?;
    Ok(Load {
        load1,
        load5,
        load15,
        runnable_tasks: runnable.parse().map_err(|_| malformed())?,
        tasks: tasks.parse().map_err(|_| malformed())?,
        uptime_seconds: 0.0,
    })
}

fn parse_uptime(text: &str) -> Result<f64, FormatError> {
    whole_lines(text)?
        .split_ascii_whitespace()
        .next()
        .and_then(finite)
        .ok_or_else(|| FormatError::malformed("not an uptime"))
}

fn finite(word: &str) -> Option<f64> {
    word.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn averages_and_tasks_are_read() {
        let load = parse_loadavg("5.11 6.20 7.34 3/420 11206\n").unwrap();
        assert!((load.load15 - 7.34).abs() < 1e-9);
        assert_eq!((load.runnable_tasks, load.tasks), (3, 420));
        assert!((parse_uptime("4751.26 1159.87\n").unwrap() - 4751.26).abs() < 1e-9);
    }

    #[test]
    fn a_cut_file_is_named() {
        for text in ["", "5.11 6.20", "5.11 6.20 7.34\n", "inf 1 1 1/1 1\n"] {
            assert!(parse_loadavg(text).is_err(), "{text:?}");
        }
        assert!(parse_uptime("475").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "[0-9./ a-z-]{0,40}\n?") {
            drop(parse_loadavg(&text));
            drop(parse_uptime(&text));
        }
    }
}
