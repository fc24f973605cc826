//! Log lines: journal, files of syslog, the kernel's own, containers.

use std::collections::HashMap;

use super::output::{LINE, NAME, Output, count, text};
use crate::guest_command::facts::{Count, GuestFacts, Log, LogPattern, LogSource};

pub(super) mod about;
pub(super) mod pattern;
pub(super) mod stamp;

const SAMPLES: usize = 8;
const SOURCES: usize = 8;
const ABOUT: usize = 6;
/// Names that are told apart while counting.
const NAMES: usize = 2000;

/// One entry of a log, whatever wrote it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry<'a> {
    /// The whole line.
    pub(super) line: &'a str,
    pub(super) stamp: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    /// `error`, `warning`, ... where the log tells it.
    pub(super) severity: Option<&'static str>,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    lines: u32,
    from: Option<&'a str>,
    to: Option<&'a str>,
    by_severity: HashMap<&'static str, u32>,
    sources: HashMap<&'a str, u32>,
    pub(super) patterns: Vec<LogPattern>,
    last: Vec<&'a str>,
}

/// `journalctl --output=short-iso`, `tail` of a log, `docker logs --timestamps`.
pub(super) fn journal(output: &Output<'_>, facts: &mut GuestFacts) {
    read(output, facts, stamp::entry);
}

/// `dmesg`: no host and no program in its lines.
pub(super) fn kernel(output: &Output<'_>, facts: &mut GuestFacts) {
    read(output, facts, stamp::kernel_entry);
}

fn read<'a>(output: &Output<'a>, facts: &mut GuestFacts, entry: impl Fn(&'a str) -> Entry<'a>) {
    let mut tally = Tally::default();
    let mut is_log = output.is_empty();
    for line in output.filled() {
        // `-- Boot 0123... --`, `-- No entries --`.
        if line.starts_with("-- ") {
            is_log |= line.ends_with(" --");
            continue;
        }
        let entry = entry(line);
        is_log |= entry.stamp.is_some();
        tally.add(entry);
    }
    // Text without any time is no log: its silence about trouble says nothing.
    if is_log {
        tally.finish(facts);
    } else {
        facts.unread_lines = facts.unread_lines.saturating_add(tally.lines);
    }
}

impl<'a> Tally<'a> {
    pub(super) fn add(&mut self, entry: Entry<'a>) {
        self.count(&entry);
        if let Some(pattern) = pattern::find(&entry) {
            let subject = about::about(pattern.kind, entry.line);
            self.note(&entry, pattern.kind_and_severity(), subject);
        }
    }

    pub(super) fn count(&mut self, entry: &Entry<'a>) {
        self.lines = self.lines.saturating_add(1);
        if let Some(stamp) = entry.stamp {
            self.from.get_or_insert(stamp);
            self.to = Some(stamp);
        }
        if let Some(severity) = entry.severity {
            let count = self.by_severity.entry(severity).or_default();
            *count = count.saturating_add(1);
        }
        if let Some(source) = entry.source
            && (self.sources.len() < NAMES || self.sources.contains_key(source))
        {
            let count = self.sources.entry(source).or_default();
            *count = count.saturating_add(1);
        }
        if self.last.len() >= SAMPLES {
            self.last.remove(0);
        }
        self.last.push(entry.line);
    }

    /// One more line of trouble of this kind.
    pub(super) fn note(
        &mut self,
        entry: &Entry<'a>,
        (kind, severity): pattern::KindAndSeverity,
        subject: Option<String>,
    ) {
        let known = self
            .patterns
            .iter()
            .position(|pattern| pattern.kind == kind);
        if known.is_none() {
            self.patterns.push(LogPattern {
                kind,
                severity,
                ..LogPattern::default()
            });
        }
        let at = known.unwrap_or(self.patterns.len().saturating_sub(1));
        let Some(pattern) = self.patterns.get_mut(at) else {
            return;
        };
        pattern.count = pattern.count.saturating_add(1);
        pattern.severity = pattern.severity.max(severity);
        pattern.last = entry
            .stamp
            .map(|stamp| text(stamp, 40))
            .or(pattern.last.take());
        pattern.sample = text(entry.line, LINE);
        if let Some(subject) = subject
            && pattern.about.len() < ABOUT
            && !pattern.about.contains(&subject)
        {
            pattern.about.push(subject);
        }
    }

    pub(super) fn finish(mut self, facts: &mut GuestFacts) {
        facts.understood = true;
        self.patterns.sort_by(|a, b| {
            let by_severity = b.severity.cmp(&a.severity);
            by_severity.then(a.kind.cmp(&b.kind))
        });
        let mut by_severity: Vec<Count> = self
            .by_severity
            .into_iter()
            .map(|(name, count)| Count {
                name: name.to_owned(),
                count,
            })
            .collect();
        by_severity.sort_by(|a, b| a.name.cmp(&b.name));
        let mut sources: Vec<(&str, u32)> = self.sources.into_iter().collect();
        sources.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        facts.bound("log.sources", &mut sources, SOURCES);
        let over = self.lines.saturating_sub(count(&self.last));
        if over > 0 {
            facts.left_out.insert("log.samples".to_owned(), over);
        }
        facts.log = Some(Log {
            lines: self.lines,
            from: self.from.map(|stamp| text(stamp, 40)),
            to: self.to.map(|stamp| text(stamp, 40)),
            by_severity,
            patterns: self.patterns,
            sources: sources
                .into_iter()
                .map(|(name, count)| LogSource {
                    name: text(name, NAME),
                    count,
                })
                .collect(),
            samples: self.last.into_iter().map(|line| text(line, LINE)).collect(),
        });
    }
}
