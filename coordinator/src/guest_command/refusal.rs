//! Why a command does not run, in one word that stays and in words for a person.

use pvelens_proto::agent::v1 as wire;
use schemars::JsonSchema;
use serde::Serialize;

use crate::untrusted;

const RULE_LIMIT: usize = 64;
const TEXT_LIMIT: usize = 400;

/// A rule that is not kept, of the node or of this coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    /// Stable: `policy_denies`, `locked`, `coordinator_narrowed`, ...
    pub rule: String,
    pub detail: String,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Refusal {
    /// In one sentence.
    #[must_use]
    pub fn words(&self) -> String {
        match (&*self.detail, &*self.hint) {
            ("", _) => self.rule.replace('_', " "),
            (detail, "") => detail.to_owned(),
            (detail, hint) => format!("{detail}; {hint}"),
        }
    }
}

/// A node may be hostile: its words are made safe to show.
impl From<wire::GuestCommandRefusal> for Refusal {
    fn from(refusal: wire::GuestCommandRefusal) -> Self {
        let wire::GuestCommandRefusal { rule, detail, hint } = refusal;
        Self {
            rule: untrusted::line(&rule, RULE_LIMIT).into_owned(),
            detail: untrusted::line(&detail, TEXT_LIMIT).into_owned(),
            hint: untrusted::line(&hint, TEXT_LIMIT).into_owned(),
        }
    }
}
