//! Pressure stall information of the node, from `/proc/pressure`.
//!
//! Read directly: sysinfo does not know it. The same parser serves the
//! pressure files of guests' cgroups.

use pvelens_proto::agent::v1::{CollectionClass, Pressure, ResourcePressure, StallTime};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, whole_lines};

pub(super) const COLLECTOR: Collector = Collector {
    name: "pressure",
    summary: "share of time in which tasks waited for CPU, memory and I/O",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[
        "/proc/pressure/cpu",
        "/proc/pressure/memory",
        "/proc/pressure/io",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    if !reading.exists("/proc/pressure") {
        return Err(CollectError::NoData("the kernel offers no pressure files"));
    }
    Ok(Payload::Pressure(Pressure {
        cpu: read(reading, "/proc/pressure/cpu"),
        memory: read(reading, "/proc/pressure/memory"),
        io: read(reading, "/proc/pressure/io"),
    }))
}

/// The pressure in one file; absent when the file is, or when it is broken,
/// which is named.
pub(super) fn read(reading: &mut Reading<'_>, path: &str) -> Option<ResourcePressure> {
    let text = reading.read_optional(path, KERNEL_FILE_LIMIT)?;
    reading.keep(parse(&text).map_err(|error| error.at(path)))
}

/// Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same for
/// `full`; averages in per cent, the total in microseconds (kernel
/// `Documentation/accounting/psi.rst`).
fn parse(text: &str) -> Result<ResourcePressure, FormatError> {
    let line = |kind: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))
    };
    whole_lines(text)?;
    Ok(ResourcePressure {
        some: Some(stall(
            line("some").ok_or_else(|| FormatError::truncated("no line `some`"))?,
        )?),
        // Before Linux 5.13 there was none for CPU.
        full: line("full").map(stall).transpose()?,
    })
}

fn stall(line: &str) -> Result<StallTime, FormatError> {
    let value = |key: &str| {
        line.split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
            .ok_or_else(|| FormatError::truncated(format!("{key} is missing")))
    };
    let ratio = |key: &str| {
        value(key)?
            .parse::<f64>()
            .ok()
            .filter(|percent| percent.is_finite())
            .map(|percent| percent / 100.0)
            .ok_or_else(|| FormatError::malformed(format!("{key} is not a number")))
    };
    Ok(StallTime {
        avg10_ratio: ratio("avg10")?,
        avg60_ratio: ratio("avg60")?,
        avg300_ratio: ratio("avg300")?,
        stalled_microseconds_total: value("total")?
            .parse()
            .map_err(|_| FormatError::malformed("total is not a number"))?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn averages_are_ratios_and_the_total_is_exact() {
        let some = "some avg10=74.74 avg60=68.36 avg300=81.71 total=3757413919\n";
        let pressure = parse(some).unwrap();
        let stall = pressure.some.unwrap();
        assert!((stall.avg10_ratio - 0.7474).abs() < 1e-9);
        assert_eq!(stall.stalled_microseconds_total, 3_757_413_919);
        assert_eq!(pressure.full, None);
    }

    #[test]
    fn a_cut_file_is_named() {
        for text in [
            "",
            "some avg10=1.00 avg60=1.00 avg300=1.00 total=3",
            "some avg10=1.00\n",
            "some avg10=NaN avg60=1 avg300=1 total=1\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((some|full) avg10=[0-9.]{0,6} avg60=[0-9.a-z]{0,4} avg300=1 total=[0-9-]{0,21}\n?|\\PC{0,20}\n){0,4}") {
            drop(parse(&text));
        }
    }
}
