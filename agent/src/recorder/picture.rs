//! How the node fared at one moment, as far as the records until then tell.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{
    NodeUpdate, Pressure, ResourcePressure, Sample, SourceFailure, sample::Payload,
};
use serde::{Serialize, Serializer};

use super::record::time;
use crate::host::kind_name;

/// Collectors that fail at the same time and are named.
const FAILING: usize = 100;

/// The facts that tell of an emergency. What is absent was not recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Picture {
    #[serde(serialize_with = "text")]
    pub at: Timestamp,
    pub node: String,
    pub quorate: Option<bool>,
    pub members_online: Option<usize>,
    pub members: Option<usize>,
    /// State of the node's own HA manager.
    pub ha_manager: Option<String>,
    pub ha_manager_age_seconds: Option<i64>,
    pub load1: Option<f64>,
    pub uptime_seconds: Option<f64>,
    pub stalled: Stalled,
    /// By collector, the first thing that it could not read.
    pub failing: BTreeMap<String, String>,
}

/// Share of the last ten seconds in which tasks waited, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stalled {
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub io: Option<f64>,
}

/// The picture as it becomes, record by record.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) picture: Picture,
    manager_written: Option<Timestamp>,
}

impl Account {
    /// Takes in what was sampled next.
    pub(super) fn take(&mut self, update: &NodeUpdate, written: Timestamp) {
        let newest = update.samples.iter().filter_map(observed).max();
        self.picture.at = newest.unwrap_or(written);
        for sample in &update.samples {
            self.take_sample(sample);
        }
    }

    fn take_sample(&mut self, sample: &Sample) {
        let picture = &mut self.picture;
        if let Some(failure) = sample.failures.first() {
            if picture.failing.len() < FAILING || picture.failing.contains_key(&sample.collector) {
                let collector = sample.collector.clone();
                picture.failing.insert(collector, words(failure));
            }
        } else {
            picture.failing.remove(&sample.collector);
        }
        match &sample.payload {
            Some(Payload::ClusterMembers(members)) => {
                picture.node.clone_from(&members.node_name);
                picture.quorate = members.cluster.as_ref().map(|cluster| cluster.quorate);
                let online = members.members.iter().filter(|member| member.online);
                picture.members_online = Some(online.count());
                picture.members = Some(members.members.len());
            }
            Some(Payload::HaState(state)) => {
                let own = state.local_managers.iter().find(|m| m.node == picture.node);
                picture.ha_manager = own.map(|own| own.state.clone());
                self.manager_written = own.and_then(|own| own.written_at.as_ref().and_then(time));
            }
            Some(Payload::Load(load)) => {
                picture.load1 = Some(load.load1);
                picture.uptime_seconds = Some(load.uptime_seconds);
            }
            Some(Payload::Pressure(pressure)) => picture.stalled = stalled(pressure),
            _ => {}
        }
        // A status that is unchanged has aged.
        if sample.collector == "ha_state" && sample.payload.is_some() {
            let times = self.manager_written.zip(observed(sample));
            picture.ha_manager_age_seconds =
                times.map(|(written, seen)| seen.as_second() - written.as_second());
        }
    }
}

fn stalled(pressure: &Pressure) -> Stalled {
    let some = |resource: &Option<ResourcePressure>| {
        let some = resource.as_ref()?.some.as_ref()?;
        Some(some.avg10_ratio)
    };
    Stalled {
        cpu: some(&pressure.cpu),
        memory: some(&pressure.memory),
        io: some(&pressure.io),
    }
}

fn observed(sample: &Sample) -> Option<Timestamp> {
    sample.observed_at.as_ref().and_then(time)
}

fn words(failure: &SourceFailure) -> String {
    let kind = kind_name(failure.kind()).replace('_', " ");
    match failure.path.as_str() {
        "" => kind,
        path => format!("{path}: {kind}"),
    }
}

fn text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
