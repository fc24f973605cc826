//! Who or what a line of trouble is about.

use super::super::output::{NAME, some};
use crate::guest_command::facts::LogPatternKind as Kind;

/// A process, a disk, a file system, a unit or an interface, as far as the line names
/// one where it is looked for.
pub(super) fn about(kind: Kind, line: &str) -> Option<String> {
    let found = match kind {
        Kind::OutOfMemory => killed(line).or_else(|| unit(line)),
        Kind::IoError => after(line, "dev ").or_else(|| disk(line)),
        Kind::ReadOnly | Kind::FileSystemError => {
            in_brackets(line, "-fs ").or_else(|| in_brackets(line, "XFS "))
        }
        Kind::HungTask => after(line, "task ")
            .and_then(|task| task.rsplit_once(':'))
            .map(|(name, _)| name),
        Kind::Segfault => process(line),
        Kind::LinkDown => interface(line),
        Kind::ServiceFailed => unit(line).or_else(|| started(line)),
        _ => None,
    };
    found.and_then(|found| some(found.trim_matches([',', ':', '.', '\'', '"']), NAME.min(64)))
}

/// `Killed process 123 (mysqld) total-vm:...`
fn killed(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("illed process ")?;
    let (pid, rest) = rest.split_once(' ')?;
    pid.parse::<u32>().ok()?;
    Some(rest.strip_prefix('(')?.split_once(')')?.0)
}

/// The word after `before`.
fn after<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    rest.split_whitespace()
        .next()
        .map(|word| word.trim_end_matches([',', '.']))
}

/// `sd 0:0:0:0: [sda] tag#1 ...`
fn disk(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some((_, inner)) = rest.split_once('[') {
        let (word, after) = inner.split_once(']')?;
        if ["sd", "vd", "nvme", "xvd"]
            .iter()
            .any(|name| word.starts_with(name))
        {
            return Some(word);
        }
        rest = after;
    }
    None
}

/// `EXT4-fs error (device sda1): ...`, `EXT4-fs (sda1): ...`, `XFS (dm-0): ...`
fn in_brackets<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    let (_, inner) = rest.split_once('(')?;
    let (inner, _) = inner.split_once(')')?;
    Some(inner.trim_start_matches("device "))
}

/// `nginx[123]: segfault at`, `traps: x[1] general protection`, `Process 1 (x) of user`.
fn process(line: &str) -> Option<&str> {
    if let Some((_, rest)) = line.split_once("Process ") {
        return Some(rest.split_once('(')?.1.split_once(')')?.0);
    }
    let (before, _) = line
        .split_once(" segfault at")
        .or_else(|| line.split_once(" general protection"))?;
    let word = before.split_whitespace().next_back()?;
    word.split('[').next()
}

/// `eth0: Link is Down`, `virtio_net virtio1 eth0: ...`, `e1000e: eth0 NIC Link is Down`.
fn interface(line: &str) -> Option<&str> {
    let at = [
        "NIC Link is",
        "NIC link is",
        "Link is",
        "link is",
        "Lost carrier",
        "lost carrier",
        "link down",
    ]
    .iter()
    .find_map(|words| line.find(words))?;
    let (before, _) = line.split_at_checked(at)?;
    before.split_whitespace().next_back()
}

/// `nginx.service: Failed with result 'exit-code'.`
fn unit(line: &str) -> Option<&str> {
    const KINDS: &[&str] = &[
        ".service", ".mount", ".timer", ".socket", ".swap", ".target", ".scope", ".device",
    ];
    line.split_whitespace()
        .map(|word| word.trim_end_matches([':', '.', ',']))
        .find(|word| KINDS.iter().any(|kind| word.ends_with(kind)))
}

/// `Failed to start A high performance web server.`
fn started(line: &str) -> Option<&str> {
    line.split_once("Failed to start ").map(|(_, rest)| rest)
}
