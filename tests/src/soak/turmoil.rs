//! What happens to the node: by chance, and the same for the same seed.

use std::{collections::BTreeMap, io, time::Duration};

use anyhow::Result;
use pvelens_agent::collector::Collector;

use super::{Options, broken::Broken, fault::Fault};
use crate::sim::{
    Cluster, noise,
    state::{Guest, Kind, millis},
    tree::Tree,
};

/// Faults that hold at the same time, and those of them that only slow collectors
/// read, which last for long.
const AT_ONCE: usize = 12;
const SLOW_AT_ONCE: usize = 5;
/// A collector is slow above this interval.
const SLOW: Duration = Duration::from_secs(600);
const HOUR_MILLIS: i64 = 3_600_000;

/// The node, and what is done to it besides.
pub(super) struct Turmoil {
    cluster: Cluster,
    targets: BTreeMap<String, Vec<&'static Collector>>,
    dice: Dice,
    /// Readers with a longer interval would not be seen in so few cycles.
    longest: Duration,
    can_hang: bool,
    hung: u32,
    /// Guests that are away.
    away: Vec<Guest>,
    departures: u32,
    returns: u32,
    /// How far the clock of the node is ahead of what its files say.
    offset_millis: i64,
    forward: u64,
    back: u64,
}

/// Chance that repeats.
struct Dice {
    seed: u64,
    rolls: u64,
}

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.rolls += 1;
        noise::choose(self.seed.wrapping_add(self.rolls << 20), "soak", limit)
    }

    /// One time in so many.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

impl Turmoil {
    pub(super) fn new(
        cluster: Cluster,
        targets: BTreeMap<String, Vec<&'static Collector>>,
        options: &Options,
        can_hang: bool,
    ) -> Self {
        Self {
            cluster,
            targets,
            dice: Dice {
                seed: options.seed,
                rolls: 0,
            },
            longest: super::CYCLE * options.cycles / 4,
            can_hang,
            hung: 0,
            away: Vec::new(),
            departures: 0,
            returns: 0,
            offset_millis: 0,
            forward: 0,
            back: 0,
        }
    }

    pub(super) fn advance(&mut self, time: Duration) -> io::Result<()> {
        self.cluster.advance(time.as_secs())
    }

    pub(super) fn clock_millis(&self) -> i64 {
        self.cluster.now_millis() + self.offset_millis
    }

    pub(super) fn tree(&mut self) -> &mut Tree {
        self.cluster.tree_mut(0)
    }

    pub(super) fn can_hang(&self) -> bool {
        self.can_hang
    }

    /// Jumps of the clock, forward and back.
    pub(super) fn jumps(&self) -> (u64, u64) {
        (self.forward, self.back)
    }

    /// The guests that are there, in the whole cluster.
    pub(super) fn vmids(&self) -> Vec<u32> {
        let guests = self.cluster.state().guests.iter();
        let mut vmids: Vec<u32> = guests.map(|guest| guest.vmid).collect();
        vmids.sort_unstable();
        vmids
    }

    /// One cycle's share.
    pub(super) fn disturb(&mut self, cycle: u32, broken: &mut Broken) -> Result<()> {
        if self.dice.once_in(2) {
            self.break_something(cycle, broken)?;
        }
        if self.dice.once_in(8) {
            self.move_a_guest(broken)?;
        }
        if self.dice.once_in(25) {
            self.set_the_clock();
        }
        Ok(())
    }

