//! One catalogued, read-only command in one guest of this node.
//!
//! A request names a guest, a command and values; never a program, a path or an
//! argument. It passes every rule in [`rule`], is written down, and only then is the
//! guest spoken to. What a coordinator asserts is compared with what this node reads,
//! and decides nothing.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pvelens_proto::{
    agent::v1::{
        AuditHead, GuestCommandBegun, GuestCommandOutcome as Outcome, GuestCommandProgress,
        GuestCommandRefusal, GuestCommandResult, GuestMark, RunGuestCommandRequest,
        run_guest_command_response::Event,
    },
    timestamp_from_millis, timestamp_to_millis,
};
use tokio::sync::mpsc;

use crate::{
    audit::{self, Audit, AuditError},
    guest_socket::qga::SyncId,
    host::Host,
};
use catalogue::{Catalogue, CatalogueError, Command, Prepared, System};
use policy::Policy;
use resolve::Guest;
use rule::Rules;
use traffic::{Left, Place, Traffic};

pub mod catalogue;
mod execute;
mod list;
mod output;
mod policy;
mod reaper;
mod request;
mod resolve;
pub mod rule;
mod system;
#[cfg(test)]
mod tests;
mod traffic;

pub(crate) use policy::{PolicyError, review};
pub(crate) use resolve::PATHS;
pub use rule::{Refusal, Rule};

/// Requests of before that are remembered at a start, so that none can be replayed.
const REMEMBERED: usize = 500;

/// Runs commands in the guests of one node.
#[derive(Debug)]
pub struct Guests {
    host: Arc<Host>,
    catalogue: Catalogue,
    audit: Audit,
    traffic: Traffic,
    sync_ids: Mutex<SyncId>,
    rules: Rules,
}

/// A command that may run.
#[derive(Debug)]
struct Plan {
    request_id: String,
    command: Command,
    prepared: Prepared,
    guest: Guest,
    system: Option<System>,
    caller: String,
    on_behalf_of: String,
}

impl Guests {
    /// # Errors
    /// When the catalogue in this program is malformed, which a test rules out.
    pub fn new(host: Arc<Host>, audit: Audit) -> Result<Self, CatalogueError> {
        Ok(Self::with_catalogue(host, audit, Catalogue::embedded()?))
    }

    /// With other commands than those of this program.
    #[must_use]
    pub fn with_catalogue(host: Arc<Host>, audit: Audit, catalogue: Catalogue) -> Self {
        let guests = Self {
            catalogue,
            traffic: Traffic::default(),
            sync_ids: Mutex::default(),
            rules: Rules::default(),
            host,
            audit,
        };
        guests.remember();
        guests
    }

    /// The record of what ran and what was refused.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Requests that came before this process began.
    fn remember(&self) {
        let newest = self.audit.head().sequence;
        let first = newest.saturating_sub(u64::try_from(REMEMBERED).unwrap_or(u64::MAX));
        // What cannot be read is told by whoever verifies the record.
        for record in self.audit.after(first, REMEMBERED).unwrap_or_default() {
            if let Some(id) = record.event.request_id() {
                self.traffic.remember(self.host.now(), id.to_owned());
            }
        }
    }

    /// Runs one command to its end, whether or not anybody waits for it. Tells
    /// `events` how it goes, but not the result.
    pub async fn run(
        self: Arc<Self>,
        request: RunGuestCommandRequest,
        caller: String,
        events: mpsc::Sender<Event>,
    ) -> GuestCommandResult {
        let begun = Instant::now();
        let begun_at = self.host.now();
        let admitted = self.admit(&request).await;
        // From here on it can hang, on the disk of the record, in /etc/pve or in the
        // guest: on a thread of its own, and its place is taken until that ends.
        let work = tokio::task::spawn_blocking(move || match admitted {
            Ok((command, place)) => {
                let _place = place;
                self.check_and_run(&request, command, caller, &events)
            }
            Err(refusal) => self.refuse(&request, &caller, &refusal),
        });
        let mut result = work
            .await
            .unwrap_or_else(|_| failed("this is a defect of pvelens-agent"));
        result.elapsed_seconds = begun.elapsed().as_secs_f64();
        result.begun_at = Some(timestamp_from_millis(begun_at.as_millisecond()));
        result
    }

