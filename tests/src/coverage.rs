//! Which facts the checks need, and which collector gives each.
//!
//! The rows are the checks' own (`coordinator/src/check/inputs/`). A fact that no
//! collector gives, that is not a field of the wire, or that no tree shows, is found
//! here and not on a user's node. `pvelens-coverage` prints the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value,
};
use pvelens::check::inputs::{self, Inputs, Priority};
use pvelens_agent::{
    collector::{COLLECTORS, collect_once},
    host::Host,
};
use pvelens_proto::{FILE_DESCRIPTOR_SET, agent::v1::Sample};

/// The trees that were recorded in the agent's sandbox, by system.
pub const SANDBOXED: &[&str] = &["bookworm", "trixie"];
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/tests/fixtures");

/// What a tree shows of the facts.
#[derive(Debug)]
pub struct Seen {
    /// Paths of all fields that hold a value.
    pub paths: BTreeSet<String>,
    /// The collector that gave each payload.
    pub collectors: BTreeMap<String, &'static str>,
}

/// Which facts the checks need.
#[derive(Debug)]
pub struct Coverage {
    pub checks: BTreeMap<String, Inputs>,
    sample: MessageDescriptor,
    /// By name of the tree.
    pub seen: BTreeMap<String, Seen>,
}

impl Coverage {
    /// Collects from every tree.
    ///
    /// # Errors
    /// When a tree cannot be opened or a row is wrong.
    pub fn measure() -> Result<Self> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
        let sample = pool
            .get_message_by_name("pvelens.agent.v1.Sample")
            .context("the wire has no samples")?;
        let mut seen = BTreeMap::new();
        for name in SANDBOXED {
            let tree = Path::new(FIXTURES).join("sandboxed").join(name);
            seen.insert((*name).to_owned(), Seen::of(&tree, &sample)?);
        }
        for name in ["node", "node8"] {
            let tree = crate::small::tree(Path::new(FIXTURES), name == "node8")?;
            seen.insert(name.to_owned(), Seen::of(tree.path(), &sample)?);
        }
        Ok(Self {
            checks: inputs::all().map_err(anyhow::Error::msg)?,
            sample,
            seen,
        })
    }

    /// Whether the path names a field of the wire.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        let mut message = Some(self.sample.clone());
        for name in path.split('.') {
            let Some(field) = message.and_then(|message| message.get_field_by_name(name)) else {
                return false;
            };
            message = match field.kind() {
                Kind::Message(inner) => Some(inner),
                _ => None,
            };
        }
        true
    }

    /// Who gives the fact.
    #[must_use]
    pub fn collector(&self, path: &str) -> Option<&'static str> {
        let payload = path.split('.').next()?;
        self.seen
            .values()
            .find_map(|seen| seen.collectors.get(payload).copied())
    }

    /// The trees in which the fact has a value.
    pub fn trees(&self, path: &str) -> impl Iterator<Item = &str> {
        self.seen
            .iter()
            .filter(move |(_, seen)| seen.paths.contains(path))
            .map(|(name, _)| name.as_str())
    }

    /// The table, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| check | priority | fact | collector | has a value in |\n| --- | --- | --- | --- | --- |\n",
        );
        for (id, inputs) in &self.checks {
            let priority = match inputs.priority {
                Priority::P0 => "P0",
                Priority::P1 => "P1",
            };
            for fact in &inputs.facts {
                let collector = self.collector(fact).unwrap_or("none");
                let trees: Vec<&str> = self.trees(fact).collect();
                let row = format!(
                    "| {id} | {priority} | `{fact}` | {collector} | {} |\n",
                    trees.join(", ")
                );
                text.push_str(&row);
            }
            for reason in &inputs.elsewhere {
                let row = format!("| {id} | {priority} | {reason} | | |\n");
                text.push_str(&row);
            }
        }
        text
    }
}

impl Seen {
    fn of(tree: &Path, sample: &MessageDescriptor) -> Result<Self> {
        let host = Host::open(tree)?;
        let mut seen = Self {
            paths: BTreeSet::new(),
            collectors: BTreeMap::new(),
        };
        for collector in COLLECTORS {
            let one: Sample = collect_once(collector, &host);
            let message = DynamicMessage::decode(sample.clone(), one.encode_to_vec().as_slice())?;
            for oneof in sample.oneofs() {
                for field in oneof.fields().filter(|field| message.has_field(field)) {
                    seen.collectors
                        .insert(field.name().to_owned(), collector.name);
                    seen.enter(field.name(), &message.get_field(&field));
                }
            }
        }
        Ok(seen)
    }

    /// Notes the fields below a path that hold a value.
    fn enter(&mut self, path: &str, value: &Value) {
        match value {
            Value::Message(message) => {
                self.paths.insert(path.to_owned());
                for field in message.descriptor().fields() {
                    // A zero that is no absence is a value: it was sent.
                    let is_sent = message.has_field(&field)
                        || (!field.supports_presence() && !field.is_list());
                    if is_sent {
                        let below = format!("{path}.{}", field.name());
                        self.enter(&below, &message.get_field(&field));
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    self.enter(path, item);
                }
            }
            Value::String(text) if text.is_empty() => {}
            Value::EnumNumber(0) => {}
            _ => {
                self.paths.insert(path.to_owned());
            }
        }
    }
}
