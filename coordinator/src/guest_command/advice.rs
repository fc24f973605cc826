//! What to ask next of a guest: [`suggest`] and [`workflow`] with what is known of the
//! guest, as answers. Runs nothing.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    catalogue::{self, Argument, Listed},
    facts::GuestFacts,
    outcome::Word,
    recent::{self, Recent},
    refusal::Refusal,
    suggest,
    system::{GuestSystem, System},
    target::Target,
    workflow::{self, Seen, Workflow},
};
use crate::{
    answer::AnswerError,
    coordinator::Current,
    finding::Finding,
    inventory::{Coverage, detail},
    untrusted,
    view::{Guest, View},
};

/// Bytes of a complaint that are looked at.
const ISSUE_LIMIT: usize = 2000;
const TEXT_LIMIT: usize = 500;
const SERVICE_LIMIT: usize = 120;

/// Commands and workflows for a complaint about a guest, the most telling first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Suggested {
    pub guest: Target,
    pub suggestions: Vec<SuggestedCommand>,
    pub workflows: Vec<SuggestedWorkflow>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SuggestedCommand {
    pub command: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    pub title: String,
    /// Why: words of the complaint, findings, the guest's system.
    pub reasons: Vec<String>,
    /// Whether it would run, as far as that is known without asking the guest.
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// A sequence of questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SuggestedWorkflow {
    /// `slow-guest`, `disk-full`, ...
    pub workflow: String,
    pub title: String,
    pub reasons: Vec<String>,
}

/// How far a workflow is, by what was found in the guest within the last half hour.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Walk {
    pub guest: Target,
    pub workflow: String,
    pub title: String,
    /// What was learnt so far, in order. By the guest's own word.
    pub lessons: Vec<Lesson>,
    /// What comes next; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// What the answers together say.
    pub conclusions: Vec<String>,
    /// What to do about it: text for the administrator.
    pub advice: Vec<String>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lesson {
    pub step: String,
    pub command: String,
    pub at: Timestamp,
    pub says: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextStep {
    pub step: String,
    pub command: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    pub title: String,
    /// Why this one comes now.
    pub reason: String,
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// What fits a complaint. Of the complaint only known words count.
#[must_use]
pub fn suggested(
    current: &Current,
    recent: &Recent,
    target: &Target,
    listed: &Listed,
    issue: &str,
) -> Suggested {
    let (issue, _) = untrusted::lines(issue, ISSUE_LIMIT);
    let results = recent.of(&target.identity(), current.view.at);
    let findings = findings(current, target);
    let suggestions = suggest::suggest(&suggest::Situation {
        issue: &issue,
        system: system(current, target, listed, &results),
        findings: &findings,
    });
    Suggested {
        guest: target.clone().of_system(&listed.operating_system),
        suggestions: suggestions
            .commands
            .into_iter()
            .map(|suggestion| {
                let (allowed, refusal) = may_run(listed, suggestion.command);
                SuggestedCommand {
                    command: suggestion.command.to_owned(),
                    arguments: suggestion.arguments.into_iter().map(argument).collect(),
                    title: suggestion.title.to_owned(),
                    reasons: suggestion.reasons,
                    allowed,
                    refusal,
                }
            })
            .collect(),
        workflows: suggestions
            .workflows
            .into_iter()
            .map(|suggestion| SuggestedWorkflow {
                workflow: suggestion.workflow.name().to_owned(),
                title: suggestion.workflow.title().to_owned(),
                reasons: suggestion.reasons,
            })
            .collect(),
        coverage: catalogue::of_node(current, target),
    }
}

/// The workflow of this name.
///
/// # Errors
/// When there is none; the text lists them.
pub fn named(name: &str) -> Result<Workflow, AnswerError> {
    Workflow::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Workflow::ALL.iter().map(|known| known.name()).collect();
        AnswerError::NotFound(format!(
            "no workflow {:?}; there is {}",
            untrusted::name(name),
            names.join(", ")
        ))
    })
}

