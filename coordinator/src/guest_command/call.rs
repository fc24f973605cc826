//! Runs a command: from a request of a client to what came of it.
//!
//! Nothing is held while the node works but the call itself. A caller who goes away
//! drops the stream; the node ends what it began and writes it down all the same, and
//! the next heartbeat says where its record ends then.

use std::{io, sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{
    AuditHead, GuestCommandArgument, GuestCommandResult, RunGuestCommandRequest,
    run_guest_command_response::Event,
};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tracing::info;

use super::{
    catalogue::{self, Argument, Listed},
    fit::fit,
    heads::{self, Noted, Place},
    outcome::{self, Outcome, Word},
    refusal::Refusal,
    target::{self, Target, TargetError},
};
use crate::{
    coordinator::Coordinator,
    grpc::Role,
    link::{CallError, Handle},
    log::AUDIT,
    untrusted,
};

/// Beyond the command's own time: waiting for a turn in the guest, asking what system
/// it is, and the way there and back.
const MARGIN: Duration = Duration::from_secs(20);
/// Commands that run at the same time, of all clients together.
pub(super) const SIDE_BY_SIDE: usize = 32;
/// As the node limits it.
const ON_BEHALF_OF_LIMIT_BYTES: usize = 200;
const RANDOM_BYTES: usize = 16;
/// Rules that will refuse the same command again.
const LASTING: [&str; 8] = [
    "coordinator_narrowed",
    "policy_denies",
    "policy_narrowed",
    "policy_unusable",
    "wrong_system",
    "agent_not_enabled",
    "not_running",
    "unknown_command",
];

/// What a client wants to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub cluster: String,
    /// VMID or exact name.
    pub guest: String,
    pub command: String,
    pub arguments: Vec<Argument>,
    /// Who asks, for the record of the node.
    pub on_behalf_of: String,
}

/// By whom, as far as this coordinator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub role: Role,
    pub by: By,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Unknown,
    /// Of the process at the other end of the socket, as the kernel says.
    Uid(u32),
    /// The name in a certificate.
    Client(Arc<str>),
}

/// What happens before the result.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is written down at the node and begins.
    Begun {
        target: Box<Target>,
        argv: Vec<String>,
    },
    Progress {
        elapsed_seconds: f64,
    },
}

/// Runs a command to its end. `steps` hears how it goes, as long as it listens.
///
/// # Errors
/// When there is no such VM. A command that was not run for another reason is a
/// result, too.
pub async fn run(
    coordinator: &Arc<Coordinator>,
    mut request: Request,
    asked: &Asked,
    steps: mpsc::Sender<Step>,
) -> Result<Outcome, TargetError> {
    request.on_behalf_of = on_behalf_of(&asked.by, &request.on_behalf_of);
    let (command, on_behalf_of) = (request.command.clone(), request.on_behalf_of.clone());
    let arguments = request.arguments.clone();
    let (outcome, answered_at) = run_for(coordinator, request, steps).await?;
    if is_lasting(&outcome) {
        let at = answered_at.unwrap_or(coordinator.current().view.at);
        let recent = &coordinator.guest_commands().recent;
        recent.keep(&outcome, arguments, at);
    }
    info!(
        target: AUDIT,
        role = asked.role.name(),
        on_behalf_of,
        cluster = &*untrusted::name(&outcome.guest.cluster_id),
        node = &*untrusted::name(&outcome.guest.node),
        vmid = outcome.guest.vmid,
        command = &*untrusted::name(&command),
        outcome = outcome.outcome.name(),
        rule = outcome.refusal.as_ref().map(|refusal| &*refusal.rule).unwrap_or_default(),
        audit_sequence = outcome.audit_sequence,
        "guest command"
    );
    Ok(outcome)
}

/// What came of it and, when its node was asked, when that was.
async fn run_for(
    coordinator: &Arc<Coordinator>,
    request: Request,
    steps: mpsc::Sender<Step>,
) -> Result<(Outcome, Option<Timestamp>), TargetError> {
    let target = target::find(&coordinator.current(), &request.cluster, &request.guest)?;
    let commands = coordinator.guest_commands();
    let narrow = commands.narrow();
    if let Err(refusal) = narrow.check(&target, &request.command, None) {
        return Ok((Outcome::refused(target, &request.command, refusal), None));
    }
    let Ok(_slot) = commands.slots.try_acquire() else {
        return Ok((Outcome::refused(target, &request.command, busy()), None));
    };
    let listed = async {
        let agent = target::agent(coordinator.agents(), &target)?;
        let listed = catalogue::listed(coordinator, &target).await?;
        Ok::<_, TargetError>((agent, listed))
    };
    let (agent, listed) = match listed.await {
        Ok(both) => both,
        Err(error) => {
            let why = error.to_string();
            let outcome = Outcome::node_unreachable(target, &request.command, why);
            return Ok((outcome, None));
        }
    };
    let checked = match listed.find(&request.command) {
        Some(command) => narrow
            .check(&target, &command.id, Some(&command.group))
            .map(|()| command),
        None => Err(unknown(&request.command, &listed)),
    };
    let command = match checked {
        Ok(command) => command,
        Err(refusal) => {
            return Ok((Outcome::refused(target, &request.command, refusal), None));
        }
    };
    let call = Call {
        coordinator,
        agent,
        target: &target,
        deadline: Duration::from_secs(command.timeout_seconds.into()) + MARGIN,
    };
    let result = call.run(&request, &steps).await;
    let answered_at = call.agent.now();
    let outcome = match result {
        Ok(result) => Outcome::of(target.clone(), &request.command, result),
        Err(why) => {
            let why = format!(
                "the agent of the node {}: {why}",
                untrusted::name(&target.node)
            );
            Outcome::node_unreachable(target.clone(), &request.command, why)
        }
    };
    Ok((outcome, Some(answered_at)))
}

