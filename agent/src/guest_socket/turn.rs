//! Whose turn it is to talk to the agent of a VM: its socket serves one client, and a
//! second one of ours would only wait in the way of PVE.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, PoisonError},
    time::Instant,
};

/// The VMs that are being talked to.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeSet<u32>>,
    given_back: Condvar,
}

/// One VM, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    vmid: u32,
}

impl Turns {
    /// Waits until nobody else of us talks to the VM; `None` when that takes too long.
    pub(crate) fn take(&self, vmid: u32, until: Instant) -> Option<Turn<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.contains(&vmid) {
            let left = until.checked_duration_since(Instant::now())?;
            taken = self
                .given_back
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        taken.insert(vmid);
        Some(Turn { turns: self, vmid })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let turns = self.turns;
        let mut taken = turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.vmid);
        turns.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use super::*;

    #[test]
    fn one_talks_to_a_vm_at_a_time() {
        let turns = Arc::new(Turns::default());
        let soon = || Instant::now() + Duration::from_millis(20);
        let first = turns.take(101, soon()).unwrap();
        assert!(turns.take(101, soon()).is_none());
        assert!(turns.take(102, soon()).is_some());
        let waiting = thread::spawn({
            let turns = Arc::clone(&turns);
            move || {
                let until = Instant::now() + Duration::from_secs(60);
                turns.take(101, until).is_some()
            }
        });
        drop(first);
        assert!(waiting.join().unwrap());
    }
}
