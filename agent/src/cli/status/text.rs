//! The report for people, in at most forty lines.

use std::fmt::{self, Write};

use jiff::Timestamp;
use pvelens_proto::{
    agent::v1::{CollectorReport, FailureKind, FailureReport, SelfReport, SourceFailure},
    timestamp_to_millis,
};

use super::{
    super::{
        identified::{Identified, Standing, day, joined, standing},
        plain, summary,
    },
    Answer,
};
use crate::{host::kind_name, identity::Identity};

/// Collectors with problems that are listed, and failures that went away.
const WRONG_SHOWN: usize = 12;
const PAST_SHOWN: usize = 5;
const SLOWEST_SHOWN: usize = 4;
/// The loop ticks every 10 s.
const STUCK_SECONDS: f64 = 30.0;
/// A clock that was set longer ago is history.
const RECENT_MILLIS: i64 = 3_600_000;

pub(super) fn text(answer: &Answer, all: bool) -> Result<String, fmt::Error> {
    let report = &answer.report;
    let problems = problems(answer);
    let at_most = |shown| if all { usize::MAX } else { shown };
    let mut text = heading(answer, problems.len());
    if !problems.is_empty() {
        text.push_str("\nWrong now\n");
        list(&mut text, &problems, at_most(WRONG_SHOWN))?;
    }
    let mut notes = notes(report);
    if let Identified::Joined(identity) = &answer.identity {
        notes.push(identity_note(identity, report));
    }
    if !notes.is_empty() {
        text.push_str("\nWorth knowing\n");
        list(&mut text, &notes, notes.len())?;
    }
    let past: Vec<String> = report
        .failures
        .iter()
        .filter(|failure| !failure.is_current)
        .map(|failure| gone(failure, report))
        .collect();
    if !past.is_empty() {
        text.push_str("\nFailed before, and no longer\n");
        list(&mut text, &past, at_most(PAST_SHOWN))?;
    }
    text.push_str("\nSince it started\n");
    for (name, line) in totals(report) {
        writeln!(text, "  {name:<9} {line}")?;
    }
    if all {
        text.push('\n');
        table(&mut text, report)?;
    }
    Ok(text)
}

/// What keeps the agent from knowing its node, worst first.
pub(super) fn problems(answer: &Answer) -> Vec<String> {
    let mut problems = Vec::new();
    let report = &answer.report;
    let sampling = report.sampling.unwrap_or_default();
    if sampling.last_tick_age_seconds > STUCK_SECONDS {
        problems.push(format!(
            "nothing is sampled: the last tick was {} ago",
            span(sampling.last_tick_age_seconds)
        ));
    }
    let hung = report.collectors.iter().filter(|one| one.is_hung);
    problems.extend(hung.map(hanging));
    let failing = report.collectors.iter();
    let failing = failing.filter(|one| one.last_failures > 0 && !one.is_hung);
    let (without, partly): (Vec<_>, Vec<_>) =
        failing.partition(|one| one.last_payload_at != one.last_started_at);
    problems.extend(without.into_iter().chain(partly).map(failing_now));
    if let Identified::Unusable(why) = &answer.identity {
        let why = plain(why);
        problems.push(format!(
            "no coordinator elsewhere can link to this node: {why}"
        ));
    }
    problems
}

