//! The rules by which a guest command is refused, and nothing else decides that.
//!
//! Each has a name that stays: it is in refusals, in the audit and in the cases of
//! `deny/*.toml`, which show for every rule what would pass without it.

use serde::{Deserialize, Serialize};

/// Why a command does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    // The request.
    /// It has no id, or fields that are too long or too many.
    MalformedRequest,
    /// It was made too long ago, or in the future.
    Expired,
    /// It came before.
    Replayed,
    /// It is for another cluster or another node.
    WrongNode,
    UnknownCommand,
    // Its parameters.
    UnknownParameter,
    DuplicateParameter,
    MissingParameter,
    ValueTooLong,
    NotAChoice,
    NotACount,
    CountOutOfRange,
    NotAUnit,
    NotAnInterface,
    NotAService,
    NotAContainer,
    // What the administrator of the node allows.
    /// The policy cannot be read, is not understood, or others could have written it.
    PolicyUnusable,
    /// The policy does not allow this command in this guest.
    PolicyDenies,
    /// A tag or a pool of the guest takes it away.
    PolicyNarrowed,
    // The guest as it is now.
    NoSuchGuest,
    /// Several nodes or kinds of guest have this VMID.
    AmbiguousGuest,
    /// A container: there is no guest agent.
    NotAVm,
    /// Another guest than the one that was meant has this VMID by now.
    GuestChanged,
    /// An operation holds it: backup, snapshot, migration, ...
    Locked,
    /// It comes from another node or leaves for one.
    Migrating,
    /// A task of PVE works on it.
    TaskRunning,
    NotRunning,
    /// Its configuration has no guest agent.
    AgentNotEnabled,
    /// The command is for another operating system.
    WrongSystem,
    // The traffic.
    /// Another command runs in this guest, or too many in others.
    Busy,
    /// Too many commands in this guest within a minute.
    TooMany,
    /// Commands of before still run in the guest.
    LeftRunning,
    /// Nothing runs that is not written down before.
    AuditUnwritable,
}

impl Rule {
    /// Every rule.
    pub const ALL: &[Self] = &[
        Self::MalformedRequest,
        Self::Expired,
        Self::Replayed,
        Self::WrongNode,
        Self::UnknownCommand,
        Self::UnknownParameter,
        Self::DuplicateParameter,
        Self::MissingParameter,
        Self::ValueTooLong,
        Self::NotAChoice,
        Self::NotACount,
        Self::CountOutOfRange,
        Self::NotAUnit,
        Self::NotAnInterface,
        Self::NotAService,
        Self::NotAContainer,
        Self::PolicyUnusable,
        Self::PolicyDenies,
        Self::PolicyNarrowed,
        Self::NoSuchGuest,
        Self::AmbiguousGuest,
        Self::NotAVm,
        Self::GuestChanged,
        Self::Locked,
        Self::Migrating,
        Self::TaskRunning,
        Self::NotRunning,
        Self::AgentNotEnabled,
        Self::WrongSystem,
        Self::Busy,
        Self::TooMany,
        Self::LeftRunning,
        Self::AuditUnwritable,
    ];

    /// As in refusals: `not_a_unit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::Expired => "expired",
            Self::Replayed => "replayed",
            Self::WrongNode => "wrong_node",
            Self::UnknownCommand => "unknown_command",
            Self::UnknownParameter => "unknown_parameter",
            Self::DuplicateParameter => "duplicate_parameter",
            Self::MissingParameter => "missing_parameter",
            Self::ValueTooLong => "value_too_long",
            Self::NotAChoice => "not_a_choice",
            Self::NotACount => "not_a_count",
            Self::CountOutOfRange => "count_out_of_range",
            Self::NotAUnit => "not_a_unit",
            Self::NotAnInterface => "not_an_interface",
            Self::NotAService => "not_a_service",
            Self::NotAContainer => "not_a_container",
            Self::PolicyUnusable => "policy_unusable",
            Self::PolicyDenies => "policy_denies",
            Self::PolicyNarrowed => "policy_narrowed",
            Self::NoSuchGuest => "no_such_guest",
            Self::AmbiguousGuest => "ambiguous_guest",
            Self::NotAVm => "not_a_vm",
            Self::GuestChanged => "guest_changed",
            Self::Locked => "locked",
            Self::Migrating => "migrating",
            Self::TaskRunning => "task_running",
            Self::NotRunning => "not_running",
            Self::AgentNotEnabled => "agent_not_enabled",
            Self::WrongSystem => "wrong_system",
            Self::Busy => "busy",
            Self::TooMany => "too_many",
            Self::LeftRunning => "left_running",
            Self::AuditUnwritable => "audit_unwritable",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::MalformedRequest => "see the description of the request's fields",
            Self::Expired => "ask again; if it stays, the clocks of node and coordinator differ",
            Self::Replayed => "each request needs an id of its own",
            Self::WrongNode => "ask the node where the guest is",
            Self::UnknownCommand => "list the guest commands and use one of their ids",
            Self::UnknownParameter
            | Self::DuplicateParameter
            | Self::MissingParameter
            | Self::ValueTooLong
            | Self::NotAChoice
            | Self::NotACount
            | Self::CountOutOfRange
            | Self::NotAUnit
            | Self::NotAnInterface
            | Self::NotAService
            | Self::NotAContainer => "the list of guest commands says what each parameter takes",
            Self::PolicyUnusable => "run `pvelens-agent policy check` on the node",
            Self::PolicyDenies => {
                "the node's administrator allows it in /etc/pvelens/guest-policy.toml"
            }
            Self::PolicyNarrowed => "a tag or pool of the guest forbids it; see guest-policy.toml",
            Self::NoSuchGuest => "the guest may have moved; look where it is and ask again",
            Self::AmbiguousGuest => "two configurations have this VMID; that is to be mended first",
            Self::NotAVm => "commands run in VMs only; `pct exec` on the node reaches a container",
            Self::GuestChanged => "look at the guest again: it was replaced, renamed or restored",
            Self::Locked | Self::TaskRunning => "wait until the operation has ended",
            Self::Migrating => "wait until it has arrived, and ask again",
            Self::NotRunning => "start the VM first",
            Self::AgentNotEnabled => "set `agent: 1` and install qemu-guest-agent in the guest",
            Self::WrongSystem => "list the guest commands of this guest",
            Self::Busy | Self::TooMany => "wait a little and ask again",
            Self::LeftRunning => {
                "they end by themselves or hang; look into the guest by its console"
            }
            Self::AuditUnwritable => "see the journal of pvelens-agent on the node",
        }
    }
}

/// A command that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub rule: Rule,
    /// What is wrong, for a person: no secret, and nothing of the guest.
    pub detail: String,
}

/// Where rules are applied. Tests can leave one out, to see what it is for; nobody
/// else can.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    #[cfg(test)]
    pub(crate) without: Option<Rule>,
}

impl Rules {
    /// # Errors
    /// The refusal, when it is refused.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, reason = "only tests leave a rule out")
    )]
    pub(crate) fn refuse_if(
        self,
        is_refused: bool,
        rule: Rule,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        #[cfg(test)]
        if self.without == Some(rule) {
            return Ok(());
        }
        if is_refused {
            let detail = detail();
            return Err(Refusal { rule, detail });
        }
        Ok(())
    }
}
