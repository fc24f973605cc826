//! What the files of this node in `/etc` say: names, interfaces, mounts, accounts,
//! time, logs, modules and mail.
//!
//! Such files hold passwords, keys and whatever people note, so of each only what
//! is named in its parser is taken.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, HostFiles};

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading};
use crate::host::SourceError;

mod accounts;
mod interfaces;
mod journal;
mod mail;
mod modprobe;
mod mounts;
mod names;
mod sudoers;
mod syslog;
mod system;
mod time;

/// Of one file; lists of blocked names in `/etc/hosts` are long.
const FILE_LIMIT: u64 = 1 << 20;
/// Files of one directory.
const DIRECTORY_LIMIT: usize = 100;
/// Entries of one list.
const LIST_LIMIT: usize = 256;
const HOSTS_LIMIT: usize = 1000;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const INTERFACES: &str = "/etc/network/interfaces";
const INTERFACES_NEW: &str = "/etc/network/interfaces.new";
const INTERFACES_D: &str = "/etc/network/interfaces.d";
const FSTAB: &str = "/etc/fstab";
const UNITS: &str = "/etc/systemd/system";
const PASSWD: &str = "/etc/passwd";
const SUDOERS: &str = "/etc/sudoers";
const SUDOERS_D: &str = "/etc/sudoers.d";
const MODPROBE_D: &str = "/etc/modprobe.d";
const NET_RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
const MAIN_CF: &str = "/etc/postfix/main.cf";
const ALIASES: &str = "/etc/aliases";

pub(super) const COLLECTOR: Collector = Collector {
    name: "host_files",
    summary: "names, interfaces, mounts, accounts, time, logs and modules as configured",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(600),
    deadline: FILE_DEADLINE,
    paths: &[
        HOSTS,
        RESOLV_CONF,
        INTERFACES,
        INTERFACES_NEW,
        "/etc/network/interfaces.d/*",
        FSTAB,
        // Their names.
        "/etc/systemd/system/*.mount",
        PASSWD,
        SUDOERS,
        "/etc/sudoers.d/*",
        journal::CONF,
        "/etc/systemd/journald.conf.d/*.conf",
        "/etc/machine-id",
        // Beside it the names in `/var/log/journal`, whose files are never opened.
        system::SYSTEMD,
        "/etc/systemd/system.conf.d/*.conf",
        system::JOURNAL_UPLOAD,
        "/etc/systemd/journal-upload.conf.d/*.conf",
        system::LOCALE,
        time::TIMESYNCD,
        "/etc/systemd/timesyncd.conf.d/*.conf",
        time::CHRONY,
        "/etc/chrony/conf.d/*.conf",
        "/etc/chrony/sources.d/*.sources",
        syslog::CONF,
        "/etc/rsyslog.d/*.conf",
        "/etc/modprobe.d/*.conf",
        // Whether it exists.
        NET_RULES,
        MAIN_CF,
        ALIASES,
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let hosts = reading.read_optional(HOSTS, FILE_LIMIT);
    let resolver = reading.read_optional(RESOLV_CONF, FILE_LIMIT);
    let fstab = reading.read_optional(FSTAB, FILE_LIMIT);
    let postfix = reading.read_optional(MAIN_CF, FILE_LIMIT);
    let aliases = reading.read_optional(ALIASES, FILE_LIMIT);
    let mut found = HostFiles {
        hosts: hosts.map_or_else(Vec::new, |text| names::hosts(&text)),
        resolver: resolver.map(|text| names::resolver(&text)),
        fstab: fstab.map_or_else(Vec::new, |text| mounts::parse(&text)),
        sudoers: sudoers::collect(reading),
        journal: Some(journal::collect(reading)),
        time_sources: time::collect(reading),
        remote_syslog: syslog::collect(reading),
        has_persistent_net_rules: reading.exists(NET_RULES),
        postfix: postfix.map(|text| mail::postfix(&text)),
        locale: system::locale(reading),
        systemd_watchdog: system::watchdog(reading),
        journal_upload_host: system::journal_upload(reading),
        has_root_alias: aliases.map(|text| mail::has_root_alias(&text)),
        ..HostFiles::default()
    };
    let units = reading.list_optional(UNITS);
    found.mount_units = units.iter().filter_map(|name| mounts::unit(name)).collect();
    found.mount_units.sort_unstable();
    network(reading, &mut found);
    if let Some(text) = reading.read_optional(PASSWD, FILE_LIMIT) {
        let accounts = accounts::parse(&text).map_err(|error| error.at(PASSWD));
        if let Some(accounts) = reading.keep(accounts) {
            found.other_root_accounts = accounts.other_roots;
            found.system_login_accounts = Some(accounts.system_logins);
        }
    }
    for (_, text) in texts(reading, MODPROBE_D, is_conf) {
        modprobe::parse(&text, &mut found);
    }
    bound(&mut found);
    Ok(Payload::HostFiles(found))
}

fn network(reading: &mut Reading<'_>, found: &mut HostFiles) {
    let current = reading.read_optional(INTERFACES, FILE_LIMIT);
    let beside = texts(reading, INTERFACES_D, |_| true);
    let parts = current.iter().chain(beside.iter().map(|(_, text)| text));
    found.interfaces = interfaces::parse(parts.map(String::as_str));
    let sdn = beside.iter().find(|(name, _)| name == "sdn");
    found.sdn_version = sdn.and_then(|(_, text)| interfaces::sdn_version(text));
    found.has_pending_interfaces = reading.exists(INTERFACES_NEW);
    if let Some(pending) = reading.read_optional(INTERFACES_NEW, FILE_LIMIT) {
        found.pending_interfaces_differ = current.map(|current| current != pending);
        found.pending_interfaces_changed_at = reading.modified_at(INTERFACES_NEW);
    }
}

/// A file that may be absent, then those of the directory beside it.
fn file_and_directory(reading: &mut Reading<'_>, file: &str, directory: &str) -> Vec<String> {
    let first = reading.read_optional(file, FILE_LIMIT);
    let beside = texts(reading, directory, is_conf);
    first
        .into_iter()
        .chain(beside.into_iter().map(|(_, text)| text))
        .collect()
}

/// Names and texts of the files in a directory that may be absent, in the order in
/// which programs read them. Hidden ones they do not read.
fn texts(
    reading: &mut Reading<'_>,
    directory: &str,
    is_read: fn(&str) -> bool,
) -> Vec<(String, String)> {
    let mut names = reading.list_optional(directory);
    names.retain(|name| is_read(name) && !name.starts_with('.'));
    names.sort_unstable();
    if names.len() > DIRECTORY_LIMIT {
        let detail = format!("more than {DIRECTORY_LIMIT} files");
        reading.fail(SourceError::new(directory, FailureKind::TooLarge, detail));
        names.truncate(DIRECTORY_LIMIT);
    }
    let read = names.into_iter().filter_map(|name| {
        let text = reading.read_optional(&format!("{directory}/{name}"), FILE_LIMIT)?;
        Some((name, text))
    });
    read.collect()
}

fn is_conf(name: &str) -> bool {
    name.ends_with(".conf")
}

/// The text before a `#`.
fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

/// The lines of a text in which a backslash continues a line.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        if let Some(part) = line.strip_suffix('\\') {
            open.push_str(part);
            open.push(' ');
        } else {
            open.push_str(line);
            lines.push(std::mem::take(&mut open));
        }
    }
    lines.push(open);
    lines
}

