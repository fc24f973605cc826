//! What became of those who dialled in, counted.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counters of the listener for links. They only grow.
#[derive(Debug, Default)]
pub struct LinkCounts {
    accepted: AtomicU64,
    begun: AtomicU64,
    renewed: AtomicU64,
    /// By the reasons of [`super::admission::Turned`], which are few.
    turned_away: Mutex<BTreeMap<&'static str, u64>>,
}

/// Their values at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Connections that arrived.
    pub accepted_total: u64,
    /// Links whose stream began.
    pub begun_total: u64,
    /// Certificates that were renewed.
    pub renewed_total: u64,
    /// Connections that became no link, by reason.
    pub turned_away_total: BTreeMap<&'static str, u64>,
}

impl LinkCounts {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn renewed(&self) {
        self.renewed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turned_away(&self, reason: &'static str) {
        let mut turned_away = self
            .turned_away
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = turned_away.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    #[must_use]
    pub fn figures(&self) -> LinkFigures {
        LinkFigures {
            accepted_total: self.accepted.load(Ordering::Relaxed),
            begun_total: self.begun.load(Ordering::Relaxed),
            renewed_total: self.renewed.load(Ordering::Relaxed),
            turned_away_total: self
                .turned_away
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
