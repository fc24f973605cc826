//! What makes an emergency, told from the newest facts alone.

use std::time::Duration;

use jiff::Timestamp;

/// The local manager writes its status every five to ten seconds. The server takes
/// it for dead after thirty, and the watchdog bites after sixty
/// (`pve-ha-manager@src/PVE/API2/HA/Status.pm`, `src/watchdog-mux.c`). The status is
/// looked at every thirty seconds, so thirty would be too late.
const STALE: Duration = Duration::from_secs(20);
/// Failed looks at the cluster file system, ten seconds apart: one is an upgrade of
/// pve-cluster.
const FAILED_LOOKS: u32 = 2;

/// One reason to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The cluster file system says that the cluster is not quorate here.
    QuorumLost,
    /// High availability is active, and its local manager has stopped writing.
    ManagerStale,
    /// The local manager lost the lock that keeps its watchdog quiet.
    LockLost,
    /// High availability is active, and the cluster file system cannot be read.
    ClusterFilesGone,
    /// The master has begun to fence this node.
    Fenced,
    /// High availability is active without the service that feeds the watchdog.
    WatchdogDown,
}

impl Sign {
    pub const ALL: [Self; 6] = [
        Self::QuorumLost,
        Self::ManagerStale,
        Self::LockLost,
        Self::ClusterFilesGone,
        Self::Fenced,
        Self::WatchdogDown,
    ];

    /// Stable across versions: it is written to disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QuorumLost => "quorum_lost",
            Self::ManagerStale => "ha_manager_stale",
            Self::LockLost => "ha_lock_lost",
            Self::ClusterFilesGone => "cluster_files_gone",
            Self::Fenced => "being_fenced",
            Self::WatchdogDown => "watchdog_service_down",
        }
    }

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::QuorumLost => "quorum lost",
            Self::ManagerStale => "the local HA manager stopped writing its status",
            Self::LockLost => "the local HA manager lost its lock",
            Self::ClusterFilesGone => "/etc/pve cannot be read while HA is active",
            Self::Fenced => "the HA master is fencing this node",
            Self::WatchdogDown => "watchdog-mux does not run while HA is active",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sign| sign.name() == name)
    }
}

/// The newest facts that matter. What was never read, or failed, is as it was
/// last known: absence is no recovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vitals {
    /// Of this node, as pmxcfs says.
    pub(super) node: String,
    /// Absent on a node that stands alone.
    pub(super) is_quorate: Option<bool>,
    /// Failed looks at `/etc/pve/.members` since the last good one.
    pub(super) failed_looks: u32,
    pub(super) manager: Option<Manager>,
    /// When the status of the managers was last read.
    pub(super) manager_seen: Option<Timestamp>,
    /// The state of this node in the eyes of the master.
    pub(super) node_state: String,
    /// High availability was switched off for maintenance (PVE 9.2).
    pub(super) is_disarmed: bool,
    /// `ActiveState` of `watchdog-mux.service`, if somebody says.
    pub(super) watchdog_service: Option<String>,
}

/// This node's own manager, from its `lrm_status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) state: String,
    pub(super) written_at: Option<Timestamp>,
}

/// The signs of an emergency, in order.
pub(super) fn signs(vitals: &Vitals) -> Vec<Sign> {
    let state = vitals
        .manager
        .as_ref()
        .map_or("", |manager| manager.state.as_str());
    // The manager holds the watchdog in these states alone. That of the master is
    // not counted: it lets go of it when it loses its lock.
    let is_active = matches!(state, "active" | "lost_agent_lock") && !vitals.is_disarmed;
    let found = |sign: Sign| match sign {
        Sign::QuorumLost => vitals.is_quorate == Some(false),
        Sign::ManagerStale => is_active && age(vitals).is_some_and(|age| age > STALE),
        Sign::LockLost => is_active && state == "lost_agent_lock",
        Sign::ClusterFilesGone => is_active && vitals.failed_looks >= FAILED_LOOKS,
        Sign::Fenced => is_active && vitals.node_state == "fence",
        Sign::WatchdogDown => {
            let service = vitals.watchdog_service.as_deref();
            is_active && service.is_some_and(|state| matches!(state, "failed" | "inactive"))
        }
    };
    Sign::ALL.into_iter().filter(|sign| found(*sign)).collect()
}

