//! What an entry of the catalogue must keep to, so that a mistake in the file stops
//! the program instead of reaching a guest.

use std::ops::RangeInclusive;

use super::{
    Command, System,
    parameter::{Kind, LONGEST_VALUE},
    template,
};
use crate::guest::rule::Rules;

const TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=60;
const OUTPUT_LIMIT_BYTES: RangeInclusive<usize> = 1 << 10..=256 << 10;
/// Where programs of the distribution are; nobody but root writes there.
const LINUX_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
const WINDOWS_FOLDER: &str = "C:\\Windows\\System32\\";
/// What runs other programs or reads programs as text, by the name without digits,
/// dots and dashes at its end: `python3.13` is `python`.
const RUNNERS: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "ash",
    "rbash",
    "zsh",
    "ksh",
    "mksh",
    "csh",
    "tcsh",
    "fish",
    "pwsh",
    "powershell",
    "cmd",
    "cscript",
    "wscript",
    "mshta",
    "rundll",
    "regsvr",
    "msiexec",
    "wmic",
    "forfiles",
    "busybox",
    "toybox",
    "python",
    "perl",
    "ruby",
    "lua",
    "luajit",
    "node",
    "deno",
    "bun",
    "php",
    "tclsh",
    "expect",
    "java",
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "sed",
    "env",
    "xargs",
    "parallel",
    "find",
    "fd",
    "nohup",
    "timeout",
    "time",
    "sudo",
    "su",
    "runuser",
    "doas",
    "pkexec",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "setsid",
    "stdbuf",
    "chroot",
    "nsenter",
    "unshare",
    "setpriv",
    "capsh",
    "systemd-run",
    "watch",
    "script",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "telnet",
    "ftp",
    "tee",
    "dd",
    "vi",
    "vim",
    "nano",
    "ed",
    "ex",
    "emacs",
    "less",
    "more",
    "man",
    "git",
    "make",
    "tar",
    "cpio",
    "zip",
    "gdb",
    "strace",
    "ltrace",
    "at",
    "batch",
    "crontab",
    "ld.so",
    "ld-linux",
];

/// What is wrong with an entry, if anything.
pub(super) fn flaw(command: &Command) -> Option<String> {
    shape(command)
        .or_else(|| program(command))
        .or_else(|| slots(command))
        .or_else(|| values(command))
        .or_else(|| examples(command))
}

fn shape(command: &Command) -> Option<String> {
    let is_id = |text: &str| {
        !text.is_empty()
            && text.len() <= 40
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let wrong = if !is_id(&command.id) {
        "its id is not of lower-case letters, digits and `-`"
    } else if !is_id(&command.group) || !is_id(&command.reads) {
        "`group` or `reads` is not of lower-case letters, digits and `-`"
    } else if command.title.is_empty() {
        "it has no title"
    } else if command.systems.is_empty() {
        "it is for no system"
    } else if !TIMEOUT_SECONDS.contains(&command.timeout_seconds) {
        "`timeout_seconds` is not from 1 to 60"
    } else if !OUTPUT_LIMIT_BYTES.contains(&command.output_limit_bytes) {
        "`output_limit_bytes` is not from 1024 to 262144"
    } else if command.success.is_empty() {
        "no exit code stands for an answer"
    } else {
        return None;
    };
    Some(wrong.to_owned())
}

fn program(command: &Command) -> Option<String> {
    if command.rpc.is_some() {
        let more = !command.program.is_empty()
            || !command.arguments.is_empty()
            || !command.parameters.is_empty();
        return more.then(|| "a question has no program and no parameters".to_owned());
    }
    if command.program.is_empty() {
        return Some("it has neither a program nor a question".to_owned());
    }
    let [system] = command.systems.as_slice() else {
        return Some("a program is for one system".to_owned());
    };
    command.program.iter().find_map(|program| match system {
        System::Linux => linux(program),
        System::Windows => windows(program),
        System::Other => Some("no program is known for other systems".to_owned()),
    })
}

fn linux(program: &str) -> Option<String> {
    let (folder, name) = program.rsplit_once('/').unwrap_or_default();
    if !LINUX_FOLDERS.contains(&folder) {
        return Some(format!("{program} is not in {}", LINUX_FOLDERS.join(", ")));
    }
    named(program, name)
}

fn windows(program: &str) -> Option<String> {
    let Some(name) = program.strip_prefix(WINDOWS_FOLDER) else {
        return Some(format!("{program} is not in {WINDOWS_FOLDER}"));
    };
    match name.strip_suffix(".exe") {
        Some(name) => named(program, name),
        None => Some(format!("{program} is no .exe")),
    }
}

fn named(program: &str, name: &str) -> Option<String> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte));
    if name.is_empty() || !plain || name.starts_with(['.', '-']) {
        return Some(format!("{program} is no plain name"));
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let runs = RUNNERS.contains(&stem) || RUNNERS.contains(&name);
    runs.then(|| format!("{program} runs other programs, or text as a program"))
}

fn slots(command: &Command) -> Option<String> {
    let used: Vec<&str> = command
        .arguments
        .iter()
        .flat_map(|argument| template::slots(argument))
        .collect();
    let known = |name: &str| {
        command
            .parameters
            .iter()
            .any(|parameter| parameter.name == name)
    };
    if let Some(slot) = used.iter().find(|slot| !known(slot)) {
        return Some(format!("the slot {{{slot}}} has no parameter"));
    }
    let unused = command
        .parameters
        .iter()
        .find(|parameter| !used.contains(&parameter.name.as_str()))?;
    Some(format!("the parameter `{}` has no slot", unused.name))
}

fn values(command: &Command) -> Option<String> {
    for parameter in &command.parameters {
        if let Some(default) = &parameter.default
            && let Err(refusal) = parameter.check(default, Rules::default())
        {
            return Some(refusal.detail);
        }
        let Kind::Choice(choices) = &parameter.kind else {
            continue;
        };
        for (name, argument) in choices {
            let long = name.len().max(argument.len()) > LONGEST_VALUE;
            if argument.is_empty() || argument.starts_with('-') || long {
                return Some(format!(
                    "the choice `{name}` is empty, long or like an option"
                ));
            }
        }
    }
    None
}

/// Every entry shows what it does, and what it does not.
fn examples(command: &Command) -> Option<String> {
    if command.allow.is_empty() {
        return Some("it has no example of what is allowed".to_owned());
    }
    if !command.parameters.is_empty() && command.deny.is_empty() {
        return Some("it has no example of what is refused".to_owned());
    }
    for example in &command.allow {
        match command.prepare(&pairs(&example.parameters), Rules::default()) {
            Ok(prepared) if prepared.argv() == example.argv => {}
            Ok(prepared) => return Some(format!("an example gives {:?}", prepared.argv())),
            Err(refusal) => return Some(format!("an example is refused: {}", refusal.detail)),
        }
    }
    for example in &command.deny {
        match command.prepare(&pairs(&example.parameters), Rules::default()) {
            Err(refusal) if refusal.rule == example.rule => {}
            other => return Some(format!("an example is not refused as it says: {other:?}")),
        }
    }
    None
}

fn pairs(parameters: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
