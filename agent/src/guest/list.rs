//! Which commands there are, and which would run in a guest now.

use pvelens_proto::agent::v1::{
    GuestCommand, GuestCommandParameter, GuestMark, ListGuestCommandsResponse,
};

use super::{
    Guests, catalogue::Command, policy::Policy, refusal_message, resolve, resolve::Guest,
    rule::Refusal, system,
};
use crate::collector::identify;

impl Guests {
    /// Of a guest, what would run there as far as that is known without asking it;
    /// without one, the catalogue. Reads files of this node.
    #[must_use]
    pub fn list(&self, vmid: Option<u32>) -> ListGuestCommandsResponse {
        let policy = self.policy();
        let mut list = ListGuestCommandsResponse {
            policy_problem: policy
                .as_ref()
                .err()
                .map(|refusal| refusal.detail.clone())
                .unwrap_or_default(),
            policy_profile: policy
                .as_ref()
                .map(|policy| policy.profile.name().to_owned())
                .unwrap_or_default(),
            ..ListGuestCommandsResponse::default()
        };
        let guest = vmid.map(|vmid| self.guest_now(vmid));
        if let Some(Ok(guest)) = &guest {
            list.operating_system = system::name(&self.host, guest);
        }
        if let Some(Err(refusal)) = &guest {
            list.refusal = Some(refusal_message(refusal));
        }
        for command in self.catalogue.commands() {
            let mut shown = message(command);
            if let Some(guest) = &guest {
                let judged = self.judge(command, guest, &policy);
                shown.allowed = Some(judged.is_ok());
                shown.refusal = judged.err().map(|refusal| refusal_message(&refusal));
            }
            list.commands.push(shown);
        }
        list
    }

    /// The guest of this node with this VMID, whoever it is.
    pub(crate) fn guest_now(&self, vmid: u32) -> Result<Guest, Refusal> {
        let (node, _) = identify(&self.host);
        let mark = GuestMark {
            node,
            vmid,
            ..GuestMark::default()
        };
        resolve::resolve(&self.host, &mark, self.rules)
    }

    fn judge(
        &self,
        command: &Command,
        guest: &Result<Guest, Refusal>,
        policy: &Result<Policy, Refusal>,
    ) -> Result<(), Refusal> {
        let guest = guest.as_ref().map_err(Clone::clone)?;
        let policy = policy.as_ref().map_err(Clone::clone)?;
        policy.check(command, guest, self.rules)?;
        system::check(command, system::known(&self.host, guest), self.rules)
    }
}

/// A command as clients see it.
fn message(command: &Command) -> GuestCommand {
    GuestCommand {
        id: command.id.clone(),
        title: command.title.clone(),
        group: command.group.clone(),
        systems: command
            .systems
            .iter()
            .map(|one| one.name().to_owned())
            .collect(),
        parameters: command
            .parameters
            .iter()
            .map(|parameter| GuestCommandParameter {
                name: parameter.name.clone(),
                title: parameter.title.clone(),
                takes: parameter.takes(),
                default_value: parameter.default.clone(),
                choices: parameter.choices().map(str::to_owned).collect(),
            })
            .collect(),
        template: command.template(),
        is_guest_agent_question: command.rpc().is_some(),
        timeout_seconds: u32::try_from(command.timeout().as_secs()).unwrap_or(u32::MAX),
        output_limit_bytes: u32::try_from(command.output_limit_bytes()).unwrap_or(u32::MAX),
        reads: command.reads_name().to_owned(),
        needs: command.needs.clone(),
        note: command.note.clone(),
        allowed: None,
        refusal: None,
    }
}
