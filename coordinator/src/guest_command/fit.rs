//! Which commands of the catalogue fit a command line that somebody typed.
//!
//! Nothing that is typed is ever run: it is answered with the ids that do what was
//! perhaps meant, by the name of the program and by words. A line that names a file or
//! a place which no command reads fits nothing, since another file would be another
//! question.

use schemars::JsonSchema;
use serde::Serialize;

use super::catalogue::{Argument, Command, Listed, Parameter};

/// Commands that are suggested.
const FITTING: usize = 5;
/// Characters and words of a line that are looked at.
const LINE_LIMIT: usize = 500;
const WORDS: usize = 24;
const VALUE_LIMIT: usize = 100;

/// Points for what fits.
const PROGRAM: i32 = 10;
const ALIAS: i32 = 8;
const WORD: i32 = 3;
const VALUE: i32 = 2;
const OPTION: i32 = 1;
/// Points against what does not.
const STRAY: i32 = 2;
const MISSING_VALUE: i32 = 3;
/// How far behind the best a command may be, and what it needs at least.
const BEHIND: i32 = 3;
const LEAST: i32 = 6;

/// What stands before a command without changing what it asks.
const WRAPPERS: [&str; 9] = [
    "sudo", "doas", "env", "nice", "time", "watch", "exec", "command", "nohup",
];
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "cmd"];
/// Programs that show a file: which file is the question.
const READERS: [&str; 8] = ["cat", "head", "tail", "less", "more", "view", "type", "bat"];
/// Programs of which a path only picks from what they would show anyway.
const PICKERS: [&str; 2] = ["df", "lsblk"];
/// Words that ask for how something is, whatever the program calls it.
const VERBS: [&str; 7] = [
    "status",
    "show",
    "list",
    "ls",
    "get",
    "is-active",
    "is-failed",
];
/// Programs that are not in the catalogue, and the commands that answer the same.
const ALIASES: &[(&str, &[&str])] = &[
    ("top", &["processes", "load", "processes-basic"]),
    ("htop", &["processes", "load", "processes-basic"]),
    ("ifconfig", &["addresses", "links", "network-interfaces"]),
    (
        "netstat",
        &["listening-sockets", "connections", "windows-sockets"],
    ),
    ("lsof", &["deleted-files"]),
    ("route", &["routes", "windows-routes"]),
    ("arp", &["neighbours", "windows-arp"]),
    ("dig", &["resolv-conf", "resolver-status"]),
    ("nslookup", &["resolv-conf", "resolver-status"]),
    ("service", &["unit-status", "windows-service"]),
    ("w", &["logged-in", "users"]),
    ("hostname", &["hostname"]),
    ("hostnamectl", &["hostname", "osinfo"]),
    ("lsb_release", &["os-release", "osinfo"]),
    ("mount", &["mounts", "fsinfo"]),
    ("findmnt", &["mounts", "fsinfo"]),
    ("swapon", &["swaps"]),
    ("lsmod", &["kernel-modules"]),
    ("nproc", &["cpu", "vcpus"]),
    ("apt", &["apt-upgradable"]),
    ("yum", &["dnf-updates"]),
    ("apk", &["apk-updates"]),
    ("ntpstat", &["chrony-tracking", "time-status"]),
    ("iotop", &["iostat", "disk-statistics"]),
    ("mysqladmin", &["mysql-status"]),
    ("iptables", &["firewall-nft"]),
];

/// A command that does what a line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fit {
    pub command: String,
    pub title: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    pub allowed: bool,
}

impl Fit {
    /// As it is typed: `unit-status unit=nginx.service`.
    #[must_use]
    pub fn words(&self) -> String {
        let arguments = self.arguments.iter();
        let arguments = arguments.map(|argument| format!(" {}={}", argument.name, argument.value));
        self.command.clone() + &arguments.collect::<String>()
    }
}

/// The commands that fit a line, the best first; those that may run before the others.
#[must_use]
pub fn fit(line: &str, listed: &Listed) -> Vec<Fit> {
    let words = words(line);
    let id = words.join("-").to_lowercase();
    if let Some(command) = listed.find(&id) {
        return vec![fitting(command, Vec::new())];
    }
    let Some((program, words)) = program(&words) else {
        return Vec::new();
    };
    let mut fits: Vec<(i32, &Command, Vec<Argument>)> = listed
        .commands
        .iter()
        .filter(|command| !is_of_another_system(command))
        .filter_map(|command| {
            let (points, arguments) = judge(command, &program, words)?;
            (points >= LEAST).then_some((points, command, arguments))
        })
        .collect();
    let best = fits.iter().map(|(points, ..)| *points).max().unwrap_or(0);
    fits.retain(|(points, ..)| points + BEHIND >= best);
    // Stable: what is equal stays in the order of the catalogue.
    fits.sort_by_key(|(points, command, _)| (!command.allowed, -points));
    let fits = fits.into_iter().take(FITTING);
    fits.map(|(_, command, arguments)| fitting(command, arguments))
        .collect()
}

