//! What kernel and services say of trouble.

use pvelens_proto::agent::v1::{self as wire, JournalClass};

use super::{Dated, Event, EventKind, Level, text};
use crate::{live::seen::plausible, view::Name};

/// Of one class there is an event in each span of this length at most: a disk that
/// fails says so without end.
const SPAN_SECONDS: i64 = 600;

/// The first message of each class in each span.
pub(in crate::chronicle) fn events(journal: &wire::JournalEvents, node: &Name) -> Vec<Dated> {
    let of_group = |group: &wire::JournalGroup| {
        let (kind, level, title) = meaning(group.class())?;
        let mut events: Vec<Dated> = Vec::new();
        for minute in &group.minutes {
            let Some(at) = plausible(minute.at.as_ref()) else {
                continue;
            };
            let span = at.as_second().div_euclid(SPAN_SECONDS);
            let key = format!("journal {node} {} {} {span}", group.boot_id, group.class);
            if events.last().is_some_and(|last| last.key == key) {
                continue;
            }
            events.push(Dated {
                at,
                subject: format!("node/{node}").into(),
                key,
                event: Event {
                    kind,
                    level,
                    node: Name::clone(node),
                    text: said(title, group),
                    user: String::new(),
                    until: None,
                    task: String::new(),
                },
            });
        }
        Some(events)
    };
    journal
        .groups
        .iter()
        .filter_map(of_group)
        .flatten()
        .collect()
}

fn said(title: &str, group: &wire::JournalGroup) -> String {
    if group.class() == JournalClass::AuthenticationFailure {
        let mut hosts: Vec<String> = group
            .failed_logins
            .iter()
            .filter(|login| !login.address.is_empty())
            .take(3)
            .map(|login| text(&login.address))
            .collect();
        hosts.sort();
        return match hosts.is_empty() {
            true => title.to_owned(),
            false => format!("{title} from {}", hosts.join(", ")),
        };
    }
    match group.samples.first() {
        Some(line) => text(&format!("{title}: {}", line.text)),
        None => title.to_owned(),
    }
}

/// None of what says nothing by itself.
fn meaning(class: JournalClass) -> Option<(EventKind, Level, &'static str)> {
    use EventKind::{Guest, Ha, Kernel, Link, Login, Node, Quorum};
    use JournalClass as Class;
    use Level::{Error, Info, Warning};
    Some(match class {
        Class::OomKill => (Kernel, Error, "out of memory, a process was killed"),
        Class::HungTask => (Kernel, Error, "a task hangs"),
        Class::Lockup => (Kernel, Error, "a processor is stuck"),
        Class::Oops => (Kernel, Error, "the kernel failed"),
        Class::MachineCheck => (Kernel, Error, "machine check"),
        Class::MemoryEcc => (Kernel, Error, "memory error"),
        Class::IoError => (Kernel, Error, "I/O error"),
        Class::NvmeTimeout => (Kernel, Error, "NVMe timeout"),
        Class::AtaError => (Kernel, Error, "ATA error"),
        Class::Ext4Error => (Kernel, Error, "ext4 error"),
        Class::XfsError => (Kernel, Error, "XFS error"),
        Class::NfsNotResponding => (Kernel, Warning, "an NFS server does not respond"),
        Class::NicHang => (Link, Error, "a network card hangs"),
        Class::LinkDown => (Link, Warning, "network link down"),
        Class::LinkUp => (Link, Info, "network link up"),
        Class::ConntrackFull => (Link, Error, "connection table full"),
        Class::OwnAddressReceived => (Link, Warning, "own address received, perhaps a loop"),
        Class::KvmSegfault => (Guest, Error, "a VM crashed"),
        Class::ApparmorDenied => (Kernel, Info, "AppArmor denied an access"),
        Class::Thermal => (Kernel, Warning, "too hot"),
        Class::CorosyncLinkDown => (Link, Warning, "corosync link down"),
        Class::CorosyncLinkUp => (Link, Info, "corosync link up"),
        Class::CorosyncRetransmit => (Link, Warning, "corosync repeats messages"),
        Class::CorosyncTokenLost => (Quorum, Warning, "corosync lost its token"),
        Class::CorosyncPause => (Quorum, Warning, "corosync was paused"),
        Class::CorosyncMembership => (Quorum, Info, "new membership"),
        Class::HaFencing => (Ha, Error, "fencing"),
        Class::PvestatdSlow => (Node, Info, "a slow round of pvestatd"),
        Class::AuthenticationFailure => (Login, Warning, "logins failed"),
        Class::PmxcfsCritical => (Quorum, Error, "cluster file system"),
        Class::GuestCleanup => (Guest, Info, "a VM ended"),
        Class::FirewallError => (Node, Warning, "firewall rules not loaded"),
        Class::NotificationFailure => (Node, Warning, "a notification was not delivered"),
        Class::OomContext | Class::Unspecified => return None,
    })
}
