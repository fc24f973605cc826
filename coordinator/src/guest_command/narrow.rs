//! What this coordinator does not ask nodes for, whatever they would allow.
//!
//! It can only take away: what is refused here never reaches a node, and what is not
//! refused here is still the node's to decide.

use std::sync::LazyLock;

use pvelens_agent::guest::catalogue::Catalogue;

use super::{refusal::Refusal, target::Target};
use crate::{
    config::{self, near},
    untrusted,
};

/// Stands before the name of a group of commands.
const GROUP: &str = "group:";
const HINT: &str = "the administrator of the coordinator allows it in /etc/pvelens/pvelens.toml, \
                    section [guest_commands]";

/// The settings, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrow {
    is_off: bool,
    groups: Vec<String>,
    commands: Vec<String>,
    guests: Vec<Denied>,
}

/// Guests in which nothing runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Denied {
    /// Id or name; empty = in every cluster.
    cluster: String,
    vmid: u32,
}

/// What is wrong in which setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misunderstood {
    pub key: &'static str,
    pub problem: String,
}

impl Narrow {
    /// Understands the settings. A name that means nothing is an error, since
    /// somebody believes that it is refused.
    ///
    /// # Errors
    /// Which setting means nothing.
    pub fn new(settings: &config::GuestCommands) -> Result<Self, Misunderstood> {
        let mut narrow = Self {
            is_off: !settings.enabled,
            ..Self::default()
        };
        let embedded: Vec<_> = embedded().collect();
        let ids = || embedded.iter().map(|(id, _)| *id);
        let groups = || embedded.iter().map(|(_, group)| *group);
        for name in &settings.deny {
            match name.strip_prefix(GROUP) {
                Some(group) => narrow.groups.push(known(name, group, groups())?),
                None => narrow.commands.push(known(name, name, ids())?),
            }
        }
        for name in &settings.deny_guests {
            narrow.guests.push(denied(name)?);
        }
        Ok(narrow)
    }

    /// Nothing runs.
    #[must_use]
    pub fn off() -> Self {
        Self {
            is_off: true,
            ..Self::default()
        }
    }

    /// Whether a command may be asked for in a guest. Of a command that this version
    /// does not know, the node says the group.
    ///
    /// # Errors
    /// The refusal, when it may not.
    pub fn check(
        &self,
        target: &Target,
        command: &str,
        group: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check_guest(target)?;
        if self.commands.iter().any(|denied| denied == command) {
            let command = untrusted::name(command);
            return Err(refused(format!("this coordinator does not run {command}")));
        }
        let own = embedded().find(|(id, _)| *id == command);
        let own = own.map(|(_, group)| group);
        let is_denied = |denied: &&String| [group, own].contains(&Some(&***denied));
        if let Some(group) = self.groups.iter().find(is_denied) {
            return Err(refused(format!(
                "this coordinator runs no commands of the group {group}"
            )));
        }
        Ok(())
    }

    /// Whether anything may be asked for in a guest.
    ///
    /// # Errors
    /// The refusal, when nothing may.
    pub fn check_guest(&self, target: &Target) -> Result<(), Refusal> {
        if self.is_off {
            return Err(refused(
                "this coordinator runs no guest commands".to_owned(),
            ));
        }
        let is_denied = |denied: &Denied| {
            denied.vmid == target.vmid
                && (denied.cluster.is_empty()
                    || denied.cluster == target.cluster_id
                    || denied.cluster == target.cluster_name)
        };
        if self.guests.iter().any(is_denied) {
            let vmid = target.vmid;
            return Err(refused(format!("this coordinator runs nothing in {vmid}")));
        }
        Ok(())
    }
}

fn refused(detail: String) -> Refusal {
    Refusal {
        rule: "coordinator_narrowed".to_owned(),
        detail,
        hint: HINT.to_owned(),
    }
}

