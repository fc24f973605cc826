//! Commands in guests.

use pvelens_proto::v1 as message;

use super::{Carries, all, timestamp};
use crate::guest_command::{
    call::Step,
    catalogue::{Argument, Command, Listing, Parameter},
    diagnosis::{self, Lesson, Suggested, Suggestion, Worked, WorkflowSuggestion},
    outcome::{Outcome, Output},
    refusal::Refusal,
    target::Target,
};

impl Carries<Listing> for message::ListGuestCommandsResponse {
    fn structured(listing: Listing) -> Self {
        let Listing {
            guest,
            commands,
            refusal,
            policy_profile,
            total,
            allowed,
            coverage,
        } = listing;
        Self {
            target: Some(guest.into()),
            commands: all(commands),
            refusal: refusal.map(message::GuestCommandRefusal::from),
            policy_profile,
            total,
            allowed,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, listing: Listing) -> Self {
        Self {
            total: listing.total,
            allowed: listing.allowed,
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<Outcome> for message::GuestCommandResult {
    fn structured(outcome: Outcome) -> Self {
        let Outcome {
            guest,
            command,
            argv,
            outcome: word,
            refusal,
            detail,
            exit_code,
            signal,
            succeeded,
            says,
            facts,
            output,
            errors,
            elapsed_seconds,
            guest_pid,
            begun_at,
            audit_sequence,
        } = outcome;
        Self {
            target: Some(guest.into()),
            command,
            argv,
            outcome: word.name().to_owned(),
            refusal: refusal.map(message::GuestCommandRefusal::from),
            detail,
            exit_code,
            signal,
            succeeded,
            output: output.map(message::GuestCommandOutput::from),
            errors: errors.map(message::GuestCommandOutput::from),
            elapsed_seconds,
            guest_pid,
            begun_at: begun_at.map(timestamp),
            says,
            // Facts are structs with string keys, which always serialise.
            facts_json: facts
                .map(|facts| serde_json::to_string(&facts).unwrap_or_default())
                .unwrap_or_default(),
            audit_sequence: audit_sequence.unwrap_or_default(),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, outcome: Outcome) -> Self {
        Self {
            command: outcome.command,
            outcome: outcome.outcome.name().to_owned(),
            exit_code: outcome.exit_code,
            signal: outcome.signal,
            succeeded: outcome.succeeded,
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<Suggested> for message::SuggestGuestCommandsResponse {
    fn structured(suggested: Suggested) -> Self {
        let Suggested {
            guest,
            suggestions,
            workflows,
            coverage,
        } = suggested;
        Self {
            target: Some(guest.into()),
            suggestions: all(suggestions),
            workflows: all(workflows),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Suggested) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl From<Suggestion> for message::GuestCommandSuggestion {
    fn from(suggestion: Suggestion) -> Self {
        let Suggestion {
            command,
            arguments,
            title,
            reasons,
            allowed,
            refusal,
        } = suggestion;
        Self {
            command,
            arguments: all(arguments),
            title,
            reasons,
            allowed,
            refusal: refusal.map(message::GuestCommandRefusal::from),
        }
    }
}

impl From<WorkflowSuggestion> for message::WorkflowSuggestion {
    fn from(suggestion: WorkflowSuggestion) -> Self {
        let WorkflowSuggestion {
            workflow,
            title,
            reasons,
        } = suggestion;
        Self {
            workflow,
            title,
            reasons,
        }
    }
}

impl Carries<Worked> for message::GetWorkflowStepResponse {
    fn structured(worked: Worked) -> Self {
        let Worked {
            guest,
            workflow,
            title,
            lessons,
            next,
            conclusions,
            advice,
            coverage,
        } = worked;
        Self {
            target: Some(guest.into()),
            workflow,
            title,
            lessons: all(lessons),
            next: next.map(message::WorkflowStep::from),
            conclusions,
            advice,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    /// With the step that comes next, which clients run.
    fn rendered(rendered: String, worked: Worked) -> Self {
        Self {
            workflow: worked.workflow,
            next: worked.next.map(message::WorkflowStep::from),
            rendered,
            ..Self::default()
        }
    }
}

impl From<Lesson> for message::WorkflowLesson {
    fn from(lesson: Lesson) -> Self {
        let Lesson {
            step,
            command,
            at,
            says,
        } = lesson;
        Self {
            step,
            command,
            at: Some(timestamp(at)),
            says,
        }
    }
}

impl From<diagnosis::Step> for message::WorkflowStep {
    fn from(next: diagnosis::Step) -> Self {
        let diagnosis::Step {
            step,
            command,
            arguments,
            title,
            reason,
            allowed,
            refusal,
        } = next;
        Self {
            step,
            command,
            arguments: all(arguments),
            title,
            reason,
            allowed,
            refusal: refusal.map(message::GuestCommandRefusal::from),
        }
    }
}

impl From<Target> for message::GuestCommandTarget {
    fn from(target: Target) -> Self {
        Self {
            cluster_id: target.cluster_id,
            node: target.node,
            vmid: target.vmid,
            name: target.name,
            operating_system: target.operating_system,
        }
    }
}

impl From<Command> for message::GuestCommand {
    fn from(command: Command) -> Self {
        let Command {
            id,
            title,
            group,
            systems,
            parameters,
            template,
            is_guest_agent_question,
            timeout_seconds,
            needs,
            note,
            allowed,
            refusal,
        } = command;
        Self {
            id,
            title,
            group,
            systems,
            parameters: all(parameters),
            template,
            is_guest_agent_question,
            timeout_seconds,
            needs,
            note,
            allowed,
            refusal: refusal.map(message::GuestCommandRefusal::from),
        }
    }
}

impl From<Parameter> for message::GuestCommandParameter {
    fn from(parameter: Parameter) -> Self {
        let Parameter {
            name,
            title,
            takes,
            default_value,
            choices,
        } = parameter;
        Self {
            name,
            title,
            takes,
            default_value,
            choices,
        }
    }
}

impl From<Refusal> for message::GuestCommandRefusal {
    fn from(refusal: Refusal) -> Self {
        let Refusal { rule, detail, hint } = refusal;
        Self { rule, detail, hint }
    }
}

impl From<Output> for message::GuestCommandOutput {
    fn from(output: Output) -> Self {
        let Output {
            text,
            total_bytes,
            truncated,
            replaced,
            removed,
            encoding,
            masked,
        } = output;
        Self {
            text,
            total_bytes,
            truncated,
            replaced,
            removed,
            encoding,
            masked,
        }
    }
}

impl From<Argument> for message::GuestCommandArgument {
    fn from(argument: Argument) -> Self {
        let Argument { name, value } = argument;
        Self { name, value }
    }
}

impl From<message::GuestCommandArgument> for Argument {
    fn from(argument: message::GuestCommandArgument) -> Self {
        let message::GuestCommandArgument { name, value } = argument;
        Self { name, value }
    }
}

impl From<Step> for message::run_guest_command_response::Event {
    fn from(step: Step) -> Self {
        match step {
            Step::Begun { target, argv } => Self::Begun(message::GuestCommandBegun {
                target: Some((*target).into()),
                argv,
            }),
            Step::Progress { elapsed_seconds } => {
                Self::Progress(message::GuestCommandProgress { elapsed_seconds })
            }
        }
    }
}
