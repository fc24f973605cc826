//! What to ask a guest next: suggestions for a trouble, and the steps of a workflow, with
//! whether each would run there.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    catalogue::{self, Argument, Listed},
    facts::GuestFacts,
    outcome::Word,
    recent,
    refusal::Refusal,
    suggest,
    system::GuestSystem,
    target::Target,
    workflow::{self, Seen, Workflow},
};
use crate::{
    answer::{AnswerError, finding},
    coordinator::Current,
    inventory::Coverage,
    untrusted,
};

/// Bytes of the name of a unit or service.
const SERVICE_LIMIT: usize = 128;

/// A command that may tell more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suggestion {
    /// Id of a command.
    pub command: String,
    /// Values; what is left out has its default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    pub title: String,
    /// Why: words of the issue, findings, the guest's system.
    pub reasons: Vec<String>,
    /// Whether it would run, as far as that is known without asking the guest.
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// A workflow that may lead to the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkflowSuggestion {
    /// `slow-guest`, `disk-full`, ...
    pub workflow: String,
    pub title: String,
    pub reasons: Vec<String>,
}

/// What fits a trouble, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Suggested {
    pub guest: Target,
    pub suggestions: Vec<Suggestion>,
    pub workflows: Vec<WorkflowSuggestion>,
    pub coverage: Coverage,
}

/// A question of a workflow that was answered, or could not be.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lesson {
    pub step: String,
    pub command: String,
    pub at: Timestamp,
    /// What it says: the word of the guest in the words of this program.
    pub says: String,
}

/// The question that comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    pub step: String,
    /// Id of a command.
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

/// How far a workflow is, by what was found in the guest within half an hour.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Worked {
    pub guest: Target,
    pub workflow: String,
    pub title: String,
    /// What was learnt so far, in order.
    pub lessons: Vec<Lesson>,
    /// Absent at the end of the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Step>,
    /// What the answers together say.
    pub conclusions: Vec<String>,
    /// What to do about it, in order: for the administrator, and never done from here.
    pub advice: Vec<String>,
    pub coverage: Coverage,
}

/// Suggests commands and workflows for a trouble that somebody describes.
#[must_use]
pub fn suggested(current: &Current, target: &Target, listed: &Listed, issue: &str) -> Suggested {
    let about = finding::about(
        current,
        &target.cluster_id,
        &format!("guest/{}", target.vmid),
    );
    let findings: Vec<(&str, &str)> = about
        .iter()
        .map(|one| (one.check.as_str(), one.title.as_str()))
        .collect();
    let suggestions = suggest::suggest(&suggest::Situation {
        issue,
        system: GuestSystem::of(system(current, target, listed)),
        findings: &findings,
    });
    let commands = suggestions.commands.into_iter().map(|one| {
        let (title, allowed, refusal) = judged(listed, one.command);
        Suggestion {
            command: one.command.to_owned(),
            arguments: arguments(one.arguments),
            title,
            reasons: one.reasons,
            allowed,
            refusal,
        }
    });
    let workflows = suggestions
        .workflows
        .into_iter()
        .map(|one| WorkflowSuggestion {
            workflow: one.workflow.to_owned(),
            title: Workflow::parse(one.workflow)
                .map_or("", Workflow::title)
                .to_owned(),
            reasons: one.reasons,
        });
    Suggested {
        suggestions: commands.collect(),
        workflows: workflows.collect(),
        coverage: catalogue::of_node(current, target),
        guest: target.clone().of_system(&listed.operating_system),
    }
}

/// The workflow of a name.
///
/// # Errors
/// When there is none; the text lists them.
pub fn named(name: &str) -> Result<Workflow, AnswerError> {
    Workflow::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Workflow::ALL.iter().map(|one| one.name()).collect();
        let name = untrusted::name(name);
        AnswerError::NotFound(format!(
            "no workflow {name:?}; there is {}",
            known.join(", ")
        ))
    })
}

