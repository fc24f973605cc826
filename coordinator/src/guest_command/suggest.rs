//! What to ask a guest about a trouble that somebody describes.
//!
//! A table of words leads to commands of the catalogue and to workflows; findings that
//! are open lead there, too. The same description always leads to the same commands,
//! and each says why it is there. The description may come from anybody: nothing of it
//! is repeated but words of the tables here and names in the strict form of their type,
//! and nothing in it is obeyed. Words are not understood: "not slow" speaks of slowness.

use std::collections::HashSet;

use crate::{guest_command::system::GuestSystem, untrusted};

mod names;
#[cfg(test)]
mod tests;
mod topics;
mod words;

use topics::{Ask, GENERAL, QUIET, SAYS_LINUX, SAYS_WINDOWS, TOPICS, Topic, asks};
use words::{Words, spelled};

/// What is given at most.
const COMMANDS: usize = 8;
const WORKFLOWS: usize = 3;
/// Reasons of one suggestion.
const REASONS: usize = 6;
/// Findings that are looked at, and characters of their ids and titles.
const FINDINGS: usize = 64;
const ID_LIMIT: usize = 64;
const TITLE_LIMIT: usize = 120;

/// A trouble of a guest.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What somebody wrote about it; the first 2,000 characters count.
    pub issue: &'a str,
    pub system: GuestSystem,
    /// Check ids and titles of the guest's open findings.
    pub findings: &'a [(&'a str, &'a str)],
}

/// A command of the catalogue that may tell more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub command: &'static str,
    /// Names and values; what is left out has its default.
    pub arguments: Vec<(&'static str, String)>,
    /// A phrase each: `the issue says "slow"`.
    pub reasons: Vec<String>,
}

/// A workflow that may lead to the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowSuggestion {
    /// `slow-guest`, `disk-full`, `no-network`, `service-down`, `high-memory`,
    /// `time-drift` or `will-not-boot`.
    pub workflow: &'static str,
    pub reasons: Vec<String>,
}

/// What fits a situation, the best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// One at least, eight at most.
    pub commands: Vec<Suggestion>,
    /// Three at most; none when nothing was recognised.
    pub workflows: Vec<WorkflowSuggestion>,
}

/// What to ask, and which way to go. The same situation gives the same answer.
#[must_use]
pub fn suggest(situation: &Situation<'_>) -> Suggestions {
    let words = Words::of(situation.issue);
    let ground = Ground::of(situation.system, &words, situation.findings);
    let called = called(&words, situation.findings);
    let mut ranking = Ranking::default();
    for (topic, reasons) in &called {
        ranking.add_topic(topic, reasons, &ground);
    }
    add_named(&mut ranking, situation.issue, &words, &called, &ground);
    if ranking.entries.is_empty() {
        let reason = match called.is_empty() {
            true => "nothing in the issue or in the findings was recognised: a general look",
            false => {
                "no command that is sure to run there fits what was recognised: a general look"
            }
        };
        ranking.add_topic(&GENERAL, &[reason.to_owned()], &ground);
    }
    Suggestions {
        commands: ranking.best(&ground),
        workflows: workflows(&called),
    }
}

/// Topics with what calls for them, in the order of the table.
fn called(words: &Words, findings: &[(&str, &str)]) -> Vec<(&'static Topic, Vec<String>)> {
    let findings: Vec<Finding> = findings.iter().take(FINDINGS).map(Finding::of).collect();
    let topics = TOPICS.iter().map(|topic| {
        let said = words.matches(topic.calls).into_iter().map(says);
        let open = findings.iter().filter(|finding| finding.calls_for(topic));
        let open = open.map(Finding::reason);
        (topic, said.chain(open).collect::<Vec<_>>())
    });
    topics.filter(|(_, reasons)| !reasons.is_empty()).collect()
}

fn says(phrase: &'static str) -> String {
    format!("the issue says \"{}\"", spelled(phrase))
}

/// An open finding, read.
struct Finding<'a> {
    id: &'a str,
    title: &'a str,
    id_words: Words,
    title_words: Words,
    /// Its id says what it is about: then its words say nothing more.
    is_known: bool,
    /// Nothing in the guest tells more about it.
    is_quiet: bool,
}

