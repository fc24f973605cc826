//! Temperatures of the node's sensors.
//!
//! This is the one collector on sysinfo: it knows the ways in which hwmon
//! chips name and scale their inputs. It reads fixed paths, so there is nothing
//! to collect from a recorded or simulated node.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, Sensors, Temperature};
use sysinfo::Components;

use super::{CollectError, Collector, Payload, Reading};
use crate::host::SourceError;

const CHIPS: &str = "/sys/class/hwmon";
/// Chips of large servers have some dozens of inputs.
const SENSOR_LIMIT: usize = 512;

pub(super) const COLLECTOR: Collector = Collector {
    name: "sensor",
    summary: "temperatures",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // Some chips answer over a slow bus.
    deadline: Duration::from_secs(10),
    paths: &["/sys/class/hwmon/**", "/sys/class/thermal/**"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    if !reading.is_live() {
        return Err(CollectError::NoData(
            "sensors are read on a running node only",
        ));
    }
    let components = Components::new_with_refreshed_list()
        .map_err(|error| SourceError::new(CHIPS, FailureKind::Io, error.to_string()))?;
    let temperatures: Vec<Temperature> = components
        .iter()
        .filter_map(|component| {
            Some(Temperature {
                label: component.label().to_owned(),
                celsius: component.temperature().filter(|t| t.is_finite())?.into(),
                critical_celsius: component.critical().map(f64::from),
            })
        })
        .take(SENSOR_LIMIT)
        .collect();
    if temperatures.is_empty() {
        return Err(CollectError::NoData("no temperature sensors"));
    }
    Ok(Payload::Sensors(Sensors { temperatures }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn a_tree_of_files_has_no_sensors_and_that_is_no_failure() {
        let tree = sample(
            &COLLECTOR,
            &[("sys/class/hwmon/hwmon0/temp1_input", "40000\n")],
        );
        assert!(matches!(tree.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&tree), []);
    }
}
