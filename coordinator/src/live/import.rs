//! The history that a node had kept itself, on its way to the store.
//!
//! It is held until the guests of the node are known, becomes series of the metrics
//! that mean the same, and is not held any longer. What comes again is let go: a
//! node is imported once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use prost::Message;
use pvelens_proto::{
    agent::v1::{
        GuestKind, RrdArchive, RrdConsolidation, RrdHistory, RrdLayout, RrdObject, RrdObjectKind,
        RrdSeries,
    },
    timestamp_to_millis,
};

use super::{ClusterId, ClusterLive, Live, Name, keys::Recorder, limit};
use crate::{
    history::ObjectKey,
    store::{
        block::SeriesKey,
        import::{Archive, Column, Import, Past, PastObject},
        row::StateRow,
    },
};

mod columns;

use columns::{COLUMNS, GUEST, GUEST_MEMORY, Mapped, NODE, STORAGE};

/// Bytes of histories that wait: those of some dozens of nodes. What does not fit is
/// taken when the node sends it the next time.
const WAITING_BYTES: usize = 128 << 20;
/// How long the guests of a node are waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Archives of one file.
const ARCHIVES: usize = 32;
/// Files that one object may have: one of each layout.
const LAYOUTS: usize = 2;

/// Histories that wait, and nodes that are done.
#[derive(Debug, Default)]
pub(super) struct Imports {
    done: HashSet<String>,
    waiting: BTreeMap<(ClusterId, Name), Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    history: RrdHistory,
    received_at: Timestamp,
    bytes: usize,
}

impl Imports {
    /// Goes on with the nodes that the store says are done.
    pub(super) fn load(done: Vec<StateRow>) -> Self {
        Self {
            done: done.into_iter().map(|row| row.key).collect(),
            ..Self::default()
        }
    }

    /// Takes the history of a node, unless it is there or on its way.
    pub(super) fn offer(
        &mut self,
        cluster: &ClusterId,
        node: &Name,
        history: RrdHistory,
        received_at: Timestamp,
    ) {
        let place = (ClusterId::clone(cluster), Name::clone(node));
        let bytes = history.encoded_len();
        if self.done.contains(&key(&place))
            || self.waiting.contains_key(&place)
            || self.bytes.saturating_add(bytes) > WAITING_BYTES
        {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let waiting = Waiting {
            history,
            received_at,
            bytes,
        };
        self.waiting.insert(place, waiting);
    }

    /// The node is done, and what it sent meanwhile is not wanted.
    fn finish(&mut self, done: &str) {
        while let Some((place, _)) = self.waiting.iter().find(|(place, _)| key(place) == done) {
            let place = place.clone();
            self.take(&place);
        }
        self.done.insert(done.to_owned());
    }

    fn take(&mut self, place: &(ClusterId, Name)) -> Option<Waiting> {
        let waiting = self.waiting.remove(place)?;
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        Some(waiting)
    }
}

impl Live {
    /// The next history that can be imported. Its series are new to the store perhaps:
    /// what is [`taken`](Self::take) next has their rows.
    pub fn take_import(&mut self, now: Timestamp) -> Option<Import> {
        let waiting = self.recorder.imports.waiting.iter();
        let ready = waiting
            .filter(|((cluster, node), waiting)| {
                let agent = self.clusters.get(cluster);
                let agent = agent.and_then(|cluster| cluster.agents.get(node));
                agent.is_some_and(|agent| agent.facts.guest_list.is_some())
                    || now.duration_since(waiting.received_at).abs() >= PATIENCE
            })
            .map(|(place, _)| (ClusterId::clone(&place.0), Name::clone(&place.1)))
            .next()?;
        let Waiting {
            history,
            received_at,
            ..
        } = self.recorder.imports.take(&ready)?;
        let cluster = self.clusters.get_mut(&ready.0)?;
        let pasts = cluster.pasts(&ready.1, history, &mut self.recorder, now);
        Some(Import::new(key(&ready), pasts, received_at))
    }

