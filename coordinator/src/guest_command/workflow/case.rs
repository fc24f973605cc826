//! One guest in one workflow: what is known, and what comes next.

use std::sync::LazyLock;

use super::{FRESH, Lesson, Progress, Seen, Situation, Step};
use crate::guest_command::{facts::GuestFacts, system::GuestSystem};

/// Lines of a lesson, of conclusions and of advice.
const LINES: usize = 12;
/// Characters of what a lesson says.
const SAYS: usize = 300;
/// Lines of an answer's words that a lesson takes over.
const WORDS: usize = 3;

static NOTHING: LazyLock<GuestFacts> = LazyLock::new(GuestFacts::default);

/// The next step, where a sequence stops.
pub(super) type Next = Box<Step>;
/// A look, or the step that has to be taken first.
pub(super) type Look<'a> = Result<Option<&'a GuestFacts>, Next>;

/// One way to ask.
#[derive(Debug, Clone)]
pub(super) struct Way {
    command: &'static str,
    arguments: Vec<(&'static str, String)>,
}

pub(super) fn way(command: &'static str) -> Way {
    Way {
        command,
        arguments: Vec::new(),
    }
}

impl Way {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.arguments.push((name, value.into()));
        self
    }
}

pub(super) struct Case<'a> {
    situation: &'a Situation<'a>,
    progress: Progress,
}

impl<'a> Case<'a> {
    pub(super) fn new(situation: &'a Situation<'a>) -> Self {
        Self {
            situation,
            progress: Progress::default(),
        }
    }

    pub(super) fn finish(mut self, next: Option<Next>) -> Progress {
        if next.is_none() && self.is_open() {
            self.conclude("What could be asked shows no cause.");
        }
        Progress {
            next: next.map(|step| *step),
            ..self.progress
        }
    }

    /// The unit or service in question.
    pub(super) fn service(&self) -> Option<&'a str> {
        self.situation.service
    }

    /// When the newest answer came, for comparing clocks.
    pub(super) fn answered_at(&self, command: &'static str) -> Option<jiff::Timestamp> {
        self.seen(&way(command)).map(|seen| seen.at)
    }

    /// What the guest runs; asks it, when nobody knows.
    pub(super) fn system(&mut self) -> Result<GuestSystem, Next> {
        let known = GuestSystem::of(self.situation.operating_system);
        if known != GuestSystem::Unknown {
            return Ok(known);
        }
        let why = "what can be asked depends on the operating system";
        let facts = self.look("operating-system", why, [way("osinfo"), way("os-release")])?;
        let identity = facts.and_then(|facts| facts.identity.as_ref());
        let id = identity.and_then(|it| it.os_id.as_deref().or(it.os_name.as_deref()));
        Ok(GuestSystem::of(id.unwrap_or_default()))
    }

    /// What the guest says to one question, by the first way that works. `None` when no
    /// way does.
    ///
    /// # Errors
    /// The step, when it was not asked yet.
    pub(super) fn look(
        &mut self,
        step: &'static str,
        reason: &str,
        ways: impl IntoIterator<Item = Way>,
    ) -> Look<'a> {
        for way in ways {
            let Some(seen) = self.seen(&way) else {
                return Err(Box::new(Step {
                    step,
                    command: way.command,
                    arguments: way.arguments,
                    reason: reason.to_owned(),
                }));
            };
            let (at, outcome) = (seen.at, seen.outcome);
            let facts = seen.facts.filter(|_| outcome == "completed");
            match facts {
                Some(facts) if facts.understood => {
                    let words = facts.words();
                    let says = match words.is_empty() {
                        true => "nothing that stands out".to_owned(),
                        false => words.into_iter().take(WORDS).collect::<Vec<_>>().join("; "),
                    };
                    self.lesson(step, way.command, at, says);
                    return Ok(Some(facts));
                }
                Some(_) => {
                    let says = "its answer was not understood".to_owned();
                    self.lesson(step, way.command, at, says);
                }
                None => {
                    let says = format!("no answer: {}", outcome.replace('_', " "));
                    self.lesson(step, way.command, at, says);
                }
            }
        }
        Ok(None)
    }

    /// As [`Case::look`], where no answer is as good as an empty one.
    ///
    /// # Errors
    /// The step, when it was not asked yet.
    pub(super) fn read(
        &mut self,
        step: &'static str,
        reason: &str,
        ways: impl IntoIterator<Item = Way>,
    ) -> Result<&'a GuestFacts, Next> {
        Ok(self.look(step, reason, ways)?.unwrap_or(&NOTHING))
    }

    pub(super) fn conclude(&mut self, says: impl Into<String>) {
        add(&mut self.progress.conclusions, says.into());
    }

    pub(super) fn advise(&mut self, says: impl Into<String>) {
        add(&mut self.progress.advice, says.into());
    }

    /// Whether anything was concluded.
    pub(super) fn is_open(&self) -> bool {
        self.progress.conclusions.is_empty()
    }

    /// Whether any question was answered.
    pub(super) fn knows_anything(&self) -> bool {
        let answered = |lesson: &Lesson| !lesson.says.starts_with("no answer");
        self.progress.lessons.iter().any(answered)
    }

    fn lesson(
        &mut self,
        step: &'static str,
        command: &'static str,
        at: jiff::Timestamp,
        says: String,
    ) {
        let says = says.chars().take(SAYS).collect();
        self.progress.lessons.push(Lesson {
            step,
            command,
            at,
            says,
        });
    }

    /// The newest fresh answer to a way; without arguments of its own, to any.
    fn seen(&self, way: &Way) -> Option<&'a Seen<'a>> {
        let fits = |seen: &&Seen<'_>| {
            let age = self.situation.now.duration_since(seen.at);
            let named = |(name, value): &(&'static str, String)| {
                seen.arguments
                    .iter()
                    .any(|(known, given)| known == name && given == value)
            };
            seen.command == way.command && age <= FRESH && way.arguments.iter().all(named)
        };
        self.situation
            .seen
            .iter()
            .filter(fits)
            .max_by_key(|seen| seen.at)
    }
}

fn add(lines: &mut Vec<String>, line: String) {
    if lines.len() < LINES && !lines.contains(&line) {
        lines.push(line);
    }
}