/// How far a workflow is. `service`: the unit or Windows service in question, or nothing.
///
/// # Errors
/// When the service can be none by its form.
pub fn worked(
    current: &Current,
    target: &Target,
    listed: &Listed,
    workflow: Workflow,
    service: &str,
    found: &[Arc<recent::Result>],
    now: Timestamp,
) -> Result<Worked, AnswerError> {
    let is_name =
        service.len() <= SERVICE_LIMIT && service.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name || service.starts_with('-') {
        return Err(AnswerError::Invalid(
            "service is no name of a unit, such as nginx.service, or of a Windows service"
                .to_owned(),
        ));
    }
    let nothing = GuestFacts::default();
    let seen: Vec<Seen<'_>> = found.iter().map(|one| seen(one, &nothing)).collect();
    let denied = denied(listed, found);
    let service = unit(service, system(current, target, listed));
    let progress = workflow::progress(
        workflow,
        &workflow::Situation {
            operating_system: system(current, target, listed),
            now,
            seen: &seen,
            service: service.as_deref(),
            denied: &denied,
        },
    );
    let next = progress.next.map(|step| {
        let (title, allowed, refusal) = judged(listed, step.command);
        Step {
            step: step.step.to_owned(),
            command: step.command.to_owned(),
            arguments: arguments(step.arguments),
            title,
            reason: step.reason,
            allowed,
            refusal,
        }
    });
    let lessons = progress.lessons.into_iter().map(|lesson| Lesson {
        step: lesson.step.to_owned(),
        command: lesson.command.to_owned(),
        at: lesson.at,
        says: lesson.says,
    });
    Ok(Worked {
        workflow: workflow.name().to_owned(),
        title: workflow.title().to_owned(),
        lessons: lessons.collect(),
        next,
        conclusions: progress.conclusions,
        advice: progress.advice,
        coverage: catalogue::of_node(current, target),
        guest: target.clone().of_system(&listed.operating_system),
    })
}

/// Commands that would not run: by the node, or since the guest agent was found to start
/// no programs.
fn denied<'a>(listed: &'a Listed, found: &[Arc<recent::Result>]) -> Vec<&'a str> {
    let is_program = |id: &str| {
        listed
            .find(id)
            .is_some_and(|one| !one.is_guest_agent_question)
    };
    let starts_none = found
        .iter()
        .any(|one| one.outcome == Word::BlockedInGuest && is_program(&one.command));
    let commands = listed.commands.iter();
    commands
        .filter(|one| !one.allowed || (starts_none && !one.is_guest_agent_question))
        .map(|one| one.id.as_str())
        .collect()
}

fn seen<'a>(found: &'a recent::Result, nothing: &'a GuestFacts) -> Seen<'a> {
    let arguments = found.arguments.iter();
    let is_answer = found.outcome == Word::Completed;
    Seen {
        command: &found.command,
        arguments: arguments
            .map(|one| (one.name.as_str(), one.value.as_str()))
            .collect(),
        at: found.at,
        outcome: found.outcome.name(),
        // An answer of which nothing is understood is one all the same.
        facts: found.facts.as_ref().or(is_answer.then_some(nothing)),
    }
}

/// What the node knows of the system, or else what the configuration says.
fn system<'a>(current: &'a Current, target: &Target, listed: &'a Listed) -> &'a str {
    if !listed.operating_system.is_empty() {
        return &listed.operating_system;
    }
    let view = &current.view;
    let guest = view
        .find_cluster(&target.cluster_id)
        .and_then(|cluster| view.find_guest(cluster, target.vmid));
    let config = guest.and_then(|guest| view.guest(guest).config.as_ref());
    let settings = config.and_then(|config| config.settings.as_ref());
    settings.map_or("", |settings| &settings.os_type)
}

/// The service in question as a command takes it: units have their kind in their name.
fn unit(service: &str, system: &str) -> Option<String> {
    match (service, GuestSystem::of(system)) {
        ("", _) => None,
        (name, GuestSystem::Windows) => Some(name.to_owned()),
        (name, _) if name.contains('.') => Some(name.to_owned()),
        (name, _) => Some(format!("{name}.service")),
    }
}

/// Title of a command, and whether it would run.
fn judged(listed: &Listed, id: &str) -> (String, bool, Option<Refusal>) {
    match listed.find(id) {
        Some(command) => (
            command.title.clone(),
            command.allowed,
            command.refusal.clone(),
        ),
        None => {
            let refusal = Refusal {
                rule: "unknown_command".to_owned(),
                detail: format!("the node has no command {id}"),
                hint: "update pvelens-agent there".to_owned(),
            };
            (String::new(), false, Some(refusal))
        }
    }
}

