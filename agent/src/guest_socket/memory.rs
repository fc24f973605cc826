//! What the agent knows of guest agents from one run to the next: whom it leaves
//! alone, and what was answered to questions that are not asked each time.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::GuestAgent;

use super::qga::SyncId;

/// Pauses after the first failure, the second, and each one more.
const PAUSES: [SignedDuration; 3] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(15),
];
/// How much too early a run may be: the clock of the runs has its own beat.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// All guest agents of one node, by VMID.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Mutex<BTreeMap<u32, Known>>,
    systems: Mutex<BTreeMap<u32, Remembered>>,
}

/// What operating system ran in a process of a VM: its `id`, and its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) process: (u64, u64),
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Memory {
    /// Takes everything out. There is one run at a time, and it puts back what is
    /// still true; one that fails forgets all, and guests are asked anew.
    pub(crate) fn take(&self) -> BTreeMap<u32, Known> {
        mem::take(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put(&self, known: BTreeMap<u32, Known>) {
        let mut systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        systems.retain(|vmid, _| known.contains_key(vmid));
        for (vmid, one) in &known {
            if let Some(told) = &one.agent.operating_system {
                let system = Remembered {
                    process: one.process,
                    id: told.id.clone(),
                    name: told.pretty_name.clone(),
                };
                systems.insert(*vmid, system);
            }
        }
        drop(systems);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// What runs in this process of the VM, if that was ever told.
    pub(crate) fn system(&self, vmid: u32, process: (u64, u64)) -> Option<Remembered> {
        let systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        systems
            .get(&vmid)
            .filter(|system| system.process == process)
            .cloned()
    }

    pub(crate) fn remember_system(&self, vmid: u32, system: Remembered) {
        let mut systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        systems.insert(vmid, system);
    }
}

/// What is known of one guest agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Process of the VM, and its start.
    pub(crate) process: (u64, u64),
    pub(crate) agent: GuestAgent,
    pub(crate) sync_id: SyncId,
    pub(crate) asked: Option<Timestamp>,
    pub(crate) next: Due,
    pub(crate) next_os: Due,
    pub(crate) next_filesystems: Due,
    /// What the agent said that it can do.
    pub(crate) has_load: bool,
    pub(crate) has_interfaces: bool,
}

/// When something may be done again; at once at first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Due(Option<(Timestamp, SignedDuration)>);

impl Due {
    pub(crate) fn after(now: Timestamp, pause: SignedDuration) -> Self {
        Self(Some((now, pause)))
    }

    /// After so many failures in a row.
    pub(crate) fn after_failures(now: Timestamp, failures: u32) -> Self {
        let index = usize::try_from(failures)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let [.., longest] = PAUSES;
        Self::after(now, PAUSES.get(index).copied().unwrap_or(longest))
    }

    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        let Self(Some((since, pause))) = self else {
            return true;
        };
        let passed = now.duration_since(since);
        // A clock that was set back would make it long.
        passed.saturating_add(SLACK) >= pause || passed < SignedDuration::ZERO
    }

    pub(crate) fn at(self) -> Option<Timestamp> {
        let Self(due) = self;
        due.and_then(|(since, pause)| since.checked_add(pause).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let now = Timestamp::from_second(1_795_349_087).unwrap();
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        assert!(Due::default().is_over(now));
        for (failures, pause) in [(1, 60), (2, 300), (3, 900), (4, 900), (u32::MAX, 900)] {
            let due = Due::after_failures(now, failures);
            assert_eq!(due.at(), Some(later(pause)));
            assert!(!due.is_over(now));
            assert!(!due.is_over(later(pause - 6)));
            assert!(due.is_over(later(pause - 5)));
            assert!(due.is_over(later(-1)), "the clock was set back");
        }
    }
}
