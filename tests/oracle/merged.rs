//! What a coordinator makes of the samples of t0 and t1, against the API at t1
//! and against rates taken from the node's files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pvelens::view::{Guest, GuestStatus, Node, NodeStatus, Storage, StorageStatus, View};

use crate::{
    account::Account,
    api::{self, Record},
    compare::NodeFacts,
    feed::feed,
    figures::rates_of_files,
    recordings::{MOMENTS, State},
    table::Table,
};

/// Compares the view with the API's answers at t1.
pub(crate) fn compare(
    state: &State,
    nodes: &[NodeFacts<'_>],
    table: &Table,
    account: &mut Account,
) -> Result<()> {
    let (_, current) = feed(state, nodes)?;
    let view = &current.view;
    let answers = api::records(&state.oracle(MOMENTS[1]))?;
    let mut merged = Merged {
        state,
        view,
        table,
        account,
    };
    merged.membership(&answers)?;
    merged.guests(&answers)?;
    merged.storages(&answers)?;
    merged.rates()
}

struct Merged<'a> {
    state: &'a State,
    view: &'a View,
    table: &'a Table,
    account: &'a mut Account,
}

impl Merged<'_> {
    fn word(&mut self, what: &str, theirs: &str, ours: &str) -> Result<()> {
        let tolerance = self.table.independent("view")?;
        let state = &self.state.name;
        self.account.check(&tolerance.kind, theirs == ours, || {
            format!("{state} view, {what}: the API says {theirs:?}, ours is {ours:?}")
        });
        Ok(())
    }

    fn figure(
        &mut self,
        name: &str,
        what: &str,
        theirs: Option<f64>,
        ours: Option<f64>,
    ) -> Result<()> {
        let tolerance = self.table.independent(name)?;
        let state = &self.state.name;
        let agreement = tolerance.agreement(ours, theirs);
        self.account.check(&tolerance.kind, agreement, || {
            format!("{state} view, {what}: expected {theirs:?}, ours is {ours:?}")
        });
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node> {
        let node = self.view.nodes.iter().find(|node| &*node.name == name);
        node.with_context(|| format!("{}: no node {name} in the view", self.state.name))
    }

    fn membership(&mut self, answers: &[Record]) -> Result<()> {
        let mut quorate = false;
        for record in answers
            .iter()
            .filter(|record| record.shape == "/cluster/status#cluster")
        {
            quorate = field(record, "quorate") == "1";
            let cluster = self
                .view
                .clusters
                .first()
                .context("no cluster in the view")?;
            let name = cluster.name.to_string();
            self.word("cluster name", field(record, "name"), &name)?;
            let told = cluster
                .memberships
                .iter()
                .map(|membership| membership.quorate);
            let told: Vec<Option<bool>> = told.collect();
            for told in told {
                self.word(
                    "quorate",
                    field(record, "quorate"),
                    &told.map_or("?".to_owned(), |q| u8::from(q).to_string()),
                )?;
            }
        }
        for record in answers
            .iter()
            .filter(|record| record.shape == "/cluster/status#node")
        {
            let name = field(record, "name");
            let node = self.node(name)?;
            let id = node.node_id.map(|id| id.to_string()).unwrap_or_default();
            let address = node.ip_address.to_string();
            // Without quorum nobody's word counts about the others.
            let ours = match node.status {
                NodeStatus::Online => "1",
                NodeStatus::Offline => "0",
                NodeStatus::Unknown if !quorate => "0",
                NodeStatus::Unknown => "?",
            };
            self.word(&format!("{name} online"), field(record, "online"), ours)?;
            self.word(&format!("{name} id"), field(record, "nodeid"), &id)?;
            self.word(&format!("{name} address"), field(record, "ip"), &address)?;
        }
        Ok(())
    }

    fn guests(&mut self, answers: &[Record]) -> Result<()> {
        let is_guest = |record: &&Record| {
            matches!(
                record.shape.as_str(),
                "/cluster/resources#qemu" | "/cluster/resources#lxc"
            )
        };
        for record in answers.iter().filter(is_guest) {
            let vmid = field(record, "vmid");
            let guest = self
                .view
                .guests
                .iter()
                .find(|guest| guest.vmid.to_string() == vmid);
            let guest: Guest = guest
                .with_context(|| format!("no guest {vmid} in the view"))?
                .clone();
            let node = self.view.node(guest.node).name.to_string();
            let status = match &guest.status {
                GuestStatus::Running => "running",
                GuestStatus::Stopped => "stopped",
                GuestStatus::Other(word) => word,
                GuestStatus::Unknown => "unknown",
            };
            self.word(&format!("{vmid} status"), field(record, "status"), status)?;
            self.word(&format!("{vmid} name"), field(record, "name"), &guest.name)?;
            self.word(&format!("{vmid} node"), field(record, "node"), &node)?;
            self.word(
                &format!("{vmid} template"),
                field(record, "template"),
                if guest.template { "1" } else { "0" },
            )?;
            let figures = guest.figures;
            let bytes = |value: Option<u64>| value.map(precise);
            self.figure(
                "view gauge",
                &format!("{vmid} cpus"),
                number(record, "maxcpu"),
                figures.cpus,
            )?;
            self.figure(
                "view gauge",
                &format!("{vmid} maximum memory"),
                number(record, "maxmem"),
                bytes(figures.memory_maximum_bytes),
            )?;
            self.figure(
                "view gauge",
                &format!("{vmid} maximum disk"),
                number(record, "maxdisk"),
                bytes(figures.disk_maximum_bytes),
            )?;
            if status == "running" {
                self.figure(
                    "view gauge",
                    &format!("{vmid} memory"),
                    number(record, "mem"),
                    bytes(figures.memory_used_bytes),
                )?;
                self.figure(
                    "view uptime",
                    &format!("{vmid} uptime"),
                    number(record, "uptime"),
                    figures.uptime_seconds,
                )?;
                self.figure(
                    "view CPU",
                    &format!("{vmid} cpu"),
                    number(record, "cpu"),
                    figures.cpu_ratio,
                )?;
            }
        }
        Ok(())
    }

    fn storages(&mut self, answers: &[Record]) -> Result<()> {
        for record in answers
            .iter()
            .filter(|record| record.shape == "/nodes/{node}/storage")
        {
            let (name, node) = (
                field(record, "storage"),
                record.node.clone().unwrap_or_default(),
            );
            // Of a node without a recorded tree there are only broadcasts.
            if self.state.node(&node).is_none() {
                continue;
            }
            let storage: Option<&Storage> = self
                .view
                .storages
                .iter()
                .find(|storage| &*storage.name == name);
            let storage = storage.with_context(|| format!("no storage {name} in the view"))?;
            let on_node = storage
                .nodes
                .iter()
                .find(|on| *self.view.node(on.node).name == node)
                .copied();
            let theirs = match (field(record, "enabled"), field(record, "active")) {
                ("1", "1") => "active",
                ("1", _) => "inactive",
                _ => "disabled",
            };
            let ours = match on_node.map(|on| on.status) {
                Some(StorageStatus::Active) => "active",
                Some(StorageStatus::Inactive) => "inactive",
                // Not for this node is not in use there either.
                Some(StorageStatus::Disabled) | None => "disabled",
                Some(StorageStatus::Unknown) => "unknown",
            };
            self.word(&format!("{name} on {node}"), theirs, ours)?;
            if let Some(on) = on_node.filter(|_| theirs == "active") {
                self.figure(
                    "view gauge",
                    &format!("{name} on {node} total"),
                    number(record, "total"),
                    on.total_bytes.map(precise),
                )?;
                self.figure(
                    "view gauge",
                    &format!("{name} on {node} used"),
                    number(record, "used"),
                    on.used_bytes.map(precise),
                )?;
            }
        }
        Ok(())
    }

    /// Rates of the view against those of the files.
    fn rates(&mut self) -> Result<()> {
        for recorded in &self.state.nodes {
            let theirs = rates_of_files(recorded)?;
            let ours = rates_of_view(self.view, self.node(&recorded.name)?);
            for (name, ours) in ours {
                let is_ratio = name.ends_with("_ratio") || name.ends_with("_cores");
                let tolerance = if is_ratio { "view ratio" } else { "view rate" };
                let what = format!("{} {name}", recorded.name);
                self.figure(tolerance, &what, theirs.get(&name).copied(), ours)?;
            }
        }
        Ok(())
    }
}

