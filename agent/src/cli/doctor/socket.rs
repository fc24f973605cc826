//! The sockets that systemd makes, and the units behind them.

use std::{io, path::Path};

use super::{
    report::Item,
    system::{Place, System},
};

/// A socket as the packages make it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) path: &'static str,
    group: &'static str,
    mode: u32,
    unit: &'static str,
    /// What hears on it, and is started anew together with it: systemd makes no
    /// socket under a running service.
    service: Option<&'static str>,
    /// Who connects there.
    purpose: &'static str,
}

pub(super) const LOCAL: Expected = Expected {
    path: "/run/pvelens-agent/local.sock",
    group: "pvelens",
    mode: 0o660,
    unit: "pvelens-agent.socket",
    service: Some(super::UNIT),
    purpose: "for the coordinator on this node",
};

pub(super) const LINK: Expected = Expected {
    path: "/run/pvelens-agent/link.sock",
    group: "pvelens-link",
    mode: 0o660,
    unit: "pvelens-agent-link.socket",
    service: Some(super::UNIT),
    purpose: "for the link to a coordinator elsewhere",
};

/// The privileged readers: one process for each question, started by systemd.
pub(super) const PROBES: &[Expected] = &[
    Expected {
        path: "/run/pvelens-probe/disk.sock",
        group: "root",
        mode: 0o600,
        unit: "pvelens-probe-disk.socket",
        service: None,
        purpose: "for the health of disks, ZFS and LVM",
    },
    Expected {
        path: "/run/pvelens-probe/cluster.sock",
        group: "root",
        mode: 0o600,
        unit: "pvelens-probe-cluster.socket",
        service: None,
        purpose: "for the links of the cluster, logs and network mounts",
    },
    Expected {
        path: "/run/pvelens-probe/ceph.sock",
        group: "root",
        mode: 0o600,
        unit: "pvelens-probe-ceph.socket",
        service: None,
        purpose: "for Ceph",
    },
    Expected {
        path: "/run/pvelens-probe/system.sock",
        group: "root",
        mode: 0o600,
        unit: "pvelens-probe-system.socket",
        service: None,
        purpose: "for the state of units and the clock",
    },
];

/// Off unless the administrator enables it.
pub(super) const CONTAINER_PROBE: Expected = Expected {
    path: "/run/pvelens-probe/container.sock",
    group: "root",
    mode: 0o600,
    unit: "pvelens-probe-container.socket",
    service: None,
    purpose: "for file systems inside containers",
};

/// As [`look`], for what is wanted only where its unit is enabled.
pub(super) fn look_if_enabled(system: &System, one: &Expected) -> Vec<Item> {
    let is_there = system.place(Path::new(one.path)).is_ok();
    if is_there || system.unit(one.unit).is_enabled {
        return look(system, &[one]);
    }
    vec![Item::ok(format!(
        "{} is off, as it is unless enabled ({})",
        one.unit, one.purpose
    ))]
}

impl Expected {
    fn restart(&self) -> String {
        match self.service {
            Some(service) => format!("`systemctl restart {} {service}`", self.unit),
            None => format!("`systemctl restart {}`", self.unit),
        }
    }
}

/// Whether all are as the packages make them; what is not, each for itself.
pub(super) fn look(system: &System, all: &[&Expected]) -> Vec<Item> {
    let mut items: Vec<Item> = all.iter().filter_map(|one| wrong(system, one)).collect();
    if items.is_empty() {
        let paths: Vec<&str> = all.iter().map(|one| one.path).collect();
        items.push(Item::ok(format!(
            "{} {} there, with the right owner and mode",
            paths.join(" and "),
            if paths.len() == 1 { "is" } else { "are" }
        )));
    }
    items
}

fn wrong(system: &System, expected: &Expected) -> Option<Item> {
    let Expected { path, unit, .. } = expected;
    let place = match system.place(Path::new(path)) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let item = Item::problem(format!("{path} is not there ({})", expected.purpose));
            return Some(if system.unit(unit).is_installed {
                item.why(format!("{unit} does not run, or somebody removed it"))
                    .fix(format!(
                        "`systemctl enable {unit}`, then {}",
                        expected.restart()
                    ))
            } else {
                item.why(format!("{unit} is not installed"))
                    .fix("`apt install --reinstall pvelens-agent`")
            });
        }
        Err(error) => {
            return Some(
                Item::unknown(format!("whether {path} is right"))
                    .why(error.kind().to_string())
                    .fix("run this as root"),
            );
        }
    };
    let Some(group) = system.group(expected.group) else {
        return Some(
            Item::problem(format!("there is no group {}", expected.group))
                .why(format!("so {path} cannot belong to it"))
                .fix(format!(
                    "`systemd-sysusers pvelens-agent.conf`, then {}",
                    expected.restart()
                )),
        );
    };
    differs(expected, place, group)
}

/// How a place is not as the packages make it.
pub(super) fn differs(expected: &Expected, place: Place, group: u32) -> Option<Item> {
    let path = expected.path;
    let again = expected.restart();
    let right = Place {
        is_socket: true,
        mode: expected.mode,
        owner: 0,
        group,
    };
    if place == right {
        return None;
    }
    let wanted = format!("root:{} {:04o}", expected.group, expected.mode);
    Some(if place.is_socket {
        Item::problem(format!("{path} has the wrong owner or mode"))
            .why(format!(
                "it is {}:{} {:04o} and should be {wanted}",
                place.owner, place.group, place.mode
            ))
            .fix(again)
    } else {
        Item::problem(format!("{path} is not a socket"))
            .why("something else was put in its place")
            .fix(format!("move it away, then {again}"))
    })
}
