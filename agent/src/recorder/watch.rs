//! Whether there is an emergency: at once when there is a sign, and for two minutes
//! after the last one.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use pvelens_proto::{
    agent::v1::{ClusterMembers, FailureKind, HaState, NodeUpdate, Sample, Units, sample::Payload},
    timestamp_to_millis,
};

use super::{
    order::{Order, Pace},
    record::Mark,
    sign::{Manager, Sign, Vitals, signs},
};

/// Without a sign for so long, it is over.
const CALM: Duration = Duration::from_secs(120);
/// From then on an emergency that brings nothing new is recorded slowly: a node
/// without quorum can stay so for days, and nobody reads them all.
const FULL_PACE: Duration = Duration::from_secs(20 * 60);

const MEMBERS: &str = "members";
const MANAGERS: &str = "ha_state";
/// Whose last payloads are known again after a restart of the agent.
pub(super) const PRIMED_BY: &[&str] = &[MEMBERS, MANAGERS, "units"];
const WATCHDOG_UNIT: &str = "watchdog-mux.service";

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    vitals: Vitals,
    emergency: Option<Ongoing>,
    /// By collector, what it gave before the agent started. It counts when it is read
    /// again and unchanged.
    before: HashMap<String, Payload>,
    /// The latest time that was told. Rounds end in any order.
    now: Duration,
}

#[derive(Debug)]
struct Ongoing {
    began: Timestamp,
    /// All that there were, sorted.
    signs: Vec<Sign>,
    last_sign: Duration,
    /// When there was last one that had not been before.
    news: Duration,
}

impl Watch {
    /// Takes in what was known before the agent started. That quorum was lost then
    /// says nothing, but that the watchdog watched matters if nobody says any more.
    pub(super) fn prime(&mut self, collector: &str, payload: Payload) {
        match &payload {
            Payload::ClusterMembers(members) => self.vitals.node.clone_from(&members.node_name),
            Payload::HaState(state) => self.vitals.take_managers(state),
            _ => {}
        }
        self.before.insert(collector.to_owned(), payload);
    }

    /// Takes in an update, and tells what there is to record.
    pub(super) fn see(
        &mut self,
        update: &NodeUpdate,
        now: Duration,
        at: Timestamp,
    ) -> Option<Order> {
        self.now = self.now.max(now);
        let now = self.now;
        for sample in &update.samples {
            self.take(sample);
        }
        let found = signs(&self.vitals);
        let sequence = update.cursor.as_ref().map_or(0, |cursor| cursor.sequence);
        let order = |ongoing: &Ongoing, mark: Option<Mark>| Order {
            emergency: ongoing.began,
            at,
            now,
            mark,
            signs: ongoing.signs.clone(),
            until: sequence,
            pace: if now.saturating_sub(ongoing.news) < FULL_PACE {
                Pace::Full
            } else {
                Pace::Slow
            },
        };
        let Some(ongoing) = &mut self.emergency else {
            if found.is_empty() {
                return None;
            }
            let ongoing = Ongoing {
                began: at,
                signs: found,
                last_sign: now,
                news: now,
            };
            let began = order(&ongoing, Some(Mark::Began));
            self.emergency = Some(ongoing);
            return Some(began);
        };
        if found.is_empty() {
            if now.saturating_sub(ongoing.last_sign) < CALM {
                return Some(order(ongoing, None));
            }
            let ended = order(ongoing, Some(Mark::Ended));
            self.emergency = None;
            return Some(ended);
        }
        ongoing.last_sign = now;
        let known = ongoing.signs.len();
        ongoing.signs.extend(found);
        ongoing.signs.sort_unstable();
        ongoing.signs.dedup();
        if ongoing.signs.len() == known {
            return Some(order(ongoing, None));
        }
        ongoing.news = now;
        Some(order(ongoing, Some(Mark::Worse)))
    }

    fn take(&mut self, sample: &Sample) {
        let vitals = &mut self.vitals;
        if sample.collector == MEMBERS {
            vitals.failed_looks = match sample.payload {
                Some(_) => 0,
                None if is_gone(sample) => vitals.failed_looks.saturating_add(1),
                None => vitals.failed_looks,
            };
        }
        let before = match &sample.payload {
            None => None,
            Some(Payload::Unchanged(_)) => self.before.remove(&sample.collector),
            Some(_) => {
                self.before.remove(&sample.collector);
                None
            }
        };
        match before.as_ref().or(sample.payload.as_ref()) {
            Some(Payload::ClusterMembers(members)) => vitals.take_members(members),
            Some(Payload::HaState(state)) => vitals.take_managers(state),
            Some(Payload::Units(units)) => vitals.take_units(units),
            Some(Payload::NoData(_)) if sample.collector == MEMBERS => vitals.is_quorate = None,
            _ => {}
        }
        // A manager that stopped is seen by a status that was read again and is the
        // same.
        if sample.collector == MANAGERS && sample.payload.is_some() {
            vitals.manager_seen = sample
                .observed_at
                .as_ref()
                .and_then(|time| Timestamp::from_millisecond(timestamp_to_millis(time)).ok());
        }
    }
}

