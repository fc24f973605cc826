//! Limits that the temperature chips are set to, from `/sys/class/hwmon`.
//!
//! Beside [`super::sensor`], whose library gives the critical limits only. Inputs
//! are not read here: some chips answer over a slow bus.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, SensorLimit, SensorLimits};

use super::{CollectError, Collector, Payload, Reading, SLOW, WORD_LIMIT};
use crate::format::{FormatError, plain::short, whole_lines};

const DIRECTORY: &str = "/sys/class/hwmon";
const CHIP_LIMIT: usize = 128;
const LIMIT_LIMIT: usize = 512;
const NAME_LIMIT: usize = 64;
/// No limit in use is outside of these; chips without one say 0 or nonsense.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 20.0..=200.0;

pub(super) const COLLECTOR: Collector = Collector {
    name: "sensor_limits",
    summary: "limits of temperatures that the chips are set to",
    class: CollectionClass::Slow,
    interval: SLOW,
    deadline: Duration::from_secs(10),
    paths: &[
        "/sys/class/hwmon/*/name",
        "/sys/class/hwmon/*/temp*_label",
        "/sys/class/hwmon/*/temp*_max",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut chips = reading.list_optional(DIRECTORY);
    if chips.is_empty() {
        return Err(CollectError::NoData("no temperature sensors"));
    }
    let mut found = SensorLimits {
        truncated: chips.len() > CHIP_LIMIT,
        ..SensorLimits::default()
    };
    chips.truncate(CHIP_LIMIT);
    for chip in chips {
        let directory = format!("{DIRECTORY}/{chip}");
        let files = reading.list_optional(&directory);
        let inputs = files.iter().filter_map(|file| file.strip_suffix("_max"));
        let inputs: Vec<&str> = inputs.filter(|input| is_temperature(input)).collect();
        if inputs.is_empty() {
            continue;
        }
        let chip = reading.read_word(&format!("{directory}/name"));
        let chip = short(&chip.unwrap_or_default(), NAME_LIMIT);
        for input in inputs {
            let Some(high_celsius) = celsius(reading, &format!("{directory}/{input}_max")) else {
                continue;
            };
            let label = reading.read_word(&format!("{directory}/{input}_label"));
            found.limits.push(SensorLimit {
                chip: chip.clone(),
                input: input.to_owned(),
                label: short(&label.unwrap_or_default(), NAME_LIMIT),
                high_celsius,
            });
        }
    }
    found
        .limits
        .sort_by(|a, b| (&a.chip, &a.input, &a.label).cmp(&(&b.chip, &b.input, &b.label)));
    found.truncated |= found.limits.len() > LIMIT_LIMIT;
    found.limits.truncate(LIMIT_LIMIT);
    Ok(Payload::SensorLimits(found))
}

/// As `temp1`.
fn is_temperature(input: &str) -> bool {
    input
        .strip_prefix("temp")
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Thousandths of a degree (kernel `Documentation/hwmon/sysfs-interface.rst`). Some
/// drivers refuse while a disk sleeps.
fn celsius(reading: &mut Reading<'_>, path: &str) -> Option<f64> {
    let text = match reading.read(path, WORD_LIMIT) {
        Err(error) if matches!(error.kind, FailureKind::NotFound | FailureKind::Io) => return None,
        result => reading.keep(result)?,
    };
    let number = whole_lines(&text).and_then(|text| {
        let number = text.trim().parse::<i32>();
        number.map_err(|_| FormatError::malformed("not a number"))
    });
    let number = reading.keep(number.map_err(|error| error.at(path)))?;
    Some(f64::from(number) / 1000.0).filter(|celsius| PLAUSIBLE.contains(celsius))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn limits_keep_the_names_of_their_inputs() {
        let node = sample(
            &COLLECTOR,
            &[
                ("sys/class/hwmon/hwmon1/name", "nvme\n"),
                ("sys/class/hwmon/hwmon1/temp1_label", "Composite\n"),
                ("sys/class/hwmon/hwmon1/temp1_max", "81850\n"),
                ("sys/class/hwmon/hwmon1/temp2_max", "0\n"),
                ("sys/class/hwmon/hwmon1/in0_max", "5000\n"),
                ("sys/class/hwmon/hwmon0/name", "acpitz\n"),
                ("sys/class/hwmon/hwmon0/temp1_input", "30000\n"),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::SensorLimits(all)) = node.payload else {
            panic!("{node:?}");
        };
        let [limit] = all.limits.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(
            (
                limit.chip.as_str(),
                limit.input.as_str(),
                limit.label.as_str()
            ),
            ("nvme", "temp1", "Composite")
        );
        assert!((limit.high_celsius - 81.85).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let node = sample(
            &COLLECTOR,
            &[
                ("sys/class/hwmon/hwmon0/name", "x\n"),
                ("sys/class/hwmon/hwmon0/temp1_max", "warm\n"),
            ],
        );
        assert_eq!(kinds(&node), [FailureKind::Malformed]);
    }
}