fn arguments(arguments: Vec<(&'static str, String)>) -> Vec<Argument> {
    let arguments = arguments.into_iter();
    arguments
        .map(|(name, value)| Argument {
            name: name.to_owned(),
            value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1 as wire;

    use super::*;
    use crate::{
        guest_command::outcome::Outcome,
        guest_command::{catalogue::Command, fixture::lab, recent::Recent, target},
        link::fixture::{at, commands},
    };

    fn listed(operating_system: &str) -> Listed {
        Listed {
            commands: commands().into_iter().map(Command::from).collect(),
            operating_system: operating_system.to_owned(),
            ..Listed::default()
        }
    }

    /// How far a workflow is, by what is kept.
    fn step(current: &Current, recent: &Recent, workflow: Workflow, service: &str) -> Worked {
        let target = target::find(current, "", "100").unwrap();
        let found = recent.of(&target.identity(), at());
        let listed = listed("Debian GNU/Linux 12 (bookworm)");
        worked(current, &target, &listed, workflow, service, &found, at()).unwrap()
    }

    #[test]
    fn a_guest_agent_that_starts_no_programs_is_asked_questions_alone() {
        let current = lab();
        let recent = Recent::default();
        let guest = target::find(&current, "", "100").unwrap();
        let blocked = Outcome::new(guest, "memory", Word::BlockedInGuest);
        recent.keep(&blocked, Vec::new(), at());
        let memory = step(&current, &recent, Workflow::HighMemory, "");
        assert_eq!(memory.next, None);
        assert!(
            memory
                .lessons
                .iter()
                .any(|lesson| lesson.says.starts_with("left out"))
        );
        let disk = step(&current, &recent, Workflow::DiskFull, "");
        assert_eq!(disk.next.unwrap().command, "fsinfo");
    }

    #[test]
    fn the_configuration_tells_the_system_when_the_guest_does_not() {
        let mut current = lab();
        let target = target::find(&current, "", "100").unwrap();
        current.view.guests[0].config = Some(Arc::new(wire::GuestConfig {
            settings: Some(wire::GuestSettings {
                os_type: "win11".to_owned(),
                ..wire::GuestSettings::default()
            }),
            ..wire::GuestConfig::default()
        }));
        let of = |listed: &Listed| {
            let suggested = suggested(&current, &target, listed, "disk full");
            let ids = suggested.suggestions.into_iter().map(|one| one.command);
            ids.collect::<Vec<_>>()
        };
        let is_windows = |id: &String| id.starts_with("windows");
        assert!(of(&listed("")).iter().any(is_windows));
        assert!(!of(&listed("Debian GNU/Linux 12")).iter().any(is_windows));
    }

    #[test]
    fn a_service_has_its_kind_in_its_name() {
        for (name, wanted) in [("nginx", "nginx.service"), ("cron.timer", "cron.timer")] {
            let walk = step(&lab(), &Recent::default(), Workflow::ServiceDown, name);
            assert_eq!(walk.next.unwrap().arguments[0].value, wanted);
        }
        assert_eq!(unit("Spooler", "win11").as_deref(), Some("Spooler"));
        assert_eq!(unit("", "l26"), None);
    }

    #[test]
    fn every_workflow_ends_when_everything_is_refused_and_when_nothing_is_understood() {
        let current = lab();
        let target = target::find(&current, "", "100").unwrap();
        for word in [Word::Refused, Word::Completed] {
            for workflow in Workflow::ALL {
                let recent = Recent::default();
                let mut asked = Vec::new();
                while let Some(next) = step(&current, &recent, *workflow, "nginx").next {
                    let question = (next.command.clone(), next.arguments.clone());
                    assert!(!asked.contains(&question), "{question:?} is asked twice");
                    let outcome = Outcome::new(target.clone(), &next.command, word);
                    recent.keep(&outcome, next.arguments, at());
                    asked.push(question);
                }
                assert!(!asked.is_empty());
            }
        }
    }
}
