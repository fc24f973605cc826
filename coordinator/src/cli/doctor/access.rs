//! The coordinator's sockets, and whether this user may use them.

use std::{collections::BTreeMap, io, path::Path};

use super::{
    item::Item,
    system::{Place, System},
};
use crate::{
    config::Sockets,
    serve::{ADMIN_SOCKET, MCP_OPERATE_SOCKET, MCP_SOCKET, OPERATE_SOCKET, READ_SOCKET},
};

const OPERATORS: &str = "pvelens-operators";
/// Whoever follows the agent of this node.
const COORDINATORS: &str = "pvelens";

/// A socket as the packages make it.
struct Expected {
    name: &'static str,
    /// Empty = whatever the coordinator runs as.
    group: String,
    mode: u32,
    unit: &'static str,
    /// Every user of pvelens needs it.
    for_readers: bool,
}

fn expected(sockets: &Sockets) -> Vec<Expected> {
    let one = |name, group: &str, mode, unit, for_readers| Expected {
        name,
        group: group.to_owned(),
        mode,
        unit,
        for_readers,
    };
    let readers = sockets.group.as_str();
    let (read, operate) = ("pvelens-read.socket", "pvelens-operate.socket");
    vec![
        one(READ_SOCKET, readers, 0o660, read, true),
        one(MCP_SOCKET, readers, 0o660, read, true),
        one(OPERATE_SOCKET, OPERATORS, 0o660, operate, false),
        one(MCP_OPERATE_SOCKET, OPERATORS, 0o660, operate, false),
        one(ADMIN_SOCKET, "root", 0o600, "pvelens-admin.socket", false),
    ]
}