impl Vitals {
    fn take_members(&mut self, members: &ClusterMembers) {
        self.node.clone_from(&members.node_name);
        self.is_quorate = members.cluster.as_ref().map(|cluster| cluster.quorate);
    }

    fn take_managers(&mut self, state: &HaState) {
        let own = state.local_managers.iter().find(|m| m.node == self.node);
        // One that could not be read is as it was last known.
        if let Some(own) = own {
            self.manager = Some(Manager {
                state: own.state.clone(),
                written_at: own
                    .written_at
                    .as_ref()
                    .and_then(|time| Timestamp::from_millisecond(timestamp_to_millis(time)).ok()),
            });
        }
        let node = state.nodes.iter().find(|node| node.name == self.node);
        self.node_state = node.map_or_else(String::new, |node| node.state.clone());
        self.is_disarmed = state
            .disarm
            .as_ref()
            .is_some_and(|disarm| disarm.state == "disarmed");
    }

    fn take_units(&mut self, units: &Units) {
        let mut all = units.units.iter();
        let unit = all.find(|unit| unit.name == WATCHDOG_UNIT && unit.load_state == "loaded");
        self.watchdog_service = unit.map(|unit| unit.active_state.clone());
    }
}

/// Whether it failed since the cluster file system hangs or is not there, and not
/// since a file in it is out of format.
fn is_gone(sample: &Sample) -> bool {
    sample.failures.iter().any(|failure| {
        matches!(
            failure.kind(),
            FailureKind::NotFound
                | FailureKind::TimedOut
                | FailureKind::InProgress
                | FailureKind::Disconnected
                | FailureKind::Io
        )
    })
}

#[cfg(test)]
mod tests {
    use pvelens_proto::{
        agent::v1::{
            ClusterSummary, Cursor, HaLocalManager, NoData, SourceFailure, Unchanged, Unit,
        },
        timestamp_from_millis,
    };

    use super::*;

    const START: i64 = 1_795_349_000;

    fn members(is_quorate: bool) -> Sample {
        Sample {
            collector: MEMBERS.to_owned(),
            payload: Some(Payload::ClusterMembers(ClusterMembers {
                node_name: "a".to_owned(),
                cluster: Some(ClusterSummary {
                    quorate: is_quorate,
                    ..ClusterSummary::default()
                }),
                ..ClusterMembers::default()
            })),
            ..Sample::default()
        }
    }

    fn failed(kind: FailureKind) -> Sample {
        Sample {
            collector: MEMBERS.to_owned(),
            failures: vec![SourceFailure {
                kind: kind.into(),
                ..SourceFailure::default()
            }],
            ..Sample::default()
        }
    }

    fn managers(seen: i64, payload: Payload) -> Sample {
        Sample {
            collector: "ha_state".to_owned(),
            observed_at: Some(timestamp_from_millis((START + seen) * 1000)),
            payload: Some(payload),
            ..Sample::default()
        }
    }

    fn active(seen: i64) -> Sample {
        let own = HaLocalManager {
            node: "a".to_owned(),
            state: "active".to_owned(),
            written_at: Some(timestamp_from_millis(START * 1000)),
            ..HaLocalManager::default()
        };
        let state = HaState {
            local_managers: vec![own],
            ..HaState::default()
        };
        managers(seen, Payload::HaState(state))
    }

    /// What is ordered when these come at this second.
    fn see(watch: &mut Watch, second: i64, samples: Vec<Sample>) -> Option<Order> {
        let update = NodeUpdate {
            cursor: Some(Cursor {
                epoch: "e".to_owned(),
                sequence: u64::try_from(second).unwrap(),
            }),
            samples,
            ..NodeUpdate::default()
        };
        let now = Duration::from_secs(u64::try_from(second).unwrap());
        let at = Timestamp::from_second(START + second).unwrap();
        watch.see(&update, now, at)
    }

    fn mark(order: Option<Order>) -> Option<Mark> {
        order.expect("an order").mark
    }

    #[test]
    fn it_begins_at_once_and_ends_after_two_calm_minutes() {
        let mut watch = Watch::default();
        assert_eq!(see(&mut watch, 0, vec![members(true)]), None);
        let began = see(&mut watch, 10, vec![members(false)]);
        assert_eq!(mark(began), Some(Mark::Began));
        assert_eq!(mark(see(&mut watch, 20, vec![members(true)])), None);
        assert_eq!(mark(see(&mut watch, 100, vec![members(false)])), None);
        assert_eq!(mark(see(&mut watch, 219, vec![members(true)])), None);
        let ended = see(&mut watch, 220, vec![members(true)]);
        assert_eq!(mark(ended), Some(Mark::Ended));
        assert_eq!(see(&mut watch, 230, vec![members(true)]), None);
    }

