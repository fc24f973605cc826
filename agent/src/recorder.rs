//! The flight recorder: in an emergency the last minutes go to disk as well.
//!
//! A node that is fenced is reset, and what it sampled in `/run` is gone. So when
//! the newest samples show that quorum is lost, or that the watchdog may soon bite
//! (`sign`), the last ten minutes are taken from the spool and written to a small
//! ring of files, and then what is sampled as long as that lasts (`writer`). In
//! calm nothing is written, no file is open and no thread runs.
//!
//! Files are as those of the spool, so a reset leaves at worst a torn end. Each
//! write is synced: a watchdog bites without warning. A disk that hangs costs one
//! thread, and what was meanwhile sampled is taken from the spool when it answers
//! again; a disk that is full or read-only costs the record, and the log says so.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::NodeUpdate;
use tracing::{info, warn};

use crate::spool::Spool;

mod bounds;
mod files;
mod order;
mod picture;
mod read;
mod record;
mod sign;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests break the files they read")]
mod tests;
mod watch;
mod writer;

pub use picture::{Picture, Stalled};
pub use read::{Emergency, Problem, Recorded, read};
pub use sign::Sign;

use order::{Order, Orders};
use watch::{PRIMED_BY, Watch};
use writer::Writer;

/// Looks at what is sampled, and records when there is an emergency.
#[derive(Debug)]
pub struct Recorder {
    watch: Mutex<Watch>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    /// There is no flight any more.
    landed: Condvar,
    /// Held by the one thread that writes, for as long as the disk takes.
    writer: Mutex<Writer>,
}

impl Recorder {
    /// A recorder of at most so many bytes in a directory, whose parent must be
    /// there. Nothing is touched before an emergency.
    #[must_use]
    pub fn new(directory: PathBuf, limit: usize, spool: Arc<Spool>) -> Self {
        let mut watch = Watch::default();
        // A restarted agent may find a cluster file system that says nothing more.
        for collector in PRIMED_BY {
            if let Some(payload) = spool.newest_payload(collector) {
                watch.prime(collector, payload);
            }
        }
        Self {
            watch: Mutex::new(watch),
            shared: Arc::new(Shared {
                writer: Mutex::new(Writer::new(directory, limit, spool)),
                orders: Mutex::default(),
                landed: Condvar::new(),
            }),
        }
    }

    /// Takes in an update as the spool keeps it. `now` is of a clock that only goes
    /// forward, `at` the node's. It never waits for the disk.
    pub fn observe(&self, update: &NodeUpdate, now: Duration, at: Timestamp) {
        let order = lock(&self.watch).see(update, now, at);
        if let Some(order) = order {
            if let Some(mark) = order.mark {
                info!(signs = order.words(), "flight recorder: {}", mark.words());
            }
            self.place(order);
        }
    }

    /// Waits until everything that was ordered is on disk or has failed.
    pub fn wait(&self) {
        let mut orders = lock(&self.shared.orders);
        while orders.in_flight {
            orders = self
                .shared
                .landed
                .wait(orders)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands an order to the thread that writes, and starts it if there is none.
    fn place(&self, order: Order) {
        let mut orders = lock(&self.shared.orders);
        orders.add(order);
        if orders.in_flight {
            return;
        }
        orders.in_flight = true;
        drop(orders);
        let mut flight = Flight {
            shared: Arc::clone(&self.shared),
            is_over: false,
        };
        let started = thread::Builder::new()
            .name("flight-recorder".to_owned())
            .spawn(move || {
                while let Some(order) = flight.next() {
                    lock(&flight.shared.writer).carry_out(&order);
                }
            });
        if let Err(error) = started {
            // The flight ended with the closure; the next update tries again.
            warn!(%error, "the flight recorder has no thread to write");
        }
    }
}

/// That orders are worked on, until there is none.
#[derive(Debug)]
struct Flight {
    shared: Arc<Shared>,
    is_over: bool,
}

impl Flight {
    fn next(&mut self) -> Option<Order> {
        let mut orders = lock(&self.shared.orders);
        let order = orders.next();
        if order.is_none() {
            // Under the lock, so that no order is left to nobody.
            orders.in_flight = false;
            self.is_over = true;
            self.shared.landed.notify_all();
        }
        order
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // It unwinds, or never began.
        if !self.is_over {
            lock(&self.shared.orders).in_flight = false;
            self.shared.landed.notify_all();
        }
    }
}

/// No code under these locks panics half-way through a change that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
