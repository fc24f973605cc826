//! Guests: the list, and one with its configuration and findings.

use super::{
    block::{Describe, Document, Mark, Table, Tone, figures, names, words},
    cell::{both, cluster_cell, known, missing, moment, part, rate, seen, several, share, uptime},
    finding,
};
use crate::{
    answer::{Guest, Guests},
    figure,
    inventory::{GuestSummary, coverage},
};

impl Describe for Guests {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.guests.is_empty() {
            document.line(Mark::None, "No guest matches.");
        } else {
            let several = several(self.guests.iter().map(|guest| &*guest.cluster));
            let mut table = Table::new(&[
                words("CLUSTER"),
                figures("VMID"),
                names("NAME"),
                words("KIND").spare(1),
                names("NODE"),
                words("STATUS"),
                figures("CPU"),
                figures("MEMORY"),
                figures("OF").spare(2),
                figures("UPTIME").spare(3),
                figures("DISK").spare(4),
                names("TAGS").spare(5),
                words("LOCK"),
                words("DATA"),
            ]);
            for guest in &self.guests {
                // A guest that does not run has no figures; that is not a gap.
                let stopped = guest.template || guest.status == "stopped";
                let age = guest
                    .figures_at
                    .filter(|_| !stopped)
                    .and_then(|at| coverage::age(self.coverage.at, at));
                let live = |figure: Option<String>| {
                    if stopped { Some(String::new()) } else { figure }
                };
                table.row(
                    tone(guest),
                    vec![
                        cluster_cell(several, &guest.cluster),
                        Some(guest.vmid.to_string()),
                        Some(guest.name.clone()),
                        Some(kind(guest).to_owned()),
                        Some(guest.node.clone()),
                        Some(status(guest)),
                        live(guest.cpu_ratio.map(figure::percent)),
                        live(share(guest.memory_used_bytes, guest.memory_maximum_bytes)),
                        guest.memory_maximum_bytes.map(figure::bytes),
                        live(guest.uptime_seconds.map(uptime)),
                        guest.disk_maximum_bytes.map(figure::bytes),
                        Some(guest.tags.join(",")),
                        Some(guest.lock.clone()),
                        Some(age.unwrap_or_default()),
                    ],
                );
            }
            document.table(table);
        }
        let shown = self.guests.len();
        if u64::from(self.total) > u64::try_from(shown).unwrap_or(u64::MAX) {
            document.note(format!("{shown} of {} guests", self.total));
        }
        missing(&mut document, &self.coverage);
        document
    }
}

fn kind(guest: &GuestSummary) -> &str {
    match guest.kind.as_str() {
        "qemu" => "VM",
        "lxc" => "CT",
        other => other,
    }
}

fn status(guest: &GuestSummary) -> String {
    if guest.template {
        "template".to_owned()
    } else {
        guest.status.clone()
    }
}

fn tone(guest: &GuestSummary) -> Tone {
    match guest.status.as_str() {
        "running" => Tone::Plain,
        "stopped" => Tone::Dim,
        "unknown" => Tone::Warning,
        "io-error" | "internal-error" | "guest-panicked" => Tone::Critical,
        _ => Tone::Warning,
    }
}

impl Describe for Guest {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let guest = &self.guest;
        document.heading(&format!(
            "{} {} ({}), {} on {}",
            kind(guest),
            guest.vmid,
            if guest.name.is_empty() {
                "no name"
            } else {
                &guest.name
            },
            status(guest),
            guest.node
        ));
        for found in &self.findings {
            finding::brief(&mut document, found);
        }
        if self.findings.is_empty() {
            document.line(seen(&self.coverage), "no open findings");
        }
        document.gap();
        document.table(facts(self));
        parts(&mut document, self);
        missing(&mut document, &self.coverage);
        document
    }
}

