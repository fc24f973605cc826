//! How many connections come from one place.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections by where they come from: an IPv4 address, or a network of IPv6, since a
/// host there has as many addresses as it likes. Only places with a connection are kept,
/// so whatever bounds those bounds this.
#[derive(Debug, Clone)]
pub struct Sources {
    limit: u32,
    places: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
}

/// One connection of a place.
#[derive(Debug)]
pub struct Ticket {
    sources: Sources,
    place: IpAddr,
}

impl Sources {
    /// At most `limit` of each place.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            places: Arc::default(),
        }
    }

    /// One more of that address, unless there are too many.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> Option<Ticket> {
        let place = place(address);
        let mut places = self.lock();
        let count = places.get(&place).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        places.insert(place, count + 1);
        drop(places);
        Some(Ticket {
            sources: self.clone(),
            place,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut places = self.sources.lock();
        let count = places.get(&self.place).copied().unwrap_or(0);
        if count > 1 {
            places.insert(self.place, count - 1);
        } else {
            places.remove(&self.place);
        }
    }
}

fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_has_so_many_and_leaves_nothing_behind() {
        let sources = Sources::new(2);
        let first = sources.enter(ip("2001:db8:0:1::1"));
        let second = sources.enter(ip("2001:db8:0:1:ffff::2"));
        assert!(first.is_some() && second.is_some());
        assert!(sources.enter(ip("2001:db8:0:1::3")).is_none());
        assert!(sources.enter(ip("2001:db8:0:2::1")).is_some());
        drop(first);
        assert!(sources.enter(ip("2001:db8:0:1::3")).is_some());
        drop(second);
        assert!(sources.lock().is_empty());
    }

    #[test]
    fn ipv4_is_one_place_in_either_form() {
        let sources = Sources::new(1);
        let _held = sources.enter(ip("::ffff:192.0.2.7"));
        assert!(sources.enter(ip("192.0.2.7")).is_none());
        assert!(sources.enter(ip("192.0.2.8")).is_some());
    }
}