    fn break_something(&mut self, cycle: u32, broken: &mut Broken) -> Result<()> {
        if broken.active() >= AT_ONCE {
            return Ok(());
        }
        let has_room_for_slow = broken.active_of(|reader| reader.interval > SLOW) < SLOW_AT_ONCE;
        // First the collector, so that those with few files get their share.
        let mut by_reader: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for (path, readers) in &self.targets {
            let may = readers.iter().all(|reader| {
                broken.is_idle(reader.name)
                    && reader.interval <= self.longest
                    && (has_room_for_slow || reader.interval <= SLOW)
            });
            if may
                && self
                    .cluster
                    .root(0)
                    .join(path.trim_start_matches('/'))
                    .is_file()
            {
                for reader in readers {
                    by_reader.entry(reader.name).or_default().push(path);
                }
            }
        }
        let mut readers = by_reader.values();
        let Some(paths) = readers.nth(self.dice.below(by_reader.len())) else {
            return Ok(());
        };
        let Some(path) = paths.get(self.dice.below(paths.len())) else {
            return Ok(());
        };
        let path = (*path).clone();
        let faults = Fault::of(&path, self.can_hang);
        let Some(fault) = faults.get(self.dice.below(faults.len())).copied() else {
            return Ok(());
        };
        let readers = self.targets.get(&path).cloned().unwrap_or_default();
        let held = fault.inject(self.cluster.tree_mut(0), &path)?;
        self.hung += u32::from(fault == Fault::Hang);
        let cycles = 2 + u32::try_from(self.dice.below(6)).unwrap_or_default();
        broken.add(cycle, fault, held, readers, cycles);
        Ok(())
    }

    /// One goes, or one that went comes back.
    fn move_a_guest(&mut self, broken: &Broken) -> io::Result<()> {
        let may_go = |guest: &&Guest| {
            let names = [
                format!("/{}.", guest.vmid),
                format!("/{}/", guest.vmid),
                format!("/{}/", guest.pid),
                format!("/tap{}i", guest.vmid),
                format!("/veth{}i", guest.vmid),
            ];
            !broken.has_path(|path| names.iter().any(|name| path.contains(name.as_str())))
        };
        if self.away.len() >= 3 || (!self.away.is_empty() && self.dice.once_in(2)) {
            let index = self.dice.below(self.away.len());
            let guest = self.away.swap_remove(index);
            self.cluster.state_mut().guests.push(guest);
            self.returns += 1;
            return self.cluster.advance(0);
        }
        let guests = &self.cluster.state().guests;
        let going: Vec<u32> = guests
            .iter()
            .filter(may_go)
            .map(|guest| guest.vmid)
            .collect();
        let Some(vmid) = going.get(self.dice.below(going.len())).copied() else {
            return Ok(());
        };
        let guests = &mut self.cluster.state_mut().guests;
        if let Some(guest) = guests.iter_mut().find(|guest| guest.vmid == vmid) {
            guest.running = false;
        }
        // What it ran goes first, as on a node.
        self.cluster.advance(0)?;
        let state = self.cluster.state_mut();
        let Some(index) = state.guests.iter().position(|guest| guest.vmid == vmid) else {
            return Ok(());
        };
        let mut guest = state.guests.remove(index);
        guest.running = true;
        let kind = if guest.kind == Kind::Qemu {
            "qemu-server"
        } else {
            "lxc"
        };
        let node = state.nodes[guest.node].name.clone();
        self.cluster
            .tree_mut(0)
            .remove(&format!("/etc/pve/nodes/{node}/{kind}/{vmid}.conf"))?;
        self.away.push(guest);
        self.departures += 1;
        // The lists without it.
        self.cluster.advance(0)
    }

    /// Seconds, hours or days, there and back again.
    fn set_the_clock(&mut self) {
        let spans = [
            5_000,
            90_000,
            HOUR_MILLIS,
            26 * HOUR_MILLIS,
            9 * 24 * HOUR_MILLIS,
        ];
        let span = spans.get(self.dice.below(spans.len())).copied();
        let span = span.unwrap_or(millis(5));
        // Not away for good.
        let is_back = match self.offset_millis {
            offset if offset > 20 * 24 * HOUR_MILLIS => true,
            offset if offset < -20 * 24 * HOUR_MILLIS => false,
            _ => self.dice.once_in(2),
        };
        if is_back {
            self.offset_millis -= span;
            self.back += 1;
        } else {
            self.offset_millis += span;
            self.forward += 1;
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!(
                "{} files of the node can be broken; {} reads were let hang",
                self.targets.len(),
                self.hung
            ),
            format!(
                "{} guests vanished and {} came back; the clock jumped {} times forward and {} back",
                self.departures, self.returns, self.forward, self.back
            ),
        ]
    }
}