fn facts(answer: &Guest) -> Table {
    let (guest, detail) = (&answer.guest, &answer.detail);
    let mut facts = Table::new(&[words("FACT"), names("VALUE")]);
    let mut fact = |title: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.row(Tone::Plain, vec![Some(title.to_owned()), Some(value)]);
        }
    };
    let yes_no = |flag: Option<bool>| flag.map(|flag| if flag { "yes" } else { "no" }.to_owned());
    fact(
        "CPU",
        both(
            guest.cpu_ratio.map(figure::percent),
            guest.cpus.map(|cpus| format!("{cpus} CPUs")),
        ),
    );
    fact(
        "memory",
        part(guest.memory_used_bytes, guest.memory_maximum_bytes).map(|memory| {
            match guest.memory_source.as_str() {
                "balloon" => format!("{memory}, as the guest sees it"),
                "host" => format!("{memory}, as the node sees it"),
                _ => memory,
            }
        }),
    );
    fact(
        "memory on the node",
        guest.memory_host_bytes.map(figure::bytes),
    );
    fact(
        "disk",
        part(guest.disk_used_bytes, guest.disk_maximum_bytes)
            .or_else(|| guest.disk_maximum_bytes.map(figure::bytes)),
    );
    let pair = |one: Option<f64>, two: Option<f64>, a: &str, b: &str| {
        Some(format!("{} {a}, {} {b}", rate(one?), rate(two?)))
    };
    fact(
        "network",
        pair(
            guest.received_bytes_per_second,
            guest.transmitted_bytes_per_second,
            "in",
            "out",
        ),
    );
    fact(
        "disk traffic",
        pair(
            guest.read_bytes_per_second,
            guest.write_bytes_per_second,
            "read",
            "written",
        ),
    );
    fact("uptime", guest.uptime_seconds.map(uptime));
    fact("tags", Some(guest.tags.join(", ")));
    fact("locked by", known(&guest.lock));
    fact(
        "cores",
        detail.cores.map(|cores| match detail.sockets {
            Some(sockets) if sockets > 1 => format!("{cores} on each of {sockets} sockets"),
            _ => cores.to_string(),
        }),
    );
    fact("CPU type", known(&detail.cpu_type));
    fact("operating system", known(&detail.os_type));
    fact("machine", known(&detail.machine));
    fact("BIOS", known(&detail.bios));
    fact("starts at boot", yes_no(detail.start_on_boot));
    fact("protected", yes_no(detail.protection));
    fact("guest agent", yes_no(detail.agent_enabled));
    fact("unprivileged", yes_no(detail.unprivileged));
    fact("created (UTC)", detail.created.map(moment));
    let since = detail.generation_since.filter(|_| detail.generation > 1);
    fact("another guest of this VMID since", since.map(moment));
    fact(
        "changes at next start",
        Some(detail.pending_keys.join(", ")),
    );
    if let Some(age) = guest
        .figures_at
        .and_then(|at| coverage::age(answer.coverage.at, at))
    {
        fact("figures from", Some(age));
    }
    facts
}

fn parts(document: &mut Document, answer: &Guest) {
    let mut volumes = Table::new(&[
        words("VOLUME"),
        words("KIND"),
        names("STORAGE"),
        names("NAME"),
        figures("SIZE"),
        words("BACKUP"),
        words("CACHE"),
        names("MOUNTED AT").spare(1),
    ]);
    for volume in &answer.detail.volumes {
        volumes.row(
            Tone::Plain,
            vec![
                Some(volume.key.clone()),
                Some(volume.kind.replace('_', " ")),
                Some(volume.storage.clone()),
                Some(volume.volume.clone()),
                volume.size_bytes.map(figure::bytes),
                Some(if volume.backup { "yes" } else { "no" }.to_owned()),
                Some(volume.cache.clone()),
                Some(volume.mount_point.clone()),
            ],
        );
    }
    let mut nics = Table::new(&[
        words("NIC"),
        words("MODEL"),
        words("MAC ADDRESS"),
        names("BRIDGE"),
        figures("VLAN"),
        words("FIREWALL"),
    ]);
    for nic in &answer.detail.nics {
        nics.row(
            Tone::Plain,
            vec![
                Some(nic.key.clone()),
                Some(nic.model.clone()),
                Some(nic.mac_address.clone()),
                Some(nic.bridge.clone()),
                Some(nic.vlan_tag.map(|tag| tag.to_string()).unwrap_or_default()),
                Some(if nic.firewall { "on" } else { "off" }.to_owned()),
            ],
        );
    }
    let mut snapshots = Table::new(&[names("SNAPSHOT"), words("TAKEN (UTC)"), words("MEMORY")]);
    for snapshot in &answer.detail.snapshots {
        snapshots.row(
            Tone::Plain,
            vec![
                Some(snapshot.name.clone()),
                snapshot.taken.map(moment),
                Some(
                    if snapshot.has_memory_state {
                        "yes"
                    } else {
                        "no"
                    }
                    .to_owned(),
                ),
            ],
        );
    }
    for table in [volumes, nics, snapshots] {
        if !table.rows.is_empty() {
            document.gap();
            document.table(table);
        }
    }
}
