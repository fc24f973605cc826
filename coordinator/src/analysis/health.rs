//! The health report: what is broken or about to be, and what to do first.

use std::time::Instant;

use super::{
    Depth, Scope,
    group::{self, Group},
    inventory,
    scope::Selected,
    state::{Found, doubt, headline, state},
    words::{self, Words},
};
use crate::{
    answer::{
        AnswerError,
        finding::{Key, shown},
    },
    coordinator::Current,
    finding::{Finding, Severity},
    inventory::{Coverage, summary},
    report::{AnalysisKind, Report, Section},
    untrusted::{line, name},
};

/// How much of everything a depth shows.
#[derive(Debug, Clone, Copy)]
struct Limits {
    findings: usize,
    fixes: usize,
    groups: usize,
    /// Lines about consequences, below the groups they belong to.
    consequences: usize,
    /// Findings of one group with their details.
    details: usize,
    not_assessed: usize,
    profiles: usize,
    inventory: usize,
    advice: usize,
}

/// With titles and blank lines these make at most 37 lines, which leaves some
/// of the 40 to fixes that need two.
const SUMMARY: Limits = Limits {
    findings: 50,
    fixes: 5,
    groups: 5,
    consequences: 2,
    details: 0,
    not_assessed: 2,
    profiles: 1,
    inventory: 5,
    advice: 0,
};

const FULL: Limits = Limits {
    findings: 500,
    fixes: 5,
    groups: 200,
    consequences: 200,
    details: 10,
    not_assessed: 50,
    profiles: 20,
    inventory: 100,
    advice: 50,
};

/// The health of what the scope names.
///
/// # Errors
/// When the scope names something that is not known.
pub fn cluster_health(
    current: &Current,
    scope: &Scope,
    depth: Depth,
) -> Result<Report, AnswerError> {
    let started = Instant::now();
    let selected = Selected::new(current, scope)?;
    let limits = match depth {
        Depth::Summary => SUMMARY,
        Depth::Full => FULL,
    };
    let found = Found::new(&selected);
    let groups = group::fold(&found.health);
    let words = Words {
        view: &current.view,
        at: current.view.at,
        several: selected.clusters.len() > 1,
    };
    let coverage = selected.coverage();
    let doubt = doubt(&selected);
    let state = state(&selected, &found, doubt.is_some());
    let sections = [
        fixes(words, &groups, limits),
        broken(words, &groups, &found, limits),
        not_assessed(&coverage, limits),
        section(
            "Cluster and nodes",
            inventory::lines(&selected, limits.inventory),
        ),
        advice(words, &found, limits),
    ];
    Ok(Report {
        kind: AnalysisKind::ClusterHealth,
        depth,
        at: current.view.at,
        state,
        headline: headline(&selected, &found, &groups, state, doubt),
        profiles: profiles(&selected, limits.profiles),
        sections: sections
            .into_iter()
            .filter(|section| !section.lines.is_empty())
            .collect(),
        findings: worst(found.health, limits.findings),
        coverage,
        verdicts: current.verdicts,
        set_aside: found.set_aside,
        kept: None,
        duration_milliseconds: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
    })
}

fn worst(mut findings: Vec<&Finding>, limit: usize) -> Vec<Finding> {
    findings.sort_unstable_by(|one, other| Key::of(one).cmp(&Key::of(other)));
    findings.into_iter().take(limit).map(shown).collect()
}

fn profiles(selected: &Selected<'_>, limit: usize) -> Vec<String> {
    let view = selected.view();
    let several = selected.clusters.len() > 1;
    let mut lines: Vec<String> = selected
        .clusters
        .iter()
        .take(limit)
        .map(|index| {
            let profile = summary::profile(view, &selected.current.params, *index);
            let text = format!("profile {} ({})", profile.profile, profile.origin);
            if several {
                format!("{}: {text}", name(&view.cluster(*index).name))
            } else {
                text
            }
        })
        .collect();
    let more = selected.clusters.len().saturating_sub(limit);
    if more > 0 {
        let plural = if more == 1 { "" } else { "s" };
        lines.push(format!("and {more} more cluster{plural}"));
    }
    lines
}

