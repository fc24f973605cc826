//! What goes to the store, and what comes from it when the coordinator starts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{Cursor, DescribeResponse};
use tracing::warn;

use super::{
    ClusterId, Live, Name,
    import::Imports,
    keys::Recorder,
    seen::{Heard, Seen},
    stored::{Stored, StoredState},
};
use crate::{
    history::ObjectKey,
    metric::Metric,
    store::{
        Batch, Loaded,
        catalog::Catalog,
        journal::Journal,
        row::{StateKind, StateRow},
    },
};

/// Objects whose numbers are loaded: those that had values lately.
const LOADED: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Where the stream of an agent is to be resumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resume {
    pub cursor: Option<Cursor>,
    /// What the collectors said is not known here: it is to be sent first.
    pub wants_contents: bool,
}

/// What is on its way to the store, and the places it stands for.
#[derive(Debug, Default)]
pub struct Taken {
    pub batch: Batch,
    places: BTreeMap<(ClusterId, Name), StoredState>,
}

impl Live {
    /// Goes on with what the store has; from here on values are recorded for it.
    pub fn load(&mut self, loaded: Loaded, now: Timestamp) {
        let Loaded {
            objects,
            series,
            streams,
            imported,
            recent,
            ..
        } = loaded;
        let since = now.checked_sub(LOADED).unwrap_or(Timestamp::MIN);
        let mut recorder = Recorder::default();
        recorder.catalog = Catalog::load(objects, series, since);
        recorder.journal = Some(Journal::default());
        recorder.heard = Some(Heard::default());
        recorder.imports = Imports::load(imported);
        self.recorder = recorder;
        for value in recent {
            if let Some(metric) = Metric::numbered(value.metric)
                && let Ok(at) = Timestamp::from_millisecond(value.at_millis)
            {
                let key = ObjectKey(value.object);
                self.recorder
                    .refill(key, metric, &value.part, at, value.value);
            }
        }
        for row in streams {
            let Some((cluster, node)) = row.key.rsplit_once('/') else {
                continue;
            };
            match serde_json::from_slice::<StoredState>(&row.body) {
                Ok(state) => {
                    let key = (cluster.into(), node.into());
                    self.remembered.insert(key, Stored::load(state));
                }
                // The agent sends all it has, and what is there twice is joined.
                Err(error) => warn!(key = row.key, %error, "the place of a stream is unreadable"),
            }
        }
    }

    /// Where to resume the stream of an agent.
    #[must_use]
    pub fn resume(&self, agent: &DescribeResponse) -> Resume {
        let (cluster, node) = self.identity(agent);
        let known = self
            .clusters
            .get(&*cluster)
            .and_then(|cluster| cluster.agents.get(&*node));
        let has_contents = known.is_some_and(|known| !known.collectors.is_empty());
        if self.recorder.journal.is_none() {
            return Resume {
                cursor: self.cursor(agent),
                wants_contents: false,
            };
        }
        // Without its contents an agent that cannot send them sends everything.
        if !has_contents && !agent.sends_contents {
            return Resume::default();
        }
        let stored = match known {
            Some(known) => Some(&known.stored),
            None => self.remembered.get(&(cluster, node)),
        };
        let sequence = stored.and_then(|stored| stored.confirmed(&agent.epoch));
        Resume {
            cursor: sequence.map(|sequence| Cursor {
                epoch: agent.epoch.clone(),
                sequence,
            }),
            wants_contents: !has_contents && sequence.is_some(),
        }
    }

    /// How many values wait for the store.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.recorder.journal.as_ref().map_or(0, Journal::len)
    }

    /// How many values were lost, since the store took none for long.
    #[must_use]
    pub fn lost_values(&self) -> u64 {
        self.recorder.journal.as_ref().map_or(0, Journal::dropped)
    }

    /// Hands over what was heard since, for the chronicle.
    pub fn heard(&mut self) -> Vec<Seen> {
        self.recorder
            .heard
            .as_mut()
            .map_or_else(Vec::new, Heard::take)
    }

    /// Hands over what the store is to get, with the places that it stands for.
    pub fn take(&mut self) -> Taken {
        let Some(journal) = &mut self.recorder.journal else {
            return Taken::default();
        };
        let mut taken = Taken::default();
        taken.batch.values = journal.take();
        taken.batch.rows = self.recorder.catalog.take_new();
        for (id, cluster) in &mut self.clusters {
            for (node, agent) in &mut cluster.agents {
                let Some(state) = agent.stored.take() else {
                    continue;
                };
                // Names and numbers always serialise.
                let body = serde_json::to_vec(&state).unwrap_or_default();
                taken.batch.states.push(StateRow {
                    kind: StateKind::Stream,
                    key: format!("{id}/{node}"),
                    body,
                });
                let key = (ClusterId::clone(id), Name::clone(node));
                taken.places.insert(key, state);
            }
        }
        taken
    }

    /// What was taken is on the disk.
    pub fn confirm(&mut self, taken: &Taken) {
        for (key, state) in &taken.places {
            if let Some(stored) = self.stored(key) {
                stored.confirm(state);
            }
        }
    }

    /// What was taken did not reach the disk.
    pub fn put_back(&mut self, taken: Taken) {
        for key in taken.places.keys() {
            if let Some(stored) = self.stored(key) {
                stored.put_back();
            }
        }
        self.recorder.catalog.put_back(taken.batch.rows);
        if let Some(journal) = &mut self.recorder.journal {
            journal.put_back(taken.batch.values);
        }
    }

    fn stored(&mut self, (cluster, node): &(ClusterId, Name)) -> Option<&mut Stored> {
        let agent = self.clusters.get_mut(cluster)?.agents.get_mut(node)?;
        Some(&mut agent.stored)
    }
}