/// As far as the node knows what the guest runs.
fn is_of_another_system(command: &Command) -> bool {
    let refusal = command.refusal.as_ref();
    refusal.is_some_and(|refusal| refusal.rule == "wrong_system")
}

fn fitting(command: &Command, arguments: Vec<Argument>) -> Fit {
    Fit {
        command: command.id.clone(),
        title: command.title.clone(),
        arguments,
        allowed: command.allowed,
    }
}

/// The words of the first command of a line.
fn words(line: &str) -> Vec<String> {
    let line: String = line.chars().take(LINE_LIMIT).collect();
    let line = line.trim_start().trim_start_matches(['"', '\'']);
    let first = line.split(['|', ';', '&', '<', '>', '\n']).next();
    let words = first.unwrap_or_default().split_whitespace().take(WORDS);
    words
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The name of the program, and what comes after it.
fn program(words: &[String]) -> Option<(String, &[String])> {
    let (first, rest) = words.split_first()?;
    let name = base_name(first);
    let is_wrapper = WRAPPERS.contains(&&*name)
        // A variable for the command.
        || (first.contains('=') && !first.starts_with('-'));
    let is_shell = SHELLS.contains(&&*name);
    if (is_wrapper || is_shell) && !rest.is_empty() {
        let rest = match rest.split_first() {
            Some((option, rest))
                if option.starts_with('-') || option.eq_ignore_ascii_case("/c") =>
            {
                rest
            }
            _ => rest,
        };
        return program(rest);
    }
    Some((name, rest))
}

/// `/usr/bin/df` and `C:\Windows\System32\df.exe` are `df`.
fn base_name(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = name.to_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// How well a command fits, with the values that the words give; nothing when it asks
/// for something else.
fn judge(command: &Command, program: &str, words: &[String]) -> Option<(i32, Vec<Argument>)> {
    let (own, template) = command.template.split_first()?;
    let own = base_name(own);
    let is_reader = READERS.contains(&program);
    let place = place(program, &command.id);
    let (mut points, is_alias) = if own == *program && !command.is_guest_agent_question {
        (PROGRAM, false)
    } else if let Some(place) = place {
        (ALIAS - place, true)
    } else if is_reader && READERS.contains(&&*own) {
        // Whoever shows a file: it is the same file that counts.
        (ALIAS, false)
    } else {
        return None;
    };
    let mut taken = Taken::new(command);
    let mut said: Vec<&String> = Vec::new();
    let mut has_file = false;
    for word in words {
        if let Some(own) = template.iter().find(|own| same(program, own, word)) {
            points += if is_option(command, word) {
                OPTION
            } else {
                WORD
            };
            has_file |= word.contains('/');
            said.push(own);
        } else if taken.number(word) || taken.choice(word) {
            points += WORD;
            has_file |= word.contains('/');
        } else if is_option(command, word) || is_number(word) || VERBS.contains(&&**word) {
            // What it changes is at most the form of the answer.
        } else if taken.name(word) {
            points += VALUE;
        } else if word.contains(['/', '\\']) {
            if !PICKERS.contains(&program) {
                return None;
            }
        } else if !is_alias {
            points -= STRAY;
        }
    }
    if is_reader && !has_file {
        return None;
    }
    if !is_alias {
        // What the command also says and nobody asked for.
        let is_word = |own: &&String| own.starts_with(|c: char| c.is_ascii_lowercase());
        let unsaid = template
            .iter()
            .filter(is_word)
            .filter(|own| !said.contains(own));
        points -= i32::try_from(unsaid.count()).unwrap_or(i32::MAX);
    }
    points -= taken.missing().saturating_mul(MISSING_VALUE);
    Some((points, taken.arguments))
}

/// How far behind the first one a command stands for a program that is not in the
/// catalogue; nothing when it does not stand for it.
fn place(program: &str, id: &str) -> Option<i32> {
    let (_, ids) = ALIASES.iter().find(|(name, _)| *name == program)?;
    let place = ids.iter().position(|known| *known == id)?;
    i32::try_from(place).ok()
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_option(command: &Command, word: &str) -> bool {
    let is_windows = || command.systems.iter().any(|system| system == "windows");
    word.starts_with(['-', '+'])
        // `/all` and `/c:20`, where they are not the beginning of a path.
        || (is_windows()
            && word.strip_prefix('/').is_some_and(|option| !option.contains(['/', '\\'])))
}

/// Whether a word is one of the command's own. Programs take the beginning of a word
/// for the word; `ip` takes a single letter.
fn same(program: &str, own: &str, word: &str) -> bool {
    let least = if program == "ip" { 1 } else { 3 };
    own.eq_ignore_ascii_case(word)
        || (word.len() >= least
            && !word.starts_with(['-', '+'])
            && !word.contains('/')
            && own
                .get(..word.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(word)))
}

/// Values for the parameters of a command.
struct Taken<'c> {
    parameters: &'c [Parameter],
    arguments: Vec<Argument>,
}

impl<'c> Taken<'c> {
    fn new(command: &'c Command) -> Self {
        Self {
            parameters: &command.parameters,
            arguments: Vec::new(),
        }
    }

    fn open(&self) -> impl Iterator<Item = &'c Parameter> {
        let taken = |parameter: &&Parameter| {
            let mut arguments = self.arguments.iter();
            arguments.any(|argument| argument.name == parameter.name)
        };
        self.parameters
            .iter()
            .filter(move |parameter| !taken(parameter))
    }

    fn take(&mut self, name: &str, value: String) {
        self.arguments.push(Argument {
            name: name.to_owned(),
            value,
        });
    }

    /// `50`, `-n50`, `--lines=50`.
    fn number(&mut self, word: &str) -> bool {
        let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let is_plain = word == digits || (word.starts_with('-') && !word.contains('/'));
        let (true, Ok(number)) = (is_plain, digits.parse::<u64>()) else {
            return false;
        };
        let range = |parameter: &'c Parameter| Some((parameter, range(parameter)?));
        let Some((parameter, (least, most))) = self.open().find_map(range) else {
            return false;
        };
        self.take(&parameter.name, number.clamp(least, most).to_string());
        true
    }

    /// One of the choices, also as the path that it stands for.
    fn choice(&mut self, word: &str) -> bool {
        let file = word.strip_prefix("/var/log/").map(dashed);
        let forms = [Some(dashed(word)), file];
        let chosen = self.open().find_map(|parameter| {
            let is = |choice: &&String| {
                forms.iter().flatten().any(|form| {
                    form == *choice
                        || (form.len() >= 3 && !word.contains('/') && choice.starts_with(&**form))
                })
            };
            Some((parameter, parameter.choices.iter().find(is)?.clone()))
        });
        let Some((parameter, choice)) = chosen else {
            return false;
        };
        self.take(&parameter.name, choice);
        true
    }

    /// A name of a unit, an interface, a service or a container.
    fn name(&mut self, word: &str) -> bool {
        let is_name = word.len() <= VALUE_LIMIT
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:\\".contains(&byte));
        let free = |parameter: &&Parameter| {
            parameter.choices.is_empty()
                && parameter.default_value.is_none()
                && range(parameter).is_none()
        };
        let Some(parameter) = self.open().find(free).filter(|_| is_name) else {
            return false;
        };
        let value = match &*parameter.name {
            "unit" if !word.contains('.') => format!("{word}.service"),
            _ => word.to_owned(),
        };
        self.take(&parameter.name, value);
        true
    }

    /// Parameters that need a value and have none.
    fn missing(&self) -> i32 {
        let needed = self
            .open()
            .filter(|parameter| parameter.default_value.is_none());
        i32::try_from(needed.count()).unwrap_or(i32::MAX)
    }
}

/// `a number from 1 to 500`.
fn range(parameter: &Parameter) -> Option<(u64, u64)> {
    let range = parameter.takes.strip_prefix("a number from ")?;
    let (least, most) = range.split_once(" to ")?;
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (least <= most).then_some((least, most))
}

/// `/var/log` as `var-log`, `/` as `root`, `auth.log` as `auth`, `C:` as `c`.
fn dashed(path: &str) -> String {
    if path == "/" {
        return "root".to_owned();
    }
    let path = path.trim_matches('/').trim_end_matches(':').to_lowercase();
    path.strip_suffix(".log").unwrap_or(&path).replace('/', "-")
}

#[cfg(test)]
mod tests;
