//! `flight`: what the flight recorder kept, in a page that is read after a reset.

use std::{
    fmt::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{FlightArguments, INCOMPLETE, Output, json::Writer, plain, print, summary};
use crate::{
    host::Host,
    recorder::{Emergency, Picture, Recorded, read},
};

/// Moments that are shown of the newest emergency: its first and its last.
const FIRST: usize = 4;
const LAST: usize = 9;
/// Of what failed, of earlier emergencies and of damaged files, so many lines each.
const LINES: usize = 3;
/// Samples that are printed, which fit into the ring many times.
const SAMPLES: usize = 1_000_000;
const WORD_LIMIT: u64 = 256;

pub(super) fn flight(arguments: &FlightArguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !arguments.samples || arguments.output.output == Output::Json,
        "--samples needs --output json"
    );
    let directory = arguments.settings.load()?.recorder.directory;
    let writer = arguments.samples.then(Writer::new).transpose()?;
    let mut samples = Vec::new();
    let recorded = read(&directory, |_, sample| {
        if let Some(writer) = &writer
            && samples.len() < SAMPLES
        {
            // What the messages do not describe cannot be in a message.
            samples.extend(writer.sample(sample));
        }
    })
    .with_context(|| format!("looking into {}", directory.display()))?;
    let booted = booted();
    match arguments.output.output {
        Output::Text => print(&text(&directory, &recorded, booted)?)?,
        Output::Json => {
            let mut object = object(&directory, &recorded, booted)?;
            if writer.is_some() {
                object.insert("samples".to_owned(), json!(samples));
            }
            print(&format!("{:#}\n", Value::Object(object)))?;
        }
    }
    Ok(if recorded.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INCOMPLETE)
    })
}

/// When this node started, by its clock.
fn booted() -> Option<Timestamp> {
    let host = Host::open(Path::new("/")).ok()?;
    let uptime = host.read("/proc/uptime", WORD_LIMIT).ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    let up = SignedDuration::try_from_secs_f64(seconds).ok()?;
    host.now().checked_sub(up).ok()
}

fn text(
    directory: &Path,
    recorded: &Recorded,
    booted: Option<Timestamp>,
) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let shown = plain(&directory.display().to_string());
    let newest = recorded.emergencies.last();
    match newest {
        None if shown.is_empty() => writeln!(text, "The settings say that nothing is recorded.")?,
        None => writeln!(text, "No emergency is recorded in {shown}.")?,
        Some(newest) => {
            writeln!(
                text,
                "{} in {shown}, {}. Newest:\n",
                count(recorded.emergencies.len(), "emergency", "emergencies"),
                summary::bytes(recorded.bytes)
            )?;
            emergency(&mut text, newest, booted)?;
        }
    }
    let earlier: Vec<_> = recorded.emergencies.iter().rev().skip(1).collect();
    if !earlier.is_empty() {
        writeln!(text, "\nEarlier:")?;
        for emergency in earlier.iter().take(LINES) {
            let lasted = seconds(emergency.last.duration_since(emergency.began));
            let (began, signs) = (second(emergency.began), signs(emergency));
            let end = if emergency.ended.is_some() {
                format!("over after {lasted}")
            } else {
                format!("no end recorded, last record after {lasted}")
            };
            writeln!(text, "  {began}: {signs}; {end}")?;
        }
        more(&mut text, earlier.len())?;
    }
    if !recorded.problems.is_empty() {
        writeln!(text, "\nNot read to the end:")?;
        for problem in recorded.problems.iter().take(LINES) {
            writeln!(text, "  {}: {}", plain(&problem.file), plain(&problem.what))?;
        }
        more(&mut text, recorded.problems.len())?;
    }
    Ok(text)
}

fn emergency(text: &mut String, newest: &Emergency, booted: Option<Timestamp>) -> fmt::Result {
    let lasted = seconds(newest.last.duration_since(newest.began));
    writeln!(text, "  why    {}", signs(newest))?;
    writeln!(text, "  began  {}", second(newest.began))?;
    match newest.ended {
        Some(ended) => writeln!(text, "  ended  {}, after {lasted}", second(ended))?,
        None => writeln!(
            text,
            "  last   {}, after {lasted}: no end is recorded; {}",
            second(newest.last),
            why_no_end(newest.last, booted)
        )?,
    }
    writeln!(
        text,
        "  kept   {}, {} found no room\n",
        count(whole(newest.updates), "update", "updates"),
        count(whole(newest.left_out_samples), "sample", "samples")
    )?;
    if newest.moments.is_empty() {
        return writeln!(text, "  What was sampled is not in the record any more.");
    }
    writeln!(
        text,
        "  {:<9} {:<10} {:<9} {:<29} {:>7}  {:<22} failing",
        "UTC", "quorum", "online", "own HA manager", "load", "stalled CPU mem I/O"
    )?;
    let moments = &newest.moments;
    let hidden = moments.len().saturating_sub(FIRST + LAST);
    for (index, moment) in moments.iter().enumerate() {
        if index == FIRST && hidden > 0 {
            let hidden = count(hidden, "moment", "moments");
            writeln!(text, "  ... {hidden} more, with --output json")?;
        }
        if index < FIRST || index >= FIRST.saturating_add(hidden) {
            writeln!(text, "  {}", row(moment).trim_end())?;
        }
    }
    let failing = moments.last().map(|moment| &moment.failing);
    if let Some(failing) = failing.filter(|failing| !failing.is_empty()) {
        writeln!(text, "\n  Failing at last:")?;
        for (collector, what) in failing.iter().take(LINES) {
            writeln!(text, "    {}: {}", plain(collector), plain(what))?;
        }
        more(text, failing.len())?;
    }
    Ok(())
}

