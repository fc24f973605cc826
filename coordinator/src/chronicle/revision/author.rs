//! Who changed a configuration, as far as tasks and the cluster's log tell.
//!
//! Proxmox VE does not say in a configuration who wrote it. A change of a guest by the
//! API leaves a word in the cluster's log or a task; a file that is edited, and most
//! of what belongs to the whole cluster, leaves neither. Then nobody is named: a wrong
//! name is worse than none.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::content::Changed;
use crate::{
    chronicle::{
        Event, EventKind,
        event::{cluster_log, task},
    },
    view::Name,
};

/// How far apart a change and the word about it may be.
pub(crate) const NEAR: SignedDuration = SignedDuration::from_secs(60);

/// Who changed a configuration, as far as anything tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Author {
    /// `root@pam`; several, sorted, when it was one of them; none when nothing tells: a
    /// file that was edited, or a call that leaves no word.
    pub users: Vec<String>,
    /// What tells so: `task qmconfig`, `cluster log: update VM 101: -cores 2`.
    pub by: String,
}

/// A change of a configuration.
#[derive(Debug)]
pub(crate) struct When<'a> {
    pub(crate) subject: &'a str,
    pub(crate) at: Timestamp,
    /// When it was not changed yet.
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) changed: &'a [Changed],
    /// It is there since, or not any more.
    pub(crate) is_whole: bool,
}

/// What happened at the time, with its time and subject.
pub(crate) type Witness = (Timestamp, Name, Event);

/// Who of those that did something near its time changed it.
pub(crate) fn author(when: &When<'_>, witnesses: &[Witness]) -> Author {
    let guest = when
        .subject
        .split('/')
        .take(2)
        .collect::<Vec<_>>()
        .join("/");
    let is_guest = guest.starts_with("guest/");
    let mut found: Vec<(String, String)> = Vec::new();
    for (at, subject, event) in witnesses {
        if event.user.is_empty() {
            continue;
        }
        let by = match event.kind {
            EventKind::Log if is_guest => {
                if **subject != *guest || !when.is_near(*at, *at) {
                    continue;
                }
                match cluster_log::changed_settings(&event.text) {
                    Some(settings) if !when.is_told_by(&settings) => continue,
                    _ => format!("cluster log: {}", event.text),
                }
            }
            EventKind::Task => {
                let is_about = match is_guest {
                    true => **subject == *guest && task::changes_guest(&event.task),
                    false => task::changes(when.subject, &event.task),
                };
                if !is_about || !when.is_near(*at, event.until.unwrap_or(when.at)) {
                    continue;
                }
                format!("task {}", event.task)
            }
            _ => continue,
        };
        found.push((event.user.clone(), by));
    }
    // A word of the log says what was changed, a task only that it ran.
    let is_log = |(_, by): &&(String, String)| by.starts_with("cluster log");
    if found.iter().any(|one| is_log(&one)) {
        found.retain(|one| is_log(&one));
    }
    let mut users: Vec<String> = found.iter().map(|(user, _)| user.clone()).collect();
    users.sort();
    users.dedup();
    // The newest comes first.
    let by = found.into_iter().next().map(|(_, by)| by);
    Author {
        users,
        by: by.unwrap_or_default(),
    }
}

impl When<'_> {
    /// Whether what lasted from `begin` to `end` can be the change.
    fn is_near(&self, begin: Timestamp, end: Timestamp) -> bool {
        let first = self.not_before.unwrap_or(self.at).min(self.at);
        let from = first.checked_sub(NEAR).unwrap_or(Timestamp::MIN);
        let until = self.at.checked_add(NEAR).unwrap_or(Timestamp::MAX);
        begin <= until && end >= from
    }

    /// Whether settings with these names are among the changed ones.
    fn is_told_by(&self, settings: &[String]) -> bool {
        if settings.is_empty() || self.is_whole {
            return true;
        }
        let is_told = |one: &Changed| settings.iter().any(|setting| is_named(one, setting));
        self.changed.iter().any(is_told)
    }
}

/// Whether what was changed is the setting that Proxmox VE calls so.
fn is_named(changed: &Changed, setting: &str) -> bool {
    let path = &*changed.path;
    if path.ends_with("keys") {
        // A list of names: of settings that are pending, or of which no more is read.
        return [&changed.before, &changed.after]
            .into_iter()
            .flatten()
            .any(|key| key == setting);
    }
    let entry = path.split(['[', ']']).nth(1);
    if entry == Some(setting) {
        return true;
    }
    let mut others = ALIASES
        .iter()
        .filter(|(name, _)| *name == setting)
        .peekable();
    match others.peek() {
        Some(_) => others.any(|(_, shown)| begins(path, shown)),
        None => begins(path, setting),
    }
}

/// Whether the first words of a path make a name: `scsi controller` and `memory` do, and
/// not the last one of `start on boot`.
fn begins(path: &str, name: &str) -> bool {
    let mut begin = String::new();
    path.split(' ').any(|word| {
        begin.push_str(word);
        begin == name
    })
}

/// Settings that are named otherwise here.
const ALIASES: &[(&str, &str)] = &[
    ("onboot", "startonboot"),
    ("scsihw", "scsicontroller"),
    ("args", "hasrawarguments"),
    ("args", "rawargumentkinds"),
    ("description", "hasdescription"),
    ("vga", "display"),
    ("cpu", "cputype"),
    ("cpu", "cpuflags"),
    ("cpu", "cpuphysicalbits"),
    ("affinity", "cpuaffinity"),
    ("smbios1", "smbiosuuid"),
    ("vmgenid", "vmgenerationid"),
    ("hostname", "name"),
    ("watchdog", "hawatchdog"),
    ("kvm", "kvmenabled"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_known_by_its_name() {
        let named = |path: &str, value: &str, setting: &str| {
            let changed = Changed {
                path: path.to_owned(),
                before: None,
                after: Some(value.to_owned()),
            };
            is_named(&changed, setting)
        };
        for (path, setting) in [
            ("memory", "memory"),
            ("cpu limit cores", "cpulimit"),
            ("cpu flags", "cpu"),
            ("cpu type", "cpu"),
            ("scsi controller", "scsihw"),
            ("boot order", "boot"),
            ("boot disk", "bootdisk"),
            ("start on boot", "onboot"),
            ("has raw arguments", "args"),
            ("volumes[rootfs] size", "rootfs"),
            ("nics[net0] bridge", "net0"),
            ("agent enabled", "agent"),
        ] {
            assert!(named(path, "1", setting), "{path} {setting}");
        }
        for (path, setting) in [
            ("start on boot", "boot"),
            ("memory", "mem"),
            ("cpu limit cores", "cores"),
            ("cpu units", "cpu"),
            ("volumes[scsi0] size", "scsi"),
            ("volumes[scsi10] size", "scsi1"),
            ("name", "nameserver"),
        ] {
            assert!(!named(path, "1", setting), "{path} {setting}");
        }
        assert!(named("pending changed keys", "memory", "memory"));
        assert!(!named("pending changed keys", "memory", "cores"));
        assert!(named("dropped keys", "tablet", "tablet"));
    }
}
