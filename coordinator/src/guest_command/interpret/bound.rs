//! Keeps facts small, whatever the guest wrote.

use crate::guest_command::facts::GuestFacts;

/// Bytes of the facts as JSON. The bounds of the lists keep them far below for what
/// real guests print; names of nothing but quotes come here.
const LIMIT: usize = 60 * 1024;
/// Entries that a list keeps.
const FEWEST: usize = 4;

impl GuestFacts {
    /// Keeps the first `limit` of a list and notes how many that leaves out.
    pub(super) fn bound<T>(&mut self, name: &str, list: &mut Vec<T>, limit: usize) {
        let over = list.len().saturating_sub(limit);
        if over > 0 {
            list.truncate(limit);
            let more = u32::try_from(over).unwrap_or(u32::MAX);
            let count = self.left_out.entry(name.to_owned()).or_default();
            *count = count.saturating_add(more);
        }
    }
}

/// Halves lists until all of them fit.
pub(super) fn fit(facts: &mut GuestFacts) {
    while is_large(facts) && halve(facts) {}
}

fn is_large(facts: &GuestFacts) -> bool {
    serde_json::to_vec(facts).is_ok_and(|json| json.len() > LIMIT)
}

/// Whether there was a list that could be cut.
fn halve(facts: &mut GuestFacts) -> bool {
    let mut was_cut = false;
    macro_rules! cut {
        ($( $name:literal $list:expr, )*) => { $(
            if let Some(mut list) = $list.map(std::mem::take) {
                let limit = (list.len() / 2).max(FEWEST);
                was_cut |= list.len() > limit;
                facts.bound($name, &mut list, limit);
                if let Some(place) = $list {
                    *place = list;
                }
            }
        )* };
    }
    cut! {
        "file_systems" Some(&mut facts.file_systems),
        "directories" Some(&mut facts.directories),
        "deleted_files" facts.deleted_files.as_mut(),
        "block_devices" Some(&mut facts.block_devices),
        "disk_statistics" Some(&mut facts.disk_statistics),
        "guest_disks" Some(&mut facts.guest_disks),
        "arrays" facts.arrays.as_mut(),
        "interfaces" Some(&mut facts.interfaces),
        "routes" facts.routes.as_mut(),
        "sockets.listening" facts.sockets.as_mut().map(|all| &mut all.listening),
        "sockets.backlogged" facts.sockets.as_mut().map(|all| &mut all.backlogged),
        "sockets.peers" facts.sockets.as_mut().map(|all| &mut all.peers),
        "sockets.by_state" facts.sockets.as_mut().map(|all| &mut all.by_state),
        "units.units" facts.units.as_mut().map(|all| &mut all.units),
        "units.failed" facts.units.as_mut().map(|all| &mut all.failed),
        "containers.containers" facts.containers.as_mut().map(|all| &mut all.containers),
        "processes.top_by_cpu" facts.processes.as_mut().map(|all| &mut all.top_by_cpu),
        "processes.top_by_memory" facts.processes.as_mut().map(|all| &mut all.top_by_memory),
        "processes.waiting" facts.processes.as_mut().map(|all| &mut all.waiting),
        "updates.packages" facts.updates.as_mut().map(|all| &mut all.packages),
        "sessions" facts.sessions.as_mut(),
        "drivers" Some(&mut facts.drivers),
        "vss_writers" facts.vss_writers.as_mut(),
    }
    was_cut
}