/// Cuts every list to what a message may carry.
fn bound(found: &mut HostFiles) {
    fn cut<T>(list: &mut Vec<T>, limit: usize, truncated: &mut bool) {
        *truncated |= list.len() > limit;
        list.truncate(limit);
    }
    let truncated = &mut found.truncated;
    cut(&mut found.hosts, HOSTS_LIMIT, truncated);
    for entry in &mut found.hosts {
        cut(&mut entry.names, 32, truncated);
    }
    if let Some(resolver) = &mut found.resolver {
        cut(&mut resolver.nameservers, 32, truncated);
        cut(&mut resolver.search, 32, truncated);
    }
    cut(&mut found.interfaces, LIST_LIMIT, truncated);
    for stanza in &mut found.interfaces {
        cut(&mut stanza.addresses, 32, truncated);
        cut(&mut stanza.bridge_ports, LIST_LIMIT, truncated);
        cut(&mut stanza.bridge_vids, LIST_LIMIT, truncated);
        cut(&mut stanza.bond_slaves, 64, truncated);
    }
    cut(&mut found.fstab, LIST_LIMIT, truncated);
    cut(&mut found.mount_units, LIST_LIMIT, truncated);
    cut(&mut found.other_root_accounts, 32, truncated);
    cut(&mut found.time_sources, 64, truncated);
    cut(&mut found.remote_syslog, 32, truncated);
    cut(&mut found.module_options, LIST_LIMIT, truncated);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn files(tree: &[(&str, &str)]) -> HostFiles {
        let node = sample(&COLLECTOR, tree);
        assert_eq!(kinds(&node), []);
        match node.payload {
            Some(Payload::HostFiles(files)) => files,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_without_such_files_has_no_failures() {
        let found = files(&[]);
        assert_eq!(found.has_root_alias, None);
        assert_eq!(found.system_login_accounts, None);
        assert!(found.resolver.is_none() && found.postfix.is_none());
        assert!(!found.journal.unwrap().has_directory);
    }

    #[test]
    fn a_pending_change_differs_or_does_not() {
        let current = ("etc/network/interfaces", "auto lo\n");
        let same = files(&[current, ("etc/network/interfaces.new", "auto lo\n")]);
        assert!(same.has_pending_interfaces);
        assert_eq!(same.pending_interfaces_differ, Some(false));
        let other = files(&[current, ("etc/network/interfaces.new", "auto vmbr0\n")]);
        assert_eq!(other.pending_interfaces_differ, Some(true));
        let none = files(&[current]);
        assert_eq!(
            (none.has_pending_interfaces, none.pending_interfaces_differ),
            (false, None)
        );
    }

    #[test]
    fn long_lists_are_cut_and_said_to_be() {
        let hosts: String = (0..1200)
            .map(|n| format!("10.0.{}.{} a\n", n / 250, n % 250))
            .collect();
        let found = files(&[("etc/hosts", &hosts)]);
        assert_eq!(found.hosts.len(), HOSTS_LIMIT);
        assert!(found.truncated);
    }

    #[test]
    fn files_that_their_programs_skip_are_skipped() {
        let found = files(&[
            ("etc/modprobe.d/a.conf", "blacklist nouveau\n"),
            ("etc/modprobe.d/a.conf.dpkg-old", "blacklist radeon\n"),
            (
                "etc/chrony/sources.d/x.sources",
                "server ntp1.example.test iburst\n",
            ),
            ("etc/chrony/sources.d/README", "server ntp2.example.test\n"),
        ]);
        assert_eq!(found.blacklisted_modules, 1);
        assert_eq!(found.time_sources.len(), 1);
    }

    #[test]
    fn lines_are_joined_at_backslashes() {
        assert_eq!(joined_lines("a \\\nb\nc\\"), ["a  b", "c "]);
        assert_eq!(without_comment("a # b"), "a");
    }
}
