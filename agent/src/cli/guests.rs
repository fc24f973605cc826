//! Guest commands of a running agent: their record is opened beside everything else,
//! since it is on a disk, and a disk may hang.

use std::{sync::Arc, thread};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    audit::{Audit, AuditError, Options},
    config,
    guest::Guests,
    host::Host,
    service::Slot,
};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const WORD_LIMIT: u64 = 256;

/// The place where guest commands will be, once their record is open. What was left
/// running is looked after until `shutdown`. Called on the runtime.
pub(super) fn start(
    host: &Arc<Host>,
    settings: &config::Audit,
    shutdown: &CancellationToken,
) -> Slot {
    let slot = Slot::default();
    if settings.directory.as_os_str().is_empty() {
        let why = "the settings have no directory for their record";
        slot.set(Err(why.to_owned())).ok();
        return slot;
    }
    let filled = Arc::clone(&slot);
    let (host, settings, shutdown) = (Arc::clone(host), settings.clone(), shutdown.clone());
    let runtime = Handle::current();
    let opening = thread::Builder::new()
        .name("audit-open".to_owned())
        .spawn(move || {
            let opened = open(&host, &settings);
            match &opened {
                Ok(guests) => {
                    let head = guests.audit().head();
                    let directory = settings.directory.display();
                    info!(%directory, records = head.sequence, "the record of guest commands is open");
                    // Ends with the agent.
                    drop(runtime.spawn(Arc::clone(guests).look_after(shutdown)));
                }
                Err(why) => error!(why, "guest commands are off"),
            }
            // Nobody else fills it.
            filled.set(opened).ok();
        });
    if let Err(error) = opening {
        let why = format!("there is no thread to open their record: {error}");
        error!(why, "guest commands are off");
        slot.set(Err(why)).ok();
    }
    slot
}

/// On a disk only for the node that the agent runs on: another one must not go on with
/// the record of this one.
fn open(host: &Arc<Host>, settings: &config::Audit) -> Result<Arc<Guests>, String> {
    let audit = if host.is_live() {
        open_record(host, settings).map_err(|error| error.to_string())?
    } else {
        Audit::in_memory()
    };
    let guests = Guests::new(Arc::clone(host), audit).map_err(|error| error.to_string())?;
    Ok(Arc::new(guests))
}

fn open_record(host: &Host, settings: &config::Audit) -> Result<Audit, AuditError> {
    let boot_id = host.read(BOOT_ID, WORD_LIMIT).unwrap_or_default();
    let limit = u64::from(settings.limit_mebibytes).saturating_mul(1 << 20);
    Audit::open(&settings.directory, &Options::new(limit, &boot_id))
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use tempfile::TempDir;

    use super::*;

    /// As it is once it is known.
    async fn filled(slot: &Slot) -> Result<Arc<Guests>, String> {
        loop {
            if let Some(filled) = slot.get() {
                return filled.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn settings(directory: PathBuf) -> config::Audit {
        config::Audit {
            directory,
            limit_mebibytes: 1,
        }
    }

    #[tokio::test]
    async fn a_tree_of_files_has_a_record_in_memory() {
        let tree = TempDir::new().unwrap();
        let host = Arc::new(Host::open(tree.path()).unwrap());
        let directory = tree.path().join("audit");
        let slot = start(
            &host,
            &settings(directory.clone()),
            &CancellationToken::new(),
        );
        assert_eq!(filled(&slot).await.unwrap().audit().head().sequence, 0);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn the_live_node_has_it_on_the_disk_or_no_commands() {
        let tree = TempDir::new().unwrap();
        let host = Arc::new(Host::open("/".as_ref()).unwrap());
        let shutdown = CancellationToken::new();
        let directory = tree.path().join("audit");
        let slot = start(&host, &settings(directory.clone()), &shutdown);
        assert!(filled(&slot).await.is_ok() && directory.exists());
        // The first one still has it.
        let slot = start(&host, &settings(directory), &shutdown);
        let why = filled(&slot).await.unwrap_err();
        assert!(why.contains("another agent uses it"), "{why}");
        let slot = start(&host, &settings(PathBuf::new()), &shutdown);
        assert!(filled(&slot).await.unwrap_err().contains("settings"));
    }
}
