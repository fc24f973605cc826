//! Which object has which series.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::GuestKind;

use super::import::Imports;
use super::seen::Heard;
use crate::{
    history::{History, ObjectKey},
    metric::Metric,
    store::{
        block::SeriesKey,
        catalog::Catalog,
        journal::Journal,
        row::{Object, ObjectKind},
    },
    view::{ClusterId, Name},
};

/// Key of an object that has no series. Never given out.
pub(crate) const NO_SERIES: ObjectKey = ObjectKey(u32::MAX);
/// What may have series in one cluster: somewhat more than there can be at one
/// time.
const NODES: usize = 512;
const GUESTS: usize = 60_000;
const STORAGES_PER_NODE: usize = 2_000;
/// Seconds for which an object without new values keeps its key: longer than
/// its values are kept.
const KEPT_SECONDS: i64 = 3_600;

/// The objects of one cluster that have series.
#[derive(Debug)]
pub(crate) struct Keys {
    cluster: ClusterId,
    /// Which of the guests that had a VMID one after the other has it now; one
    /// where nothing is said.
    generations: HashMap<u32, u32>,
    nodes: HashMap<Name, Known>,
    /// By VMID and kind: a VMID that was given to another kind of guest is
    /// another object.
    guests: BTreeMap<(u32, i32), Known>,
    /// By node, then storage.
    storages: HashMap<Name, HashMap<Name, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    key: ObjectKey,
    used: Timestamp,
}

/// Writes series; shared by all clusters.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) history: History,
    pub(crate) catalog: Catalog,
    /// What the store is to get; absent where there is none.
    pub(crate) journal: Option<Journal>,
    /// What the chronicle is to get; absent where nothing is kept.
    pub(super) heard: Option<Heard>,
    /// What nodes had kept themselves.
    pub(super) imports: Imports,
    /// What comes now is in the store already.
    pub(super) is_muted: bool,
    parts: HashSet<Arc<str>>,
    whole: Arc<str>,
}

/// A time by the coordinator's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    /// The node said another time, since its clock is wrong.
    pub(crate) is_corrected: bool,
}

impl Keys {
    /// Goes on with the guests that were known last.
    pub(super) fn new(cluster: ClusterId, recorder: &Recorder) -> Self {
        Self {
            generations: recorder.catalog.generations(&cluster),
            cluster,
            nodes: HashMap::new(),
            guests: BTreeMap::new(),
            storages: HashMap::new(),
        }
    }

    pub(super) fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// Which guest of the VMID has its series, from one.
    pub(super) fn generation(&self, vmid: u32) -> u32 {
        self.generations.get(&vmid).copied().unwrap_or(1)
    }

    pub(crate) fn node(&self, name: &str) -> ObjectKey {
        self.nodes.get(name).map_or(NO_SERIES, |known| known.key)
    }

    /// Sorted by VMID and kind.
    pub(crate) fn guests(&self) -> impl Iterator<Item = ((u32, i32), ObjectKey)> {
        self.guests.iter().map(|(id, known)| (*id, known.key))
    }

    pub(crate) fn storage(&self, node: &str, storage: &str) -> ObjectKey {
        self.storages
            .get(node)
            .and_then(|storages| storages.get(storage))
            .map_or(NO_SERIES, |known| known.key)
    }

    /// Keys of the objects of a kind.
    pub(super) fn of_kind(&self, kind: ObjectKind) -> Vec<ObjectKey> {
        let guests = |is_container: bool| {
            let guests = self.guests.iter();
            let of_kind = guests.filter(|((_, kind), _)| {
                (GuestKind::try_from(*kind) == Ok(GuestKind::Lxc)) == is_container
            });
            of_kind.map(|(_, known)| known.key).collect()
        };
        match kind {
            ObjectKind::Node => self.nodes.values().map(|known| known.key).collect(),
            ObjectKind::Qemu => guests(false),
            ObjectKind::Lxc => guests(true),
            ObjectKind::Storage => {
                let storages = self.storages.values().flat_map(HashMap::values);
                storages.map(|known| known.key).collect()
            }
        }
    }

    pub(super) fn touch_node(
        &mut self,
        name: &Name,
        recorder: &mut Recorder,
        at: Timestamp,
    ) -> ObjectKey {
        let full = self.nodes.len() >= NODES;
        let object = || Object {
            cluster: ClusterId::clone(&self.cluster),
            kind: ObjectKind::Node,
            name: Name::clone(name),
            generation: 0,
        };
        touch(&mut self.nodes, name, full, at, || {
            (Name::clone(name), recorder.catalog.object(object(), at))
        })
    }

