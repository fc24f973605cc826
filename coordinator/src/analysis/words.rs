//! Sentences about groups of findings.

use jiff::Timestamp;

use super::group::{self, Group};
use crate::{
    answer::SetAside,
    figure,
    finding::{Evidence, EvidenceValue, Finding, FindingState, Risk, Severity},
    intent::Stated,
    untrusted::{line, name},
    view::View,
};

/// Names in one line.
const NAMES: usize = 6;
/// Characters of a line of the summary.
const LINE: usize = 240;

/// Context that the words need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'v> {
    pub(super) view: &'v View,
    pub(super) at: Timestamp,
    /// Objects of several clusters are in the report, so name the cluster.
    pub(super) several: bool,
}

impl Words<'_> {
    /// One line for the whole group, beginning with its severity.
    pub(super) fn group(self, group: &Group<'_>) -> String {
        let severity = severity(group.severity);
        match group.findings.as_slice() {
            [only] => format!("{severity}: {}", self.single(only)),
            _ => format!("{severity}: {}", self.many(group)),
        }
    }

    fn single(self, finding: &Finding) -> String {
        let mut text = line(finding.summary.trim_end_matches('.'), LINE).into_owned();
        if self.several {
            text = format!("{}: {text}", self.cluster(finding));
        }
        text = format!("{text} ({})", figure::since(finding.first_seen, self.at));
        text + unverified(finding.unverified) + said(&[finding])
    }

    fn many(self, group: &Group<'_>) -> String {
        let title = group
            .first()
            .map(|first| line(&first.title, LINE).into_owned())
            .unwrap_or_default();
        let all = group.findings.iter().all(|finding| finding.unverified);
        format!(
            "{}: {} ({}){}{}",
            self.how_many(group),
            lower(&title),
            self.names(&group.findings),
            unverified(all),
            said(&group.findings)
        )
    }

    /// `12 guests`, `3 places`.
    pub(super) fn how_many(self, group: &Group<'_>) -> String {
        let mut subjects: Vec<(&str, &str)> = group
            .findings
            .iter()
            .map(|finding| (&*finding.cluster, &*finding.subject))
            .collect();
        subjects.sort_unstable();
        subjects.dedup();
        if let [_] = subjects.as_slice() {
            return match group.first() {
                Some(first) => format!("{}, {} places", self.label(first), group.findings.len()),
                None => String::new(),
            };
        }
        let kind = |subject: &str| match subject.split('/').next() {
            Some("node") => "nodes",
            Some("guest") => "guests",
            Some("storage") => "storages",
            Some("cluster") => "clusters",
            _ => "objects",
        };
        let first = subjects
            .first()
            .map_or("objects", |(_, subject)| kind(subject));
        let same = subjects.iter().all(|(_, subject)| kind(subject) == first);
        format!(
            "{} {}",
            subjects.len(),
            if same { first } else { "objects" }
        )
    }

    /// `101, 102, 103 and 9 more`.
    fn names(self, findings: &[&Finding]) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut more = 0_usize;
        let several_subjects = findings.windows(2).any(|pair| match pair {
            [one, other] => one.subject != other.subject || one.cluster != other.cluster,
            _ => false,
        });
        let mut last = None;
        for finding in findings {
            let subject = (&finding.cluster, &finding.subject);
            if several_subjects && last == Some(subject) {
                continue;
            }
            last = Some(subject);
            if names.len() < NAMES {
                names.push(if several_subjects {
                    self.short(finding)
                } else {
                    name(&finding.discriminator).into_owned()
                });
            } else {
                more += 1;
            }
        }
        match more {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// `101`, `pve1`, `tank on pve1`; with the cluster when there are several.
    fn short(self, finding: &Finding) -> String {
        let text = match finding.subject.split_once('/') {
            None => return self.cluster(finding),
            Some(("storage", rest)) => match rest.split_once('@') {
                Some((storage, node)) => format!("{} on {}", name(storage), name(node)),
                None => name(rest).into_owned(),
            },
            Some((_, rest)) => name(rest).into_owned(),
        };
        if self.several {
            format!("{text} in {}", self.cluster(finding))
        } else {
            text
        }
    }

    /// `guest 101 (web)`, `node pve1`, `storage tank on pve1`, `cluster lab`.
    pub(super) fn label(self, finding: &Finding) -> String {
        let kind = finding.subject.split('/').next().unwrap_or_default();
        let text = format!("{} {}", name(kind), self.short(finding));
        let guest = finding.subject.strip_prefix("guest/").and_then(|vmid| {
            let cluster = self.view.find_cluster(&finding.cluster)?;
            let index = self.view.find_guest(cluster, vmid.parse().ok()?)?;
            Some(&self.view.guest(index).name)
        });
        match guest {
            Some(guest) if !guest.is_empty() => format!("{text} ({})", name(guest)),
            _ => text,
        }
    }

    fn cluster(self, finding: &Finding) -> String {
        let cluster = self
            .view
            .find_cluster(&finding.cluster)
            .map(|index| &*self.view.cluster(index).name);
        name(cluster.unwrap_or(&finding.cluster)).into_owned()
    }

    /// `leads to 14 more: 12 × agent is silent, ...`; absent without any.
    pub(super) fn consequences(self, group: &Group<'_>) -> Option<String> {
        if group.consequences.is_empty() {
            return None;
        }
        let by_check = group::by_check(&group.consequences);
        let shown: Vec<String> = by_check
            .iter()
            .take(3)
            .map(|(finding, count)| {
                let title = lower(&line(&finding.title, LINE));
                if *count == 1 {
                    format!("{title} ({})", self.short(finding))
                } else {
                    format!("{count} × {title}")
                }
            })
            .collect();
        let more = by_check.len().saturating_sub(shown.len());
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more kinds"),
        };
        Some(format!(
            "  leads to {} more: {}{more}",
            group.consequences.len(),
            shown.join("; ")
        ))
    }

    /// What to do about the group, for its first finding.
    pub(super) fn fix(self, group: &Group<'_>) -> Option<String> {
        let first = group.first()?;
        let fix = line(first.remediation.fix.trim(), LINE);
        let place = match group.findings.len() {
            1 => self.label(first),
            _ => format!("{}, first {}", self.how_many(group), self.label(first)),
        };
        let risk = match first.remediation.risk {
            Risk::Low => "",
            Risk::Medium => " (medium risk)",
            Risk::High => " (HIGH RISK)",
        };
        Some(format!("{}{risk}: {fix}", upper(&place)))
    }

    /// Everything about one finding, below its own line.
    pub(super) fn details(self, finding: &Finding) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(
            finding
                .statement
                .iter()
                .map(|said| format!("  {}", stated(said))),
        );
        for evidence in finding.evidence.iter().take(8) {
            lines.push(format!("  {}", evidence_line(evidence, self.at)));
        }
        let fix = &finding.remediation;
        for (title, text) in [
            ("fix", &fix.fix),
            ("impact", &fix.impact),
            ("way back", &fix.way_back),
        ] {
            if !text.is_empty() {
                lines.push(format!("  {title}: {}", line(text.trim(), 2 * LINE)));
            }
        }
        for command in fix.diagnose.iter().take(5) {
            lines.push(format!("  look: {}", line(command, LINE)));
        }
        lines
    }
}

