//! What became of nodes that dialled in, counted. Those that never showed a certificate
//! are counted with the port.

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
    begun: AtomicU64,
    renewed: AtomicU64,
    /// By the reasons of [`super::known::Turned`], which are few.
    ended: Mutex<BTreeMap<&'static str, u64>>,
}

/// Their values at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Links whose stream began.
    pub begun_total: u64,
    /// Certificates that were renewed.
    pub renewed_total: u64,
    /// Links that ended or never began, by reason.
    pub ended_total: BTreeMap<&'static str, u64>,
}

impl LinkCounts {
    pub(super) fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn renewed(&self) {
        self.renewed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, reason: &'static str) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let count = ended.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    #[must_use]
    pub fn figures(&self) -> LinkFigures {
        LinkFigures {
            begun_total: self.begun.load(Ordering::Relaxed),
            renewed_total: self.renewed.load(Ordering::Relaxed),
            ended_total: self
                .ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
