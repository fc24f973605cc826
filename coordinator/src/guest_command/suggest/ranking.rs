//! Commands in the order of what speaks for them.

use super::{
    COMMANDS, Ground, REASONS, Suggestion,
    topics::{Ask, Topic, asks},
};

/// A suggestion on its way, with where the table has it.
struct Entry {
    ask: Ask,
    reasons: Vec<String>,
    /// Every system answers it.
    is_for_all: bool,
    /// How far it is from the front of its topic, and the topic's place.
    place: (usize, usize),
}

/// Commands with what speaks for them.
#[derive(Default)]
pub(super) struct Ranking {
    entries: Vec<Entry>,
    topics: usize,
}

impl Ranking {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a topic has for a system.
    pub(super) fn add_topic(&mut self, topic: &Topic, reasons: &[String], ground: &Ground) {
        let linux = asks(topic.linux).filter(|_| ground.asks_linux);
        let windows = asks(topic.windows).filter(|_| ground.asks_windows);
        let any = asks(topic.any).map(|ask| (ask, true));
        let own = linux.chain(windows).map(|ask| (ask, false));
        for (place, (ask, is_for_all)) in any.chain(own).enumerate() {
            self.add(ask, is_for_all, reasons, (place, self.topics));
        }
        self.topics += 1;
    }

    /// A command, or more reasons for one that is there already.
    pub(super) fn add(
        &mut self,
        ask: Ask,
        is_for_all: bool,
        reasons: &[String],
        place: (usize, usize),
    ) {
        let at = self.entries.iter().position(|entry| entry.ask == ask);
        let known = at.and_then(|at| self.entries.get_mut(at));
        if let Some(entry) = known {
            let new = reasons
                .iter()
                .filter(|reason| !entry.reasons.contains(reason));
            let new: Vec<String> = new.cloned().collect();
            entry.reasons.extend(new);
            entry.place = entry.place.min(place);
            entry.is_for_all |= is_for_all;
        } else {
            self.entries.push(Entry {
                ask,
                reasons: reasons.to_vec(),
                is_for_all,
                place,
            });
        }
    }

    /// Most reasons first, then the order of the table: what comes first in any topic
    /// before what comes second.
    pub(super) fn best(mut self, ground: &Ground) -> Vec<Suggestion> {
        if !ground.is_known {
            let why = "what can be asked depends on what the guest runs, which is not known";
            let osinfo = asks("osinfo").next();
            osinfo
                .into_iter()
                .for_each(|ask| self.add(ask, true, &[why.to_owned()], (0, 0)));
        }
        self.entries.sort_by_key(|entry| {
            let is_first = !ground.is_known && entry.ask.command == "osinfo";
            let is_late = !ground.is_known && !entry.is_for_all;
            let reasons = std::cmp::Reverse(entry.reasons.len());
            (!is_first, is_late, reasons, entry.place)
        });
        let best = self.entries.into_iter().take(COMMANDS);
        best.map(|entry| {
            let own = ground.reason.iter().filter(|_| !entry.is_for_all);
            let mut reasons = entry.reasons;
            reasons.truncate(REASONS - 1);
            reasons.extend(own.cloned());
            Suggestion {
                command: entry.ask.command,
                arguments: entry.ask.arguments,
                reasons,
            }
        })
        .collect()
    }
}
