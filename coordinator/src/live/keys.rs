//! Which object has which series.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    history::{History, Metric, ObjectKey},
    view::Name,
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
#[derive(Debug, Default)]
pub(crate) struct Keys {
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
    next: u32,
    parts: HashSet<Arc<str>>,
}

impl Keys {
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

    pub(super) fn touch_node(
        &mut self,
        name: &Name,
        recorder: &mut Recorder,
        at: Timestamp,
    ) -> ObjectKey {
        let full = self.nodes.len() >= NODES;
        touch(&mut self.nodes, name, Name::clone, full, recorder, at)
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
        let key = recorder.allocate();
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
        touch(storages, storage, |name| name.into(), full, recorder, at)
    }

    /// The VMID is another guest's from now on.
    pub(super) fn forget_guest(&mut self, vmid: u32) {
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
    own: impl FnOnce(&Q) -> K,
    full: bool,
    recorder: &mut Recorder,
    at: Timestamp,
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
    let key = recorder.allocate();
    objects.insert(own(id), Known { key, used: at });
    key
}

impl Recorder {
    fn allocate(&mut self) -> ObjectKey {
        let key = ObjectKey(self.next);
        // At the end of the numbers new objects go without series.
        self.next = self.next.saturating_add(1);
        key
    }

    pub(super) fn record(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        at: Timestamp,
        value: Option<f64>,
    ) {
        if let Some(value) = value.filter(|_| key != NO_SERIES) {
            self.history.record(key, metric, at, value);
        }
    }

    pub(super) fn record_part(
        &mut self,
        key: ObjectKey,
        metric: Metric,
        part: &str,
        at: Timestamp,
        value: f64,
    ) {
        if key == NO_SERIES {
            return;
        }
        let part = match self.parts.get(part) {
            Some(part) => Arc::clone(part),
            None => {
                let part: Arc<str> = part.into();
                self.parts.insert(Arc::clone(&part));
                part
            }
        };
        self.history.record_part(key, metric, &part, at, value);
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.history.forget_before(now);
        self.parts.retain(|part| Arc::strong_count(part) > 1);
    }
}
