//! What Proxmox VE has of the last hour, imported, against what we measured in it.
//!
//! The recordings have no RRD files; they have what the API read from them, a row each
//! minute. A row becomes an archive of half an hour, and goes the way of every history.
//! So it shows that a column means what our metric means, in its unit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context, Result};
use jiff::SignedDuration;
use pvelens::{
    check::Params,
    coordinator::Coordinator,
    metric::Metric,
    store::{
        Store,
        block::SeriesKey,
        query::{self, Span},
        tier::Tier,
    },
};
use pvelens_proto::{
    agent::v1::{
        Cursor, NodeUpdate, RrdArchive, RrdConsolidation, RrdHistory, RrdLayout, RrdObject,
        RrdObjectKind, RrdSeries, Sample, sample::Payload,
    },
    timestamp_from_millis,
};
use serde_json::Value;

use crate::{compare::NodeFacts, feed, recordings::State};

/// Metrics of both, and how far they may be apart: a part of the value, and so much.
/// A row is the mean of a minute, and what is measured is that of seconds.
const COMPARED: &[(Metric, &str, f64, f64)] = &[
    (Metric::MemoryTotalBytes, "", 0.0, 4096.0),
    (Metric::MemoryUsedBytes, "", 0.1, 64e6),
    (Metric::MemoryAvailableBytes, "", 0.1, 64e6),
    (Metric::MemoryAvailableRatio, "", 0.1, 0.02),
    (Metric::MemoryHostBytes, "", 0.1, 64e6),
    (Metric::SwapUsedBytes, "", 0.1, 1e6),
    (Metric::UsedBytes, "/", 0.05, 1e6),
    (Metric::TotalBytes, "/", 0.0, 4096.0),
    (Metric::UsedRatio, "/", 0.05, 0.001),
    // Load that changes within a minute.
    (Metric::CpuRatio, "", 0.5, 0.3),
    (Metric::Load1, "", 0.5, 2.0),
    (Metric::CpuPressureSomeRatio, "", 0.5, 0.3),
    (Metric::IoPressureSomeRatio, "", 0.5, 0.3),
];

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) metrics: BTreeSet<&'static str>,
    pub(crate) values: usize,
    pub(crate) apart: Vec<String>,
}

pub(crate) fn compare(state: &State, nodes: &[NodeFacts<'_>]) -> Result<Compared> {
    let directory = tempfile::TempDir::new()?;
    let start = feed::seconds(state.nodes[0].trees[0].meta.start)?;
    let store = Arc::new(Store::open(directory.path(), 1 << 30, start)?);
    let coordinator = Coordinator::new(Params::default());
    coordinator.keep_in(Arc::clone(&store), start)?;
    let now = feed::feed_to(&coordinator, state, nodes)?.view.at;
    for node in nodes {
        let agent = feed::describe(node, now);
        let update = NodeUpdate {
            cursor: Some(Cursor {
                epoch: agent.epoch.clone(),
                sequence: 1000,
            }),
            samples: vec![Sample {
                collector: "rrd_history".to_owned(),
                observed_at: Some(timestamp_from_millis(now.as_millisecond())),
                payload: Some(Payload::RrdHistory(history(
                    state,
                    node.node,
                    now.as_second(),
                )?)),
                ..Sample::default()
            }],
            ..NodeUpdate::default()
        };
        coordinator.live().append(&agent, update, now);
    }
    coordinator.write_down(now)?;
    loop {
        let Some(mut import) = coordinator.live().take_import(now) else {
            break;
        };
        coordinator.write_down(now)?;
        while !import.step(&store, now)? {}
        coordinator.live().imported(&import);
    }
    let mut names = BTreeMap::new();
    let found = store.read(|reader| {
        for object in reader.objects()? {
            for row in reader.series(Some(object.id))? {
                let key = SeriesKey {
                    metric: row.metric,
                    series: row.id,
                };
                let name = object.object.name.to_string();
                names.insert(key, (name, row.part.to_string()));
            }
        }
        let keys = names.keys().copied().collect();
        let span = Span {
            from: now - SignedDuration::from_hours(48),
            until: now + SignedDuration::from_hours(1),
            tier: Tier::Hour,
        };
        query::values(reader, &keys, &span)
    })?;
    let mut compared = Compared::default();
    for (key, values) in found.series {
        let (name, part) = &names[&key];
        let (Some(theirs), Some(ours)) = (values.hours.last(), values.buckets.last()) else {
            continue;
        };
        let known = COMPARED
            .iter()
            .find(|(metric, of, ..)| metric.number() == key.metric && of == part);
        let Some((metric, _, relative, absolute)) = known else {
            continue;
        };
        compared.metrics.insert(metric.info().name);
        compared.values += 1;
        // Anything that we measured within that time may be the value.
        let room = absolute.max(relative * theirs.mean.abs());
        let low = ours.minimum - room;
        let high = ours.maximum + room;
        if theirs.mean < low || theirs.mean > high {
            compared.apart.push(format!(
                "{name} {} {part}: they {}, we {} to {}",
                metric.info().name,
                theirs.mean,
                ours.minimum,
                ours.maximum
            ));
        }
    }
    Ok(compared)
}

/// The newest row of each object of a node, as half an hour of the day before.
fn history(state: &State, node: &str, now: i64) -> Result<RrdHistory> {
    let mut history = RrdHistory::default();
    let folder = state.oracle("t0");
    for entry in std::fs::read_dir(&folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let Some(place) = file
            .strip_prefix(&format!("nodes_{node}_"))
            .and_then(|rest| rest.strip_suffix("rrddata_timeframe=hour_cf=AVERAGE.json"))
        else {
            continue;
        };
        let (kind, name) = match place.trim_end_matches('_').split_once('_') {
            None => (RrdObjectKind::Node, node),
            Some((_, vmid)) => (RrdObjectKind::Guest, vmid),
        };
        let answer: Value = serde_json::from_str(&std::fs::read_to_string(folder.join(&file))?)?;
        let rows = answer.pointer("/body/data");
        let rows = rows.and_then(Value::as_array).context("no rows")?;
        // Of a minute that is not over there is the time alone.
        let mut newest = rows.iter().rev().filter_map(Value::as_object);
        let Some(newest) = newest.find(|row| row.contains_key("cpu")) else {
            continue;
        };
        let end = now / 3600 * 3600 - 3600;
        let series = newest.iter().filter_map(|(name, value)| {
            #[expect(clippy::cast_possible_truncation, reason = "as the wire has it")]
            let value = value.as_f64()? as f32;
            Some(RrdSeries {
                name: name.clone(),
                runs: vec![0, 1],
                values: vec![value],
            })
        });
        history.objects.push(RrdObject {
            kind: kind.into(),
            name: name.to_owned(),
            layout: RrdLayout::Pve9.into(),
            updated_at: None,
            archives: vec![RrdArchive {
                consolidation: RrdConsolidation::Average.into(),
                step_seconds: 1800,
                first_at: Some(timestamp_from_millis(end * 1000)),
                rows: 1,
                series: series.collect(),
            }],
        });
    }
    Ok(history)
}
