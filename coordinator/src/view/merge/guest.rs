//! Guests: listed by the cluster, configured in it, measured on their node.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1::GuestKind;

use super::{
    BROADCAST_FRESH, FRESH, Scene, figures, is_before,
    measured::{Entry, Measured, Walk},
};
use crate::{
    history::ObjectKey,
    live::{agent::Agent, facts::KnownConfig, keys::NO_SERIES},
    view::{Dated, Guest, GuestRates, GuestStatus, Name, View},
};

/// Where a guest is, before anything else is known of it.
struct Listed<'l> {
    vmid: u32,
    kind: GuestKind,
    node: &'l str,
}

impl Scene<'_> {
    /// Adds the guests, sorted by VMID, and counts them on their nodes.
    pub(super) fn add_guests(&self, view: &mut View) {
        let configs = self.guest_configs.as_ref();
        let mut configs = configs
            .map_or(&[][..], |configs| &configs.value)
            .iter()
            .peekable();
        let mut keys = self.live.keys.guests().peekable();
        let mut walk = Walk::new(self.nodes.len());
        let listed = self.listed();
        let mut last = ("", None);
        for listed in listed {
            let vmid = listed.vmid;
            while configs.next_if(|known| known.config.vmid < vmid).is_some() {}
            let config = configs.next_if(|known| known.config.vmid == vmid);
            let id = (vmid, i32::from(listed.kind));
            while keys.next_if(|(known, _)| *known < id).is_some() {}
            let key = keys.next_if(|(known, _)| *known == id);
            let key = key.map_or(NO_SERIES, |(_, key)| key);
            // Lists tend to name the same node many times in a row.
            if last.0 != listed.node {
                last = (listed.node, self.position(listed.node));
            }
            let Some(position) = last.1 else { continue };
            let Some(member) = self.nodes.get(position) else {
                continue;
            };
            let measured = walk.measure(self, id, position, member);
            let guest = self.guest(&listed, position, key, &measured, config);
            if let Some(node) = view.nodes.get_mut(guest.node.get()) {
                node.guests_total += 1;
                node.guests_running += u32::from(guest.status == GuestStatus::Running);
            }
            view.guests.push(guest);
        }
    }

    /// The guest list; without one, what configurations and nodes name.
    fn listed(&self) -> Vec<Listed<'_>> {
        if let Some(list) = &self.guest_list {
            let guests = list.value.guests.iter();
            return guests
                .map(|guest| Listed {
                    vmid: guest.vmid,
                    kind: guest.kind(),
                    node: &guest.node,
                })
                .collect();
        }
        let mut listed = Vec::new();
        if let Some(configs) = &self.guest_configs {
            listed.extend(configs.value.iter().map(|known| Listed {
                vmid: known.config.vmid,
                kind: known.config.kind(),
                node: &known.config.node,
            }));
        }
        for (name, member) in self.names.iter().zip(&self.nodes) {
            if let Some(status) = &member.pve_status {
                listed.extend(status.value.value.guests.iter().map(|guest| Listed {
                    vmid: guest.vmid,
                    kind: guest.kind(),
                    node: name,
                }));
            }
            if let Some(runtimes) = &member.runtimes {
                listed.extend(runtimes.value.value.guests.iter().map(|guest| Listed {
                    vmid: guest.vmid,
                    kind: guest.kind(),
                    node: name,
                }));
            }
        }
        // Stable: of one VMID the configuration, which has the authority, stays.
        listed.sort_by_key(|guest| guest.vmid);
        listed.dedup_by_key(|guest| guest.vmid);
        listed
    }

    fn guest(
        &self,
        listed: &Listed<'_>,
        position: usize,
        key: ObjectKey,
        measured: &Measured<'_>,
        known: Option<&Arc<KnownConfig>>,
    ) -> Guest {
        let status = self.status(measured);
        let config = known.map(|known| &known.config);
        let settings = config.and_then(|config| config.settings.as_ref());
        let template = settings.is_some_and(|settings| settings.template)
            || measured
                .status
                .as_ref()
                .is_some_and(|status| status.value.template)
            || measured
                .broadcast
                .is_some_and(|broadcast| broadcast.value.template);
        let stopped = status == GuestStatus::Stopped;
        Guest {
            key,
            cluster: self.cluster,
            vmid: listed.vmid,
            generation: 1,
            generation_since: None,
            kind: listed.kind,
            name: name(known, measured),
            node: self.index(position),
            template,
            config: config.map(Arc::clone),
            figures: figures::of(listed.kind, measured, stopped),
            rates: measured
                .agent
                .filter(|_| !stopped)
                .and_then(|agent| self.guest_rates(listed.kind, agent, measured)),
            status,
            pve_status: measured.status.as_ref().map(Entry::share),
            runtime: measured.runtime.as_ref().map(Entry::share),
        }
    }

    /// QEMU's word where its node delivers it; else whether there is a cgroup;
    /// else what the node broadcast.
    fn status(&self, measured: &Measured<'_>) -> GuestStatus {
        if let Some(status) = &measured.status
            && self.is_recent(status.at, FRESH)
        {
            let qmp = status.value.qmp_status.as_str();
            return match status.value.status.as_str() {
                "running" if qmp.is_empty() => GuestStatus::Running,
                "running" => run_state(qmp),
                other => run_state(other),
            };
        }
        let accounted = measured
            .runtimes_at
            .filter(|at| self.is_recent(*at, FRESH))
            .map(|_| measured.runtime.is_some());
        let broadcast = measured
            .broadcast
            .filter(|broadcast| self.is_recent(broadcast.at, BROADCAST_FRESH))
            .map(|broadcast| run_state(&broadcast.value.status));
        match (accounted, broadcast) {
            (Some(false), _) => GuestStatus::Stopped,
            // The kernel knows that it runs, QEMU whether it does anything.
            (Some(true), Some(GuestStatus::Other(state))) => GuestStatus::Other(state),
            (Some(true), _) => GuestStatus::Running,
            (None, Some(status)) => status,
            (None, None) => GuestStatus::Unknown,
        }
    }

    fn guest_rates(
        &self,
        kind: GuestKind,
        agent: &Agent,
        measured: &Measured<'_>,
    ) -> Option<Dated<GuestRates>> {
        let accounted = measured.runtime.as_ref().and_then(|entry| {
            let rates = *agent.rates.accounted.get(entry.position)?;
            Some((rates?, entry.at))
        });
        let traffic = measured.status.as_ref().and_then(|entry| {
            let (rates, computed) = (*agent.rates.traffic.get(entry.position)?)?;
            let at = agent.clock.correct(computed, entry.list.stamp.received);
            is_before(at, self.at).then_some((rates, at))
        });
        let newest = accounted.map(|(_, at)| at).max(traffic.map(|(_, at)| at))?;
        let recent = |at: Timestamp| newest.duration_since(at) <= FRESH;
        let accounted = accounted
            .filter(|(_, at)| recent(*at))
            .map(|(rates, _)| rates);
        let traffic = traffic
            .filter(|(_, at)| recent(*at))
            .map(|(rates, _)| rates);
        let cgroup_io = accounted.map(|a| (a.read_bytes_per_second, a.write_bytes_per_second));
        let block_io = traffic.map(|t| (t.read_bytes_per_second, t.write_bytes_per_second));
        // The cgroup of a VM misses storage that QEMU reaches by itself.
        let (first, second) = match kind {
            GuestKind::Lxc => (cgroup_io, block_io),
            _ => (block_io, cgroup_io),
        };
        let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
        Some(Dated {
            value: GuestRates {
                cpu_cores: accounted.and_then(|rates| rates.cpu_cores),
                vcpu_run_delay_ratio: accounted.and_then(|rates| rates.vcpu_run_delay_ratio),
                pressure: accounted.map(|rates| rates.pressure).unwrap_or_default(),
                read_bytes_per_second: first.0.or(second.0),
                write_bytes_per_second: first.1.or(second.1),
                received_bytes_per_second: traffic.and_then(|t| t.received_bytes_per_second),
                transmitted_bytes_per_second: traffic.and_then(|t| t.transmitted_bytes_per_second),
                oom_kills: accounted.and_then(|rates| rates.oom_kills),
            },
            at: newest,
        })
    }
}

fn name(known: Option<&Arc<KnownConfig>>, measured: &Measured<'_>) -> Name {
    match known {
        Some(known) if !known.name.is_empty() => Name::clone(&known.name),
        _ => {
            let status = measured
                .status
                .as_ref()
                .map(|entry| entry.value.name.as_str());
            let broadcast = measured
                .broadcast
                .map(|broadcast| broadcast.value.name.as_str());
            status
                .filter(|name| !name.is_empty())
                .or(broadcast)
                .unwrap_or_default()
                .into()
        }
    }
}

fn run_state(state: &str) -> GuestStatus {
    match state {
        "running" => GuestStatus::Running,
        "stopped" => GuestStatus::Stopped,
        "" => GuestStatus::Unknown,
        other => GuestStatus::Other(other.into()),
    }
}
