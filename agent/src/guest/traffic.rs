//! How many commands run, and how often: replays, one at a time for each guest, few at
//! a time for the node, so many within a minute, and what was left running.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::rule::{Refusal, Rule, Rules};

/// How old a request may be, and how much younger than now by our clock.
const OLDEST: SignedDuration = SignedDuration::from_secs(120);
const YOUNGEST: SignedDuration = SignedDuration::from_secs(60);
/// Ids are remembered for longer than a request lives.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(300);
/// In all guests of the node at the same time.
const SIDE_BY_SIDE: usize = 4;
/// How long a command waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Within a minute, in one guest and on the node.
const PER_GUEST: usize = 30;
const PER_NODE: usize = 120;
/// Refusals that are written down within a minute.
const REFUSALS: usize = 20;
/// Programs that may be left running in one guest before no other is started.
const LEFT_RUNNING: usize = 3;

/// What goes on at this node.
#[derive(Debug)]
pub(crate) struct Traffic {
    state: Mutex<State>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    /// Ids of requests, and when each came.
    seen: BTreeSet<String>,
    order: VecDeque<(Timestamp, String)>,
    begun: VecDeque<(Timestamp, u32)>,
    turns: BTreeMap<u32, Arc<Turn<()>>>,
    left: Vec<Left>,
    /// Refusals that were written down, and how many since then were not.
    refused: VecDeque<Timestamp>,
    unwritten: u64,
}

/// A program that did not end in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) vmid: u32,
    /// Of the VM.
    pub(crate) process: (u64, u64),
    pub(crate) guest_pid: u64,
    pub(crate) request_id: String,
    pub(crate) since: Timestamp,
}

/// A place among those that run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _turn: OwnedMutexGuard<()>,
    _permit: OwnedSemaphorePermit,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            places: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
        }
    }
}

impl Traffic {
    /// Takes note of requests that came before this process began.
    pub(crate) fn remember(&self, at: Timestamp, id: String) {
        let mut state = self.state();
        if state.seen.insert(id.clone()) {
            state.order.push_back((at, id));
        }
    }

    /// # Errors
    /// When a request is not new.
    pub(crate) fn admit(
        &self,
        id: &str,
        made_at: Timestamp,
        now: Timestamp,
        rules: Rules,
    ) -> Result<(), Refusal> {
        let age = now.duration_since(made_at);
        rules.refuse_if(age > OLDEST || age < -YOUNGEST, Rule::Expired, || {
            format!(
                "it was made {} s before now, by the clock of this node",
                age.as_secs()
            )
        })?;
        let mut state = self.state();
        while let Some((at, _)) = state.order.front()
            && now.duration_since(*at).abs() > REMEMBERED
            && let Some((_, old)) = state.order.pop_front()
        {
            state.seen.remove(&old);
        }
        let is_new = state.seen.insert(id.to_owned());
        if is_new {
            state.order.push_back((now, id.to_owned()));
        }
        rules.refuse_if(!is_new, Rule::Replayed, || {
            "a request with this id came before".to_owned()
        })
    }

    /// Counts a command that is about to run.
    ///
    /// # Errors
    /// When there were too many, or programs of before still run.
    pub(crate) fn count(
        &self,
        vmid: u32,
        process: (u64, u64),
        starts_program: bool,
        now: Timestamp,
        rules: Rules,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        while let Some((at, _)) = state.begun.front()
            && now.duration_since(*at).abs() > MINUTE
        {
            state.begun.pop_front();
        }
        let here = state.begun.iter().filter(|(_, other)| *other == vmid);
        let (here, all) = (here.count(), state.begun.len());
        rules.refuse_if(here >= PER_GUEST || all >= PER_NODE, Rule::TooMany, || {
            format!("{here} commands in {vmid} and {all} on this node within a minute")
        })?;
        let left = state
            .left
            .iter()
            .filter(|left| left.vmid == vmid && left.process == process);
        let left = left.count();
        rules.refuse_if(
            starts_program && left >= LEFT_RUNNING,
            Rule::LeftRunning,
            || format!("{left} programs that were started in {vmid} have not ended"),
        )?;
        state.begun.push_back((now, vmid));
        Ok(())
    }

