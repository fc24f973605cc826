//! Brings to the store what has arrived, and lets the store tidy up.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    coordinator::Coordinator,
    link::Clock,
    store::{Store, import::Import},
};

/// How often it looks whether there is enough to write.
const LOOK: Duration = Duration::from_secs(1);
/// Values that are not kept waiting for the interval.
const MANY: usize = 200_000;
/// Between two times of tidying up.
const TIDY: Duration = Duration::from_secs(300);

/// Writes until shutdown, and then once more.
pub(super) struct Keeper {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    /// Between two writes.
    pub(super) interval: Duration,
}

impl Keeper {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let (mut written, mut tidied) = (Instant::now(), Instant::now());
        let mut import = None;
        while shutdown.run_until_cancelled(sleep(LOOK)).await.is_some() {
            let waiting = self.coordinator.keep(|live| live.waiting()).await;
            if written.elapsed() >= self.interval || waiting.unwrap_or(0) >= MANY {
                self.write().await;
                written = Instant::now();
            }
            if tidied.elapsed() >= TIDY {
                self.tidy().await;
                tidied = Instant::now();
            }
            import = match import {
                Some(import) => self.import(import).await,
                None => self.next_import().await,
            };
        }
        self.write().await;
    }

    /// A history that a node had kept, if one can be imported; the store knows its
    /// series.
    async fn next_import(&self) -> Option<Import> {
        let now = (self.clock)();
        let import = self.coordinator.keep(move |live| live.take_import(now));
        let import = import.await??;
        self.write().await.then_some(import)
    }

    /// Imports some days, and gives back what is left of it. What fails is imported when
    /// the node sends it again: after some hours, or when this is started anew.
    async fn import(&self, mut import: Import) -> Option<Import> {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let step = self.coordinator.turns().take(move || {
            let done = import.step(&store, clock());
            (import, done)
        });
        match step.await {
            Some((import, Ok(false))) => Some(import),
            Some((import, Ok(true))) => {
                let (node, values) = (import.key().to_owned(), import.values());
                info!(
                    node,
                    values, "the history that the node had kept is imported"
                );
                let done = self.coordinator.keep(move |live| live.imported(&import));
                done.await
                    .unwrap_or_else(|| error!("an import is not noted"));
                None
            }
            Some((import, Err(error))) => {
                let node = import.key();
                warn!(node, %error, "the history that the node had kept is not imported");
                None
            }
            None => {
                error!("importing the history of a node failed");
                None
            }
        }
    }

    /// Whether the store took what there was.
    async fn write(&self) -> bool {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let coordinator = Arc::clone(&self.coordinator);
        let before = store.condition().failing.is_some();
        let written = self
            .coordinator
            .turns()
            .take(move || coordinator.write_down(clock()));
        let written = written.await;
        match &written {
            Some(Err(error)) if !before => error!(%error, "nothing is kept until this is mended"),
            Some(Ok(())) if before => info!("the store takes values again"),
            Some(_) => {}
            None => error!("values could not be brought to the store"),
        }
        matches!(written, Some(Ok(())))
    }

    async fn tidy(&self) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let tidied = self
            .coordinator
            .turns()
            .take(move || store.maintain(clock()));
        match tidied.await {
            Some(Ok(())) => {}
            Some(Err(error)) => warn!(%error, "the store could not be tidied up"),
            None => error!("tidying the store up failed"),
        }
    }
}
