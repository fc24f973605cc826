//! Facts in plain words, the worst first.

use super::{GuestFacts, Severity};
use crate::{figure, untrusted};

mod disk;
mod load;
mod log;
mod network;
mod other;
mod service;

/// Lines that are given, and characters of each.
const LINES: usize = 12;
const LENGTH: usize = 240;
/// Names that one line tells.
const NAMES: usize = 4;

/// Sentences with how bad they are, in the order in which they were said.
#[derive(Debug, Default)]
struct Said {
    sentences: Vec<(Severity, String)>,
}

impl Said {
    fn say(&mut self, severity: Severity, sentence: String) {
        self.sentences.push((severity, sentence));
    }

    fn critical(&mut self, sentence: String) {
        self.say(Severity::Critical, sentence);
    }

    fn warning(&mut self, sentence: String) {
        self.say(Severity::Warning, sentence);
    }

    fn info(&mut self, sentence: String) {
        self.say(Severity::Info, sentence);
    }

    /// Nothing bad was said since there were `before` sentences.
    fn is_calm_since(&self, before: usize) -> bool {
        let since = self.sentences.iter().skip(before);
        since
            .clone()
            .all(|(severity, _)| *severity == Severity::Info)
    }
}

impl GuestFacts {
    /// What the output says in plain words, a line each, the worst first; at most
    /// twelve lines. Empty for an output of which nothing is read.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut said = Said::default();
        if self.frozen == Some(true) {
            said.critical(
                "The file systems are frozen: nothing can be written until they are thawed"
                    .to_owned(),
            );
        }
        disk::say(self, &mut said);
        load::say(self, &mut said);
        service::say(self, &mut said);
        network::say(self, &mut said);
        log::say(self, &mut said);
        other::say(self, &mut said);
        let mut sentences = said.sentences;
        // Stable: what was said first stays first among those that are as bad.
        sentences.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
        let all = sentences.len();
        let mut words: Vec<String> = sentences
            .into_iter()
            .map(|(_, sentence)| untrusted::line(&sentence, LENGTH).into_owned())
            .collect();
        words.extend(self.limits());
        if words.len() > LINES {
            // Room for what was not read, and for the count.
            let limits = words.split_off(all);
            let kept = LINES.saturating_sub(limits.len()).saturating_sub(1);
            words.truncate(kept);
            words.push(format!("and {} more facts", all.saturating_sub(kept)));
            words.extend(limits);
        }
        words
    }

    /// What was not read.
    fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if self.is_cut && self.understood {
            limits.push("The output was cut: there may be more than this".to_owned());
        }
        match self.unread_lines {
            0 => {}
            count if self.understood => {
                limits.push(format!("{} not understood", counted(count, "line")))
            }
            count => limits.push(format!(
                "Nothing was understood of {}",
                counted(count, "line")
            )),
        }
        limits
    }
}

/// `1 unit`, `3 units`.
fn counted(count: u32, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The first names, and how many more: `a, b, c, d and 3 more`. `all` is how many there
/// are, those that a list left out included.
fn names<T: AsRef<str>>(list: &[T], all: usize) -> String {
    let named: Vec<&str> = list.iter().take(NAMES).map(AsRef::as_ref).collect();
    let more = all.max(list.len()).saturating_sub(named.len());
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}

/// A share in percent, as reports have it.
fn percent(percent: f64) -> String {
    figure::percent(percent / 100.0)
}

/// What a list left out at its bound.
fn left_out(facts: &GuestFacts, list: &str) -> usize {
    let count = facts.left_out.get(list).copied().unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_command::facts::{FileSystem, Interface, Units};

    #[test]
    fn the_worst_comes_first_and_the_end_tells_what_is_missing() {
        let interface = |name: u32| Interface {
            name: format!("eth{name}"),
            is_enabled: Some(false),
            ..Interface::default()
        };
        let facts = GuestFacts {
            understood: true,
            is_cut: true,
            unread_lines: 2,
            interfaces: (0..20).map(interface).collect(),
            file_systems: vec![FileSystem {
                mount: "/".to_owned(),
                used_percent: Some(99.0),
                ..FileSystem::default()
            }],
            units: Some(Units {
                failed: vec!["nginx.service".to_owned()],
                is_complete: true,
                ..Units::default()
            }),
            ..GuestFacts::default()
        };
        let words = facts.words();
        assert_eq!(words.len(), LINES);
        assert_eq!(words[0], "/ is 99 % full");
        assert_eq!(words[1], "1 unit failed: nginx.service");
        assert_eq!(words[2], "eth0 is switched off");
        assert_eq!(
            words[9..],
            [
                "and 13 more facts",
                "The output was cut: there may be more than this",
                "2 lines not understood",
            ]
        );
        assert!(GuestFacts::default().words().is_empty());
    }

    #[test]
    fn names_are_counted() {
        assert_eq!(names(&["a", "b"], 2), "a, b");
        assert_eq!(
            names(&["a", "b", "c", "d", "e"], 5),
            "a, b, c, d and 1 more"
        );
        assert_eq!(names(&["a"], 7), "a and 6 more");
        assert_eq!(
            (counted(1, "unit"), counted(3, "unit")),
            ("1 unit".to_owned(), "3 units".to_owned())
        );
    }
}