fn heading(answer: &Answer, problems: usize) -> String {
    let report = &answer.report;
    let process = report.process.clone().unwrap_or_default();
    let name = match answer.node_name.as_str() {
        "" => "a node without name".to_owned(),
        name => plain(name),
    };
    let collectors = report.collectors.len();
    let outcome = match problems {
        0 => format!("all {collectors} collectors work"),
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    format!(
        "{name}: agent {}, up {}: {outcome}\n",
        plain(&process.agent_version),
        span(process.uptime_seconds)
    )
}

/// By the clock of the agent.
fn identity_note(identity: &Identity, report: &SelfReport) -> String {
    let now = report.reported_at.as_ref().map(timestamp_to_millis);
    let now = now.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let standing = now.map_or(Standing::Good, |now| standing(identity, now));
    let end = day(identity.expires_at());
    let about = match standing {
        Standing::Good => format!("certificate good until {end}"),
        Standing::Late => format!("certificate ends on {end}, its renewal is late"),
        Standing::Expired => format!("certificate ended on {end}, good for its renewal alone"),
    };
    format!("{}; {about}", joined(identity))
}

fn hanging(one: &CollectorReport) -> String {
    let failure = one.last_failure.as_ref();
    let place = failure.map_or("", |failure| failure.path.as_str());
    let place = match place {
        "" => String::new(),
        path => format!(" at {path}"),
    };
    format!(
        "{} hangs{place}, for {}{}",
        one.name,
        span(one.in_flight_seconds.unwrap_or_default()),
        last_good(one)
    )
}

fn failing_now(one: &CollectorReport) -> String {
    let first = one.last_failure.as_ref().map(blame).unwrap_or_default();
    let more = match one.last_failures {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count.saturating_sub(1)),
    };
    format!("{} {first}{more}{}", one.name, last_good(one))
}

/// How old what it has is, unless it is from this very run.
fn last_good(one: &CollectorReport) -> String {
    match one.payload_age_seconds {
        None => "; it never gave anything".to_owned(),
        Some(_) if one.last_payload_at == one.last_started_at => "; the rest was read".to_owned(),
        Some(age) => format!("; last payload {} ago", span(age)),
    }
}

fn blame(failure: &SourceFailure) -> String {
    let kind = kind_name(failure.kind()).replace('_', " ");
    let is_named = matches!(
        failure.kind(),
        FailureKind::NotFound | FailureKind::PermissionDenied | FailureKind::Io
    );
    match (failure.path.as_str(), failure.detail.as_str()) {
        ("", detail) => format!("{kind}: {detail}"),
        (path, detail) if is_named => format!("{path}: {detail}"),
        (path, detail) => format!("{path}: {kind}: {detail}"),
    }
}

/// What is no problem of a source.
fn notes(report: &SelfReport) -> Vec<String> {
    let mut notes = Vec::new();
    let sampling = report.sampling.unwrap_or_default();
    let now = report.reported_at.as_ref().map_or(0, timestamp_to_millis);
    let jump = sampling
        .last_clock_jump_seconds
        .zip(sampling.last_clock_jump_at.as_ref());
    if let Some((seconds, at)) = jump {
        let ago = now.saturating_sub(timestamp_to_millis(at));
        if ago < RECENT_MILLIS {
            let way = if seconds < 0.0 { "back" } else { "forward" };
            notes.push(format!(
                "the clock of this node was set {way} by {}",
                span(seconds.abs())
            ));
        }
    }
    if report
        .spool
        .as_ref()
        .is_some_and(|spool| !spool.is_in_files)
    {
        notes.push("the spool is in memory: a restart of the agent loses what waits".to_owned());
    }
    notes
}

fn gone(failure: &FailureReport, report: &SelfReport) -> String {
    let now = report.reported_at.as_ref().map_or(0, timestamp_to_millis);
    let last = failure.last_at.as_ref().map_or(0, timestamp_to_millis);
    let ago = match now.saturating_sub(last) {
        // The clock was set meanwhile.
        ago if ago < 0 => "at an unknown time".to_owned(),
        ago => format!("{} ago", span(seconds(ago))),
    };
    let runs = match failure.runs {
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    };
    format!(
        "{} {}; {runs}, last {ago}",
        failure.collector,
        failure.failure.as_ref().map(blame).unwrap_or_default()
    )
}

