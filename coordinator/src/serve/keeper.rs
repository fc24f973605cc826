//! Brings to the store what has arrived, and lets the store tidy up.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    chronicle::revision,
    coordinator::Coordinator,
    link::Clock,
    log::Log,
    store::{Store, StoreError, import::Import},
    windows::{self, Loading},
};

/// How often it looks whether there is enough to write.
const LOOK: Duration = Duration::from_secs(1);
/// Values that are not kept waiting for the interval.
const MANY: usize = 200_000;
/// Between two times of tidying up.
const TIDY: Duration = Duration::from_secs(300);
/// Between two times of looking for contents that nothing names any more.
const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// When what checks look back at for hours is read first: the nodes have spoken then.
const FIRST_WINDOWS: Duration = Duration::from_secs(60);
/// Between two times of reading it.
const WINDOWS: Duration = Duration::from_secs(300);

/// Writes until shutdown, and then once more.
pub(super) struct Keeper {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) log: Arc<Log>,
    /// Between two writes.
    pub(super) interval: Duration,
}

impl Keeper {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let (mut written, mut tidied) = (Instant::now(), Instant::now());
        let mut swept: Option<Instant> = None;
        let mut import = None;
        let (mut windows, mut windows_due) = (None, Instant::now() + FIRST_WINDOWS);
        while shutdown.run_until_cancelled(sleep(LOOK)).await.is_some() {
            self.coordinator.chronicle().audit(&self.log.take_acts());
            let waiting = self.coordinator.keep(|live| live.waiting()).await;
            if written.elapsed() >= self.interval || waiting.unwrap_or(0) >= MANY {
                self.write().await;
                written = Instant::now();
            }
            if tidied.elapsed() >= TIDY {
                self.tidy().await;
                tidied = Instant::now();
                if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                    self.sweep().await;
                    swept = Some(Instant::now());
                }
            }
            import = match import {
                Some(import) => self.import(import).await,
                None => self.next_import().await,
            };
            windows = match windows {
                Some(loading) => self.load_windows(loading).await,
                None if Instant::now() >= windows_due => {
                    windows_due = Instant::now() + WINDOWS;
                    self.next_windows().await
                }
                None => None,
            };
        }
        self.coordinator.chronicle().audit(&self.log.take_acts());
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

    /// What checks look back at for hours, to be read.
    async fn next_windows(&self) -> Option<Loading> {
        let now = (self.clock)();
        let wanted = self
            .coordinator
            .keep(|live| live.wanted(windows::declared()));
        Some(Loading::of(wanted.await?, now))
    }

    /// Reads some of it, and gives back what is left. What was read before stays until
    /// all of it is there.
    async fn load_windows(&self, mut loading: Loading) -> Option<Loading> {
        let (store, coordinator) = (Arc::clone(&self.store), Arc::clone(&self.coordinator));
        let step = self.coordinator.turns().take(move || {
            if !loading.step(&store)? {
                return Ok(Some(loading));
            }
            coordinator.set_windows(loading.finish());
            Ok(None)
        });
        match step.await {
            Some(Ok(left)) => left,
            Some(Err(error)) => {
                let error: StoreError = error;
                warn!(%error, "the hours that checks look back at could not be read");
                None
            }
            None => {
                error!("reading the hours that checks look back at failed");
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

    async fn sweep(&self) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let swept = self
            .coordinator
            .turns()
            .take(move || revision::sweep(&store, clock()));
        match swept.await {
            Some(Ok(0)) => {}
            Some(Ok(contents)) => info!(contents, "configurations of long ago are let go"),
            Some(Err(error)) => warn!(%error, "configurations of long ago stay in the store"),
            None => error!("looking for configurations of long ago failed"),
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

#[cfg(test)]
mod tests {
    use pvelens_proto::{
        agent::v1::{
            RrdArchive, RrdConsolidation, RrdHistory, RrdObject, RrdObjectKind, RrdSeries,
            sample::Payload,
        },
        timestamp_from_millis,
    };

    use super::*;
    use crate::{
        check::Params,
        live::fixture::{Feed, at, guest_list, pve_status},
        metric::Metric,
        store::row::StateKind,
        windows::Kept,
    };

    fn history() -> Payload {
        let end = at(0).as_second() / 1800 * 1800;
        Payload::RrdHistory(RrdHistory {
            objects: vec![RrdObject {
                kind: RrdObjectKind::Node.into(),
                name: "pve1".to_owned(),
                archives: vec![RrdArchive {
                    consolidation: RrdConsolidation::Average.into(),
                    step_seconds: 1800,
                    first_at: Some(timestamp_from_millis((end - 99 * 1800) * 1000)),
                    rows: 100,
                    series: vec![RrdSeries {
                        name: "loadavg".to_owned(),
                        runs: vec![0, 100],
                        values: vec![2.5; 100],
                    }],
                }],
                ..RrdObject::default()
            }],
            truncated: false,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_that_arrives_is_imported_meanwhile() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Arc::new(Store::open(directory.path(), 1 << 30, at(0)).unwrap());
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        coordinator.keep_in(Arc::clone(&store), at(0)).unwrap();
        let mut feed = Feed::new("c", "pve1");
        for payload in [guest_list(&[]), history()] {
            feed.send(&mut coordinator.live(), 1, vec![payload]);
        }
        let keeper = Keeper {
            coordinator: Arc::clone(&coordinator),
            store: Arc::clone(&store),
            clock: Arc::new(|| at(2)),
            log: Log::of_tests(crate::log::Level::Info, |_| ()),
            interval: Duration::from_secs(60),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(keeper.run(shutdown.clone()));
        let imported = || {
            store
                .read(|reader| reader.states(StateKind::Imported))
                .unwrap()
        };
        let began = Instant::now();
        while imported().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(600), "it never comes");
            sleep(LOOK).await;
        }
        shutdown.cancel();
        running.await.unwrap();
        let series = store.read(|reader| reader.series(None)).unwrap();
        assert_eq!(series.len(), 1);
        // And not again.
        feed.send(&mut coordinator.live(), 3, vec![history()]);
        assert!(coordinator.live().take_import(at(9999)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_hours_that_checks_look_back_at_are_read_when_nodes_have_spoken() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Arc::new(Store::open(directory.path(), 1 << 30, at(0)).unwrap());
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        coordinator.keep_in(Arc::clone(&store), at(0)).unwrap();
        let mut feed = Feed::new("c", "pve1");
        let last = 3600;
        for second in (0..=last).step_by(60) {
            let status = pve_status(second, &[(100, "running")]);
            let mut live = coordinator.live();
            feed.send(&mut live, second, vec![Payload::PveStatus(status)]);
        }
        let guests = coordinator.live().clusters()["c"].keys.guests().next();
        let (_, guest) = guests.unwrap();
        let hour = || {
            let windows = coordinator.windows();
            match windows.day(guest, Metric::CpuRatio, at(last)) {
                Kept::Of(day) => day.hour,
                Kept::TooFew => None,
                Kept::Nothing => panic!("there is a store"),
            }
        };
        let keeper = Keeper {
            coordinator: Arc::clone(&coordinator),
            store,
            clock: Arc::new(move || at(last)),
            log: Log::of_tests(crate::log::Level::Info, |_| ()),
            interval: Duration::from_secs(30),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(keeper.run(shutdown.clone()));
        let began = Instant::now();
        assert_eq!(hour(), None);
        while hour().is_none() {
            assert!(began.elapsed() < 2 * WINDOWS, "they are never read");
            sleep(LOOK).await;
        }
        assert!(began.elapsed() >= FIRST_WINDOWS);
        assert_eq!(hour(), Some(0.5));
        shutdown.cancel();
        running.await.unwrap();
    }
}