impl<'a> Finding<'a> {
    fn of((id, title): &(&'a str, &'a str)) -> Self {
        let id_words = Words::of(id);
        let is_quiet = QUIET.split('|').any(|prefix| id_words.begin_with(prefix));
        let is_known = is_quiet || TOPICS.iter().any(|topic| topic.is_of(&id_words));
        Self {
            id,
            title,
            id_words,
            title_words: Words::of(title),
            is_known,
            is_quiet,
        }
    }

    fn calls_for(&self, topic: &Topic) -> bool {
        match self.is_known {
            true => !self.is_quiet && topic.is_of(&self.id_words),
            false => {
                !self.id_words.matches(topic.calls).is_empty()
                    || !self.title_words.matches(topic.calls).is_empty()
            }
        }
    }

    fn reason(&self) -> String {
        let id = untrusted::line(self.id, ID_LIMIT);
        let title = untrusted::line(self.title, TITLE_LIMIT);
        format!("open finding {id}: {title}")
    }
}

impl Topic {
    /// Whether the id of a finding begins as the topic has it.
    fn is_of(&self, id: &Words) -> bool {
        let mut prefixes = self.findings.split('|');
        prefixes.any(|prefix| id.begin_with(prefix))
    }
}

/// What can be asked of the guest, and how that is known.
struct Ground {
    asks_linux: bool,
    asks_windows: bool,
    is_known: bool,
    /// Said of commands that not every system has.
    reason: Option<String>,
}

impl Ground {
    fn of(system: GuestSystem, words: &Words, findings: &[(&str, &str)]) -> Self {
        let told = |asks_linux, asks_windows, reason: Option<String>| Self {
            asks_linux,
            asks_windows,
            is_known: system != GuestSystem::Unknown,
            reason,
        };
        match system {
            GuestSystem::Linux => told(true, false, Some("the guest runs Linux".to_owned())),
            GuestSystem::Windows => told(false, true, Some("the guest runs Windows".to_owned())),
            GuestSystem::Other => told(false, false, None),
            GuestSystem::Unknown => {
                let windows = words.matches(SAYS_WINDOWS).into_iter().map(says);
                let open = findings.iter().take(FINDINGS).map(Finding::of);
                let open = open.filter(|finding| finding.id_words.begin_with("guest windows"));
                let windows = windows.chain(open.map(|finding| finding.reason())).next();
                let linux = words.matches(SAYS_LINUX).into_iter().map(says).next();
                match (linux, windows) {
                    // Both are said of guests that talk to each other.
                    (Some(_), Some(_)) => told(false, false, None),
                    (None, Some(why)) => told(
                        false,
                        true,
                        Some(format!("the guest seems to run Windows: {why}")),
                    ),
                    (Some(why), None) => told(
                        true,
                        false,
                        Some(format!("the guest seems to run Linux: {why}")),
                    ),
                    (None, None) => {
                        let why = "what the guest runs is not known: this works if it is Linux";
                        told(true, false, Some(why.to_owned()))
                    }
                }
            }
        }
    }
}

/// A suggestion on its way, with where the table has it.
struct Entry {
    ask: Ask,
    reasons: Vec<String>,
    /// Every system answers it.
    is_for_all: bool,
    /// How far it is from the front of its topic, and the topic's place.
    place: (usize, usize),
}

#[derive(Default)]
struct Ranking {
    entries: Vec<Entry>,
    topics: usize,
}

impl Ranking {
    fn add_topic(&mut self, topic: &Topic, reasons: &[String], ground: &Ground) {
        let linux = asks(topic.linux).filter(|_| ground.asks_linux);
        let windows = asks(topic.windows).filter(|_| ground.asks_windows);
        let any = asks(topic.any).map(|ask| (ask, true));
        let own = linux.chain(windows).map(|ask| (ask, false));
        for (place, (ask, is_for_all)) in any.chain(own).enumerate() {
            self.add(ask, is_for_all, reasons, (place, self.topics));
        }
        self.topics += 1;
    }

    /// Adds reasons to what is there already.
    fn add(&mut self, ask: Ask, is_for_all: bool, reasons: &[String], place: (usize, usize)) {
        let at = self.entries.iter().position(|entry| entry.ask == ask);
        let known = at.and_then(|at| self.entries.get_mut(at));
        if let Some(entry) = known {
            let new = reasons
                .iter()
                .filter(|reason| !entry.reasons.contains(reason));
            let new: Vec<String> = new.cloned().collect();
            entry.reasons.extend(new);
            entry.place = entry.place.min(place);
            entry.is_for_all |= is_for_all;
        } else {
            self.entries.push(Entry {
                ask,
                reasons: reasons.to_vec(),
                is_for_all,
                place,
            });
        }
    }

