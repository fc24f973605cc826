//! What there is to ask of a guest, as its node says, and what of it would run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pvelens_proto::agent::v1 as wire;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    narrow::Narrow,
    outcome,
    refusal::Refusal,
    target::{self, Target, TargetError},
};
use crate::{
    answer::AnswerError,
    coordinator::{Coordinator, Current},
    inventory::{Coverage, coverage},
    untrusted,
};

/// How long a list is good for. What would run changes with locks and states of
/// guests; the node decides anew anyway when something runs.
const KEPT: Duration = Duration::from_secs(15);
/// Guests whose list is kept.
const GUESTS: usize = 256;
/// Bounds on what a node lists, beyond every catalogue.
const COMMANDS: usize = 600;
const PARAMETERS: usize = 16;
const CHOICES: usize = 64;
const WORD_LIMIT: usize = 64;
const TEXT_LIMIT: usize = 200;
/// The longest a command may take, whatever the node says.
const TIMEOUT_LIMIT_SECONDS: u32 = 600;

/// Something that can be asked of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Command {
    pub id: String,
    pub title: String,
    /// `disk`, `memory`, `network`, ...
    pub group: String,
    /// `linux`, `windows`, `other`.
    pub systems: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The program with its arguments and `{slots}`, or the name of the question to the
    /// guest agent.
    pub template: Vec<String>,
    pub is_guest_agent_question: bool,
    pub timeout_seconds: u32,
    /// What there has to be in the guest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub needs: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Whether it would run, as far as that is known without asking the guest.
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Parameter {
    pub name: String,
    pub title: String,
    /// `a number from 1 to 500`.
    pub takes: String,
    /// Without one the parameter is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// A value for a parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Argument {
    pub name: String,
    pub value: String,
}

/// The commands of one guest.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Listing {
    pub guest: Target,
    /// In the order of the catalogue.
    pub commands: Vec<Command>,
    /// Why nothing runs in this guest now, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Of the node's policy: `standard` or `hosting`.
    pub policy_profile: String,
    /// Of all commands, before any filter.
    pub total: u32,
    pub allowed: u32,
    pub coverage: Coverage,
}

/// Which commands to list; empty and false = all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub group: String,
    pub only_allowed: bool,
}

/// What a node said of a guest.
#[derive(Debug, Default)]
pub struct Listed {
    pub commands: Vec<Command>,
    pub refusal: Option<Refusal>,
    pub policy_profile: String,
    pub operating_system: String,
}

impl Listed {
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.id == id)
    }
}

/// Lists of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Key, Kept>>);

type Key = (String, String, u32);
type Kept = (Instant, Arc<Listed>);

impl Cache {
    fn get(&self, key: &Key) -> Option<Arc<Listed>> {
        let (at, listed) = self.lock().get(key)?.clone();
        (at.elapsed() < KEPT).then_some(listed)
    }