/// Whether an outcome says something about the guest or what may be asked of it, and not
/// only that it did not work this time.
fn is_lasting(outcome: &Outcome) -> bool {
    match (outcome.outcome, &outcome.refusal) {
        (Word::NodeUnreachable | Word::Lost, _) | (Word::Refused, None) => false,
        (Word::Refused, Some(refusal)) => LASTING.contains(&&*refusal.rule),
        _ => true,
    }
}

/// One command on its way.
struct Call<'a> {
    coordinator: &'a Arc<Coordinator>,
    agent: Handle,
    target: &'a Target,
    deadline: Duration,
}

impl Call<'_> {
    async fn run(
        &self,
        request: &Request,
        steps: &mpsc::Sender<Step>,
    ) -> Result<GuestCommandResult, CallError> {
        let message = self
            .message(request)
            .map_err(|error| CallError::Refused(format!("no random number for it: {error}")))?;
        let end = Instant::now() + self.deadline;
        let late = |_| CallError::Deadline(self.deadline);
        let stream = self.agent.run_guest_command(message);
        let mut stream = timeout_at(end, stream).await.map_err(late)??;
        loop {
            let response = timeout_at(end, stream.message()).await.map_err(late)?;
            match response?.ok_or(CallError::Ended)?.event {
                Some(Event::Begun(begun)) => {
                    self.note(begun.audit_head);
                    let begun = Step::Begun {
                        target: Box::new(self.target.clone()),
                        argv: outcome::argv(&begun.argv),
                    };
                    // Nobody may listen; that changes nothing.
                    steps.try_send(begun).ok();
                }
                Some(Event::Progress(progress)) => {
                    let elapsed_seconds = progress.elapsed_seconds;
                    steps.try_send(Step::Progress { elapsed_seconds }).ok();
                }
                Some(Event::Result(result)) => {
                    self.note(result.audit_head.clone());
                    return Ok(result);
                }
                // Of a newer agent.
                None => {}
            }
        }
    }

    fn message(&self, request: &Request) -> io::Result<RunGuestCommandRequest> {
        let now = self.agent.now();
        Ok(RunGuestCommandRequest {
            request_id: random_id()?,
            made_at: Some(pvelens_proto::timestamp_from_millis(now.as_millisecond())),
            guest: Some(self.target.mark()),
            command: request.command.clone(),
            arguments: request
                .arguments
                .iter()
                .map(|argument| GuestCommandArgument {
                    name: argument.name.clone(),
                    value: argument.value.clone(),
                })
                .collect(),
            on_behalf_of: request.on_behalf_of.clone(),
        })
    }

    /// Keeps where the node's record ends now.
    fn note(&self, head: Option<AuditHead>) {
        let Some(head) = head else { return };
        let place = Place {
            cluster: self.target.cluster_id.clone(),
            node: self.target.node.clone(),
        };
        let heads = &self.coordinator.guest_commands().heads;
        let noted = heads.note(&place, &head, self.agent.now());
        // What is doubtful is asked for at the next heartbeat.
        if matches!(noted, Noted::Ahead(_) | Noted::Problem) {
            heads::save_soon(self.coordinator);
        }
    }
}

/// A command that the node does not have: perhaps a line for a shell. Nothing of it is
/// run, but what fits it is told.
fn unknown(command: &str, listed: &Listed) -> Refusal {
    let fits: Vec<String> = fit(command, listed)
        .iter()
        .map(|fit| format!("`{}`", fit.words()))
        .collect();
    Refusal {
        rule: "unknown_command".to_owned(),
        detail: format!(
            "there is no command {:?}, and text is never run",
            untrusted::name(command)
        ),
        hint: if fits.is_empty() {
            "list the guest commands and use one of their ids".to_owned()
        } else {
            format!("use one of these: {}", fits.join(", "))
        },
    }
}

fn busy() -> Refusal {
    Refusal {
        rule: "coordinator_busy".to_owned(),
        detail: format!("{SIDE_BY_SIDE} other guest commands run already"),
        hint: "wait a little and ask again".to_owned(),
    }
}

/// An id that nobody can foresee and that never comes again.
fn random_id() -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    // The kernel gives so few at once, or none.
    if getrandom(&mut bytes, GetRandomFlags::empty())? < RANDOM_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// As it is written down: one line that the node accepts. What the caller says of
/// itself comes after what is known.
fn on_behalf_of(by: &By, text: &str) -> String {
    let known = match by {
        By::Unknown => String::new(),
        By::Uid(uid) => format!("uid {uid}"),
        By::Client(name) => format!("client {name}"),
    };
    let text = match (&*known, text.trim()) {
        ("", text) => text.to_owned(),
        (known, "") => known.to_owned(),
        (known, text) => format!("{known}: {text}"),
    };
    let text = untrusted::line(&text, ON_BEHALF_OF_LIMIT_BYTES);
    let (text, _) = untrusted::lines(&text, ON_BEHALF_OF_LIMIT_BYTES);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fresh_and_of_a_form_that_nodes_take() {
        let (one, other) = (random_id().unwrap(), random_id().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn who_asks_is_one_line_of_bounded_bytes() {
        assert_eq!(
            on_behalf_of(&By::Unknown, " alice\nticket 7 "),
            "alice\u{fffd}ticket 7"
        );
        assert_eq!(on_behalf_of(&By::Uid(7), "alice"), "uid 7: alice");
        assert_eq!(on_behalf_of(&By::Uid(7), ""), "uid 7");
        let long = on_behalf_of(&By::Unknown, &"ä".repeat(900));
        assert!(long.len() <= ON_BEHALF_OF_LIMIT_BYTES && long.len() > 190);
    }
}