/// Age of the own manager's status when it was last read.
fn age(vitals: &Vitals) -> Option<Duration> {
    let written = vitals.manager.as_ref()?.written_at?;
    let seconds = vitals.manager_seen?.as_second() - written.as_second();
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_349_100;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    /// A member of a healthy cluster with services of its own.
    fn healthy() -> Vitals {
        Vitals {
            node: "a".to_owned(),
            is_quorate: Some(true),
            manager: Some(Manager {
                state: "active".to_owned(),
                written_at: at(NOW - 9),
            }),
            manager_seen: at(NOW),
            node_state: "online".to_owned(),
            watchdog_service: Some("active".to_owned()),
            ..Vitals::default()
        }
    }

    #[test]
    fn each_sign_has_its_cause_and_no_other() {
        /// A name, what is different, and the signs of that.
        type Case = (&'static str, fn(&mut Vitals), &'static [Sign]);
        let cases: &[Case] = &[
            ("healthy", |_| {}, &[]),
            ("nothing known", |v| *v = Vitals::default(), &[]),
            ("alone", |v| v.is_quorate = None, &[]),
            (
                "quorum lost",
                |v| v.is_quorate = Some(false),
                &[Sign::QuorumLost],
            ),
            (
                "quorum lost, no HA",
                |v| {
                    v.is_quorate = Some(false);
                    v.manager = None;
                },
                &[Sign::QuorumLost],
            ),
            (
                "as old as it may be",
                |v| v.manager_seen = at(NOW + 11),
                &[],
            ),
            (
                "stale",
                |v| v.manager_seen = at(NOW + 12),
                &[Sign::ManagerStale],
            ),
            (
                "stale and idle",
                |v| {
                    v.manager_seen = at(NOW + 3600);
                    v.manager.as_mut().unwrap().state = "wait_for_agent_lock".to_owned();
                },
                &[],
            ),
            (
                "stale and disarmed",
                |v| {
                    v.manager_seen = at(NOW + 3600);
                    v.is_disarmed = true;
                },
                &[],
            ),
            ("of the future", |v| v.manager_seen = at(NOW - 3600), &[]),
            (
                "lock lost",
                |v| v.manager.as_mut().unwrap().state = "lost_agent_lock".to_owned(),
                &[Sign::LockLost],
            ),
            ("one failed look", |v| v.failed_looks = 1, &[]),
            (
                "pmxcfs gone",
                |v| v.failed_looks = 2,
                &[Sign::ClusterFilesGone],
            ),
            (
                "pmxcfs gone, no HA",
                |v| {
                    v.failed_looks = 9;
                    v.manager = None;
                },
                &[],
            ),
            (
                "fenced",
                |v| v.node_state = "fence".to_owned(),
                &[Sign::Fenced],
            ),
            (
                "watchdog failed",
                |v| v.watchdog_service = Some("failed".to_owned()),
                &[Sign::WatchdogDown],
            ),
            (
                "watchdog restarts",
                |v| v.watchdog_service = Some("activating".to_owned()),
                &[],
            ),
            ("nobody says", |v| v.watchdog_service = None, &[]),
        ];
        for (name, change, expected) in cases {
            let mut vitals = healthy();
            change(&mut vitals);
            assert_eq!(signs(&vitals), *expected, "{name}");
        }
    }

    #[test]
    fn every_sign_is_found_by_its_name() {
        for sign in Sign::ALL {
            assert_eq!(Sign::named(sign.name()), Some(sign));
        }
        assert_eq!(Sign::named("x"), None);
    }
}
