//! What is measured of a guest, found by walking lists along the VMIDs.
//!
//! Searching each list for each guest was tried: most of the time went into
//! waiting for memory.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{Member, Scene, figures::MARGIN, heard, length};
use crate::{
    live::{agent::Agent, clock::plausible, facts::Held},
    view::{Dated, GuestRef},
};

/// One guest in its node's own lists, and what was broadcast of it.
pub(super) struct Measured<'a> {
    /// Of its node.
    pub(super) agent: Option<&'a Agent>,
    pub(super) status: Option<Entry<'a, wire::PveStatus, wire::PveGuestStatus>>,
    pub(super) runtime: Option<Entry<'a, wire::GuestRuntimes, wire::GuestRuntime>>,
    /// Age of its node's list of running guests: one that is not in it does not
    /// run there.
    pub(super) runtimes_at: Option<Timestamp>,
    /// Only where it may be newer than the node's own word.
    pub(super) broadcast: Option<Dated<&'a wire::BroadcastGuest>>,
}

pub(super) struct Entry<'a, L, T> {
    pub(super) list: &'a Held<L>,
    pub(super) position: usize,
    pub(super) value: &'a T,
    pub(super) at: Timestamp,
}

/// How far the lists of each node have been read, by its position.
pub(super) struct Walk {
    places: Vec<Place>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    status: usize,
    runtime: usize,
}

impl Walk {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            places: vec![Place::default(); nodes],
        }
    }

    /// What is measured of a guest on the node at `position`. VMIDs must grow
    /// from call to call.
    pub(super) fn measure<'m>(
        &mut self,
        scene: &'m Scene<'_>,
        (vmid, kind): (u32, i32),
        position: usize,
        member: &Member<'m>,
    ) -> Measured<'m> {
        let mut unused = Place::default();
        let place = self.places.get_mut(position).unwrap_or(&mut unused);
        let status = member.pve_status.as_ref().and_then(|held| {
            let guests = &held.value.value.guests;
            let position = advance(guests, &mut place.status, vmid, |guest| guest.vmid)?;
            let value = guests.get(position).filter(|guest| guest.kind == kind)?;
            let computed = plausible(value.computed_at.as_ref());
            let at = match (computed, member.agent) {
                (Some(computed), Some(agent)) => {
                    agent.clock.correct(computed, held.value.stamp.received)
                }
                _ => held.at,
            };
            Some(Entry {
                list: held.value,
                position,
                value,
                at,
            })
        });
        let runtime = member.runtimes.as_ref().and_then(|held| {
            let guests = &held.value.value.guests;
            let position = advance(guests, &mut place.runtime, vmid, |guest| guest.vmid)?;
            let value = guests.get(position).filter(|guest| guest.kind == kind)?;
            Some(Entry {
                list: held.value,
                position,
                value,
                at: held.at,
            })
        });
        let own_is_newest = status
            .as_ref()
            .is_some_and(|status| scene.is_recent(status.at, MARGIN));
        let broadcast = match own_is_newest {
            true => None,
            false => scene.live.broadcasts.guests.get(&vmid),
        };
        Measured {
            agent: member.agent,
            status,
            runtime,
            runtimes_at: member.runtimes.as_ref().map(|runtimes| runtimes.at),
            broadcast: broadcast.and_then(|broadcast| {
                Some(Dated {
                    value: &broadcast.value,
                    at: heard(broadcast, member.agent, scene.at)?,
                })
            }),
        }
    }
}

impl<L, T> Entry<'_, L, T> {
    pub(super) fn share(&self) -> Dated<GuestRef<L>> {
        Dated {
            value: GuestRef {
                list: Arc::clone(&self.list.value),
                position: length(self.position),
            },
            at: self.at,
        }
    }
}

/// Position of the VMID in the sorted list, from `place` on.
fn advance<T>(list: &[T], place: &mut usize, vmid: u32, id: fn(&T) -> u32) -> Option<usize> {
    while list.get(*place).is_some_and(|entry| id(entry) < vmid) {
        *place += 1;
    }
    list.get(*place)
        .is_some_and(|entry| id(entry) == vmid)
        .then_some(*place)
}
