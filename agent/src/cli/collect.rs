//! `collect --once`: every source once, for a look without a coordinator.

use std::{
    fmt::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use crate::{
    collector::{COLLECTORS, Runner},
    host::{Host, kind_name},
};
use anyhow::Context;
use pvelens_proto::agent::v1::{FailureKind, HostIdentity, Sample, SourceFailure, sample::Payload};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::{CollectArguments, INCOMPLETE, Output, json::Writer, plain, print, summary};

pub(super) fn collect(arguments: &CollectArguments) -> anyhow::Result<ExitCode> {
    let host = Host::open(&arguments.root).context("opening the root")?;
    let samples = sampled(host)?;
    match arguments.output.output {
        Output::Text => print(&text(&samples)?)?,
        Output::Json => print(&format!("{:#}\n", object(&samples)?))?,
    }
    let complete = samples.iter().all(|sample| sample.failures.is_empty());
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INCOMPLETE)
    })
}

/// One after the other, each with its deadline.
pub(super) fn sampled(host: Host) -> anyhow::Result<Vec<Sample>> {
    let host = Arc::new(host);
    runtime()?.block_on(async {
        let mut samples = Vec::new();
        for collector in COLLECTORS {
            samples.push(Runner::new(*collector).run(&host).await);
        }
        Ok(samples)
    })
}

/// One thread is enough to wait on.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn identity(samples: &[Sample]) -> Option<&HostIdentity> {
    samples.iter().find_map(|sample| match &sample.payload {
        Some(Payload::HostIdentity(identity)) => Some(identity),
        _ => None,
    })
}

fn object(samples: &[Sample]) -> anyhow::Result<Value> {
    let writer = Writer::new()?;
    let mut by_collector = Map::new();
    let mut failures = Vec::new();
    for sample in samples {
        let object = writer.sample(sample)?;
        for failure in &sample.failures {
            failures.push(json!({
                "collector": sample.collector,
                "path": failure.path,
                "kind": kind(failure),
                "detail": failure.detail,
            }));
        }
        by_collector.insert(sample.collector.clone(), Value::Object(object));
    }
    let identity = identity(samples);
    Ok(json!({
        "agent_version": env!("CARGO_PKG_VERSION"),
        "node_name": identity.map(|identity| &identity.node_name),
        "is_pve_node": identity.map(|identity| identity.is_pve_node),
        "failures": failures,
        "samples": by_collector,
    }))
}

fn text(samples: &[Sample]) -> Result<String, fmt::Error> {
    let mut text = heading(samples);
    text.push('\n');
    let names = samples.iter().map(|sample| sample.collector.len());
    let width = names.max().unwrap_or_default();
    for sample in samples {
        let outcome = match &sample.payload {
            Some(Payload::NoData(none)) => format!("- {}", none.reason),
            Some(payload) => summary::line(payload),
            None => "failed".to_owned(),
        };
        writeln!(text, "  {:<width$} {}", sample.collector, plain(&outcome))?;
        for failure in &sample.failures {
            writeln!(text, "  {:<width$} ! {}", "", plain(&blame(failure)))?;
        }
    }
    text.push('\n');
    text.push_str(&conclusion(samples)?);
    Ok(text)
}

/// Who this is, and plainly whether it is a Proxmox VE node.
fn heading(samples: &[Sample]) -> String {
    let Some(identity) = identity(samples) else {
        return "Who this node is, could not be read.\n".to_owned();
    };
    let name = if identity.node_name.is_empty() {
        "a node without name"
    } else {
        &identity.node_name
    };
    let system = match identity.operating_system.as_str() {
        "" => "unknown system",
        system => system,
    };
    let system = match identity.pve_manager_version.as_str() {
        "" if identity.is_pve_node => format!("Proxmox VE of unknown version on {system}"),
        "" => system.to_owned(),
        version => format!("Proxmox VE {version} on {system}"),
    };
    let mut text = plain(&format!(
        "{name}: {system}, {}",
        match identity.kernel_release.as_str() {
            "" => "unknown kernel".to_owned(),
            release => format!("kernel {release}"),
        }
    ));
    let is_broken = samples
        .iter()
        .flat_map(|sample| &sample.failures)
        .any(|failure| failure.path.starts_with("/etc/pve/"));
    text.push_str(match (identity.is_pve_node, is_broken) {
        (true, _) => "",
        (false, true) => {
            "\n/etc/pve is there, but the cluster file system is not: pve-cluster does not run, or it hangs."
        }
        (false, false) => "\nThis is not a Proxmox VE node. Only facts of the host are read.",
    });
    text.push('\n');
    text
}

fn conclusion(samples: &[Sample]) -> Result<String, fmt::Error> {
    let empty = samples
        .iter()
        .filter(|sample| matches!(sample.payload, Some(Payload::NoData(_))))
        .count();
    let failed = samples.iter().filter(|s| s.payload.is_none()).count();
    let partly = samples
        .iter()
        .filter(|sample| sample.payload.is_some() && !sample.failures.is_empty())
        .count();
    let micros: u64 = samples
        .iter()
        .map(|sample| u64::from(sample.duration_microseconds))
        .sum();
    let bytes: u64 = samples.iter().map(|sample| sample.read_bytes).sum();
    let mut text = format!("{} sources", samples.len());
    for (count, words) in [
        (empty, "with nothing to collect"),
        (partly, "read in part"),
        (failed, "failed"),
    ] {
        if count > 0 {
            write!(text, ", {count} {words}")?;
        }
    }
    writeln!(
        text,
        "; {} read in {}.{:03} ms.",
        summary::bytes(bytes),
        micros / 1000,
        micros % 1000
    )?;
    Ok(text)
}

fn blame(failure: &SourceFailure) -> String {
    let kind = kind(failure).replace('_', " ");
    // The operating system's own words need no second name.
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

fn kind(failure: &SourceFailure) -> String {
    kind_name(failure.kind())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn this_machine() -> Vec<Sample> {
        sampled(Host::open(Path::new("/")).unwrap()).unwrap()
    }

    #[test]
    fn every_collector_is_in_both_outputs() {
        let samples = this_machine();
        let (text, object) = (text(&samples).unwrap(), object(&samples).unwrap());
        for collector in COLLECTORS {
            assert!(text.contains(collector.name), "{}", collector.name);
            assert!(object["samples"].get(collector.name).is_some());
        }
        assert_eq!(samples.len(), COLLECTORS.len());
    }

    #[test]
    fn a_failure_is_named_in_both_outputs() {
        let failed = Sample {
            collector: "members".to_owned(),
            failures: vec![SourceFailure {
                path: "/etc/pve/.members".to_owned(),
                kind: FailureKind::Disconnected.into(),
                detail: "gone\u{7}".to_owned(),
            }],
            ..Sample::default()
        };
        let text = text(std::slice::from_ref(&failed)).unwrap();
        assert!(
            text.contains("! /etc/pve/.members: disconnected: gone\u{fffd}"),
            "{text}"
        );
        assert!(text.contains("1 failed"));
        let object = object(&[failed]).unwrap();
        assert_eq!(object["failures"][0]["kind"], "disconnected");
    }
}