/// Rates of a node and its guests by the names of `figures`.
fn rates_of_view(view: &View, node: &Node) -> BTreeMap<String, Option<f64>> {
    let mut rates = BTreeMap::new();
    let node_rates = node.rates.as_ref().map(|rates| &rates.value);
    let of =
        |get: fn(&pvelens::view::NodeRates) -> Option<f64>| node_rates.and_then(|rates| get(rates));
    rates.insert("node.cpu_ratio".to_owned(), of(|rates| rates.cpu_ratio));
    rates.insert(
        "node.iowait_ratio".to_owned(),
        of(|rates| rates.iowait_ratio),
    );
    rates.insert(
        "pressure.cpu.some_ratio".to_owned(),
        of(|rates| rates.pressure.cpu_some_ratio),
    );
    rates.insert(
        "pressure.memory.some_ratio".to_owned(),
        of(|rates| rates.pressure.memory_some_ratio),
    );
    rates.insert(
        "pressure.memory.full_ratio".to_owned(),
        of(|rates| rates.pressure.memory_full_ratio),
    );
    rates.insert(
        "pressure.io.some_ratio".to_owned(),
        of(|rates| rates.pressure.io_some_ratio),
    );
    rates.insert(
        "pressure.io.full_ratio".to_owned(),
        of(|rates| rates.pressure.io_full_ratio),
    );
    let disks = node.facts.disks.iter().flat_map(|disks| &disks.value.disks);
    for (position, disk) in disks.enumerate() {
        let rate = node_rates.and_then(|rates| *rates.disks.get(position)?);
        for (field, value) in [
            ("reads", rate.map(|rate| rate.reads_per_second)),
            ("writes", rate.map(|rate| rate.writes_per_second)),
            ("read_bytes", rate.map(|rate| rate.read_bytes_per_second)),
            (
                "written_bytes",
                rate.map(|rate| rate.write_bytes_per_second),
            ),
            ("busy_seconds", rate.map(|rate| rate.busy_ratio)),
        ] {
            rates.insert(format!("disks.{}.{field}_per_second", disk.name), value);
        }
    }
    let interfaces = node
        .facts
        .network
        .iter()
        .flat_map(|network| &network.value.interfaces);
    for (position, interface) in interfaces.enumerate() {
        let rate = node_rates.and_then(|rates| *rates.interfaces.get(position)?);
        for (field, value) in [
            (
                "received_bytes",
                rate.map(|rate| rate.received_bytes_per_second),
            ),
            (
                "transmitted_bytes",
                rate.map(|rate| rate.transmitted_bytes_per_second),
            ),
        ] {
            rates.insert(
                format!("network.{}.{field}_per_second", interface.name),
                value,
            );
        }
    }
    for guest in view
        .guests
        .iter()
        .filter(|guest| guest.runtime.is_some() && view.node(guest.node).name == node.name)
    {
        let cores = guest.rates.and_then(|rates| rates.value.cpu_cores);
        rates.insert(format!("guest_runtimes.{}.cpu_cores", guest.vmid), cores);
    }
    rates
}

fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    record.fields.get(name).map_or("", String::as_str)
}

fn number(record: &Record, name: &str) -> Option<f64> {
    field(record, name).parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes of a lab; compared to 2 %"
)]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}