    /// What can be refused without a look at the guest.
    async fn admit(
        &self,
        request: &RunGuestCommandRequest,
    ) -> Result<(Command, Option<Place>), Refusal> {
        request::check(request, self.rules)?;
        let made_at = request.made_at.as_ref().map(timestamp_to_millis);
        let made_at = made_at.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        self.traffic.admit(
            &request.request_id,
            made_at.unwrap_or_default(),
            self.host.now(),
            self.rules,
        )?;
        let command = self.catalogue.find(&request.command);
        self.rules
            .refuse_if(command.is_none(), Rule::UnknownCommand, || {
                let id: String = request.command.escape_debug().take(40).collect();
                format!("no command `{id}`")
            })?;
        // Without that rule there is nothing to be run all the same.
        let Some(command) = command else {
            return Err(Refusal {
                rule: Rule::MalformedRequest,
                detail: "`command` names none".to_owned(),
            });
        };
        let place = self.traffic.place(mark(request).vmid, self.rules).await?;
        Ok((command.clone(), place))
    }

    fn check_and_run(
        &self,
        request: &RunGuestCommandRequest,
        command: Command,
        caller: String,
        events: &mpsc::Sender<Event>,
    ) -> GuestCommandResult {
        match self.check(request, command, caller.clone()) {
            Ok(plan) => self.run_plan(request, &plan, events),
            Err(refusal) => self.refuse(request, &caller, &refusal),
        }
    }

    /// The rules that need a look at this node.
    fn check(
        &self,
        request: &RunGuestCommandRequest,
        command: Command,
        caller: String,
    ) -> Result<Plan, Refusal> {
        let given: Vec<(String, String)> = request
            .arguments
            .iter()
            .map(|argument| (argument.name.clone(), argument.value.clone()))
            .collect();
        let prepared = command.prepare(&given, self.rules)?;
        let guest = resolve::resolve(&self.host, &mark(request), self.rules)?;
        self.policy()?.check(&command, &guest, self.rules)?;
        let system = system::known(&self.host, &guest);
        system::check(&command, system, self.rules)?;
        self.traffic.count(
            guest.vmid,
            guest.process,
            command.rpc().is_none(),
            self.host.now(),
            self.rules,
        )?;
        Ok(Plan {
            request_id: request.request_id.clone(),
            command,
            prepared,
            guest,
            system,
            caller,
            on_behalf_of: request.on_behalf_of.clone(),
        })
    }

    fn policy(&self) -> Result<Policy, Refusal> {
        let policy = Policy::of(&self.host, &self.catalogue);
        self.rules
            .refuse_if(policy.is_err(), Rule::PolicyUnusable, || match &policy {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            })?;
        Ok(policy.unwrap_or_default())
    }

    /// Writes it down, runs it, and writes down how it went.
    fn run_plan(
        &self,
        request: &RunGuestCommandRequest,
        plan: &Plan,
        events: &mpsc::Sender<Event>,
    ) -> GuestCommandResult {
        let written = self.audit.append(plan.begun());
        let head = match self.head(written) {
            Ok(head) => head,
            Err(refusal) => return self.refuse(request, &plan.caller, &refusal),
        };
        // Nobody may listen any more; it runs all the same, since it is written down.
        events
            .try_send(Event::Begun(GuestCommandBegun {
                argv: plan.prepared.argv(),
                audit_head: head,
            }))
            .ok();
        let begun = Instant::now();
        let mut result = self.execute(plan, events);
        self.keep_left(plan, &result);
        let ended = plan.ended(&result, begun.elapsed());
        let written = self.audit.append(ended);
        if let Err(error) = &written {
            tracing::error!(%error, "the end of a guest command could not be written down");
        }
        result.audit_head = self
            .head(written)
            .unwrap_or_default()
            .or(head_of(&self.audit));
        result.reads = plan.command.reads_name().to_owned();
        if result.argv.is_empty() {
            result.argv = plan.prepared.argv();
        }
        result
    }

    fn execute(&self, plan: &Plan, events: &mpsc::Sender<Event>) -> GuestCommandResult {
        let mut system = plan.system;
        if system.is_none() && !plan.command.runs_everywhere() {
            system = match system::ask(&self.host, &plan.guest, &self.sync_ids) {
                Ok(system) => system,
                Err(trouble) => return execute::unreachable(&trouble, false),
            };
            if let Err(refusal) = system::check_known(&plan.command, system, self.rules) {
                return refusal_result(&refusal);
            }
        }
        let progress = |elapsed: Duration| {
            let progress = GuestCommandProgress {
                elapsed_seconds: elapsed.as_secs_f64(),
            };
            events.try_send(Event::Progress(progress)).ok();
        };
        let mut result = execute::Run {
            host: &self.host,
            guest: &plan.guest,
            sync_ids: &self.sync_ids,
            command: &plan.command,
            call: &plan.prepared.call,
            system,
            progress: &progress,
        }
        .run();
        result.operating_system = system::name(&self.host, &plan.guest);
        result
    }

