//! From a row of a table to a request: the command, and values for what it needs.

use super::names::Names;
use crate::guest_command::{
    known::{self, Known},
    system::{Distribution, System},
};

/// A command with its arguments.
pub(super) type Request = (&'static Known, Vec<(String, String)>);

/// `id name=value` as a request. `None` when it does not fit the system, when there is a
/// better one for it, or when it needs a name that nobody gave.
pub(super) fn of(text: &str, system: System, names: &Names) -> Option<Request> {
    let mut parts = text.split(' ');
    let known = known::find(parts.next()?)?;
    if !known.fits(system) || known.is_second_choice(system) {
        return None;
    }
    let mut arguments: Vec<(String, String)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !has_its_log(&arguments, system.distribution) {
        return None;
    }
    let service = names.service.as_deref();
    let (parameter, value) = match known.id {
        "unit-status" | "unit-journal" => ("unit", service),
        "windows-service" | "windows-service-config" => ("service", service),
        "link" | "link-settings" => ("interface", names.interface.as_deref()),
        "docker-logs" => ("container", names.container.as_deref()),
        "directory-usage" => ("directory", Some(names.directory.unwrap_or("root"))),
        "windows-disk-free" | "windows-disk-dirty" => {
            ("drive", Some(names.drive.as_deref().unwrap_or("c")))
        }
        _ => return Some((known, arguments)),
    };
    if !arguments.iter().any(|(given, _)| given == parameter) {
        arguments.push((parameter.to_owned(), value?.to_owned()));
    }
    Some((known, arguments))
}

/// Debian and Red Hat name their log files differently.
fn has_its_log(arguments: &[(String, String)], distribution: Distribution) -> bool {
    let log = arguments.iter().find(|(name, _)| name == "log");
    match log.map(|(_, log)| log.as_str()) {
        Some("auth" | "apt-history") => {
            !matches!(distribution, Distribution::RedHat | Distribution::Suse)
        }
        Some("secure" | "dnf") => {
            !matches!(distribution, Distribution::Debian | Distribution::Ubuntu)
        }
        _ => true,
    }
}
