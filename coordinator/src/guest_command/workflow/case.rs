//! One guest in one workflow: what is known, and what comes next.

use std::sync::LazyLock;

use super::{FRESH, Lesson, Progress, SILENT, Seen, Situation, Step};
use crate::{
    guest_command::{facts::GuestFacts, system::GuestSystem},
    untrusted,
};

/// Lines of a lesson, of conclusions and of advice.
const LINES: usize = 12;
/// Characters of what a lesson says, and of another line.
const SAYS: usize = 300;
const LENGTH: usize = 500;
/// Lines of an answer's words that a lesson takes over.
const WORDS: usize = 3;

static NOTHING: LazyLock<GuestFacts> = LazyLock::new(GuestFacts::default);

/// Where a sequence stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// At a question that has to be asked first.
    Ask(Box<Step>),
    /// For now: nobody answers, whatever is asked.
    Over,
}

/// A look, or where the sequence stops.
pub(super) type Look<'a> = Result<Option<&'a GuestFacts>, Stop>;

/// Systems whose tools are those of busybox, and whose services are those of `OpenRC`.
const SMALL: [&str; 3] = ["alpine", "openwrt", "postmarketos"];

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

    pub(super) fn finish(mut self, stop: Option<Stop>) -> Progress {
        let next = match stop {
            Some(Stop::Ask(step)) => Some(*step),
            Some(Stop::Over) | None => None,
        };
        if next.is_none() && self.is_open() {
            self.conclude("What could be asked shows no cause.");
        }
        Progress {
            next,
            ..self.progress
        }
    }

    /// The outcome of a command, where it was asked.
    pub(super) fn outcome(&self, command: &'static str) -> Option<&'a str> {
        self.seen(&way(command)).map(|seen| seen.outcome)
    }

    /// Whether the guest is one of the small systems, as far as that is known.
    pub(super) fn is_small(&self) -> bool {
        let told = self.seen(&way("osinfo")).and_then(|seen| seen.facts);
        let id = told.and_then(|facts| facts.identity.as_ref()?.os_id.as_deref());
        let names = [self.situation.operating_system, id.unwrap_or_default()];
        names.iter().any(|name| {
            SMALL
                .iter()
                .any(|small| name.to_ascii_lowercase().contains(small))
        })
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
    pub(super) fn system(&mut self) -> Result<GuestSystem, Stop> {
        let known = GuestSystem::of(self.situation.operating_system);
        if known != GuestSystem::Unknown {
            return Ok(known);
        }
        let why = "what can be asked depends on the operating system";
        let facts = self.look("operating-system", why, [way("osinfo"), way("os-release")])?;
        let identity = facts.and_then(|facts| facts.identity.as_ref());
        let id = identity.and_then(|it| it.os_id.as_deref().or(it.os_name.as_deref()));
        // A distribution that nobody heard of is a Linux, as the node has it.
        Ok(match (GuestSystem::of(id.unwrap_or_default()), id) {
            (GuestSystem::Unknown, Some(id)) if !id.is_empty() => GuestSystem::Linux,
            (system, _) => system,
        })
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
        self.look_for(step, reason, ways, |_| true)
    }

    /// As [`Case::look`], where only facts that tell something are an answer: not every
    /// guest agent tells everything.
    ///
    /// # Errors
    /// The step, when it was not asked yet.
    pub(super) fn look_for(
        &mut self,
        step: &'static str,
        reason: &str,
        ways: impl IntoIterator<Item = Way>,
        tells: fn(&GuestFacts) -> bool,
    ) -> Look<'a> {
        for way in ways {
            let Some(seen) = self.seen(&way) else {
                if self.situation.denied.contains(&way.command) {
                    let says = "left out: it would not run in this guest".to_owned();
                    self.lesson(step, way.command, self.situation.now, says);
                    continue;
                }
                return Err(Stop::Ask(Box::new(Step {
                    step,
                    command: way.command,
                    arguments: way.arguments,
                    reason: reason.to_owned(),
                })));
            };
            let (at, outcome) = (seen.at, seen.outcome);
            self.go_on(outcome)?;
            let facts = seen.facts.filter(|_| outcome == "completed");
            if facts.is_some_and(|facts| facts.understood && !tells(facts)) {
                let says = "its answer does not tell this".to_owned();
                self.lesson(step, way.command, at, says);
                continue;
            }
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

    /// Ends the sequence where no other question would be answered either.
    fn go_on(&mut self, outcome: &str) -> Result<(), Stop> {
        let (says, advice) = match outcome {
            "unreachable" => (
                "The guest agent does not answer: nothing inside the guest can be asked now.",
                "Look at the console of the VM and whether its guest agent runs; ask again then.",
            ),
            "node_unreachable" => (
                "The agent of the node does not answer: the guest cannot be asked now.",
                "`pvelens agents` says how the agents are; ask again when it is connected.",
            ),
            "frozen" => (
                "The file systems of the guest are frozen: a backup or snapshot runs, or ended badly.",
                "Wait for the end of the backup. If none runs, `qm guest cmd VMID fsfreeze-thaw` on \
                 the node thaws them; a backup that did run is then not consistent.",
            ),
            _ => return Ok(()),
        };
        self.conclude(says);
        self.advise(advice);
        Err(Stop::Over)
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
    ) -> Result<&'a GuestFacts, Stop> {
        Ok(self.look(step, reason, ways)?.unwrap_or(&NOTHING))
    }

    pub(super) fn conclude(&mut self, says: impl Into<String>) {
        add(&mut self.progress.conclusions, &says.into());
    }

    pub(super) fn advise(&mut self, says: impl Into<String>) {
        add(&mut self.progress.advice, &says.into());
    }

    /// Whether anything was concluded.
    pub(super) fn is_open(&self) -> bool {
        self.progress.conclusions.is_empty()
    }

    /// Whether any question was answered.
    pub(super) fn knows_anything(&self) -> bool {
        let answered = |lesson: &Lesson| {
            !["no answer", "left out"]
                .iter()
                .any(|no| lesson.says.starts_with(no))
        };
        self.progress.lessons.iter().any(answered)
    }

    fn lesson(
        &mut self,
        step: &'static str,
        command: &'static str,
        at: jiff::Timestamp,
        says: String,
    ) {
        let says = untrusted::line(&says, SAYS).into_owned();
        self.progress.lessons.push(Lesson {
            step,
            command,
            at,
            says,
        });
    }

    /// What came of a way lately: an answer before a failure, and of these the newest.
    /// Without arguments of its own a way has any.
    fn seen(&self, way: &Way) -> Option<&'a Seen<'a>> {
        let fits = |seen: &&Seen<'_>| {
            let named = |(name, value): &(&'static str, String)| {
                seen.arguments
                    .iter()
                    .any(|(known, given)| known == name && given == value)
            };
            seen.command == way.command && self.is_fresh(seen) && way.arguments.iter().all(named)
        };
        let found = self.situation.seen.iter().filter(fits);
        found.max_by_key(|seen| (seen.outcome == "completed", seen.at))
    }

    fn is_fresh(&self, seen: &Seen<'_>) -> bool {
        let silent = ["unreachable", "node_unreachable", "frozen"];
        let kept = if silent.contains(&seen.outcome) {
            SILENT
        } else {
            FRESH
        };
        self.situation.now.duration_since(seen.at) <= kept
    }
}

/// Names in it may be of the guest.
fn add(lines: &mut Vec<String>, line: &str) {
    let line = untrusted::line(line, LENGTH).into_owned();
    if lines.len() < LINES && !lines.contains(&line) {
        lines.push(line);
    }
}
