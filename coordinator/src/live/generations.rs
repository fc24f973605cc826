//! Which guest a VMID means.
//!
//! A VMID is given again after its guest was removed. Guests that had one VMID one
//! after the other are told apart by a generation, counted here from one. A coordinator
//! that starts goes on with those that its store knows.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1 as wire;

use super::keys::{Keys, NO_SERIES};
use crate::{chronicle::revision::guests::KnownGuest, view::Guest};

mod marks;
#[cfg(test)]
mod tests;

use marks::Conflict;

/// A guest is gone when a second list, this much later, does not name it either.
const CONFIRMED: SignedDuration = SignedDuration::from_secs(60);
/// Guests of one cluster that are remembered, also those that are gone.
const GUESTS: usize = 100_000;

/// The guests of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    known: BTreeMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    kind: wire::GuestKind,
    number: u32,
    /// When it was found to have the VMID; none = by a coordinator before.
    since: Option<Timestamp>,
    /// Newest that was read.
    config: Option<Arc<wire::GuestConfig>>,
    absent: Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// The newest list names it.
    No,
    /// Named again, but its marks were not read since.
    Was,
    /// Since then, as of a list of that time.
    Since(Timestamp, Timestamp),
    Gone,
}

impl Generations {
    /// Those that the store knows of a cluster.
    pub(super) fn of(guests: Vec<KnownGuest>, keys: &mut Keys) -> Self {
        let known = |guest: KnownGuest| {
            let config = guest.config.as_ref();
            let number = guest.generation.max(keys.generation(guest.vmid));
            // One that was never measured has no series that say so.
            keys.forget_guest(guest.vmid, number);
            let known = Known {
                kind: config.map_or(wire::GuestKind::Unspecified, |config| config.kind()),
                number,
                since: None,
                absent: match config {
                    Some(_) => Absent::No,
                    None => Absent::Gone,
                },
                config: guest.config,
            };
            (guest.vmid, known)
        };
        Self {
            known: guests.into_iter().take(GUESTS).map(known).collect(),
        }
    }

    /// Says of each guest of a view which it is; `list_at` is the time of their
    /// list, if that is the word of a member that may speak for the cluster.
    /// Sorted by VMID. Series of guests that are gone end.
    pub(super) fn observe(
        &mut self,
        guests: &mut [Guest],
        list_at: Option<Timestamp>,
        at: Timestamp,
        keys: &mut Keys,
    ) {
        let mut known = self.known.iter_mut().peekable();
        let mut new: Vec<(u32, Known)> = Vec::new();
        for guest in guests {
            let vmid = guest.vmid;
            while let Some((vmid, known)) = known.next_if(|(other, _)| **other < vmid) {
                known.miss(*vmid, list_at, at, keys);
            }
            if let Some((_, known)) = known.next_if(|(other, _)| **other == vmid) {
                if known.is_another(guest, list_at) {
                    known.number = known.number.saturating_add(1);
                    known.since = Some(at);
                    keys.forget_guest(vmid, known.number);
                    guest.key = NO_SERIES;
                    guest.rates = None;
                }
                known.see(guest, list_at);
                (guest.generation, guest.generation_since) = (known.number, known.since);
            } else {
                let known = Known::new(guest, at, keys.generation(vmid));
                (guest.generation, guest.generation_since) = (known.number, Some(at));
                new.push((vmid, known));
            }
        }
        for (vmid, known) in known {
            known.miss(*vmid, list_at, at, keys);
        }
        self.known.extend(new);
        if self.known.len() > GUESTS {
            self.known.retain(|_, known| known.absent != Absent::Gone);
        }
    }
}

impl Known {
    fn new(guest: &Guest, at: Timestamp, number: u32) -> Self {
        Self {
            kind: guest.kind,
            number,
            since: Some(at),
            config: guest.config.clone(),
            absent: Absent::No,
        }
    }

    /// Whether the guest is another one than was known.
    fn is_another(&self, guest: &Guest, list_at: Option<Timestamp>) -> bool {
        if self.absent == Absent::Gone {
            // A member that may not speak for the cluster still lists it.
            return list_at.is_some();
        }
        let has_kind = |kind| kind != wire::GuestKind::Unspecified;
        if guest.kind != self.kind && has_kind(guest.kind) && has_kind(self.kind) {
            return true;
        }
        let (Some(before), Some(now)) = (&self.config, &guest.config) else {
            return false;
        };
        if Arc::ptr_eq(before, now) {
            return false;
        }
        match marks::conflict(before, now) {
            Conflict::None => false,
            // An edit could do as much, but not without the guest being there.
            Conflict::Weak => self.absent != Absent::No,
            Conflict::Strong => true,
        }
    }

    fn see(&mut self, guest: &Guest, list_at: Option<Timestamp>) {
        if guest.kind != wire::GuestKind::Unspecified {
            self.kind = guest.kind;
        }
        if let Some(config) = &guest.config {
            self.config = Some(Arc::clone(config));
        }
        if list_at.is_some() {
            self.absent = match self.absent {
                Absent::Since(..) | Absent::Was if guest.config.is_none() => Absent::Was,
                _ => Absent::No,
            };
        }
    }

    fn miss(&mut self, vmid: u32, list_at: Option<Timestamp>, at: Timestamp, keys: &mut Keys) {
        let Some(list_at) = list_at else { return };
        match self.absent {
            Absent::No | Absent::Was => self.absent = Absent::Since(at, list_at),
            Absent::Since(since, first) => {
                if list_at > first && at.duration_since(since) >= CONFIRMED {
                    self.absent = Absent::Gone;
                    self.config = None;
                    // Whoever has it next is another guest.
                    keys.forget_guest(vmid, self.number.saturating_add(1));
                }
            }
            Absent::Gone => {}
        }
    }
}
