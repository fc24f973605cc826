//! Which commands and workflows fit a complaint about a guest.
//!
//! A table of words, not a language model: the same complaint always gives the same
//! commands, each with the words and findings that it is there for. The complaint may
//! come from anybody. It is only searched for words of the table and for names that
//! have the strict form of a parameter, and nothing else of it comes back.

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    known::Known,
    system::{GuestSystem, System},
    workflow::Workflow,
};
use crate::finding::Finding;
use issue::Issue;
use names::Names;
use topic::Topic;

mod commands;
mod findings;
mod issue;
mod names;
mod request;
mod services;
mod topic;

/// Commands and workflows that are given.
const COMMANDS: usize = 8;
const WORKFLOWS: usize = 3;
/// Words that one reason names.
const WORDS: usize = 4;
/// What a finding counts beside the words of the complaint.
const FINDING: u32 = 4;
/// What the first command of a topic is worth, times its weight; the next ones less.
const FIRST: u32 = 12;

/// What there is to go by.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The complaint in words: `slow since monday`. May be empty.
    pub issue: &'a str,
    pub system: System,
    /// About the guest, its node and its storages; only those that still hold count.
    pub findings: &'a [&'a Finding],
}

/// What to ask, and how to go on; the most telling first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suggestions {
    pub commands: Vec<Suggestion>,
    pub workflows: Vec<WorkflowSuggestion>,
}

/// A command that tells something about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suggestion {
    /// Id in the catalogue.
    pub command: &'static str,
    /// Values for its parameters by name; what is missing has a default.
    pub arguments: Vec<(String, String)>,
    pub title: &'static str,
    /// Why: words of the complaint, findings, the guest's system.
    pub reasons: Vec<String>,
}

/// A workflow that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkflowSuggestion {
    #[serde(serialize_with = "by_name")]
    #[schemars(with = "String")]
    pub workflow: Workflow,
    pub reasons: Vec<String>,
}

fn by_name<S: serde::Serializer>(workflow: &Workflow, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(workflow.name())
}

/// A topic with its weight and the reason for it.
#[derive(Debug)]
struct Concern {
    topic: Topic,
    weight: u32,
    reason: String,
}

/// What to ask about a guest, at most eight commands. Without any known word and any
/// finding: what is worth a first look.
#[must_use]
pub fn suggest(situation: &Situation<'_>) -> Suggestions {
    let issue = Issue::new(situation.issue);
    let names = Names::of(&issue, situation.system);
    let concerns = concerns(situation, &issue, &names);
    Suggestions {
        commands: commands(situation.system, &concerns, &issue, &names),
        workflows: workflows(&concerns),
    }
}

/// The unit of Linux or the service of Windows that a complaint names, for
/// [`super::workflow`].
#[must_use]
pub fn named_service(issue: &str, system: System) -> Option<String> {
    Names::of(&Issue::new(issue), system).service
}

fn concerns(situation: &Situation<'_>, issue: &Issue, names: &Names) -> Vec<Concern> {
    let mut concerns: Vec<Concern> = Topic::of(issue)
        .into_iter()
        .map(|found| {
            let words: Vec<String> = found
                .words
                .iter()
                .take(WORDS)
                .map(|word| format!("\"{}\"", issue::shown(word)))
                .collect();
            Concern {
                topic: found.topic,
                weight: found.weight,
                reason: format!("the complaint says {}", words.join(", ")),
            }
        })
        .collect();
    let is_about = |concerns: &[Concern], topics: &[Topic]| {
        concerns
            .iter()
            .any(|concern| topics.contains(&concern.topic))
    };
    // A service that is named may be all that the complaint says of it.
    let services = [
        Topic::Service,
        Topic::Web,
        Topic::PostgreSql,
        Topic::MySql,
        Topic::Redis,
        Topic::Container,
    ];
    if names.service.is_some() && !is_about(&concerns, &services) {
        concerns.push(Concern {
            topic: Topic::Service,
            weight: 3,
            reason: "the complaint names a service".to_owned(),
        });
    }
    for hint in findings::hints(situation.findings) {
        for topic in hint.topics {
            concerns.push(Concern {
                topic: *topic,
                weight: FINDING,
                reason: format!("a finding says {}", hint.check),
            });
        }
    }
    concerns
}

/// A command while it is weighed.
#[derive(Debug)]
struct Weighed {
    known: &'static Known,
    arguments: Vec<(String, String)>,
    weight: u32,
    reasons: Vec<String>,
}

fn commands(system: System, concerns: &[Concern], issue: &Issue, names: &Names) -> Vec<Suggestion> {
    let mut all: Vec<Weighed> = Vec::new();
    let mut add = |text: &str, weight: u32, reason: &str| {
        let Some((known, arguments)) = request::of(text, system, names) else {
            return;
        };
        let same = all
            .iter_mut()
            .find(|one| one.known == known && one.arguments == arguments);
        match same {
            Some(one) => {
                one.weight = one.weight.saturating_add(weight);
                if !one.reasons.iter().any(|known| known == reason) {
                    one.reasons.push(reason.to_owned());
                }
            }
            None => all.push(Weighed {
                known,
                arguments,
                weight,
                reasons: vec![reason.to_owned()],
            }),
        }
    };
    if system.family == GuestSystem::Unknown {
        let reason = "what else can be asked depends on the operating system, which is not known";
        add("osinfo", u32::MAX, reason);
    }
    for concern in concerns {
        let list = commands::of(concern.topic, system).iter();
        for (text, worth) in list.zip((1..=FIRST).rev()) {
            add(text, concern.weight.saturating_mul(worth), &concern.reason);
        }
    }
    if concerns.is_empty() {
        let reason = if issue.is_empty() {
            "a first look at any guest"
        } else {
            "no word of the complaint is known; a first look at any guest"
        };
        for text in commands::first_look(system) {
            add(text, 1, reason);
        }
    }
    // Stable: what came first stays first among those that are worth as much.
    all.sort_by_key(|one| Reverse(one.weight));
    all.truncate(COMMANDS);
    all.into_iter()
        .map(|one| Suggestion {
            command: one.known.id,
            arguments: one.arguments,
            title: one.known.title,
            reasons: one
                .reasons
                .into_iter()
                .chain(std::iter::once(kind(one.known, system)))
                .collect(),
        })
        .collect()
}

/// How it is asked, and that it is for this system.
fn kind(known: &Known, system: System) -> String {
    match (known.is_question, system.family) {
        (true, _) => "asks the guest agent alone and starts no program".to_owned(),
        (false, _) => format!("a program for {}", system.name()),
    }
}

fn workflows(concerns: &[Concern]) -> Vec<WorkflowSuggestion> {
    let mut all: Vec<(u32, WorkflowSuggestion)> = Vec::new();
    for concern in concerns {
        let Some(workflow) = concern.topic.workflow() else {
            continue;
        };
        let known = all.iter_mut().find(|(_, known)| known.workflow == workflow);
        match known {
            Some((weight, known)) => {
                *weight = weight.saturating_add(concern.weight);
                if !known.reasons.contains(&concern.reason) {
                    known.reasons.push(concern.reason.clone());
                }
            }
            None => all.push((
                concern.weight,
                WorkflowSuggestion {
                    workflow,
                    reasons: vec![concern.reason.clone()],
                },
            )),
        }
    }
    all.sort_by_key(|(weight, _)| Reverse(*weight));
    all.truncate(WORKFLOWS);
    all.into_iter().map(|(_, workflow)| workflow).collect()
}

#[cfg(test)]
mod tests;
