//! Whether this node is about to be reset by high availability.
//!
//! A node on which HA runs guests renews its lock in `/etc/pve` every few seconds.
//! When it cannot for a minute, its watchdog resets it. That is the one thing that
//! cannot wait, so it is said before the check of the HA manager has waited for its
//! own time.

use jiff::{SignedDuration, Timestamp};

use super::{
    Trouble, advice,
    facts::{Facts, moment},
    onset::{self, Since},
    timeline::Happened,
    words,
};
use crate::finding::Severity;

/// From the last renewal of the lock to the reset
/// (`pve-ha-manager@src/watchdog-mux.c`).
const RESET: SignedDuration = SignedDuration::from_secs(60);

/// What high availability has on this node, when it is at work here.
pub(super) struct Armed {
    pub(super) guests: Vec<String>,
    renewed: Option<Timestamp>,
}

/// Absent when nothing can reset this node, or that is not known.
pub(super) fn armed(facts: &Facts<'_>) -> Option<Armed> {
    let ha = facts.ha_state()?;
    let mut managers = ha.local_managers.iter();
    let own = managers.find(|manager| manager.node == facts.node)?;
    let is_at_work = matches!(own.state.as_str(), "active" | "lost_agent_lock");
    let services = ha.services.iter();
    let here = services.filter(|service| service.node == facts.node);
    let guests: Vec<String> = here.map(|service| service.sid.clone()).collect();
    (is_at_work && !guests.is_empty() && ha.disarm.is_none()).then(|| Armed {
        guests,
        renewed: own.written_at.as_ref().and_then(moment),
    })
}

impl Armed {
    /// What is about to happen to the node, and to which guests.
    fn threat(&self, facts: &Facts<'_>) -> (String, String) {
        let age = self.renewed.map(|at| facts.at.duration_since(at));
        let soon = match age {
            Some(age) if age < RESET => format!("in about {} s", (RESET - age).as_secs()),
            _ => "at any moment".to_owned(),
        };
        (
            format!("{} resets itself {soon}", facts.node),
            words::list(&self.guests, 4),
        )
    }
}

/// What a silent HA manager of this node means for it; absent when nothing is at
/// stake here.
pub(super) fn silent_manager(facts: &Facts<'_>) -> Option<String> {
    let armed = armed(facts)?;
    let (threat, guests) = armed.threat(facts);
    let silent = armed.renewed.map_or_else(String::new, |at| {
        format!(" for {}", words::age(at, facts.at))
    });
    Some(format!(
        "{threat}: its HA manager, which runs {guests}, has renewed no lock{silent}"
    ))
}

pub(super) fn trouble(
    facts: &Facts<'_>,
    troubles: &[Trouble],
    events: &[Happened],
) -> Option<Trouble> {
    let armed = armed(facts)?;
    let why = if has(troubles, advice::PMXCFS) {
        "/etc/pve does not answer"
    } else if facts.quorate() == Some(false) {
        "there is no quorum"
    } else {
        return None;
    };
    let subject = format!("node/{}", facts.node);
    let is_told = |trouble: &Trouble| trouble.check == "ha.lrm.stale" && trouble.subject == subject;
    if troubles.iter().any(is_told) {
        return None;
    }
    let (threat, guests) = armed.threat(facts);
    let what = format!(
        "{threat}: high availability runs {guests} here and cannot renew its lock, as {why}"
    );
    let began = onset::beginning(advice::QUORUM_LOST, events, facts.at);
    let since = armed.renewed.or(began);
    Some(Trouble {
        check: advice::FENCING.to_owned(),
        severity: Severity::Critical,
        subject,
        what,
        since: since.map(Since::at).unwrap_or_default(),
        impact: advice::of(advice::FENCING)
            .map(|row| row.impact.to_owned())
            .unwrap_or_default(),
    })
}

fn has(troubles: &[Trouble], check: &str) -> bool {
    troubles.iter().any(|trouble| trouble.check == check)
}