    /// All of it is in the store.
    pub fn imported(&mut self, import: &Import) {
        self.recorder.imports.finish(import.key());
    }
}

impl ClusterLive {
    /// The series of a history.
    fn pasts(
        &mut self,
        node: &Name,
        history: RrdHistory,
        recorder: &mut Recorder,
        now: Timestamp,
    ) -> Vec<(SeriesKey, Past)> {
        let mut files: BTreeMap<(RrdObjectKind, String), Vec<RrdObject>> = BTreeMap::new();
        for object in history.objects {
            let known = files.entry((object.kind(), object.name.clone()));
            let known = known.or_default();
            if known.len() < LAYOUTS {
                known.push(object);
            }
        }
        let guests = self.past_guests(node);
        let mut pasts = Vec::new();
        for ((kind, name), mut objects) in files {
            // Of two the newer one counts.
            objects.sort_by_key(|object| object.layout() != RrdLayout::Pve9);
            let mut more: &[Mapped] = &[];
            let (key, mapped, since) = match kind {
                RrdObjectKind::Node if *name == **node => {
                    (self.keys.touch_node(node, recorder, now), NODE, i64::MIN)
                }
                RrdObjectKind::Storage if is_name(&name) => {
                    let key = self.keys.touch_storage(node, &name, recorder, now);
                    (key, STORAGE, i64::MIN)
                }
                RrdObjectKind::Guest => {
                    let Some(guest) = name.parse().ok().and_then(|vmid: u32| guests.get(&vmid))
                    else {
                        continue;
                    };
                    let vmid = guest.vmid;
                    let key = self
                        .keys
                        .touch_guest(vmid, guest.kind.into(), recorder, now);
                    if guest.tells_memory {
                        more = GUEST_MEMORY;
                    }
                    (key, GUEST, guest.since)
                }
                _ => continue,
            };
            let object = Arc::new(object(objects));
            for mapped in [mapped, more] {
                recorder.add_pasts(key, mapped, &object, since, &mut pasts);
            }
        }
        pasts
    }

    /// The guests on a node whose files are theirs.
    fn past_guests(&self, node: &Name) -> HashMap<u32, PastGuest> {
        let Some(agent) = self.agents.get(node) else {
            return HashMap::new();
        };
        let configs = agent.facts.guest_configs.iter();
        let created: HashMap<u32, i64> = configs
            .flat_map(|configs| configs.value.iter())
            .filter_map(|known| {
                let settings = known.config.settings.as_ref()?;
                Some((known.config.vmid, settings.created_at.as_ref()?.seconds))
            })
            .collect();
        let status = agent.facts.pve_status.iter();
        let balloons: HashSet<u32> = status
            .flat_map(|status| &status.value.guests)
            .filter(|guest| {
                let balloon = guest.balloon.as_ref();
                balloon.is_some_and(|balloon| balloon.guest_free_bytes.is_some())
            })
            .map(|guest| guest.vmid)
            .collect();
        let list = agent.facts.guest_list.iter();
        list.flat_map(|list| &list.value.guests)
            .filter(|guest| *guest.node == **node && guest.kind() != GuestKind::Unspecified)
            // What is there of a VMID that was given again is another guest's.
            .filter(|guest| self.keys.generation(guest.vmid) == 1)
            .map(|guest| {
                let past = PastGuest {
                    vmid: guest.vmid,
                    kind: guest.kind(),
                    since: created.get(&guest.vmid).copied().unwrap_or(i64::MIN),
                    // As of what is measured: else it is the memory of the host.
                    tells_memory: guest.kind() == GuestKind::Lxc || balloons.contains(&guest.vmid),
                };
                (guest.vmid, past)
            })
            .collect()
    }
}

struct PastGuest {
    vmid: u32,
    kind: GuestKind,
    /// When it was made, where its configuration says that.
    since: i64,
    tells_memory: bool,
}

impl Recorder {
    fn add_pasts(
        &mut self,
        key: ObjectKey,
        mapped: &[Mapped],
        object: &Arc<PastObject>,
        since: i64,
        pasts: &mut Vec<(SeriesKey, Past)>,
    ) {
        for (metric, part, formula) in mapped {
            if !object.has(*formula) {
                continue;
            }
            if let Some(series) = self.series(key, *metric, part) {
                let past = Past {
                    metric: *metric,
                    formula: *formula,
                    object: Arc::clone(object),
                    since,
                };
                pasts.push((series, past));
            }
        }
    }
}

/// The archives of the files of one object.
fn object(files: Vec<RrdObject>) -> PastObject {
    let (mut means, mut maxima) = (Vec::new(), Vec::new());
    for file in files {
        for wire in file.archives.into_iter().take(ARCHIVES) {
            let consolidation = wire.consolidation();
            let Some(archive) = archive(wire) else {
                continue;
            };
            match consolidation {
                RrdConsolidation::Average => means.push(archive),
                RrdConsolidation::Maximum => maxima.push(archive),
                RrdConsolidation::Unspecified => {}
            }
        }
    }
    PastObject::new(means, maxima)
}

fn archive(wire: RrdArchive) -> Option<Archive> {
    let first_end = timestamp_to_millis(wire.first_at.as_ref()?).div_euclid(1000);
    let mut columns: Vec<(&'static str, Column)> = Vec::new();
    for RrdSeries { name, runs, values } in wire.series {
        let known = COLUMNS.iter().find(|known| **known == name);
        let known = known.filter(|known| columns.iter().all(|(name, _)| name != *known));
        if let Some(known) = known
            && let Some(column) = Column::new(&runs, values, wire.rows)
        {
            columns.push((known, column));
        }
    }
    Archive::new(wire.step_seconds, first_end, wire.rows, columns)
}

/// Whether a storage may have the name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && limit::cut(name, limit::NAME) == name && !name.contains('@')
}

fn key((cluster, node): &(ClusterId, Name)) -> String {
    format!("{cluster}/{node}")
}

#[cfg(test)]
mod tests;
