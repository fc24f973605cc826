//! Opening the store of a coordinator, and waiting for one that cannot be opened.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{task, time::sleep};
use tracing::error;

use super::ServeError;
use crate::{
    config::Config,
    coordinator::Coordinator,
    link::Clock,
    store::{Store, StoreError},
};

/// Between two tries to open a store.
const AGAIN: Duration = Duration::from_secs(30);

/// Opens the store, where something is kept. A disk that is full, read-only or broken
/// keeps nobody from seeing what is present: that goes on without a store, and a
/// finding says so.
///
/// # Errors
/// When another process has the store, or it is of a newer version.
pub async fn open_store(
    coordinator: &Arc<Coordinator>,
    config: &Config,
    now: Timestamp,
) -> Result<(), ServeError> {
    let directory = config.store.directory.clone();
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let limit_bytes = u64::from(config.store.limit_mebibytes) << 20;
    let (keeping, path) = (Arc::clone(coordinator), directory.clone());
    let open = move || {
        let store = Store::open(&path, limit_bytes, now)?;
        if let Some(replaced) = store.condition().replaced {
            let (set_aside, why) = (replaced.set_aside.display(), replaced.why);
            let backup = replaced.backup.map(|(backup, _)| backup);
            error!(%set_aside, why, ?backup, "the store was damaged and is set aside");
        }
        keeping.keep_in(Arc::new(store), now)
    };
    let opening = task::spawn_blocking(move || {
        // Damage that shows when it is read: the second time all of it is looked at.
        open().or_else(|error| match error {
            StoreError::Damaged(_) => open(),
            error => Err(error),
        })
    });
    let opened = match opening.await {
        Ok(opened) => opened,
        Err(defect) => Err(StoreError::Other(defect.to_string())),
    };
    match opened {
        Ok(()) => Ok(()),
        Err(source @ (StoreError::Busy | StoreError::Newer { .. })) => Err(ServeError::Store {
            directory: directory.display().to_string(),
            source,
        }),
        Err(error) => {
            let directory = directory.display();
            error!(%directory, %error, "nothing is kept: the store cannot be opened");
            coordinator.goes_without_store(error, now);
            Ok(())
        }
    }
}

/// Returns when a coordinator that had to go without its store can have it; never when
/// it has one, or is to keep nothing. What was known so far is in memory only, and a store
/// is gone on with from its start: so it takes a new process.
pub(super) async fn until_usable(coordinator: &Coordinator, config: &Config, clock: &Clock) {
    let directory = &config.store.directory;
    if coordinator.store().is_some() || directory.as_os_str().is_empty() {
        return std::future::pending().await;
    }
    let limit_bytes = u64::from(config.store.limit_mebibytes) << 20;
    loop {
        sleep(AGAIN).await;
        let (directory, now) = (directory.clone(), clock());
        let tried = task::spawn_blocking(move || try_out(&directory, limit_bytes, now)).await;
        if matches!(tried, Ok(Ok(()))) {
            return;
        }
    }
}

/// Opens and reads it as a start does, and takes something.
fn try_out(directory: &Path, limit_bytes: u64, now: Timestamp) -> Result<(), StoreError> {
    let store = Store::open(directory, limit_bytes, now)?;
    store.load(now)?;
    store.maintain(now)
}
