//! Names that a complaint mentions and that a parameter takes. They come from whoever
//! complains, so each has to have the strict form of its parameter; the node checks it
//! once more.

use super::{issue::Issue, services};
use crate::guest_command::system::{GuestSystem, System};

/// No name that people write is longer.
const LONGEST: usize = 64;
/// `IFNAMSIZ` of Linux without its end.
const LONGEST_INTERFACE: usize = 15;

/// Kinds of units that somebody may ask about.
const KINDS: &[&str] = &[
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "path",
];

/// Beginnings of names of interfaces; a number follows.
const INTERFACES: &[&str] = &[
    "eth", "ens", "enp", "eno", "enx", "wlan", "bond", "br", "team", "wg", "tun", "tap", "docker",
    "veth", "virbr", "vlan", "ib",
];

/// Words beside `service` that name none.
#[rustfmt::skip]
const NO_NAMES: &[&str] = &[
    "a", "after", "all", "and", "any", "are", "at", "background", "be", "because", "broken", "by", "can", "cannot", "cant",
    "cloud", "control", "crash", "crashed", "crashes", "crashing", "critical", "customer", "dead", "desk", "died", "dies",
    "does", "doesnt", "doesn", "down", "each", "error", "errors", "every", "exits", "fail", "failed", "failing", "fails",
    "file", "files", "for", "from", "group", "had", "has", "have", "hangs", "his", "i", "if", "important", "in", "internet",
    "is", "isn", "isnt", "it", "its", "keeps", "main", "mail", "my", "name", "named", "network", "new", "no", "not", "of",
    "off", "old", "on", "one", "or", "other", "our", "out", "pack", "please", "provider", "restart", "restarted",
    "restarting", "restarts", "run", "running", "runs", "s", "says", "see", "server", "service", "services", "shows", "since",
    "some", "start", "started", "starting", "starts", "status", "stop", "stopped", "stopping", "stops", "system", "systemd",
    "terminal", "than", "that", "the", "their", "then", "this", "to", "unit", "units", "until", "up", "was", "we", "web",
    "were", "what", "when", "where", "which", "while", "will", "windows", "with", "won", "wont", "would", "you", "your",
    "database", "email", "user", "users", "application", "app", "backup", "login", "time", "dns", "dhcp", "print",
    "daemon", "daemons", "container", "containers", "docker", "podman", "image", "images", "inside", "called", "linux",
];

/// Directories that `directory-usage` takes, the deeper ones first.
const DIRECTORIES: &[(&str, &str)] = &[
    ("/var/lib/docker", "docker"),
    ("/var/log", "var-log"),
    ("/var/lib", "var-lib"),
    ("/var/cache", "var-cache"),
    ("/var", "var"),
    ("/home", "home"),
    ("/usr", "usr"),
    ("/opt", "opt"),
    ("/srv", "srv"),
    ("/tmp", "tmp"),
    ("/boot", "boot"),
    ("/", "root"),
];

/// Values for parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Of Linux a unit with its kind, of Windows the short name of a service.
    pub(super) service: Option<String>,
    pub(super) interface: Option<String>,
    pub(super) container: Option<String>,
    pub(super) drive: Option<String>,
    pub(super) directory: Option<&'static str>,
}

impl Names {
    pub(super) fn of(issue: &Issue, system: System) -> Self {
        let is_windows = system.family == GuestSystem::Windows;
        Self {
            service: if is_windows {
                windows_service(issue)
            } else {
                unit(issue, system)
            },
            interface: issue
                .tokens()
                .find(|token| is_interface(token))
                .map(str::to_owned),
            container: beside(issue, &["container"]).filter(|name| is_name(name, b"_.-")),
            drive: drive(issue),
            directory: directory(issue),
        }
    }
}

