//! An entry of the menu, and how it becomes a command line.

use std::time::Duration;

use super::{Kind, Request};
use crate::host::Host;

/// One thing that may be asked.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub probe: Kind,
    /// Stable across versions.
    pub name: &'static str,
    pub title: &'static str,
    /// Why a process with privileges is needed for it.
    pub why: &'static str,
    pub parameters: &'static [Parameter],
    /// The same path in Debian 12 and 13, where /usr is merged; none when the
    /// probe answers by itself.
    pub program: Option<&'static str>,
    pub(super) words: &'static [Word],
    /// After this the tool is killed.
    pub timeout: Duration,
    /// Bytes of output that are kept.
    pub stdout_limit: usize,
    /// What its cage must leave it.
    pub needs: &'static str,
    /// Why not now: looks at the node without anything that can hang.
    pub(super) guard: fn(&Host, &Request) -> Result<(), String>,
}

/// A parameter of an entry, for people and for the command line. Its type in
/// [`super::request`] decides.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub accepts: &'static str,
    pub is_number: bool,
}

/// An argument of a tool. `{name}` stands for the value of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    Is(&'static str),
    /// Only with this value of this parameter.
    When(&'static str, &'static str, &'static str),
    /// Only with another value of this parameter.
    Unless(&'static str, &'static str, &'static str),
}

use Word::{Is, Unless, When};

impl Entry {
    /// The arguments for a request of this entry; `None` when the row names a
    /// parameter that the request does not have.
    pub(super) fn arguments(&self, request: &Request) -> Option<Vec<String>> {
        let has = |name, value| request.value(name).as_deref() == Some(value);
        let words = self.words.iter().filter_map(|word| match *word {
            Is(text) => Some(text),
            When(name, value, text) => has(name, value).then_some(text),
            Unless(name, value, text) => (!has(name, value)).then_some(text),
        });
        words.map(|text| fill(text, request)).collect()
    }

    /// The arguments as the row has them, for people.
    pub fn template(&self) -> impl Iterator<Item = String> {
        self.words.iter().map(|word| match word {
            Is(text) => (*text).to_owned(),
            When(name, value, text) => format!("[if {name}={value}: {text}]"),
            Unless(name, value, text) => format!("[unless {name}={value}: {text}]"),
        })
    }
}

/// Replaces `{name}` by the value of the parameter, once: a value is never
/// looked at again.
fn fill(text: &str, request: &Request) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(&request.value(name)?);
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}
