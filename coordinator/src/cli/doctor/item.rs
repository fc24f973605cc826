//! What the doctor found: items in sections, and what to do first.

use serde::Serialize;

use crate::untrusted::line;

/// Characters of one text; some of it comes from agents and coordinators.
const TEXT_LIMIT: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Ok,
    /// Could not be looked at: never the same as fine.
    Unknown,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    pub(crate) state: State,
    pub(crate) what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// Commands stand between backticks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) fix: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) version: &'static str,
    /// The worst of all.
    pub(crate) state: State,
    /// How many of each, and what to do first.
    pub(crate) conclusion: String,
    pub(crate) sections: Vec<Section>,
}

impl Item {
    fn new(state: State, what: &str) -> Self {
        Self {
            state,
            what: line(what, TEXT_LIMIT).into_owned(),
            why: String::new(),
            fix: String::new(),
        }
    }

    pub(super) fn ok(what: impl AsRef<str>) -> Self {
        Self::new(State::Ok, what.as_ref())
    }

    pub(super) fn unknown(what: impl AsRef<str>) -> Self {
        Self::new(State::Unknown, what.as_ref())
    }

    pub(super) fn warning(what: impl AsRef<str>) -> Self {
        Self::new(State::Warning, what.as_ref())
    }

    pub(super) fn problem(what: impl AsRef<str>) -> Self {
        Self::new(State::Problem, what.as_ref())
    }

    pub(super) fn why(mut self, why: impl AsRef<str>) -> Self {
        self.why = line(why.as_ref(), TEXT_LIMIT).into_owned();
        self
    }

    pub(super) fn fix(mut self, fix: impl AsRef<str>) -> Self {
        self.fix = line(fix.as_ref(), TEXT_LIMIT).into_owned();
        self
    }
}

impl Diagnosis {
    pub(super) fn new(sections: Vec<Section>) -> Self {
        let items = sections.iter().flat_map(|section| &section.items);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state: items.map(|item| item.state).max().unwrap_or(State::Unknown),
            conclusion: conclusion(&sections),
            sections,
        }
    }
}

/// The worst item with a fix comes first, from the top, since what is further
/// down often follows from it.
fn conclusion(sections: &[Section]) -> String {
    let items = || sections.iter().flat_map(|section| &section.items);
    let counts: Vec<String> = [
        (State::Problem, "problem", "problems"),
        (State::Warning, "warning", "warnings"),
        (State::Unknown, "unknown", "unknown"),
    ]
    .into_iter()
    .filter_map(
        |(state, one, many)| match items().filter(|item| item.state == state).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        },
    )
    .collect();
    let first = [State::Problem, State::Warning, State::Unknown]
        .into_iter()
        .find_map(|state| items().find(|item| item.state == state && !item.fix.is_empty()));
    match (counts.is_empty(), first) {
        (true, _) => "Nothing to do.".to_owned(),
        (false, None) => format!("{}.", counts.join(", ")),
        (false, Some(first)) => format!("{}. Do first: {}", counts.join(", "), first.fix),
    }
}