    pub(super) fn touch_guest(
        &mut self,
        vmid: u32,
        kind: i32,
        recorder: &mut Recorder,
        at: Timestamp,
    ) -> ObjectKey {
        if let Some(known) = self.guests.get_mut(&(vmid, kind)) {
            known.used = known.used.max(at);
            return known.key;
        }
        if self.guests.len() >= GUESTS {
            return NO_SERIES;
        }
        let object = Object {
            cluster: ClusterId::clone(&self.cluster),
            kind: match GuestKind::try_from(kind) {
                Ok(GuestKind::Lxc) => ObjectKind::Lxc,
                _ => ObjectKind::Qemu,
            },
            name: vmid.to_string().into(),
            generation: self.generation(vmid),
        };
        let key = ObjectKey(recorder.catalog.object(object, at));
        self.guests.insert((vmid, kind), Known { key, used: at });
        key
    }

    pub(super) fn touch_storage(
        &mut self,
        node: &Name,
        storage: &str,
        recorder: &mut Recorder,
        at: Timestamp,
    ) -> ObjectKey {
        if self.storages.len() >= NODES && !self.storages.contains_key(node) {
            return NO_SERIES;
        }
        let storages = self.storages.entry(Name::clone(node)).or_default();
        let full = storages.len() >= STORAGES_PER_NODE;
        let object = || Object {
            cluster: ClusterId::clone(&self.cluster),
            kind: ObjectKind::Storage,
            name: format!("{storage}@{node}").into(),
            generation: 0,
        };
        touch(storages, storage, full, at, || {
            (storage.into(), recorder.catalog.object(object(), at))
        })
    }

    /// The VMID is another guest's from now on, of this generation.
    pub(super) fn forget_guest(&mut self, vmid: u32, next: u32) {
        self.generations.insert(vmid, next);
        while let Some((id, _)) = self
            .guests
            .range((vmid, i32::MIN)..=(vmid, i32::MAX))
            .next()
        {
            let id = *id;
            self.guests.remove(&id);
        }
    }

    /// Forgets objects that have had no new value for long.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let kept = |known: &mut Known| {
            // From before the clock was set back.
            known.used = known.used.min(now);
            now.as_second() - known.used.as_second() < KEPT_SECONDS
        };
        self.nodes.retain(|_, known| kept(known));
        self.guests.retain(|_, known| kept(known));
        self.storages.retain(|_, storages| {
            storages.retain(|_, known| kept(known));
            !storages.is_empty()
        });
    }
}

/// The key of an object that gets a value now.
fn touch<K, Q>(
    objects: &mut HashMap<K, Known>,
    id: &Q,
    full: bool,
    at: Timestamp,
    new: impl FnOnce() -> (K, u32),
) -> ObjectKey
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(known) = objects.get_mut(id) {
        known.used = known.used.max(at);
        return known.key;
    }
    if full {
        return NO_SERIES;
    }
    let (id, number) = new();
    let key = ObjectKey(number);
    objects.insert(id, Known { key, used: at });
    key
}

impl Recorder {
    pub(super) fn record(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        moment: Moment,
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            let whole = Arc::clone(&self.whole);
            self.keep(key, metric, &whole, moment, value);
        }
    }

    pub(super) fn record_part(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        part: &str,
        moment: Moment,
        value: f64,
    ) {
        let part = self.part(part);
        self.keep(key, metric, &part, moment, value);
    }

    /// A value from the store, for the checks.
    pub(super) fn refill(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        part: &str,
        at: Timestamp,
        value: f64,
    ) {
        let part = self.part(part);
        self.history.record_part(key, metric, &part, at, value);
    }

    /// The number of a series of the store; none of what has no series there.
    pub(super) fn series(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        part: &str,
    ) -> Option<SeriesKey> {
        let part = self.part(part);
        if key == NO_SERIES {
            return None;
        }
        let series = self.catalog.series(key.0, metric, &part)?;
        Some(SeriesKey {
            metric: metric.number(),
            series,
        })
    }

    /// One copy of each name.
    fn part(&mut self, part: &str) -> Arc<str> {
        match self.parts.get(part) {
            Some(part) => Arc::clone(part),
            None => {
                let part: Arc<str> = part.into();
                self.parts.insert(Arc::clone(&part));
                part
            }
        }
    }

    /// The copy of a name that has series.
    pub(super) fn known_part(&self, part: &str) -> Option<Arc<str>> {
        if part.is_empty() {
            return Some(Arc::clone(&self.whole));
        }
        self.parts.get(part).cloned()
    }

    fn keep(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        part: &Arc<str>,
        moment: Moment,
        value: f64,
    ) {
        if key == NO_SERIES {
            return;
        }
        if metric.info().is_judged {
            self.history
                .record_part(key, metric, part, moment.at, value);
        }
        if let Some(journal) = self.journal.as_mut().filter(|_| !self.is_muted)
            && let Some(series) = self.catalog.series(key.0, metric, part)
        {
            journal.record(series, metric, moment.at, value, moment.is_corrected);
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.history.forget_before(now);
        self.parts.retain(|part| Arc::strong_count(part) > 1);
    }
}