fn unit(issue: &Issue, system: System) -> Option<String> {
    if let Some(unit) = issue.tokens().find(|token| is_unit(token)) {
        return Some(unit.to_owned());
    }
    let known = |token: &str| {
        let unit = services::unit(token, system.distribution)?;
        Some(unit.to_owned())
    };
    if let Some(unit) = issue.tokens().find_map(known) {
        return Some(unit);
    }
    // `php8.2-fpm`, as Debian names it.
    let is_php = |token: &&str| token.starts_with("php") && token.ends_with("-fpm");
    let name = issue
        .tokens()
        .find(is_php)
        .map(str::to_owned)
        .or_else(|| beside(issue, &["service", "unit", "daemon"]))?;
    let unit = format!("{name}.service");
    is_unit(&unit).then_some(unit)
}

fn windows_service(issue: &Issue) -> Option<String> {
    if let Some(service) = services::windows(|words| issue.says(words)) {
        return Some(service.to_owned());
    }
    beside(issue, &["service"]).filter(|name| is_name(name, b"_.-$"))
}

/// A word before or after one of these that is no common word.
fn beside(issue: &Issue, anchors: &[&str]) -> Option<String> {
    let is_name = |word: &&str| {
        let lower = word.to_lowercase();
        lower.len() >= 2
            && lower.len() <= LONGEST
            && !NO_NAMES.contains(&lower.as_str())
            && lower.chars().any(char::is_alphabetic)
    };
    let anchored = issue
        .neighbours()
        .filter(|(_, word, _)| anchors.contains(&word.to_lowercase().as_str()));
    anchored
        .filter_map(|(before, _, after)| before.filter(is_name).or(after.filter(is_name)))
        .map(str::to_owned)
        .next()
}

/// `C:`, `C:\Users`, `drive D`, `D drive`.
fn drive(issue: &Issue) -> Option<String> {
    // `I drive` and `it's drive` name none.
    let letter = |token: &str| {
        let one = match token.as_bytes() {
            [one] if !matches!(one, b'I' | b'i' | b's' | b't') => one,
            _ => return None,
        };
        matches!(one, b'C'..=b'Z' | b'c'..=b'z')
            .then(|| char::from(one.to_ascii_lowercase()).to_string())
    };
    let by_path = issue.tokens().find_map(|token| {
        let (drive, rest) = token.split_once(':')?;
        letter(drive).filter(|_| rest.is_empty() || rest.starts_with('\\'))
    });
    let is_drive = |word: &str| matches!(word.to_lowercase().as_str(), "drive" | "volume" | "disk");
    let by_word = || {
        issue
            .neighbours()
            .filter(|(_, word, _)| is_drive(word))
            .find_map(|(before, _, after)| [after, before].into_iter().flatten().find_map(letter))
    };
    by_path.or_else(by_word)
}

/// The deepest directory that a path of the complaint is in.
fn directory(issue: &Issue) -> Option<&'static str> {
    let path = issue.tokens().find(|token| token.starts_with('/'))?;
    let is_in = |directory: &str| {
        directory == "/"
            || path
                .strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    DIRECTORIES
        .iter()
        .find(|(directory, _)| is_in(directory))
        .map(|(_, name)| *name)
}

/// As the node has it: no pattern, no path, no option.
fn is_unit(value: &str) -> bool {
    let Some((stem, kind)) = value.rsplit_once('.') else {
        return false;
    };
    value.len() <= LONGEST
        && KINDS.contains(&kind)
        && stem.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":_.@-".contains(&byte))
}

fn is_interface(value: &str) -> bool {
    let is_known = INTERFACES.iter().any(|beginning| {
        value
            .strip_prefix(beginning)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    is_known && value.len() <= LONGEST_INTERFACE && is_name(value, b"_.-")
}

/// Begins with a letter or a digit and goes on with these and `others`.
fn is_name(value: &str, others: &[u8]) -> bool {
    value.len() <= LONGEST
        && value.starts_with(|first: char| first.is_ascii_alphanumeric())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests;
