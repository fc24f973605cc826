//! A coordinator that watches a node, started as the program starts it.

use std::{path::Path, sync::Arc};

use pvelens::{
    check::Params, config::Config, coordinator::Coordinator, finding::FindingState,
    serve::open_store, store::StoreError,
};
use pvelens_tests::kept::{agent, at, update};
use tokio::runtime::Builder;

/// Updates of one write, and writes after which the store tidies up.
const WRITE: u64 = 6;
const TIDY: u64 = 5;

pub(crate) struct Watch {
    pub(crate) coordinator: Arc<Coordinator>,
    /// Of the newest update.
    pub(crate) sequence: u64,
}

impl Watch {
    /// Starts at the update of this number.
    pub(crate) fn start(directory: &Path, sequence: u64) -> Self {
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let mut config = Config::default();
        config.store.directory = directory.to_owned();
        let runtime = Builder::new_current_thread().build().unwrap();
        // It starts, whatever the disk is like.
        runtime
            .block_on(open_store(&coordinator, &config, at(sequence)))
            .unwrap();
        if sequence > 0 {
            let contents = update(sequence, true);
            coordinator.live().append(&agent(), contents, at(sequence));
        }
        Self {
            coordinator,
            sequence,
        }
    }

    /// Minutes pass, each with a write and a judgement; what the last write said.
    pub(crate) fn go_on(&mut self, minutes: u64) -> Result<(), StoreError> {
        let mut written = Ok(());
        for minute in 0..minutes {
            for _ in 0..WRITE {
                self.sequence += 1;
                let now = at(self.sequence);
                let live = &mut self.coordinator.live();
                live.append(&agent(), update(self.sequence, false), now);
            }
            written = self.coordinator.write_down(at(self.sequence));
            if minute % TIDY == 0
                && let Some(store) = self.coordinator.store()
            {
                // It says the same as a write.
                store.maintain(at(self.sequence)).unwrap_or_default();
            }
            self.coordinator.evaluate(at(self.sequence));
        }
        written
    }

    /// Ends it; the number of the newest update.
    pub(crate) fn end(self) -> u64 {
        self.sequence
    }

    /// What is present is that of the newest update.
    pub(crate) fn sees_the_present(&self) {
        let current = self.coordinator.current();
        let memory = current.view.nodes[0].facts.memory.as_ref().unwrap();
        assert_eq!(memory.value.available_bytes, self.sequence);
    }

    /// Titles of what is open now about the coordinator itself.
    pub(crate) fn findings(&self) -> Vec<String> {
        let current = self.coordinator.current();
        let open = current.findings.iter().filter(|finding| {
            finding.state == FindingState::Open && finding.check.contains("coordinator")
        });
        open.map(|finding| finding.title.clone()).collect()
    }
}
