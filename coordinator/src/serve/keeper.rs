//! Brings to the store what has arrived, and lets the store tidy up.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{coordinator::Coordinator, link::Clock, store::Store};

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
        }
        self.write().await;
    }

    async fn write(&self) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let coordinator = Arc::clone(&self.coordinator);
        let before = store.condition().failing.is_some();
        let written = self
            .coordinator
            .turns()
            .take(move || coordinator.write_down(clock()));
        match written.await {
            Some(Err(error)) if !before => error!(%error, "nothing is kept until this is mended"),
            Some(Ok(())) if before => info!("the store takes values again"),
            Some(_) => {}
            None => error!("values could not be brought to the store"),
        }
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
