//! `reads`: what the agent opens and the probes run, for whoever must allow it.

use std::{
    fmt::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use crate::{
    collector::{COLLECTORS, Collector},
    config, guest,
    host::Host,
    ledger,
};
use anyhow::Context;
use pvelens_proto::agent::v1::CollectionClass;
use serde_json::{Value, json};

use super::{Output, print, probe};

/// Sockets of guest agents.
const GUEST_AGENTS: &str = "/run/qemu-server/*.qga";

pub(super) fn reads(output: Output) -> anyhow::Result<ExitCode> {
    let host = Host::open(Path::new("/")).context("opening the root")?;
    match output {
        Output::Text => print(&format!("{}\n{}", text()?, probe::text(&host)?))?,
        Output::Json => {
            let collectors: Vec<Value> = COLLECTORS.iter().map(object).collect();
            let object = json!({
                "collectors": collectors,
                "self_report": { "paths": ledger::PATHS },
                "guest_commands": { "paths": guest::PATHS, "connects": GUEST_AGENTS, "writes": audit() },
                "probes": probe::objects(&host),
            });
            print(&format!("{object:#}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn object(collector: &Collector) -> Value {
    json!({
        "name": collector.name,
        "summary": collector.summary,
        "class": class(collector.class),
        "interval_seconds": collector.interval.as_secs(),
        "runs_on_change": collector.runs_on_change(),
        "deadline_milliseconds": u64::try_from(collector.deadline.as_millis()).unwrap_or(u64::MAX),
        "paths": collector.paths,
        "probes": collector.probes,
    })
}

fn text() -> Result<String, fmt::Error> {
    let mut text = String::from(
        "Every path that the agent may open. `*` is one name, `**` any number of them.\nFiles are only read, \
         and never below /etc/pve/priv or any other place of keys.\n",
    );
    for collector in COLLECTORS {
        writeln!(
            text,
            "\n{}: {}\n  {} class, {}, given up after {}",
            collector.name,
            collector.summary,
            class(collector.class),
            rhythm(collector),
            span(collector.deadline),
        )?;
        for path in collector.paths {
            writeln!(text, "    {path}")?;
        }
        for probe in collector.probes {
            writeln!(text, "    asks a probe: {probe}")?;
        }
    }
    writeln!(
        text,
        "\n{}: what the agent itself costs\n  every {}, and when `status` asks",
        ledger::NAME,
        span(ledger::INTERVAL)
    )?;
    for path in ledger::PATHS {
        writeln!(text, "    {path}")?;
    }
    writeln!(
        text,
        "\nguest_commands: what the policy of this node allows in its guests\n  when somebody asks for one; \
         `pvelens-agent policy commands` lists them"
    )?;
    for path in guest::PATHS {
        writeln!(text, "    {path}")?;
    }
    writeln!(text, "    connects to {GUEST_AGENTS}")?;
    writeln!(text, "    writes their record in {}", audit())?;
    Ok(text)
}

/// Where the record of guest commands is when the settings say nothing else.
fn audit() -> String {
    config::Audit::default().directory.display().to_string()
}

fn rhythm(collector: &Collector) -> String {
    if collector.runs_on_change() {
        format!("on change, at least every {}", span(collector.interval))
    } else {
        format!("every {}", span(collector.interval))
    }
}

fn class(class: CollectionClass) -> &'static str {
    match class {
        CollectionClass::Fast => "fast",
        CollectionClass::Config => "config",
        CollectionClass::State => "state",
        CollectionClass::Slow => "slow",
        CollectionClass::Unspecified => "unspecified",
    }
}

fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_listed() {
        let text = text().unwrap();
        for path in COLLECTORS.iter().flat_map(|collector| collector.paths) {
            assert!(text.contains(path), "{path}");
        }
        for path in guest::PATHS {
            assert!(text.contains(path), "{path}");
        }
        assert!(text.contains("on change, at least every 10 min"));
    }
}
