//! What was found in guests within the last minutes, for the next step of a workflow.
//!
//! In memory only, and bounded: it is a help for whoever looks into a guest now, not a
//! history. Results of a guest that was replaced under the same VMID are not those of
//! the new one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::{
    catalogue::Argument,
    facts::GuestFacts,
    outcome::{Outcome, Word},
    target::Identity,
};

const KEPT: SignedDuration = SignedDuration::from_mins(30);
const PER_GUEST: usize = 32;
const GUESTS: usize = 256;

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub struct Result {
    pub command: String,
    pub arguments: Vec<Argument>,
    /// When it ended, by the coordinator's clock.
    pub at: Timestamp,
    pub outcome: Word,
    pub succeeded: Option<bool>,
    pub facts: Option<GuestFacts>,
}

/// Results by guest, the oldest first.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<Identity, VecDeque<Arc<Result>>>>);

impl Recent {
    /// Keeps a result; what is too old or too much goes.
    pub fn keep(&self, outcome: &Outcome, arguments: Vec<Argument>, at: Timestamp) {
        let mut guests = self.lock();
        let guest = outcome.guest.identity();
        if !guests.contains_key(&guest) {
            guests.retain(|_, results| results.back().is_some_and(|last| is_recent(last, at)));
        }
        if guests.len() >= GUESTS && !guests.contains_key(&guest) {
            let newest = |results: &VecDeque<Arc<Result>>| results.back().map(|result| result.at);
            let oldest = guests.iter().min_by_key(|(_, results)| newest(results));
            if let Some(oldest) = oldest.map(|(guest, _)| guest.clone()) {
                guests.remove(&oldest);
            }
        }
        let results = guests.entry(guest).or_default();
        results.retain(|result| is_recent(result, at));
        if results.len() >= PER_GUEST {
            results.pop_front();
        }
        results.push_back(Arc::new(Result {
            command: outcome.command.clone(),
            arguments,
            at,
            outcome: outcome.outcome,
            succeeded: outcome.succeeded,
            facts: outcome.facts.clone(),
        }));
    }

    /// Of one guest, the oldest first.
    #[must_use]
    pub fn of(&self, guest: &Identity, at: Timestamp) -> Vec<Arc<Result>> {
        let guests = self.lock();
        let results = guests.get(guest).into_iter().flatten();
        results
            .filter(|result| is_recent(result, at))
            .map(Arc::clone)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, VecDeque<Arc<Result>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(result: &Result, at: Timestamp) -> bool {
    at.duration_since(result.at) <= KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_command::target::Target;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_795_600_000 + minute * 60).unwrap()
    }

    fn outcome(vmid: u32, command: &str) -> Outcome {
        let guest = Target {
            vmid,
            ..Target::default()
        };
        Outcome::new(guest, command, Word::Completed)
    }

    fn commands(recent: &Recent, vmid: u32, minute: i64) -> Vec<String> {
        let results = recent.of(&outcome(vmid, "").guest.identity(), at(minute));
        results
            .iter()
            .map(|result| result.command.clone())
            .collect()
    }

    #[test]
    fn results_are_forgotten_after_half_an_hour() {
        let recent = Recent::default();
        recent.keep(&outcome(100, "load"), Vec::new(), at(0));
        recent.keep(&outcome(100, "memory"), Vec::new(), at(20));
        recent.keep(&outcome(101, "ping"), Vec::new(), at(20));
        assert_eq!(commands(&recent, 100, 30), ["load", "memory"]);
        assert_eq!(commands(&recent, 100, 31), ["memory"]);
        recent.keep(&outcome(102, "ping"), Vec::new(), at(60));
        assert_eq!(recent.lock().len(), 1);
    }

    #[test]
    fn however_much_is_run_little_is_kept() {
        let recent = Recent::default();
        for vmid in 100..600 {
            for _ in 0..40 {
                recent.keep(
                    &outcome(vmid, "load"),
                    Vec::new(),
                    at(i64::from(vmid) / 100),
                );
            }
        }
        assert_eq!(recent.lock().len(), GUESTS);
        assert_eq!(commands(&recent, 599, 6).len(), PER_GUEST);
        assert!(commands(&recent, 100, 6).is_empty());
    }
}