fn totals(report: &SelfReport) -> Vec<(&'static str, String)> {
    let process = report.process.clone().unwrap_or_default();
    let sampling = report.sampling.unwrap_or_default();
    let spool = report.spool.clone().unwrap_or_default();
    let readers = report.readers.unwrap_or_default();
    let sum = |of: fn(&CollectorReport) -> u64| {
        let figures = report.collectors.iter().map(of);
        figures.fold(0, u64::saturating_add)
    };
    let share = process.cpu_seconds_total / process.uptime_seconds.max(1.0) * 100.0;
    let mut slowest: Vec<&CollectorReport> = report.collectors.iter().collect();
    slowest.sort_by_key(|one| std::cmp::Reverse(one.max_duration_microseconds));
    let slowest: Vec<String> = slowest
        .into_iter()
        .take(SLOWEST_SHOWN)
        .map(|one| {
            format!(
                "{} {}",
                one.name,
                milliseconds(one.max_duration_microseconds)
            )
        })
        .collect();
    let open_files = process
        .open_files
        .map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    vec![
        (
            "runs",
            format!(
                "{}, of which {} in part, {} failed; {} not started as one still hung",
                sum(|one| one.runs_total),
                sum(|one| one.partial_runs_total),
                sum(|one| one.failed_runs_total),
                sum(|one| one.refused_runs_total)
            ),
        ),
        (
            "CPU",
            format!("{:.1} s, {share:.2} % of one", process.cpu_seconds_total),
        ),
        (
            "memory",
            format!(
                "{} resident, at most {}; {} threads, {open_files} open files",
                summary::bytes(process.resident_bytes),
                summary::bytes(process.resident_max_bytes),
                process.threads
            ),
        ),
        ("read", summary::bytes(sum(|one| one.read_bytes_total))),
        ("longest", slowest.join(", ")),
        (
            "spool",
            format!(
                "{} of {}, {} updates; {} dropped as it was full",
                summary::bytes(spool.bytes),
                summary::bytes(spool.limit_bytes),
                spool.updates,
                spool.dropped_updates_total
            ),
        ),
        (
            "readers",
            format!(
                "{} now, {} in all, {} refused; {} fell behind and missed {} updates",
                readers.streams,
                readers.streams_total,
                readers.refused_streams_total,
                readers.overtaken_readers_total,
                readers.missed_updates_total
            ),
        ),
        (
            "ticks",
            format!(
                "{}, {} skipped; {} rounds skipped as one was under way; jumps of the clock: {}",
                sampling.ticks_total,
                sampling.skipped_ticks_total,
                sampling.skipped_rounds_total,
                sampling
                    .clock_jumps_forward_total
                    .saturating_add(sampling.clock_jumps_back_total)
            ),
        ),
    ]
}

fn table(text: &mut String, report: &SelfReport) -> fmt::Result {
    let names = report.collectors.iter().map(|one| one.name.len());
    let width = names.max().unwrap_or_default();
    writeln!(
        text,
        "{:<width$}  {:>8} {:>8} {:>9} {:>9} {:>10}  result",
        "collector", "age", "runs", "last", "longest", "bytes"
    )?;
    for one in &report.collectors {
        let age = one.payload_age_seconds.map_or_else(|| "-".to_owned(), span);
        let result = match (one.is_hung, one.last_failures, &one.last_started_at) {
            (true, ..) => "hangs".to_owned(),
            (_, _, None) => "not yet".to_owned(),
            (_, 0, _) => "ok".to_owned(),
            (_, count, _) => format!("{count} failed"),
        };
        writeln!(
            text,
            "{:<width$}  {age:>8} {:>8} {:>9} {:>9} {:>10}  {result}",
            plain(&one.name),
            one.runs_total,
            milliseconds(one.last_duration_microseconds),
            milliseconds(one.max_duration_microseconds),
            summary::bytes(one.last_read_bytes)
        )?;
    }
    Ok(())
}

fn list(text: &mut String, lines: &[String], shown: usize) -> fmt::Result {
    for line in lines.iter().take(shown) {
        writeln!(text, "  {}", plain(line))?;
    }
    match lines.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(text, "  and {more} more; --all or --output json has them"),
    }
}

fn milliseconds(micros: u32) -> String {
    if micros >= 10_000_000 {
        format!("{:.1} s", f64::from(micros) / 1e6)
    } else {
        format!("{:.1} ms", f64::from(micros) / 1e3)
    }
}

fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else {
        summary::uptime(seconds)
    }
}

fn seconds(millis: i64) -> f64 {
    u32::try_from(millis / 1000).map_or(f64::MAX, f64::from)
}
