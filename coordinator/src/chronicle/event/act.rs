//! What was done with the coordinator itself.

use super::{Event, EventKind, Level, text};
use crate::log::audit::Act;

/// Fields that name who did it, the first that says something.
const WHO: [&str; 4] = ["client", "on_behalf_of", "author", "peer"];

pub(crate) fn event(act: &Act) -> Event {
    let told = |name: &&str| act.fields.get(*name).filter(|value| !value.is_empty());
    let who = WHO.iter().find_map(told);
    let words = act
        .fields
        .iter()
        .filter(|(name, value)| !value.is_empty() && !WHO.contains(&name.as_str()))
        .map(|(name, value)| format!("{name} {value}"));
    let words: Vec<String> = words.collect();
    let said = match words.is_empty() {
        true => act.what.clone(),
        false => format!("{}: {}", act.what, words.join(", ")),
    };
    Event {
        kind: EventKind::Audit,
        level: Level::Info,
        node: text(act.fields.get("node").map_or("", |node| node)).into(),
        text: text(&said),
        user: text(who.map_or("", |who| who)),
        until: None,
        task: String::new(),
    }
}

/// What it was done to.
pub(crate) fn subject(act: &Act) -> String {
    let named = |name: &str| act.fields.get(name).filter(|value| !value.is_empty());
    let subject = match (named("subject"), named("vmid"), named("node")) {
        (Some(subject), _, _) => subject.clone(),
        (_, Some(vmid), _) => format!("guest/{vmid}"),
        (_, _, Some(node)) => format!("node/{node}"),
        _ => "coordinator".to_owned(),
    };
    text(&subject)
}