/// What was seen, where, and how old that is when it is not fresh at `at`.
pub(crate) fn evidence_line(evidence: &Evidence, at: Timestamp) -> String {
    let value = figure_of(evidence);
    let place = match (evidence.node.is_empty(), evidence.source.is_empty()) {
        (false, false) => format!(
            " ({} on {})",
            line(&evidence.source, LINE),
            name(&evidence.node)
        ),
        (true, false) => format!(" ({})", line(&evidence.source, LINE)),
        (false, true) => format!(" ({})", name(&evidence.node)),
        (true, true) => String::new(),
    };
    let age = evidence
        .observed_at
        .and_then(|observed| crate::inventory::coverage::age(at, observed))
        .map(|age| format!(", {age}"))
        .unwrap_or_default();
    format!("{} = {value}{place}{age}", name(&evidence.name))
}

/// The value of an evidence with its unit, as people read it.
pub(crate) fn figure_of(evidence: &Evidence) -> String {
    match &evidence.value {
        EvidenceValue::Flag(true) => "yes".to_owned(),
        EvidenceValue::Flag(false) => "no".to_owned(),
        EvidenceValue::Text(text) => line(text, LINE).into_owned(),
        EvidenceValue::Number(number) => figure::number(*number, &evidence.unit),
    }
}

/// `2 suppressed and 1 acknowledged by operators: \`pvelens findings --suppressed\``.
pub(crate) fn set_aside(aside: &SetAside) -> String {
    let counts = [
        (aside.suppressed, "suppressed"),
        (aside.acknowledged, "acknowledged"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let all = aside.statements.iter();
    let ids: Vec<&str> = all.map(|used| used.statement.id.as_str()).take(3).collect();
    let more = if aside.statements.len() > ids.len() {
        ", ..."
    } else {
        ""
    };
    format!(
        "{} by operators ({}{more}): `pvelens findings --suppressed`",
        counts.join(" and "),
        ids.join(", ")
    )
}

/// `suppressed by anna (uid 1000) until 2026-12-01 10:00 UTC: reason (0a1b2c3d)`.
pub(crate) fn stated(stated: &Stated) -> String {
    let until = stated.until.map_or_else(String::new, |until| {
        until.strftime(" until %Y-%m-%d %H:%M UTC").to_string()
    });
    let whom = match stated.on_behalf_of.as_str() {
        "" => String::new(),
        whom => format!(" for {}", name(whom)),
    };
    let without = stated.severity_without.map_or_else(String::new, |without| {
        format!(", {} without that", severity(without))
    });
    format!(
        "{} by {}{whom}{until}{without}: {} ({})",
        stated.kind.as_str(),
        name(&stated.author),
        line(&stated.reason, LINE),
        stated.id
    )
}

/// Word of a severity.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// What operators say of all of these findings.
fn said(findings: &[&Finding]) -> &'static str {
    let all = |wanted: fn(&Finding) -> bool| findings.iter().all(|finding| wanted(finding));
    if all(|finding| finding.state == FindingState::Acknowledged) {
        " (acknowledged)"
    } else if all(|finding| finding.statement.is_some()) {
        " (expected)"
    } else {
        ""
    }
}

fn unverified(is: bool) -> &'static str {
    if is {
        " (not confirmed, its data is old)"
    } else {
        ""
    }
}

/// A title inside a sentence. Abbreviations keep their capitals.
pub(super) fn lower(title: &str) -> String {
    change_first(title, |first| first.to_lowercase().collect())
}

fn upper(text: &str) -> String {
    change_first(text, |first| first.to_uppercase().collect())
}

fn change_first(text: &str, change: impl Fn(char) -> String) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(_), Some(second)) if second.is_uppercase() => text.to_owned(),
        (Some(first), _) => change(first) + characters.as_str(),
        (None, _) => String::new(),
    }
}
