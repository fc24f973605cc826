//! Which updates of an agent the store has.
//!
//! What was recorded from an update is never recorded again, also when the agent
//! sends it anew to a coordinator that was restarted. A stream is asked for from
//! what is confirmed: on the disk.

use serde::{Deserialize, Serialize};

use super::{KeptUpdates, limit, stream::ranges::Ranges};

/// Epochs that are remembered, the newest last.
const EPOCHS: usize = 9;

/// The updates of one agent.
#[derive(Debug, Default)]
pub(super) struct Stored {
    epochs: Vec<Epoch>,
    is_changed: bool,
}

#[derive(Debug)]
struct Epoch {
    name: String,
    /// Their values are on the way to the store, or there.
    recorded: Ranges,
    /// The last one whose values are on the disk.
    confirmed: Option<u64>,
}

/// What of it outlives the coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredState(Vec<(String, Ranges)>);

impl Stored {
    /// Goes on with what the store says that it has.
    pub(super) fn load(state: StoredState) -> Self {
        let mut epochs: Vec<_> = state
            .0
            .into_iter()
            .map(|(name, recorded)| Epoch {
                name,
                confirmed: recorded.last(),
                recorded,
            })
            .collect();
        epochs.truncate(EPOCHS);
        Self {
            epochs,
            is_changed: false,
        }
    }

    /// Whether the values of an update are to be recorded: they were not before.
    pub(super) fn record(&mut self, epoch: &str, sequence: u64) -> bool {
        let epoch = limit::cut(epoch, limit::NAME);
        let position = self.epochs.iter().position(|known| known.name == epoch);
        if position.is_none() {
            if self.epochs.len() >= EPOCHS {
                self.epochs.remove(0);
            }
            self.epochs.push(Epoch {
                name: epoch.to_owned(),
                recorded: Ranges::default(),
                confirmed: None,
            });
        }
        let position = position.unwrap_or(self.epochs.len().saturating_sub(1));
        let is_new = self
            .epochs
            .get_mut(position)
            .is_some_and(|epoch| epoch.recorded.insert(sequence));
        self.is_changed |= is_new;
        is_new
    }

    /// Up to where an epoch is on the disk.
    pub(super) fn confirmed(&self, epoch: &str) -> Option<u64> {
        let epoch = limit::cut(epoch, limit::NAME);
        let known = self.epochs.iter().find(|known| known.name == epoch)?;
        known.confirmed
    }

    /// All that was recorded, also before the coordinator was restarted; the epoch that
    /// is `present` first, then the others, the newest first.
    pub(super) fn kept(&self, present: impl Fn(&str) -> bool) -> Vec<KeptUpdates> {
        let mut kept: Vec<_> = self
            .epochs
            .iter()
            .rev()
            .filter(|epoch| epoch.recorded.last().is_some())
            .map(|epoch| KeptUpdates {
                epoch: epoch.name.clone(),
                ranges: epoch.recorded.ranges().to_vec(),
                given_up_ranges_total: epoch.recorded.given_up(),
            })
            .collect();
        kept.sort_by_key(|kept| !present(&kept.epoch));
        kept
    }

    /// How many updates that are.
    pub(super) fn total(&self) -> u64 {
        let ranges = self.epochs.iter().flat_map(|epoch| epoch.recorded.ranges());
        ranges.fold(0, |total, (first, last)| {
            total.saturating_add(last.saturating_sub(*first).saturating_add(1))
        })
    }

    /// What is recorded now, if it is more than when it was asked for last.
    pub(super) fn take(&mut self) -> Option<StoredState> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let epochs = self.epochs.iter();
        Some(StoredState(
            epochs
                .map(|epoch| (epoch.name.clone(), epoch.recorded.clone()))
                .collect(),
        ))
    }

    /// What was taken is on the disk.
    pub(super) fn confirm(&mut self, state: &StoredState) {
        for (name, recorded) in &state.0 {
            if let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.name == *name) {
                epoch.confirmed = recorded.last();
            }
        }
    }

    /// What was taken did not reach the disk.
    pub(super) fn put_back(&mut self) {
        self.is_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_recorded_once_and_confirmed_when_it_is_kept() {
        let mut stored = Stored::default();
        assert_eq!(stored.take(), None);
        assert!(stored.record("a", 1) && stored.record("a", 2));
        assert!(!stored.record("a", 2));
        let taken = stored.take().unwrap();
        assert!(stored.record("a", 3));
        assert_eq!(stored.confirmed("a"), None);
        stored.confirm(&taken);
        assert_eq!(stored.confirmed("a"), Some(2));
        assert_eq!(stored.confirmed("b"), None);

        let body = serde_json::to_vec(&taken).unwrap();
        let mut again = Stored::load(serde_json::from_slice(&body).unwrap());
        assert_eq!((again.confirmed("a"), again.total()), (Some(2), 2));
        again.record("b", 7);
        let kept = |present| {
            let kept = again.kept(|epoch| epoch == present);
            let kept = kept.into_iter().map(|kept| (kept.epoch, kept.ranges));
            kept.collect::<Vec<_>>()
        };
        let (a, b) = (
            ("a".to_owned(), vec![(1, 2)]),
            ("b".to_owned(), vec![(7, 7)]),
        );
        assert_eq!(kept("b"), [b.clone(), a.clone()]);
        assert_eq!(kept("a"), [a, b]);
        assert!(!again.record("a", 1) && again.record("a", 3));
    }

    #[test]
    fn the_oldest_epoch_is_forgotten() {
        let mut stored = Stored::default();
        for epoch in 0..12 {
            assert!(stored.record(&epoch.to_string(), 1));
        }
        assert_eq!(stored.take().unwrap().0.len(), EPOCHS);
        assert!(!stored.record("11", 1) && stored.record("0", 1));
    }
}
