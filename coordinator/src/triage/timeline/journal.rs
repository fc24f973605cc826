//! Errors in the journal, one event for the newest burst of each class.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{JournalClass as Class, JournalLine, sample::Payload};

use super::{Happened, Kind};
use crate::{
    triage::{
        facts::{Facts, moment},
        words,
    },
    untrusted,
};

/// A pause that ends a burst.
const PAUSE: SignedDuration = SignedDuration::from_mins(30);

/// All that was read of one class.
#[derive(Default)]
struct Seen<'a> {
    /// Messages by minute; runs overlap, the larger number is right.
    minutes: BTreeMap<Timestamp, u32>,
    first: BTreeMap<Timestamp, ()>,
    newest: Option<(Timestamp, &'a JournalLine)>,
}

pub(super) fn events(facts: &Facts<'_>) -> Vec<Happened> {
    let mut all: BTreeMap<i32, Seen<'_>> = BTreeMap::new();
    for (_, sample) in &facts.samples {
        let Some(Payload::JournalEvents(journal)) = &sample.payload else {
            continue;
        };
        for group in &journal.groups {
            let seen = all.entry(group.class).or_default();
            for minute in &group.minutes {
                if let Some(at) = minute.at.as_ref().and_then(moment) {
                    let count = seen.minutes.entry(at).or_default();
                    *count = minute.count.max(*count);
                }
            }
            let times = [group.first_at.as_ref(), group.last_at.as_ref()];
            for at in times.into_iter().flatten().filter_map(moment) {
                seen.first.insert(at, ());
            }
            for line in &group.samples {
                if let Some(at) = line.at.as_ref().and_then(moment)
                    && seen.newest.is_none_or(|(newest, _)| newest <= at)
                {
                    seen.newest = Some((at, line));
                }
            }
        }
    }
    all.into_iter()
        .filter_map(|(class, seen)| {
            let class = Class::try_from(class).ok()?;
            seen.event(facts, class)
        })
        .collect()
}

impl Seen<'_> {
    fn event(&self, facts: &Facts<'_>, class: Class) -> Option<Happened> {
        let (kind, weight, is_bad, words) = meaning(class)?;
        let mut times = self.minutes.keys().chain(self.first.keys()).copied();
        let mut begin = times.clone().max()?;
        // Back to the pause before the burst.
        let mut earlier: Vec<Timestamp> = times.by_ref().collect();
        earlier.sort_unstable();
        for at in earlier.into_iter().rev() {
            if begin.duration_since(at) > PAUSE {
                break;
            }
            begin = at;
        }
        // A minute is named by its start: the first message has its own time.
        let exact = self.first.keys().find(|at| **at >= begin);
        let at = exact
            .filter(|at| at.duration_since(begin) < SignedDuration::from_mins(1))
            .copied()
            .unwrap_or(begin);
        let burst = self.minutes.range(begin..).map(|(_, count)| *count);
        let count: u32 = burst.fold(0, u32::saturating_add);
        let times = match count {
            0 | 1 => String::new(),
            count => format!(" ({count} times)"),
        };
        let said = match self.newest {
            Some((_, line)) if class == Class::CorosyncMembership => left(facts, &line.text),
            Some((_, line)) => Some(untrusted::line(&line.text, 120).into_owned()),
            None => None,
        };
        let said = said.map(|text| format!(": {text}")).unwrap_or_default();
        Some(Happened {
            at,
            kind,
            weight,
            is_bad,
            what: format!("{words}{times}{said}"),
        })
    }
}

/// Who left, of corosync's `A new membership (1.2f) was formed. Members left: 2 3`.
fn left(facts: &Facts<'_>, text: &str) -> Option<String> {
    let (_, ids) = text.split_once("left:")?;
    let members = facts.members()?;
    let names: Vec<String> = ids
        .split_whitespace()
        .map_while(|id| id.parse::<u32>().ok())
        .map(|id| {
            let mut all = members.members.iter();
            all.find(|member| member.node_id == id)
                .map_or_else(|| format!("node {id}"), |member| member.name.clone())
        })
        .collect();
    (!names.is_empty()).then(|| format!("{} left", words::list(&names, 4)))
}

/// Kind, weight, whether it is bad, and words. None of what says nothing here.
fn meaning(class: Class) -> Option<(Kind, u8, bool, &'static str)> {
    let bad = |kind, weight, words| Some((kind, weight, true, words));
    match class {
        Class::OomKill => bad(Kind::Kernel, 4, "out of memory, a process was killed"),
        Class::HungTask => bad(Kind::Kernel, 4, "a process hangs in the kernel"),
        Class::Lockup => bad(Kind::Kernel, 5, "a processor was stuck"),
        Class::Oops => bad(Kind::Kernel, 5, "fault of the kernel"),
        Class::MachineCheck => bad(Kind::Kernel, 4, "hardware error"),
        Class::MemoryEcc => bad(Kind::Kernel, 3, "memory error"),
        Class::IoError => bad(Kind::Storage, 4, "disk error"),
        Class::NvmeTimeout => bad(Kind::Storage, 4, "an NVMe disk did not answer"),
        Class::AtaError => bad(Kind::Storage, 4, "error of a SATA disk"),
        Class::Ext4Error | Class::XfsError => bad(Kind::Storage, 5, "damaged file system"),
        Class::NfsNotResponding => bad(Kind::Storage, 4, "an NFS server did not answer"),
        Class::NicHang => bad(Kind::Link, 4, "a network card hung"),
        Class::LinkDown => bad(Kind::Link, 3, "a network port lost its link"),
        Class::LinkUp => Some((Kind::Link, 2, false, "a network port got its link")),
        Class::ConntrackFull => bad(Kind::Kernel, 3, "table of connections full"),
        Class::OwnAddressReceived => bad(Kind::Link, 2, "loop in the network"),
        Class::KvmSegfault => bad(Kind::Guest, 4, "the process of a VM crashed"),
        Class::Thermal => bad(Kind::Kernel, 3, "a processor is too hot"),
        Class::CorosyncLinkDown => bad(Kind::Link, 4, "a cluster link went down"),
        Class::CorosyncLinkUp => Some((Kind::Link, 3, false, "a cluster link came up")),
        Class::CorosyncRetransmit => bad(Kind::Link, 3, "packets lost on the cluster network"),
        Class::CorosyncTokenLost => bad(Kind::Membership, 4, "cluster traffic stopped"),
        Class::CorosyncPause => bad(Kind::Kernel, 3, "corosync did not get to run"),
        Class::CorosyncMembership => bad(Kind::Membership, 4, "cluster membership changed"),
        Class::HaFencing => bad(Kind::Ha, 5, "fencing"),
        Class::PvestatdSlow => bad(Kind::Storage, 2, "status of storages and guests is slow"),
        Class::PmxcfsCritical => bad(Kind::Pmxcfs, 4, "error of the cluster file system"),
        Class::FirewallError => bad(Kind::Service, 3, "the firewall could not be set up"),
        Class::NotificationFailure => bad(Kind::Service, 1, "a notification was not delivered"),
        Class::Unspecified
        | Class::GuestCleanup
        | Class::OomContext
        | Class::ApparmorDenied
        | Class::AuthenticationFailure => None,
    }
}