/// What can be told of an end that is missing.
fn why_no_end(last: Timestamp, booted: Option<Timestamp>) -> String {
    match booted {
        Some(booted) if booted > last => format!(
            "the node started anew {} later, at {}",
            seconds(booted.duration_since(last)),
            second(booted)
        ),
        Some(_) => "it goes on, or the agent ended before".to_owned(),
        None => "the node was reset, or the agent ended before".to_owned(),
    }
}

fn row(moment: &Picture) -> String {
    let quorum = match moment.quorate {
        None => "-",
        Some(true) => "yes",
        Some(false) => "NO QUORUM",
    };
    let online = moment
        .members_online
        .zip(moment.members)
        .map(|(online, members)| format!("{online} of {members}"));
    let manager = moment.ha_manager.as_ref().map(|state| {
        // Words of a file that any node can write.
        let state: String = plain(state).chars().take(15).collect();
        match moment.ha_manager_age_seconds {
            Some(age) => format!("{state}, {age} s old"),
            None => state,
        }
    });
    let ratio = |ratio: Option<f64>| {
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0))
    };
    let stalled = &moment.stalled;
    format!(
        "{:<9} {:<10} {:<9} {:<29} {:>7}  {:>6} {:>6} {:>6}   {}",
        moment.at.strftime("%H:%M:%S").to_string(),
        quorum,
        or_dash(online),
        or_dash(manager),
        or_dash(moment.load1.map(|load| format!("{load:.2}"))),
        ratio(stalled.cpu),
        ratio(stalled.memory),
        ratio(stalled.io),
        if moment.failing.is_empty() {
            String::new()
        } else {
            moment.failing.len().to_string()
        }
    )
}

fn object(
    directory: &Path,
    recorded: &Recorded,
    booted: Option<Timestamp>,
) -> anyhow::Result<Map<String, Value>> {
    let emergencies: Result<Vec<Value>, serde_json::Error> = recorded
        .emergencies
        .iter()
        .map(|emergency| {
            let signs: Vec<_> = emergency.signs.iter().map(|sign| sign.name()).collect();
            Ok(json!({
                "began_at": emergency.began.to_string(),
                "signs": signs,
                "ended_at": emergency.ended.map(|at| at.to_string()),
                "last_record_at": emergency.last.to_string(),
                "updates": emergency.updates,
                "left_out_samples": emergency.left_out_samples,
                "moments": serde_json::to_value(&emergency.moments)?,
            }))
        })
        .collect();
    let problems = recorded.problems.iter();
    let problems: Vec<Value> = problems
        .map(|problem| json!({ "file": problem.file, "problem": problem.what }))
        .collect();
    let mut object = Map::new();
    object.insert("directory".to_owned(), json!(directory.to_string_lossy()));
    object.insert("files".to_owned(), json!(recorded.files));
    object.insert("bytes".to_owned(), json!(recorded.bytes));
    object.insert(
        "node_started_at".to_owned(),
        json!(booted.map(|at| at.to_string())),
    );
    object.insert("problems".to_owned(), json!(problems));
    object.insert("emergencies".to_owned(), Value::Array(emergencies?));
    Ok(object)
}

pub(super) fn signs(emergency: &Emergency) -> String {
    let words: Vec<_> = emergency.signs.iter().map(|sign| sign.words()).collect();
    match words.join(", ") {
        words if words.is_empty() => "not recorded".to_owned(),
        words => words,
    }
}

fn more(text: &mut String, number: usize) -> fmt::Result {
    match number.saturating_sub(LINES) {
        0 => Ok(()),
        more => writeln!(text, "  and {more} more, with --output json"),
    }
}

pub(super) fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn seconds(span: SignedDuration) -> String {
    format!("{} s", span.as_secs())
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
