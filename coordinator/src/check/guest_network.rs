//! Network cards of guests.

use std::collections::HashMap;

use pvelens_proto::agent::v1::GuestNic;

use super::{Check, Failure, Input, Remedy, Scope, Timing, Unknown, Verdicts, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, GuestIndex, GuestStatus, Subject, View},
};

pub(super) const MAC_DUPLICATE: Check = Check {
    id: "guest.mac_duplicate",
    title: "Two guests have the same MAC address",
    category: Category::Network,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::T0 { evaluations: 2 },
    mappings: &["INV"],
    remediation: Remedy {
        diagnose: &["grep -Ri {part} /etc/pve/nodes/*/qemu-server /etc/pve/nodes/*/lxc"],
        fix: "Give one of the guests a new MAC address in its network settings.",
        impact: "DHCP reservations and licences that are tied to the address change.",
        risk: Risk::Medium,
        way_back: "Set the former address again.",
    },
    run: mac_duplicate,
    ..Check::HEALTH
};

/// A network card in the cluster.
#[derive(Clone, Copy)]
struct Card<'a> {
    guest: GuestIndex,
    nic: &'a GuestNic,
}

fn mac_duplicate(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (_, cluster) in input.view.clusters() {
        if let Err(why) = gate::config_at(input, cluster.guest_configs_at) {
            for (index, _) in input.view.guests_of(cluster) {
                verdicts.unknown(Subject::Guest(index), why.clone());
            }
            continue;
        }
        let mut duplicates = duplicates(input.view, cluster);
        for (index, guest) in input.view.guests_of(cluster) {
            let subject = Subject::Guest(index);
            match duplicates.remove(&index) {
                Some(groups) => {
                    for cards in groups {
                        verdicts.fail(subject, failure(input, &cards));
                    }
                }
                None if guest.template => verdicts.not_applicable(subject, gate::TEMPLATE),
                None if guest.config.is_none() => verdicts.unknown(subject, Unknown::NotReported),
                None => verdicts.pass(subject),
            }
        }
    }
}

/// Cards that share an address, by the guest with the lowest VMID. One pass.
fn duplicates<'a>(view: &'a View, cluster: &Cluster) -> HashMap<GuestIndex, Vec<Vec<Card<'a>>>> {
    let mut by_address: HashMap<u64, Vec<Card<'a>>> = HashMap::new();
    for (index, guest) in view.guests_of(cluster) {
        // A template never runs, and its clones get addresses of their own.
        if guest.template {
            continue;
        }
        let nics = guest
            .config
            .iter()
            .filter_map(|config| config.settings.as_ref())
            .flat_map(|settings| &settings.nics);
        for nic in nics {
            if let Some(address) = parse(&nic.mac_address) {
                let card = Card { guest: index, nic };
                by_address.entry(address).or_default().push(card);
            }
        }
    }
    let mut duplicates: HashMap<GuestIndex, Vec<Vec<Card<'a>>>> = HashMap::new();
    let mut groups: Vec<(u64, Vec<Card<'a>>)> = by_address
        .into_iter()
        .filter(|(_, cards)| cards.len() > 1)
        .collect();
    // By address, so that the order does not depend on hashing.
    groups.sort_unstable_by_key(|(address, _)| *address);
    for (_, mut cards) in groups {
        // Guests come by VMID; their cards in any order.
        cards.sort_by(|a, b| (a.guest, &a.nic.key).cmp(&(b.guest, &b.nic.key)));
        if let Some(first) = cards.first() {
            duplicates.entry(first.guest).or_default().push(cards);
        }
    }
    duplicates
}

/// `BC:24:11:00:00:01`; zero and what is not an address do not count.
fn parse(mac: &str) -> Option<u64> {
    let mut address = 0;
    let mut bytes = 0;
    for part in mac.split(':') {
        if part.len() != 2 {
            return None;
        }
        address = address << 8 | u64::from(u8::from_str_radix(part, 16).ok()?);
        bytes += 1;
    }
    (bytes == 6 && address != 0).then_some(address)
}

fn failure(input: &Input<'_>, cards: &[Card<'_>]) -> Failure {
    let (severity, rest) = severity(input.view, cards);
    let mac = cards
        .first()
        .map(|card| card.nic.mac_address.to_ascii_uppercase())
        .unwrap_or_default();
    let who = words::list(
        cards
            .iter()
            .map(|card| words::guest(input.view.guest(card.guest)).into()),
    );
    let evidence = cards.iter().map(|card| {
        let guest = input.view.guest(card.guest);
        let nic = card.nic;
        let tag = nic
            .vlan_tag
            .map_or_else(String::new, |tag| format!(" VLAN {tag}"));
        Evidence::new(
            &format!("guest {} {}", guest.vmid, untrusted::name(&nic.key)),
            format!("{}{tag}", nic.bridge),
            "guest configuration",
        )
    });
    Failure::new(
        severity,
        format!(
            "{who} have the same MAC address {}{rest}.",
            untrusted::name(&mac)
        ),
    )
    .about(&mac)
    .proof(evidence)
}

/// A bridge of one name is taken as one network on all nodes of the cluster.
fn severity(view: &View, cards: &[Card<'_>]) -> (Severity, &'static str) {
    let mut worst = (Severity::Info, ", in different networks");
    for (position, a) in cards.iter().enumerate() {
        // Groups are small: an address is given by hand or by a clone.
        for b in cards.iter().skip(position + 1).take(64) {
            let is_same_network = a.nic.bridge == b.nic.bridge && a.nic.vlan_tag == b.nic.vlan_tag;
            if !is_same_network {
                continue;
            }
            let both_run = [a, b]
                .iter()
                .all(|card| runs(&view.guest(card.guest).status));
            let found = if both_run {
                (Severity::Critical, " in one network, and both run")
            } else {
                (Severity::Warning, " in one network")
            };
            if found.0 > worst.0 {
                worst = found;
            }
        }
    }
    worst
}

fn runs(status: &GuestStatus) -> bool {
    matches!(status, GuestStatus::Running | GuestStatus::Other(_))
}

#[cfg(test)]
mod tests;