/// The unit or Windows service in question, `None` for an empty name. It becomes the value
/// of a parameter, which the node checks once more.
///
/// # Errors
/// When it is no name of one.
pub fn service(name: &str) -> Result<Option<String>, AnswerError> {
    let name = name.trim();
    let is_name = name.len() <= SERVICE_LIMIT
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:\\$".contains(&byte));
    if !is_name {
        return Err(AnswerError::Invalid(format!(
            "{:?} is no name of a service; give one such as nginx.service, of Windows its short \
             name",
            untrusted::name(name)
        )));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// How far a workflow is, about a service if one is named.
#[must_use]
pub fn walk(
    current: &Current,
    recent: &Recent,
    target: &Target,
    listed: &Listed,
    workflow: Workflow,
    service: Option<&str>,
) -> Walk {
    let results = recent.of(&target.identity(), current.view.at);
    let nothing = GuestFacts::default();
    let seen: Vec<Seen<'_>> = results
        .iter()
        .map(|result| seen(result, &nothing))
        .collect();
    let system = system(current, target, listed, &results);
    let service = service.map(|name| match system.family {
        GuestSystem::Windows => name.to_owned(),
        _ if name.contains('.') => name.to_owned(),
        _ => format!("{name}.service"),
    });
    let progress = workflow::progress(
        workflow,
        &workflow::Situation {
            operating_system: &operating_system(current, target, listed),
            now: current.view.at,
            seen: &seen,
            service: service.as_deref(),
        },
    );
    Walk {
        guest: target.clone().of_system(&listed.operating_system),
        workflow: workflow.name().to_owned(),
        title: workflow.title().to_owned(),
        lessons: progress
            .lessons
            .into_iter()
            .map(|lesson| Lesson {
                step: lesson.step.to_owned(),
                command: lesson.command.to_owned(),
                at: lesson.at,
                says: shown(&lesson.says),
            })
            .collect(),
        next: progress.next.map(|step| next(listed, step)),
        conclusions: progress
            .conclusions
            .iter()
            .map(|text| shown(text))
            .collect(),
        advice: progress.advice.iter().map(|text| shown(text)).collect(),
        coverage: catalogue::of_node(current, target),
    }
}

fn seen<'a>(result: &'a recent::Result, nothing: &'a GuestFacts) -> Seen<'a> {
    let is_answer = result.outcome == Word::Completed;
    Seen {
        command: &result.command,
        arguments: result
            .arguments
            .iter()
            .map(|argument| (&*argument.name, &*argument.value))
            .collect(),
        at: result.at,
        outcome: result.outcome.name(),
        // An answer of which nothing is understood is one all the same.
        facts: result.facts.as_ref().or(is_answer.then_some(nothing)),
    }
}

fn next(listed: &Listed, step: workflow::Step) -> NextStep {
    let (allowed, refusal) = may_run(listed, step.command);
    let title = listed
        .find(step.command)
        .map(|command| command.title.clone());
    NextStep {
        step: step.step.to_owned(),
        command: step.command.to_owned(),
        arguments: step
            .arguments
            .into_iter()
            .map(|(name, value)| argument((name.to_owned(), value)))
            .collect(),
        title: title.unwrap_or_default(),
        reason: shown(&step.reason),
        allowed,
        refusal,
    }
}

/// Sentences may quote what the guest says.
fn shown(text: &str) -> String {
    untrusted::line(text, TEXT_LIMIT).into_owned()
}

fn argument((name, value): (String, String)) -> Argument {
    Argument { name, value }
}

fn may_run(listed: &Listed, command: &str) -> (bool, Option<Refusal>) {
    match listed.find(command) {
        Some(command) => (command.allowed, command.refusal.clone()),
        None => {
            let refusal = Refusal {
                rule: "unknown_command".to_owned(),
                detail: format!("the agent of the node does not have {command}"),
                hint: "agent and coordinator are of different versions".to_owned(),
            };
            (false, Some(refusal))
        }
    }
}

/// What the guest runs: as it says, else as its configuration says.
fn system(
    current: &Current,
    target: &Target,
    listed: &Listed,
    results: &[Arc<recent::Result>],
) -> System {
    let found = results
        .iter()
        .rev()
        .find_map(|result| System::from_facts(result.facts.as_ref()?));
    let told = System::from_id(&listed.operating_system);
    match found {
        Some(found) => found,
        None if told != System::default() => told,
        None => System::from_os_type(&os_type(current, target)),
    }
}

/// For a workflow, which asks the guest itself when nobody knows.
fn operating_system(current: &Current, target: &Target, listed: &Listed) -> String {
    if !listed.operating_system.is_empty() {
        return listed.operating_system.clone();
    }
    match System::from_os_type(&os_type(current, target)) {
        unknown if unknown == System::default() => String::new(),
        system => system.name().to_lowercase(),
    }
}

fn os_type(current: &Current, target: &Target) -> String {
    let settings = guest(&current.view, target)
        .and_then(|guest| guest.config.as_ref())
        .and_then(|config| config.settings.as_ref());
    settings.map_or_else(String::new, |settings| settings.os_type.clone())
}

/// Findings about the guest, its node and the storages of its disks.
fn findings<'c>(current: &'c Current, target: &Target) -> Vec<&'c Finding> {
    let mut subjects = vec![
        format!("guest/{}", target.vmid),
        format!("node/{}", target.node),
    ];
    if let Some(guest) = guest(&current.view, target) {
        for volume in detail::guest(guest).volumes {
            subjects.push(format!("storage/{}", volume.storage));
            subjects.push(format!("storage/{}@{}", volume.storage, target.node));
        }
    }
    let of_guest = |finding: &&Finding| {
        finding.cluster == target.cluster_id && subjects.contains(&finding.subject)
    };
    current.findings.iter().filter(of_guest).collect()
}

fn guest<'v>(view: &'v View, target: &Target) -> Option<&'v Guest> {
    let cluster = view.find_cluster(&target.cluster_id)?;
    view.find_guest(cluster, target.vmid)
        .map(|index| view.guest(index))
}

#[cfg(test)]
mod tests;