    /// Most reasons first, then the order of the table: what comes first in any topic
    /// before what comes second.
    fn best(mut self, ground: &Ground) -> Vec<Suggestion> {
        if !ground.is_known {
            let why = "what can be asked depends on what the guest runs, which is not known";
            let osinfo = asks("osinfo").next();
            osinfo
                .into_iter()
                .for_each(|ask| self.add(ask, true, &[why.to_owned()], (0, 0)));
        }
        self.entries.sort_by_key(|entry| {
            let is_first = !ground.is_known && entry.ask.command == "osinfo";
            let is_late = !ground.is_known && !entry.is_for_all;
            let reasons = std::cmp::Reverse(entry.reasons.len());
            (!is_first, is_late, reasons, entry.place)
        });
        let best = self.entries.into_iter().take(COMMANDS);
        best.map(|entry| {
            let own = ground.reason.iter().filter(|_| !entry.is_for_all);
            let mut reasons = entry.reasons;
            reasons.truncate(REASONS - 1);
            reasons.extend(own.cloned());
            Suggestion {
                command: entry.ask.command,
                arguments: entry.ask.arguments,
                reasons,
            }
        })
        .collect()
    }
}

/// What the issue names itself: it comes first in its topic.
fn add_named(
    ranking: &mut Ranking,
    issue: &str,
    words: &Words,
    called: &[(&'static Topic, Vec<String>)],
    ground: &Ground,
) {
    // What is said of services is said of the one that is named.
    let of_topic = |workflow: &str| {
        let mut topics = called.iter();
        let topic = topics.find(|(topic, _)| topic.workflow == Some(workflow));
        topic
            .map(|(_, reasons)| reasons.clone())
            .unwrap_or_default()
    };
    let mut name = |command, parameter, value: &str, spelled: &str, workflow: &str| {
        let mut reasons = vec![format!("the issue names {spelled}")];
        reasons.extend(of_topic(workflow));
        let ask = Ask {
            command,
            arguments: vec![(parameter, value.to_owned())],
        };
        ranking.add(ask, false, &reasons, (0, 0));
    };
    if ground.asks_linux {
        for unit in names::units(issue, words) {
            name("unit-status", "unit", &unit, &unit, "service-down");
            name("unit-journal", "unit", &unit, &unit, "service-down");
        }
        for interface in names::interfaces(issue) {
            name("link", "interface", &interface, &interface, "no-network");
        }
        if let Some((path, directory)) = names::directory(issue) {
            name("directory-usage", "directory", directory, path, "disk-full");
        }
    }
    if ground.asks_windows {
        for service in names::services(words) {
            name(
                "windows-service",
                "service",
                service,
                &format!("the service {service}"),
                "service-down",
            );
        }
        for drive in names::drives(issue) {
            name(
                "windows-disk-free",
                "drive",
                &drive,
                &format!("the drive {drive}"),
                "disk-full",
            );
        }
    }
}

/// The workflows of the topics, most reasons first.
fn workflows(called: &[(&'static Topic, Vec<String>)]) -> Vec<WorkflowSuggestion> {
    let mut workflows: Vec<WorkflowSuggestion> = Vec::new();
    for (topic, reasons) in called {
        let Some(workflow) = topic.workflow else {
            continue;
        };
        match workflows
            .iter_mut()
            .find(|known| known.workflow == workflow)
        {
            Some(known) => {
                let seen: HashSet<String> = known.reasons.iter().cloned().collect();
                let new = reasons.iter().filter(|reason| !seen.contains(*reason));
                known.reasons.extend(new.cloned());
            }
            None => workflows.push(WorkflowSuggestion {
                workflow,
                reasons: reasons.clone(),
            }),
        }
    }
    // Stable: the order of the table among those with as many.
    workflows.sort_by_key(|workflow| std::cmp::Reverse(workflow.reasons.len()));
    workflows.truncate(WORKFLOWS);
    for workflow in &mut workflows {
        workflow.reasons.truncate(REASONS);
    }
    workflows
}