/// The command with this id and its group, as the agent of this version knows them.
fn embedded() -> impl Iterator<Item = (&'static str, &'static str)> {
    // A test of the agent rules out that there is none.
    static CATALOGUE: LazyLock<Option<Catalogue>> = LazyLock::new(|| Catalogue::embedded().ok());
    let commands = CATALOGUE.iter().flat_map(Catalogue::commands);
    commands.map(|command| (&*command.id, &*command.group))
}

fn known<'k>(
    written: &str,
    name: &str,
    names: impl Iterator<Item = &'k str> + Clone,
) -> Result<String, Misunderstood> {
    if names.clone().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let meant = near(name, names)
        .map(|near| written.replace(name, near))
        .map(|near| format!("; did you mean \"{near}\"?"));
    Err(Misunderstood {
        key: "guest_commands.deny",
        problem: format!(
            "names \"{}\", and there is no such command or group{}",
            untrusted::name(written),
            meant.unwrap_or_default()
        ),
    })
}

/// `104` or `lab/104`.
fn denied(name: &str) -> Result<Denied, Misunderstood> {
    let (cluster, vmid) = name.rsplit_once('/').unwrap_or(("", name));
    match vmid.trim().parse() {
        Ok(vmid) => Ok(Denied {
            cluster: cluster.trim().to_owned(),
            vmid,
        }),
        Err(_) => Err(Misunderstood {
            key: "guest_commands.deny_guests",
            problem: format!(
                "names \"{}\", which is neither a VMID nor a cluster and a VMID, such as \
                 \"104\" or \"lab/104\"",
                untrusted::name(name)
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(deny: &[&str], deny_guests: &[&str]) -> Result<Narrow, String> {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = config::GuestCommands {
            enabled: true,
            deny: all(deny),
            deny_guests: all(deny_guests),
        };
        Narrow::new(&settings).map_err(|wrong| wrong.problem)
    }

    fn target(vmid: u32) -> Target {
        Target {
            cluster_id: "c0ffee".to_owned(),
            cluster_name: "lab".to_owned(),
            vmid,
            ..Target::default()
        }
    }

    #[test]
    fn commands_groups_and_guests_are_taken_away() {
        let narrow = narrow(&["group:logs", "memory"], &["104", "lab/105", "other/106"]).unwrap();
        for (vmid, command, group, runs) in [
            (100, "load", None, true),
            (100, "memory", None, false),
            (100, "journal", None, false),
            // Of a newer agent.
            (100, "new-log", Some("logs"), false),
            (100, "new-load", Some("load"), true),
            // Another group than this version knows takes nothing back.
            (100, "journal", Some("load"), false),
            (104, "load", None, false),
            (105, "load", None, false),
            (106, "load", None, true),
        ] {
            let checked = narrow.check(&target(vmid), command, group);
            assert_eq!(checked.is_ok(), runs, "{vmid} {command}: {checked:?}");
            if let Err(refusal) = checked {
                assert_eq!(refusal.rule, "coordinator_narrowed");
                assert!(refusal.hint.contains("pvelens.toml"));
            }
        }
    }

    #[test]
    fn switched_off_nothing_runs() {
        let settings = config::GuestCommands {
            enabled: false,
            ..config::GuestCommands::default()
        };
        let narrow = Narrow::new(&settings).unwrap();
        assert!(narrow.check(&target(100), "ping", None).is_err());
        assert!(Narrow::default().check(&target(100), "ping", None).is_ok());
    }

    #[test]
    fn a_name_that_means_nothing_is_an_error_with_a_suggestion() {
        let wrong = narrow(&["group:log"], &[]).unwrap_err();
        assert!(wrong.contains("did you mean \"group:logs\"?"), "{wrong}");
        let wrong = narrow(&["memorx"], &[]).unwrap_err();
        assert!(wrong.contains("did you mean \"memory\"?"), "{wrong}");
        let wrong = narrow(&[], &["web"]).unwrap_err();
        assert!(wrong.contains("\"lab/104\""), "{wrong}");
    }
}
