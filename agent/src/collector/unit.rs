//! Units of systemd, as `systemctl` shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pvelens_proto::{
    agent::v1::{CollectionClass, Unit, Units},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{CollectError, Collector, Payload, Reading, STATE};
use crate::{
    format::{FormatError, whole_lines},
    probe::{Request, request::SystemRequest},
};

/// Units that one answer may have; the menu names fewer.
const UNIT_LIMIT: usize = 100;
/// A node where more have failed is known by the first ones.
const FAILED_LIMIT: usize = 200;
const RUNNING_LIMIT: usize = 500;
const SERVICES: &str = "/sys/fs/cgroup/system.slice";
/// systemd's own limit of a unit's name.
const NAME_LIMIT: usize = 256;

pub(super) const COLLECTOR: Collector = Collector {
    name: "units",
    summary: "state of the services of Proxmox VE, and units that have failed",
    class: CollectionClass::State,
    interval: STATE,
    deadline: Duration::from_secs(25),
    // Names only.
    paths: &["/sys/fs/cgroup/system.slice/*.service/cgroup.procs"],
    probes: &["units", "failed_units"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let answer = match reading.ask(&Request::System(SystemRequest::Units {})) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("the system probe is not there"));
        }
        result => result?,
    };
    let mut found = Units {
        units: parse(answer.success()?).map_err(|error| error.at(&answer.source))?,
        ..Units::default()
    };
    let failed = reading.ask(&Request::System(SystemRequest::FailedUnits {}));
    let names = failed.and_then(|answer| {
        parse_failed(answer.success()?).map_err(|error| error.at(&answer.source))
    });
    if let Some(names) = reading.keep(names) {
        found.is_failed_truncated = names.len() > FAILED_LIMIT;
        found.failed_units = names;
        found.failed_units.truncate(FAILED_LIMIT);
    }
    running(reading, &mut found);
    Ok(Payload::Units(found))
}

/// systemd removes the control group of a service when the last process ends.
fn running(reading: &mut Reading<'_>, found: &mut Units) {
    let names = reading.list_optional(SERVICES);
    let mut services: Vec<String> = names
        .into_iter()
        .filter(|name| name.ends_with(".service") && name.len() <= NAME_LIMIT)
        .collect();
    found.is_running_truncated = services.len() > RUNNING_LIMIT;
    services.truncate(RUNNING_LIMIT);
    found.running_services = services;
}

/// Blocks of `key=value`, with an empty line between two.
fn parse(text: &str) -> Result<Vec<Unit>, FormatError> {
    let mut seen = BTreeSet::new();
    let mut units = Vec::new();
    for block in whole_lines(text)?.split("\n\n") {
        let values: BTreeMap<&str, &str> = block
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        if values.is_empty() {
            continue;
        }
        let unit = unit(&values)?;
        // Two names of one unit are one unit.
        if seen.insert(unit.name.clone()) && units.len() < UNIT_LIMIT {
            units.push(unit);
        }
    }
    Ok(units)
}

fn unit(values: &BTreeMap<&str, &str>) -> Result<Unit, FormatError> {
    let word = |key: &str| -> String {
        let value = values.get(key).copied().unwrap_or_default();
        value.chars().take(NAME_LIMIT).collect()
    };
    let name = word("Id");
    if name.is_empty() {
        return Err(FormatError::malformed("a unit without a name"));
    }
    let changed_at = values
        .get("StateChangeTimestamp")
        .and_then(|value| value.strip_prefix('@')?.parse::<i64>().ok())
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| seconds.checked_mul(1000));
    Ok(Unit {
        name,
        load_state: word("LoadState"),
        active_state: word("ActiveState"),
        sub_state: word("SubState"),
        unit_file_state: word("UnitFileState"),
        result: word("Result"),
        restarts_total: values.get("NRestarts").and_then(|value| value.parse().ok()),
        main_pid: values
            .get("MainPID")
            .and_then(|value| value.parse().ok())
            .filter(|pid| *pid != 0),
        exit_status: values
            .get("ExecMainStatus")
            .and_then(|value| value.parse().ok()),
        state_changed_at: changed_at.map(timestamp_from_millis),
    })
}

/// The names in `systemctl list-units --output=json`; descriptions are not kept.
fn parse_failed(text: &str) -> Result<Vec<String>, FormatError> {
    #[derive(Deserialize)]
    struct Row {
        unit: String,
    }
    let rows: Vec<Row> =
        serde_json::from_str(text).map_err(|error| super::pmxcfs::json_error(&error))?;
    let names = rows.into_iter().map(|row| row.unit);
    Ok(names
        .map(|name| name.chars().take(NAME_LIMIT).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOWN: &str = "Id=corosync.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\nResult=exit-code\nNRestarts=3\nMainPID=0\nExecMainStatus=8\nStateChangeTimestamp=@1795348344\n\nId=ceph.target\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nStateChangeTimestamp=\n\nId=corosync.service\nLoadState=loaded\n";

    #[test]
    fn a_failed_unit_says_why_and_a_missing_one_that_it_is_missing() {
        let units = parse(SHOWN).unwrap();
        assert_eq!(units.len(), 2);
        assert_eq!(units[0].result, "exit-code");
        assert_eq!(
            (units[0].restarts_total, units[0].main_pid),
            (Some(3), None)
        );
        assert_eq!(units[0].exit_status, Some(8));
        assert_eq!(units[0].state_changed_at.unwrap().seconds, 1_795_348_344);
        assert_eq!(units[1].load_state, "not-found");
        assert_eq!(
            (units[1].restarts_total, units[1].state_changed_at),
            (None, None)
        );
    }

    #[test]
    fn only_names_of_failed_units_are_kept() {
        let text = r#"[{"unit":"x.service","load":"loaded","active":"failed","sub":"failed","description":"canary-text"}]"#;
        assert_eq!(parse_failed(text).unwrap(), ["x.service"]);
        assert_eq!(parse_failed("[]\n").unwrap(), Vec::<String>::new());
        assert!(parse_failed("0 units listed").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([A-Za-z]{0,12}=?@?[0-9a-z]{0,20}\n{0,2}){0,20}") {
            drop(parse(&text));
            drop(parse_failed(&text));
        }
    }
}
