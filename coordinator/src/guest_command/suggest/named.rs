//! Commands for what an issue names itself.

use super::{
    Ground, Topic,
    names::{self, Kind},
    ranking::Ranking,
    topics::Ask,
    words::Words,
};

/// A name that has the form of its kind, and a command that takes it.
#[derive(Debug)]
pub(super) struct Named {
    pub kind: Kind,
    ask: Ask,
    /// How the reason calls it.
    spelled: String,
}

/// What is named, and can be asked for on this system.
pub(super) fn named(issue: &str, words: &Words, ground: &Ground) -> Vec<Named> {
    let mut named = Vec::new();
    let mut name = |kind, command, parameter, value: &str, spelled: String| {
        let arguments = vec![(parameter, value.to_owned())];
        let ask = Ask { command, arguments };
        named.push(Named { kind, ask, spelled });
    };
    if ground.asks_linux {
        for unit in names::units(issue, words) {
            name(Kind::Service, "unit-status", "unit", &unit, unit.clone());
            name(Kind::Service, "unit-journal", "unit", &unit, unit.clone());
        }
        for link in names::interfaces(issue) {
            name(Kind::Interface, "link", "interface", &link, link.clone());
        }
        if let Some((path, directory)) = names::directory(issue) {
            name(
                Kind::Place,
                "directory-usage",
                "directory",
                directory,
                path.to_owned(),
            );
        }
    }
    if ground.asks_windows {
        for service in names::services(words) {
            let spelled = format!("the service {service}");
            name(
                Kind::Service,
                "windows-service",
                "service",
                service,
                spelled,
            );
        }
        for drive in names::drives(issue) {
            let spelled = format!("the drive {drive}");
            name(Kind::Place, "windows-disk-free", "drive", &drive, spelled);
        }
    }
    named
}

impl Named {
    pub(super) fn reason(&self) -> String {
        format!("the issue names {}", self.spelled)
    }

    /// It comes first, with what is said of its topic; behind the first of others. How
    /// full a place is matters only where space does.
    pub(super) fn add_to(&self, ranking: &mut Ranking, called: &[(&'static Topic, Vec<String>)]) {
        let mut called = called.iter();
        let own = called.find(|(topic, _)| topic.takes == Some(self.kind));
        if own.is_none() && self.kind == Kind::Place {
            return;
        }
        let place = (usize::from(own.is_none()), 0);
        let mut reasons = vec![self.reason()];
        let own = own
            .map(|(_, reasons)| reasons.as_slice())
            .unwrap_or_default();
        let other = own.iter().filter(|reason| **reason != self.reason());
        reasons.extend(other.cloned());
        ranking.add(self.ask.clone(), false, &reasons, place);
    }
}