    fn put(&self, key: Key, listed: Arc<Listed>) {
        let mut kept = self.lock();
        kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        if kept.len() < GUESTS {
            kept.insert(key, (Instant::now(), listed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the node of a guest lists, narrowed by this coordinator. Asks the node, unless
/// it was asked a moment ago.
///
/// # Errors
/// When its agent is not connected or does not answer.
pub async fn listed(
    coordinator: &Coordinator,
    target: &Target,
) -> Result<Arc<Listed>, TargetError> {
    let commands = coordinator.guest_commands();
    let key = (target.cluster_id.clone(), target.node.clone(), target.vmid);
    if let Some(listed) = commands.catalogue.get(&key) {
        return Ok(listed);
    }
    let agent = target::agent(coordinator.agents(), target)?;
    let list = agent.list_guest_commands(Some(target.vmid)).await;
    let list = list.map_err(|error| {
        TargetError::NodeUnreachable(format!(
            "the agent of the node {} did not list its commands: {error}",
            untrusted::name(&target.node)
        ))
    })?;
    let listed = Arc::new(understood(list, target, &commands.narrow()));
    commands.catalogue.put(key, Arc::clone(&listed));
    Ok(listed)
}

fn understood(list: wire::ListGuestCommandsResponse, target: &Target, narrow: &Narrow) -> Listed {
    let policy_problem = untrusted::line(&list.policy_problem, TEXT_LIMIT).into_owned();
    let refusal = narrow
        .check_guest(target)
        .err()
        .or(list.refusal.map(Refusal::from))
        .or((!policy_problem.is_empty()).then_some(Refusal {
            rule: "policy_unusable".to_owned(),
            detail: policy_problem,
            hint: "run `pvelens-agent policy check` on the node".to_owned(),
        }));
    let commands = list.commands.into_iter().take(COMMANDS);
    Listed {
        commands: commands
            .map(|command| narrowed(Command::from(command), target, narrow))
            .collect(),
        refusal,
        policy_profile: word(&list.policy_profile),
        operating_system: text(&list.operating_system),
    }
}

fn narrowed(command: Command, target: &Target, narrow: &Narrow) -> Command {
    match narrow.check(target, &command.id, Some(&command.group)) {
        Ok(()) => command,
        Err(refusal) => Command {
            allowed: false,
            refusal: Some(refusal),
            ..command
        },
    }
}

/// The commands of a guest as an answer.
///
/// # Errors
/// When there is no such group; the text lists the groups.
pub fn listing(
    current: &Current,
    target: &Target,
    listed: &Listed,
    filter: &Filter,
) -> Result<Listing, AnswerError> {
    let in_group = |command: &&Command| filter.group.is_empty() || command.group == filter.group;
    if !listed.commands.is_empty() && !listed.commands.iter().any(|command| in_group(&command)) {
        return Err(AnswerError::NotFound(format!(
            "no group of commands {:?}; there is {}",
            untrusted::name(&filter.group),
            groups(listed).join(", ")
        )));
    }
    let count = |commands: usize| u32::try_from(commands).unwrap_or(u32::MAX);
    let is_allowed = |command: &&Command| command.allowed;
    Ok(Listing {
        guest: target.clone().of_system(&listed.operating_system),
        commands: listed
            .commands
            .iter()
            .filter(in_group)
            .filter(|command| command.allowed || !filter.only_allowed)
            .cloned()
            .collect(),
        refusal: listed.refusal.clone(),
        policy_profile: listed.policy_profile.clone(),
        total: count(listed.commands.len()),
        allowed: count(listed.commands.iter().filter(is_allowed).count()),
        coverage: of_node(current, target),
    })
}

/// What is known of the node of a guest.
#[must_use]
pub fn of_node(current: &Current, target: &Target) -> Coverage {
    let view = &current.view;
    let cluster = view.find_cluster(&target.cluster_id);
    match cluster.and_then(|cluster| view.find_node(cluster, &target.node)) {
        Some(node) => coverage::of_node(view, node),
        None => coverage::of_clusters(view, &[]),
    }
}

/// Groups in the order of the catalogue.
fn groups(listed: &Listed) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for command in &listed.commands {
        if !groups.contains(&&*command.group) {
            groups.push(&command.group);
        }
    }
    groups
}

impl From<wire::GuestCommand> for Command {
    fn from(command: wire::GuestCommand) -> Self {
        let wire::GuestCommand {
            id,
            title,
            group,
            systems,
            parameters,
            template,
            is_guest_agent_question,
            timeout_seconds,
            output_limit_bytes: _,
            reads: _,
            needs,
            note,
            allowed,
            refusal,
        } = command;
        Self {
            id: word(&id),
            title: text(&title),
            group: word(&group),
            systems: systems.iter().take(CHOICES).map(|one| word(one)).collect(),
            parameters: parameters
                .into_iter()
                .take(PARAMETERS)
                .map(Parameter::from)
                .collect(),
            template: outcome::argv(&template),
            is_guest_agent_question,
            timeout_seconds: timeout_seconds.min(TIMEOUT_LIMIT_SECONDS),
            needs: text(&needs),
            note: text(&note),
            allowed: allowed == Some(true),
            refusal: refusal.map(Refusal::from),
        }
    }
}

impl From<wire::GuestCommandParameter> for Parameter {
    fn from(parameter: wire::GuestCommandParameter) -> Self {
        let wire::GuestCommandParameter {
            name,
            title,
            takes,
            default_value,
            choices,
        } = parameter;
        Self {
            name: word(&name),
            title: text(&title),
            takes: text(&takes),
            default_value: default_value.map(|value| text(&value)),
            choices: choices.iter().take(CHOICES).map(|one| word(one)).collect(),
        }
    }
}

fn word(word: &str) -> String {
    untrusted::line(word, WORD_LIMIT).into_owned()
}

fn text(text: &str) -> String {
    untrusted::line(text, TEXT_LIMIT).into_owned()
}