/// Whether this user may not connect to what is there.
pub(super) fn is_closed(system: &System, socket: &Path) -> bool {
    match system.place(socket) {
        Ok(place) => !system.user.may_write(&place),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

pub(super) fn look(system: &System, sockets: &Sockets, is_packaged: bool) -> Vec<Item> {
    let shown = sockets.directory.display();
    let (mut items, mut right) = (Vec::new(), Vec::new());
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for expected in expected(sockets) {
        match system.place(&sockets.directory.join(expected.name)) {
            Ok(place) => match wrong(system, &expected, &place) {
                Some(item) => items.push(item),
                None => right.push((expected, place)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without its unit a socket comes and goes with the coordinator.
                if is_packaged && system.unit(expected.unit).is_installed {
                    let names = missing.entry(expected.unit).or_default();
                    names.push(expected.name);
                }
            }
            // What is true of one socket is true of all in the directory.
            Err(error) => {
                return vec![
                    Item::problem(format!("{shown} is closed to {}", system.user.name))
                        .why(error.kind().to_string())
                        .fix(membership(system, &sockets.group)),
                ];
            }
        }
    }
    items.extend(missing.into_iter().map(|(unit, names)| {
        Item::problem(format!("not there in {shown}: {}", names.join(", ")))
            .why(format!("{unit} does not run, or somebody removed the file"))
            .fix(format!(
                "as root: `systemctl enable {unit}`, then `systemctl restart {unit} {}`",
                super::UNIT
            ))
    }));
    if is_packaged {
        items.extend(groups(system, sockets));
    }
    items.extend(rights(system, sockets, &right));
    items
}

fn wrong(system: &System, expected: &Expected, place: &Place) -> Option<Item> {
    let Expected {
        name, group, mode, ..
    } = expected;
    if !place.is_socket {
        return Some(
            Item::problem(format!("{name} is not a socket"))
                .why("something else was put in its place")
                .fix("move it away, and start the coordinator anew"),
        );
    }
    // That a group does not exist is said once.
    let is_given = group.is_empty() || system.group(group).is_none_or(|it| it.id == place.group);
    if place.mode == *mode && is_given {
        return None;
    }
    let why = if place.mode & 0o007 != 0 {
        "every user of this machine can connect".to_owned()
    } else {
        format!("its mode is {:04o}, and should be {mode:04o}", place.mode)
    };
    let item = if is_given {
        Item::problem(format!("{name} has the wrong mode")).why(why)
    } else {
        Item::problem(format!("{name} does not belong to {group}"))
            .why("so the members of the group cannot connect")
    };
    Some(item.fix(format!(
        "as root: `systemctl restart {} {}`",
        expected.unit,
        super::UNIT
    )))
}

/// Whether the groups exist, and whether somebody is in the one of the readers.
fn groups(system: &System, sockets: &Sockets) -> Vec<Item> {
    let is_installed = system.unit(super::UNIT).is_installed;
    let readers = sockets.group.as_str();
    let mut names = vec![readers];
    if is_installed {
        names.push(OPERATORS);
    }
    names.retain(|name| !name.is_empty());
    let mut items = Vec::new();
    for name in names {
        match system.group(name) {
            None => items.push(
                Item::problem(format!("there is no group {name}"))
                    .why("so nobody but root and the coordinator's own user can connect")
                    .fix(if is_installed {
                        "as root: `systemd-sysusers pvelens.conf`, then `systemctl restart pvelens.service`".to_owned()
                    } else {
                        format!("as root: `groupadd --system {name}`, or another group in `sockets.group` of the settings")
                    }),
            ),
            Some(group) if group.members.is_empty() && name == readers && system.user.is_root() => {
                items.push(
                    Item::warning(format!("the group {name} has no members"))
                        .why("so only root can use pvelens")
                        .fix(format!("`usermod -aG {name} USER` for each who may read")),
                );
            }
            Some(_) => {}
        }
    }
    items
}

/// What this user may do with the sockets that are right.
fn rights(system: &System, sockets: &Sockets, right: &[(Expected, Place)]) -> Vec<Item> {
    let user = &system.user;
    let (mut may, mut closed, mut reserved) = (Vec::new(), Vec::new(), Vec::new());
    for (expected, place) in right {
        if user.may_write(place) {
            may.push(expected.name);
        } else if expected.for_readers {
            closed.push(expected.name);
        } else {
            reserved.push(expected.name);
        }
    }
    let shown = sockets.directory.display();
    let mut items = Vec::new();
    if !may.is_empty() {
        let others = match reserved.is_empty() {
            true => String::new(),
            false => format!(", and not {}", reserved.join(", ")),
        };
        let may = may.join(", ");
        items.push(Item::ok(format!(
            "{} may use {may} in {shown}{others}",
            user.name
        )));
    }
    if !closed.is_empty() {
        let closed = closed.join(", ");
        items.push(
            Item::problem(format!("{} may not use {closed} in {shown}", user.name))
                .why(why_not(system, &sockets.group))
                .fix(membership(system, &sockets.group)),
        );
    }
    items
}

fn is_member(system: &System, group: &str) -> bool {
    system
        .group(group)
        .is_some_and(|group| group.members.contains(&system.user.name))
}

fn why_not(system: &System, group: &str) -> String {
    match group {
        group if system.group(group).is_none() => {
            "they belong to the user and the group of the coordinator".to_owned()
        }
        group if is_member(system, group) => {
            format!("the membership in {group} is newer than this login")
        }
        group => format!("{} is not in the group {group}", system.user.name),
    }
}

/// How to come into a group, or what is still missing.
fn membership(system: &System, group: &str) -> String {
    match group {
        group if system.group(group).is_none() => {
            "run this as root or as the user of the coordinator".to_owned()
        }
        group if is_member(system, group) => {
            format!("log in again, or `newgrp {group}` for this shell")
        }
        group => format!(
            "as root: `usermod -aG {group} {}`; then log in again",
            system.user.name
        ),
    }
}

/// The coordinator of this node can use the socket of the agent of this node.
pub(super) fn agent_socket(system: &System, path: &Path) -> Option<Item> {
    let place = system.place(path).ok()?;
    let group = system.group(COORDINATORS)?;
    (place.group != group.id).then(|| {
        Item::problem(format!(
            "{} does not belong to the group {COORDINATORS}",
            path.display()
        ))
        .why("so the coordinator, which is in that group, cannot connect")
        .fix("as root: `systemctl restart pvelens-agent.socket`")
    })
}
