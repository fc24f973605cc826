//! What an open finding makes worth asking inside the guest.

use super::topic::Topic;
use crate::finding::{Finding, FindingState};

/// Beginnings of ids of checks. A finding about the node or a storage is here when
/// guests feel it: inside the guest it shows as another trouble.
const CHECKS: &[(&str, &[Topic])] = &[
    ("guest.cpu.", &[Topic::Cpu]),
    ("guest.mem.", &[Topic::Memory]),
    // The disk could not be written, mostly since its storage was full: what the guest
    // made of it is in its kernel's log and its mounts.
    ("guest.state.io_error", &[Topic::ReadOnly, Topic::Disk]),
    ("guest.state.unexpected_stop", &[Topic::Restarted]),
    ("guest.disk.latency_high", &[Topic::Disk]),
    ("guest.disk.missing_volume", &[Topic::Boot]),
    ("guest.fs.", &[Topic::Space]),
    ("guest.agent.", &[Topic::GuestAgent]),
    ("guest.mac_duplicate", &[Topic::Network]),
    ("guest.ip_duplicate", &[Topic::Network]),
    ("guest.nic.", &[Topic::Network]),
    ("guest.os.eol", &[Topic::Update]),
    ("guest.windows.virtio_old", &[Topic::Hardware]),
    ("guest.windows.vss_failing", &[Topic::Backup]),
    ("backup.job.failed", &[Topic::Backup]),
    ("node.cpu.iowait_high", &[Topic::Disk]),
    ("node.cpu.", &[Topic::Cpu]),
    ("node.mem.", &[Topic::Memory]),
    ("node.disk.", &[Topic::Disk]),
    ("node.fs.readonly_or_errors", &[Topic::Disk]),
    ("node.net.", &[Topic::Network]),
    ("node.time.", &[Topic::Time]),
    ("storage.pool.space", &[Topic::ReadOnly, Topic::Disk]),
    ("storage.lvmthin.", &[Topic::ReadOnly, Topic::Disk]),
    ("storage.nfs.hang", &[Topic::Disk]),
    ("storage.pool.inactive", &[Topic::Disk]),
];

/// A finding that suggests something.
#[derive(Debug)]
pub(super) struct Hint {
    /// Id of a check, from our own table of checks.
    pub(super) check: String,
    pub(super) topics: &'static [Topic],
}

/// Of those that still hold, once for each check.
pub(super) fn hints(findings: &[&Finding]) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    for finding in findings.iter().filter(|finding| holds(finding)) {
        let row = CHECKS
            .iter()
            .find(|(beginning, _)| finding.check.starts_with(beginning));
        if let Some((_, topics)) = row
            && !hints.iter().any(|hint| hint.check == finding.check)
        {
            let check = crate::untrusted::name(&finding.check).into_owned();
            hints.push(Hint { check, topics });
        }
    }
    hints
}

fn holds(finding: &Finding) -> bool {
    match finding.state {
        FindingState::Pending
        | FindingState::Open
        | FindingState::Acknowledged
        | FindingState::Flapping => true,
        FindingState::Suppressed | FindingState::Resolved => false,
    }
}
