//! Messages of the kernel and of some units that mean trouble, counted by class.

mod group;
mod mask;
mod pattern;

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, JournalEvents};

use self::{group::Groups, pattern::Source};
use super::{CollectError, Collector, Payload, Reading};
use crate::{
    host::SourceError,
    probe::{
        Request,
        request::{Bounded, ClusterRequest, JournalSource, RequestError},
    },
};

/// Twice the interval: a run that is late or fails loses nothing.
const WINDOW_SECONDS: u32 = 600;
/// Messages of one source; a storm of the same is cut, and said to be.
const LINES: u32 = 3_000;
const LINES_READ: usize = LINES as usize;

/// Whose messages are read.
const SOURCES: &[(&str, Source)] = &[
    ("kernel", Source::Kernel),
    ("corosync", Source::Corosync),
    ("pve-ha-lrm", Source::Ha),
    ("pve-ha-crm", Source::Ha),
    ("watchdog-mux", Source::Ha),
    ("pvestatd", Source::Pvestatd),
    ("pvedaemon", Source::Login),
    ("pveproxy", Source::Login),
    ("pve-cluster", Source::Pmxcfs),
    ("pvescheduler", Source::Scheduler),
    ("qmeventd", Source::Qmeventd),
    ("pve-firewall", Source::Firewall),
    ("proxmox-firewall", Source::Firewall),
    ("ssh", Source::Ssh),
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "journal_events",
    summary: "errors of hardware, kernel, corosync, sshd and Proxmox VE in the journal",
    class: CollectionClass::State,
    interval: Duration::from_secs(300),
    // Fourteen questions, 20 s each at worst.
    deadline: Duration::from_secs(290),
    paths: &[],
    probes: &["journal"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut groups = Groups::default();
    let mut truncated_sources = Vec::new();
    for (name, source) in SOURCES {
        let answer = match reading.ask(&request(name)?) {
            Err(error) if error.is_not_found() && *source == Source::Kernel => {
                return Err(CollectError::NoData("the cluster probe is not there"));
            }
            result => reading.keep(result),
        };
        let Some(answer) = answer else {
            continue;
        };
        // Some versions end with 1 when there is no message.
        let is_empty = answer.exit_status == 1 && answer.stdout.is_empty();
        if is_empty {
            continue;
        }
        let read = answer.success().and_then(|text| {
            groups
                .read(text, *source)
                .map_err(|error| error.at(&answer.source))
        });
        if reading.keep(read) == Some(LINES_READ) {
            truncated_sources.push((*name).to_owned());
        }
    }
    Ok(Payload::JournalEvents(JournalEvents {
        window_seconds: WINDOW_SECONDS,
        groups: groups.finish(),
        truncated_sources,
    }))
}

fn request(source: &str) -> Result<Request, SourceError> {
    let request = || -> Result<Request, RequestError> {
        Ok(Request::Cluster(ClusterRequest::Journal {
            source: JournalSource::try_from(source.to_owned())?,
            since_seconds: Bounded::try_from(WINDOW_SECONDS)?,
            // Information too: links that come and go are no more to the kernel.
            priority: Bounded::try_from(6)?,
            lines: Bounded::try_from(LINES)?,
        }))
    };
    request().map_err(|error| {
        SourceError::new(
            "probe cluster: journal",
            FailureKind::Malformed,
            error.to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_on_the_menu() {
        for (name, _) in SOURCES {
            request(name).unwrap();
        }
    }
}
