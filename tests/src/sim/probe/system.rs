//! The system probe: units of systemd.

use std::{fmt::Write as _, io};

use pvelens_agent::probe::Outcome;
use serde_json::{Value, json};

use super::{
    super::{state::State, tree::Tree},
    reply,
};

const SYSTEM: &str = "system";
const UNITS: &[&str] = &[
    "pve-cluster",
    "corosync",
    "pvedaemon",
    "pveproxy",
    "pvestatd",
    "pvescheduler",
    "pve-ha-crm",
    "pve-ha-lrm",
    "watchdog-mux",
];

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let fails = |unit: &str| match unit {
        "watchdog-mux" => !node.watchdog,
        "pve-ha-lrm" => !node.ha_manager,
        "pve-ha-crm" => state.ha.managers_stopped,
        "pvestatd" => !node.pvestatd,
        _ => false,
    };
    let since = node.boot_millis / 1000 + 30;
    let blocks: Vec<String> = (1000..)
        .zip(UNITS)
        .map(|(pid, unit)| {
            let fails = fails(unit);
            let (active, sub, result, pid) = if fails {
                ("failed", "failed", "signal", 0)
            } else {
                ("active", "running", "success", pid)
            };
            let mut block = format!("Id={unit}.service\nLoadState=loaded\n");
            writeln!(
                block,
                "ActiveState={active}\nSubState={sub}\nUnitFileState=enabled\nResult={result}\nNRestarts=0\nMainPID={pid}\nExecMainStatus={}\nStateChangeTimestamp=@{since}",
                u8::from(fails) * 9
            )
            .ok();
            block
        })
        .collect();
    let failed: Vec<Value> = UNITS
        .iter()
        .filter(|unit| fails(unit))
        .map(|unit| json!({"unit": format!("{unit}.service"), "active": "failed"}))
        .collect();
    let outcome = || Outcome::Exited { exit_status: 0 };
    reply(
        tree,
        (SYSTEM, "units"),
        outcome(),
        "systemctl show",
        blocks.join("\n"),
    )?;
    let failed = Value::Array(failed).to_string();
    reply(
        tree,
        (SYSTEM, "failed_units"),
        outcome(),
        "systemctl list-units",
        failed,
    )
}