    /// Waits for a place, a little.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn place(&self, vmid: u32, rules: Rules) -> Result<Option<Place>, Refusal> {
        let turn = Arc::clone(self.state().turns.entry(vmid).or_default());
        let places = Arc::clone(&self.places);
        let place = timeout(PATIENCE, async {
            let turn = turn.lock_owned().await;
            let permit = places.acquire_owned().await.ok()?;
            Some(Place {
                _turn: turn,
                _permit: permit,
            })
        });
        let place = place.await.ok().flatten();
        self.state()
            .turns
            .retain(|_, turn| Arc::strong_count(turn) > 1);
        rules.refuse_if(place.is_none(), Rule::Busy, || {
            format!("other commands run in {vmid}, or too many on this node")
        })?;
        Ok(place)
    }

    /// Whether one more refusal is written down, and how many before it were not: a
    /// flood of them must not push everything else out of the record.
    pub(crate) fn may_write_refusal(&self, now: Timestamp) -> Option<u64> {
        let mut state = self.state();
        while let Some(at) = state.refused.front()
            && now.duration_since(*at).abs() > MINUTE
        {
            state.refused.pop_front();
        }
        if state.refused.len() >= REFUSALS {
            state.unwritten = state.unwritten.saturating_add(1);
            return None;
        }
        state.refused.push_back(now);
        Some(std::mem::take(&mut state.unwritten))
    }

    pub(crate) fn leave(&self, left: Left) {
        self.state().left.push(left);
    }

    pub(crate) fn left(&self) -> Vec<Left> {
        self.state().left.clone()
    }

    pub(crate) fn forget(&self, gone: &Left) {
        self.state().left.retain(|left| left != gone);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_349_087 + seconds).unwrap()
    }

    fn refused(result: Result<(), Refusal>) -> Option<Rule> {
        result.err().map(|refusal| refusal.rule)
    }

    #[test]
    fn a_request_is_good_once_and_for_a_while() {
        let traffic = Traffic::default();
        let admit = |id: &str, made, now| {
            refused(traffic.admit(id, time(made), time(now), Rules::default()))
        };
        assert_eq!(admit("a", 0, 0), None);
        assert_eq!(admit("a", 1, 1), Some(Rule::Replayed));
        assert_eq!(admit("b", 0, 120), None);
        assert_eq!(admit("c", 0, 121), Some(Rule::Expired));
        assert_eq!(admit("d", 60, 0), None);
        assert_eq!(admit("e", 61, 0), Some(Rule::Expired));
        assert_eq!(admit("a", 119, 239), Some(Rule::Replayed));
        // An id is forgotten only when no request with it can still be good.
        assert_eq!(admit("a", 301, 301), None);
        traffic.remember(time(301), "of-before".to_owned());
        assert_eq!(admit("of-before", 302, 302), Some(Rule::Replayed));
    }

    #[test]
    fn there_are_so_many_within_a_minute() {
        let traffic = Traffic::default();
        let count =
            |vmid, now| refused(traffic.count(vmid, (1, 1), false, time(now), Rules::default()));
        for _ in 0..PER_GUEST {
            assert_eq!(count(101, 0), None);
        }
        assert_eq!(count(101, 60), Some(Rule::TooMany));
        assert_eq!(count(102, 60), None);
        assert_eq!(count(101, 61), None);
        for vmid in 200..318 {
            assert_eq!(count(vmid, 61), None);
        }
        assert_eq!(count(400, 61), Some(Rule::TooMany));
    }

    #[test]
    fn what_was_left_running_keeps_programs_out_of_this_start_of_the_vm() {
        let traffic = Traffic::default();
        for guest_pid in 0..3 {
            traffic.leave(Left {
                vmid: 101,
                process: (7, 7),
                guest_pid,
                request_id: String::new(),
                since: time(0),
            });
        }
        let count = |process, program| {
            refused(traffic.count(101, process, program, time(0), Rules::default()))
        };
        assert_eq!(count((7, 7), true), Some(Rule::LeftRunning));
        assert_eq!(count((7, 7), false), None);
        assert_eq!(count((8, 8), true), None);
        let first = traffic.left().remove(0);
        traffic.forget(&first);
        assert_eq!(count((7, 7), true), None);
    }

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let traffic = Traffic::default();
        for _ in 0..REFUSALS {
            assert_eq!(traffic.may_write_refusal(time(0)), Some(0));
        }
        assert_eq!(traffic.may_write_refusal(time(1)), None);
        assert_eq!(traffic.may_write_refusal(time(60)), None);
        assert_eq!(traffic.may_write_refusal(time(61)), Some(2));
        assert_eq!(traffic.may_write_refusal(time(61)), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_runs_in_a_guest_and_four_on_the_node() {
        let traffic = Traffic::default();
        let place = async |vmid| {
            let place = traffic.place(vmid, Rules::default()).await;
            place.map_err(|refusal| refusal.rule)
        };
        let first = place(101).await.unwrap();
        assert_eq!(place(101).await.unwrap_err(), Rule::Busy);
        let others = [place(102).await, place(103).await, place(104).await];
        assert_eq!(place(105).await.unwrap_err(), Rule::Busy);
        drop(first);
        assert!(place(101).await.is_ok());
        drop(others);
        assert!(
            traffic.state().turns.len() <= 4,
            "turns that nobody has are forgotten"
        );
    }
}