    #[test]
    fn what_cannot_be_read_is_no_recovery() {
        let mut watch = Watch::default();
        see(&mut watch, 0, vec![members(false)]);
        for second in (10..1000).step_by(10) {
            let order = see(&mut watch, second, vec![failed(FailureKind::TimedOut)]);
            assert_eq!(mark(order), None);
        }
        let alone = Sample {
            payload: Some(Payload::NoData(NoData::default())),
            ..failed(FailureKind::NotFound)
        };
        assert_eq!(mark(see(&mut watch, 1010, vec![alone.clone()])), None);
        assert_eq!(mark(see(&mut watch, 1200, vec![alone])), Some(Mark::Ended));
    }

    #[test]
    fn a_manager_that_stopped_is_seen_by_an_unchanged_status() {
        let mut watch = Watch::default();
        assert_eq!(see(&mut watch, 0, vec![members(true), active(1)]), None);
        let again = |seen| managers(seen, Payload::Unchanged(Unchanged { since_sequence: 1 }));
        assert_eq!(see(&mut watch, 20, vec![again(20)]), None);
        let order = see(&mut watch, 50, vec![again(50)]).unwrap();
        assert_eq!(order.signs, [Sign::ManagerStale]);
        let worse = see(&mut watch, 60, vec![members(false)]).unwrap();
        assert_eq!(worse.mark, Some(Mark::Worse));
        assert_eq!(worse.signs, [Sign::QuorumLost, Sign::ManagerStale]);
    }

    #[test]
    fn a_dead_cluster_file_system_matters_to_whom_the_watchdog_watches() {
        let mut watch = Watch::default();
        see(&mut watch, 0, vec![members(true)]);
        for second in 1..9 {
            let gone = failed(FailureKind::Disconnected);
            assert_eq!(see(&mut watch, second, vec![gone]), None);
        }
        see(&mut watch, 10, vec![members(true), active(10)]);
        let torn = failed(FailureKind::Truncated);
        assert_eq!(see(&mut watch, 11, vec![torn.clone(), torn]), None);
        let gone = failed(FailureKind::Disconnected);
        assert_eq!(see(&mut watch, 20, vec![gone.clone()]), None);
        assert!(see(&mut watch, 30, vec![gone]).is_some());
    }

    #[test]
    fn a_restarted_agent_knows_that_the_watchdog_watches_and_nothing_of_quorum() {
        let mut watch = Watch::default();
        watch.prime(MEMBERS, members(false).payload.unwrap());
        watch.prime(MANAGERS, active(0).payload.unwrap());
        assert_eq!(see(&mut watch, 500, vec![]), None);
        let gone = failed(FailureKind::NotFound);
        assert_eq!(see(&mut watch, 510, vec![gone.clone()]), None);
        assert!(see(&mut watch, 520, vec![gone]).is_some());
    }

    #[test]
    fn what_is_as_it_was_before_a_restart_counts() {
        let mut watch = Watch::default();
        watch.prime(MEMBERS, members(false).payload.unwrap());
        let unchanged = Sample {
            payload: Some(Payload::Unchanged(Unchanged { since_sequence: 1 })),
            ..members(false)
        };
        let order = see(&mut watch, 10, vec![unchanged]).unwrap();
        assert_eq!(order.signs, [Sign::QuorumLost]);
    }

    #[test]
    fn a_watchdog_service_that_failed_is_a_sign() {
        let mut watch = Watch::default();
        see(&mut watch, 0, vec![members(true), active(1)]);
        let unit = Unit {
            name: WATCHDOG_UNIT.to_owned(),
            load_state: "loaded".to_owned(),
            active_state: "failed".to_owned(),
            ..Unit::default()
        };
        let units = Sample {
            collector: "units".to_owned(),
            payload: Some(Payload::Units(Units {
                units: vec![unit],
                ..Units::default()
            })),
            ..Sample::default()
        };
        let order = see(&mut watch, 5, vec![units]).unwrap();
        assert_eq!(order.signs, [Sign::WatchdogDown]);
    }

    #[test]
    fn a_long_emergency_slows_down_until_it_gets_worse() {
        let mut watch = Watch::default();
        let first = see(&mut watch, 0, vec![members(false)]).unwrap();
        assert_eq!(first.pace, Pace::Full);
        let long = see(&mut watch, 1200, vec![members(false)]).unwrap();
        assert_eq!(long.pace, Pace::Slow);
        let worse = see(&mut watch, 1210, vec![active(1210)]).unwrap();
        assert_eq!((worse.mark, worse.pace), (Some(Mark::Worse), Pace::Full));
    }
}
