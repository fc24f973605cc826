//! The coordinator's sockets, and whether this user may use them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    item::Item,
    system::{Place, System},
};
use crate::{
    config::Sockets,
    serve::{MCP_SOCKET, READ_SOCKET},
};

const OPERATORS: &str = "pvelens-operators";

/// A socket as the packages make it.
struct Expected {
    path: PathBuf,
    /// Empty = whatever the coordinator runs as.
    group: String,
    mode: u32,
    unit: &'static str,
    /// Every user of pvelens needs it.
    for_readers: bool,
}

fn expected(sockets: &Sockets) -> Vec<Expected> {
    let one = |name: &str, group: &str, mode, unit, for_readers| Expected {
        path: sockets.directory.join(name),
        group: group.to_owned(),
        mode,
        unit,
        for_readers,
    };
    let readers = sockets.group.as_str();
    vec![
        one(READ_SOCKET, readers, 0o660, "pvelens-read.socket", true),
        one(MCP_SOCKET, readers, 0o660, "pvelens-read.socket", true),
        one(
            "operate.sock",
            OPERATORS,
            0o660,
            "pvelens-operate.socket",
            false,
        ),
        one("admin.sock", "root", 0o600, "pvelens-admin.socket", false),
    ]
}

pub(super) fn look(system: &System, sockets: &Sockets) -> Vec<Item> {
    let mut items = Vec::new();
    let mut right = Vec::new();
    for expected in expected(sockets) {
        let shown = expected.path.display();
        match system.place(&expected.path) {
            Ok(place) => match wrong(system, &expected, &place) {
                Some(item) => items.push(item),
                None => right.push((expected, place)),
            },
            // Those for operators and administrators come with their units.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && !expected.for_readers
                    && !system.unit(expected.unit).is_installed => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                items.push(missing(system, &expected));
            }
            Err(error) => items.push(
                Item::problem(format!("{shown} cannot be looked at"))
                    .why(format!(
                        "{error}: the directory is closed to {}",
                        system.user.name
                    ))
                    .fix(membership(system, &sockets.group)),
            ),
        }
    }
    if !right.is_empty() {
        let names = right.iter().filter_map(|(one, _)| one.path.file_name());
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        items.insert(
            0,
            Item::ok(format!(
                "{} in {}, with the right group and mode",
                names.join(", "),
                sockets.directory.display()
            )),
        );
    }
    items.extend(groups(system, sockets));
    items.extend(rights(system, &right));
    items
}

fn missing(system: &System, expected: &Expected) -> Item {
    let item = Item::problem(format!("{} is not there", expected.path.display()));
    let unit = expected.unit;
    if system.unit(unit).is_installed {
        item.why(format!("{unit} does not run"))
            .fix(format!("as root: `systemctl enable --now {unit}`"))
    } else {
        item.why("no coordinator runs with this directory, or the package is not installed")
            .fix("as root: `systemctl enable --now pvelens.service`, or `pvelens serve`")
    }
}

fn wrong(system: &System, expected: &Expected, place: &Place) -> Option<Item> {
    let shown = expected.path.display();
    if !place.is_socket {
        return Some(
            Item::problem(format!("{shown} is not a socket"))
                .why("something else was put in its place")
                .fix("move it away and start the coordinator anew"),
        );
    }
    let again = format!("as root: `systemctl restart {}`", expected.unit);
    let group = system.group(&expected.group);
    let is_given = expected.group.is_empty() || group.is_none_or(|group| group.id == place.group);
    if place.mode == expected.mode && is_given {
        return None;
    }
    let what = if is_given {
        format!("{shown} has the mode {:04o}", place.mode)
    } else {
        format!("{shown} belongs to another group than {}", expected.group)
    };
    Some(
        Item::problem(what)
            .why(if place.mode & 0o007 != 0 {
                "every user of this machine can connect".to_owned()
            } else {
                format!(
                    "it should be {:04o} and belong to {}",
                    expected.mode,
                    named(&expected.group)
                )
            })
            .fix(again),
    )
}

fn named(group: &str) -> &str {
    if group.is_empty() {
        "the group of the coordinator"
    } else {
        group
    }
}

/// Whether the groups exist, and whether somebody is in the one of the readers.
fn groups(system: &System, sockets: &Sockets) -> Vec<Item> {
    let mut items = Vec::new();
    let readers = sockets.group.as_str();
    let is_packaged = system.unit(super::UNIT).is_installed;
    for name in [readers, OPERATORS] {
        if name.is_empty() || !is_packaged && name == OPERATORS {
            continue;
        }
        match system.group(name) {
            None => items.push(
                Item::problem(format!("there is no group {name}"))
                    .why("so nobody but root and the coordinator's own user can connect")
                    .fix("as root: `systemd-sysusers pvelens.conf`, then `systemctl restart pvelens.service`"),
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
fn rights(system: &System, sockets: &[(Expected, Place)]) -> Vec<Item> {
    let user = &system.user;
    let (mut may, mut may_not) = (Vec::new(), Vec::new());
    let mut items = Vec::new();
    for (expected, place) in sockets {
        let name = expected.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if user.may_write(place) {
            may.push(name);
        } else if expected.for_readers {
            items.push(
                Item::problem(format!("{} may not use {name}", user.name))
                    .why(why_not(system, &expected.group))
                    .fix(membership(system, &expected.group)),
            );
        } else {
            may_not.push(format!("{name} (for {})", expected.group));
        }
    }
    if !may.is_empty() {
        let reserved = match may_not.is_empty() {
            true => String::new(),
            false => format!(", and not {}", may_not.join(", ")),
        };
        items.insert(
            0,
            Item::ok(format!(
                "{} may use {}{reserved}",
                user.name,
                may.join(", ")
            )),
        );
    }
    items
}

fn is_member(system: &System, group: &str) -> bool {
    let name = &system.user.name;
    system
        .group(group)
        .is_some_and(|group| group.members.contains(name))
}

fn why_not(system: &System, group: &str) -> String {
    match group {
        "" => "the socket belongs to the user and the group of the coordinator".to_owned(),
        group if is_member(system, group) => {
            format!("the membership in {group} is newer than this login")
        }
        group => format!("{} is not in the group {group}", system.user.name),
    }
}

/// How to come into a group, or what is still missing.
fn membership(system: &System, group: &str) -> String {
    match group {
        "" => "run this as root or as the user of the coordinator".to_owned(),
        group if is_member(system, group) => {
            format!("log in again, or `newgrp {group}` for this shell")
        }
        group => format!(
            "as root: `usermod -aG {group} {}`; then log in again",
            system.user.name
        ),
    }
}

/// Whether the coordinator, when it runs as its own user, may use the socket of
/// an agent.
pub(super) fn agent_socket(system: &System, path: &Path) -> Option<Item> {
    let place = system.place(path).ok()?;
    let group = system.group("pvelens")?;
    (place.group != group.id).then(|| {
        Item::problem(format!(
            "{} does not belong to the group pvelens",
            path.display()
        ))
        .why("so the coordinator, which runs as the user pvelens, cannot connect")
        .fix("as root: `systemctl restart pvelens-agent.socket`")
    })
}