fn section(title: &str, lines: Vec<String>) -> Section {
    Section {
        title: title.to_owned(),
        source: "deterministic".to_owned(),
        lines,
    }
}

fn fixes(words: Words<'_>, groups: &[Group<'_>], limits: Limits) -> Section {
    let lines = groups
        .iter()
        .filter(|group| group.severity > Severity::Info || !group.consequences.is_empty())
        .filter_map(|group| words.fix(group))
        .take(limits.fixes)
        .zip(1..)
        .map(|(text, number)| format!("{number}. {text}"))
        .collect();
    section("Do first", lines)
}

fn broken(words: Words<'_>, groups: &[Group<'_>], found: &Found<'_>, limits: Limits) -> Section {
    let mut lines = Vec::new();
    let mut consequences = 0;
    for group in groups.iter().take(limits.groups) {
        lines.push(words.group(group));
        if consequences < limits.consequences
            && let Some(text) = words.consequences(group)
        {
            lines.push(text);
            consequences += 1;
        }
        if limits.details > 0 {
            lines.extend(details(words, group, limits.details));
        }
    }
    let rest = groups.get(limits.groups..).unwrap_or_default();
    if !rest.is_empty() {
        let count: usize = rest
            .iter()
            .map(|group| group.findings.len() + group.consequences.len())
            .sum();
        lines.push(format!(
            "and {count} more findings of {} other kinds: `pvelens findings`",
            rest.len()
        ));
    }
    match found.beginning {
        0 => {}
        1 => lines.push("1 more has only just begun and may pass".to_owned()),
        count => lines.push(format!("{count} more have only just begun and may pass")),
    }
    lines.extend(set_aside(found, limits));
    section("What is wrong", lines)
}

/// What operators decided, so that nothing is missing without a word.
fn set_aside(found: &Found<'_>, limits: Limits) -> Vec<String> {
    let Some(aside) = &found.set_aside else {
        return Vec::new();
    };
    let mut lines = vec![words::set_aside(aside)];
    if limits.details > 0 {
        let uses = aside.statements.iter();
        lines.extend(uses.map(|used| format!("  {}", words::stated(&used.statement))));
    }
    lines
}

fn details(words: Words<'_>, group: &Group<'_>, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in group.findings.iter().take(limit) {
        if group.findings.len() > 1 {
            lines.push(format!(
                "  {}: {}",
                words.label(finding),
                line(&finding.summary, 240)
            ));
        }
        lines.extend(words.details(finding));
    }
    let more = group.findings.len().saturating_sub(limit);
    if more > 0 {
        lines.push(format!("  and {more} more: `pvelens findings`"));
    }
    lines
}

fn not_assessed(coverage: &Coverage, limits: Limits) -> Section {
    let mut lines: Vec<String> = coverage
        .not_assessed
        .iter()
        .take(limits.not_assessed)
        .cloned()
        .collect();
    let more = coverage.not_assessed.len().saturating_sub(lines.len());
    if more > 0 {
        lines.push(format!("and {more} more, in the full report"));
    }
    section("Not assessed", lines)
}

fn advice(words: Words<'_>, found: &Found<'_>, limits: Limits) -> Section {
    let mut lines = Vec::new();
    match found.advice.len() {
        0 => {}
        1 => lines.push(
            "1 point on hardening and hygiene, nothing urgent: `pvelens findings`".to_owned(),
        ),
        count => lines.push(format!(
            "{count} points on hardening and hygiene, nothing urgent: `pvelens findings`"
        )),
    }
    if limits.advice > 0 {
        let groups = group::fold(&found.advice);
        let shown = groups.iter().take(limits.advice);
        lines.extend(shown.map(|group| words.group(group)));
    }
    section("Advice", lines)
}