    /// Remembers a program that may still run, so that its result is fetched.
    fn keep_left(&self, plan: &Plan, result: &GuestCommandResult) {
        if let Some(guest_pid) = result.guest_pid {
            self.traffic.leave(Left {
                vmid: plan.guest.vmid,
                process: plan.guest.process,
                guest_pid,
                request_id: plan.request_id.clone(),
                since: self.host.now(),
            });
        }
    }

    fn refuse(
        &self,
        request: &RunGuestCommandRequest,
        caller: &str,
        refusal: &Refusal,
    ) -> GuestCommandResult {
        let mut result = refusal_result(refusal);
        if let Some(unwritten) = self.traffic.may_write_refusal(self.host.now()) {
            let written = self
                .audit
                .append(request::refused(request, caller, refusal, unwritten));
            if let Err(error) = written {
                tracing::error!(%error, "a refusal could not be written down");
            }
        }
        result.audit_head = head_of(&self.audit);
        result
    }

    fn head(&self, written: Result<audit::Head, AuditError>) -> Result<Option<AuditHead>, Refusal> {
        self.rules
            .refuse_if(written.is_err(), Rule::AuditUnwritable, || match &written {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            })?;
        Ok(written.ok().map(head_message))
    }
}

impl Plan {
    fn begun(&self) -> audit::Event {
        audit::Event::begun(audit::Begun {
            request_id: self.request_id.clone(),
            vmid: self.guest.vmid,
            guest_created_seconds: self.guest.created_seconds,
            guest_name: self.guest.name.clone(),
            command: self.command.id.clone(),
            argv: self.prepared.argv(),
            caller: self.caller.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
        })
    }

    fn ended(&self, result: &GuestCommandResult, elapsed: Duration) -> audit::Event {
        request::ended(&self.request_id, self.guest.vmid, result, elapsed)
    }
}

/// What comes of a program when the guest agent says this about its end.
#[cfg(feature = "fuzzing")]
pub(crate) fn hear_end(said: &[u8]) -> GuestCommandResult {
    static COMMAND: std::sync::LazyLock<Option<Command>> =
        std::sync::LazyLock::new(|| Catalogue::embedded().ok()?.find("memory").cloned());
    COMMAND
        .as_ref()
        .map(|command| execute::hear_end(command, said))
        .unwrap_or_default()
}

/// Whether a text is a policy of guest commands.
#[cfg(feature = "fuzzing")]
pub(crate) fn is_policy(text: &str) -> bool {
    static CATALOGUE: std::sync::LazyLock<Option<Catalogue>> =
        std::sync::LazyLock::new(|| Catalogue::embedded().ok());
    let catalogue = CATALOGUE.as_ref();
    catalogue.is_some_and(|catalogue| Policy::parse(text, catalogue).is_ok())
}

/// Whom a request means; a request without one is refused before.
fn mark(request: &RunGuestCommandRequest) -> GuestMark {
    request.guest.clone().unwrap_or_default()
}

/// Where a record ends, as a message.
#[must_use]
pub fn head_message(head: audit::Head) -> AuditHead {
    AuditHead {
        sequence: head.sequence,
        hash: head.hash,
    }
}

fn head_of(audit: &Audit) -> Option<AuditHead> {
    Some(head_message(audit.head()))
}

fn failed(detail: &str) -> GuestCommandResult {
    GuestCommandResult {
        outcome: Outcome::Failed.into(),
        detail: detail.to_owned(),
        ..GuestCommandResult::default()
    }
}

fn refusal_result(refusal: &Refusal) -> GuestCommandResult {
    GuestCommandResult {
        outcome: Outcome::Refused.into(),
        refusal: Some(refusal_message(refusal)),
        ..GuestCommandResult::default()
    }
}

fn refusal_message(refusal: &Refusal) -> GuestCommandRefusal {
    GuestCommandRefusal {
        rule: refusal.rule.name().to_owned(),
        detail: refusal.detail.clone(),
        hint: refusal.rule.hint().to_owned(),
    }
}
