//! Units of systemd and `OpenRC`, and containers.

pub(super) mod containers;
pub(super) mod openrc;
pub(super) mod systemd;

use crate::guest_command::facts::{GuestFacts, Unit, Units};

const UNITS: usize = 20;
const FAILED: usize = 40;

/// Takes over a list. With `is_complete` what is not in it did not fail.
pub(super) fn keep(facts: &mut GuestFacts, mut list: Vec<Unit>, is_complete: bool) {
    facts.understood = true;
    let is_failed = |unit: &Unit| unit.active.as_deref() == Some("failed");
    let of = |active: &[&str]| {
        let all = list.iter().filter(|unit| {
            unit.active
                .as_deref()
                .is_some_and(|state| active.contains(&state))
        });
        all.count()
    };
    let small = |count: usize| u32::try_from(count).ok();
    let (running, stopped) = (small(of(&["active"])), small(of(&["inactive"])));
    let mut failed: Vec<String> = list
        .iter()
        .filter(|unit| is_failed(unit))
        .map(|unit| unit.name.clone())
        .collect();
    failed.sort();
    failed.dedup();
    facts.bound("units.failed", &mut failed, FAILED);
    list.sort_by_key(|unit| !is_failed(unit));
    // A list of nothing but failed ones counts no others, nor does a single unit.
    let has_others = is_complete && !list.iter().all(is_failed);
    facts.bound("units.units", &mut list, UNITS);
    facts.units = Some(Units {
        failed,
        system_state: None,
        units: list,
        is_complete,
        running: running.filter(|_| has_others),
        stopped: stopped.filter(|_| has_others),
    });
}
