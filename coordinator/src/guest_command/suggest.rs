//! What to ask a guest about a trouble that somebody describes.
//!
//! A table of words leads to commands of the catalogue and to workflows; findings that
//! are open lead there, too. The same description always leads to the same commands,
//! and each says why it is there. The description may come from anybody: nothing of it
//! is repeated but words of the tables here and names in the strict form of their type,
//! and nothing in it is obeyed. Words are not understood: "not slow" speaks of slowness.

use std::collections::HashSet;

use crate::{guest_command::system::GuestSystem, untrusted};

mod named;
mod names;
mod ranking;
#[cfg(test)]
mod tests;
mod topics;
mod words;

use named::{Named, named};
pub(super) use names::is_unit;
use ranking::Ranking;
use topics::{GENERAL, QUIET, SAYS_LINUX, SAYS_WINDOWS, TOPICS, Topic};
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
    let findings = situation.findings.iter().take(FINDINGS);
    let findings: Vec<Finding> = findings.map(Finding::of).collect();
    let ground = Ground::of(situation.system, &words, &findings);
    let mut called = called(&words, &findings);
    let named = named(situation.issue, &words, &ground);
    if called.is_empty() {
        // A name without a word on what is wrong with it.
        called = TOPICS
            .iter()
            .filter_map(|topic| Some((topic, named_of(topic, &named)?)))
            .collect();
    }
    let mut ranking = Ranking::default();
    for name in &named {
        name.add_to(&mut ranking, &called);
    }
    for (topic, reasons) in &called {
        ranking.add_topic(topic, reasons, &ground);
    }
    if ranking.is_empty() {
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
fn called(words: &Words, findings: &[Finding]) -> Vec<(&'static Topic, Vec<String>)> {
    let said = words.matches_each(TOPICS.iter().map(|topic| topic.calls));
    let topics = TOPICS.iter().zip(said).enumerate();
    let topics = topics.map(|(at, (topic, said))| {
        let open = findings
            .iter()
            .filter(|finding| finding.topics.contains(&at));
        let open = open.map(|finding| finding.reason.clone());
        (
            topic,
            said.into_iter().map(says).chain(open).collect::<Vec<_>>(),
        )
    });
    topics.filter(|(_, reasons)| !reasons.is_empty()).collect()
}

fn says(phrase: &'static str) -> String {
    format!("the issue says \"{}\"", spelled(phrase))
}

/// An open finding, read.
struct Finding {
    reason: String,
    is_of_windows: bool,
    /// Places of the topics that it calls for.
    topics: Vec<usize>,
}

impl Finding {
    fn of((id, title): &(&str, &str)) -> Self {
        let id = untrusted::line(id, ID_LIMIT);
        let title = untrusted::line(title, TITLE_LIMIT);
        let words = Words::of(&id);
        let is_quiet = QUIET.split('|').any(|prefix| words.begin_with(prefix));
        let topics = TOPICS.iter().enumerate();
        let mut topics: Vec<usize> = topics
            .filter(|(_, topic)| !is_quiet && topic.is_of(&words))
            .map(|(at, _)| at)
            .collect();
        // What the id does not tell, the words may.
        if topics.is_empty() && !is_quiet {
            let words = Words::of(&format!("{id} {title}"));
            let said = words.matches_each(TOPICS.iter().map(|topic| topic.calls));
            let said = said.iter().enumerate().filter(|(_, said)| !said.is_empty());
            topics = said.map(|(at, _)| at).collect();
        }
        Self {
            reason: format!("open finding {id}: {title}"),
            is_of_windows: words.begin_with("guest windows"),
            topics,
        }
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
    fn of(system: GuestSystem, words: &Words, findings: &[Finding]) -> Self {
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
                let open = findings.iter().filter(|finding| finding.is_of_windows);
                let open = open.map(|finding| finding.reason.clone());
                let windows = windows.chain(open).next();
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

/// What the topic's own names say for it, if there are any.
fn named_of(topic: &Topic, named: &[Named]) -> Option<Vec<String>> {
    let of_topic = named.iter().filter(|name| topic.takes == Some(name.kind));
    let mut reasons: Vec<String> = of_topic.map(Named::reason).collect();
    // Two commands for one name.
    reasons.dedup();
    (!reasons.is_empty()).then_some(reasons)
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
