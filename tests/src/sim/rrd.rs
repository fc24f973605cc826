//! History that the nodes have kept before, in files as RRDtool writes them on x86-64
//! (`rrdtool-1.x@src/rrd_format.h`).
//!
//! What is measured now, with the ups and downs of days and what has grown in months.
//! Nobody writes to the files afterwards: rrdcached would not have, for the first hour.

use std::{f64::consts::TAU, fs, io, path::Path};

use super::{
    noise,
    state::{Guest, Nic, Node, State, Storage, real},
};

const DATABASE: &str = "var/lib/rrdcached/db";
const STEP_SECONDS: u64 = 60;
/// Seconds of a step, and rows: a month and a quarter.
const ARCHIVES: &[(u64, u64)] = &[(1800, 1440), (21_600, 360)];
const CONSOLIDATIONS: &[&str] = &["AVERAGE", "MAX"];
const DAY: f64 = 86_400.0;
/// What grows has begun with two thirds of it.
const GROWN: f64 = 1.0 / 3.0;
const GROWN_SECONDS: f64 = 90.0 * DAY;

/// How a column came to what it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Still,
    /// More in the afternoon than in the night.
    Daily,
    Growing,
}

/// Name, present value and course.
type Column = (&'static str, f64, Course);

/// Writes the history of a node, its storages and its guests into its tree.
pub(super) fn write(state: &State, index: usize, root: &Path) -> io::Result<()> {
    let Some(node) = state.nodes.get(index) else {
        return Ok(());
    };
    let file = |path: String, columns: &[Column]| {
        let path = root.join(DATABASE).join(path);
        let directory = path.parent().unwrap_or(root);
        fs::create_dir_all(directory)?;
        let updated = u64::try_from(state.start_millis / 1000).unwrap_or(0);
        fs::write(&path, encode(columns, updated, state.seed))
    };
    file(
        format!("pve-node-9.0/{}", node.name),
        &of_node(state, node, index),
    )?;
    for storage in &state.storages {
        let columns = of_storage(storage, index);
        file(
            format!("pve-storage-9.0/{}/{}", node.name, storage.name),
            &columns,
        )?;
    }
    for guest in state.guests.iter().filter(|guest| guest.node == index) {
        file(format!("pve-vm-9.0/{}", guest.vmid), &of_guest(guest))?;
    }
    Ok(())
}

fn of_node(state: &State, node: &Node, index: usize) -> Vec<Column> {
    use Course::{Daily, Growing, Still};
    let cpus = f64::from(node.cpus).max(1.0);
    let guests = || state.guests.iter().filter(|guest| guest.node == index);
    let of_guests: f64 = guests()
        .map(|guest| guest.load.cpu * f64::from(guest.cores))
        .sum();
    let cpu = (node.load.host_cpu + of_guests / cpus).min(1.0);
    let memory = real(node.memory_bytes);
    let used: f64 = guests()
        .map(|guest| guest.load.memory * real(guest.memory_bytes))
        .sum();
    let root = node.filesystems.iter().find(|it| it.mount_point == "/");
    let network = |of: fn(&Nic) -> f64| node.nics.iter().map(of).sum::<f64>();
    vec![
        ("loadavg", cpu * cpus, Daily),
        ("maxcpu", cpus, Still),
        ("cpu", cpu, Daily),
        ("iowait", node.load.iowait, Daily),
        ("memtotal", memory, Still),
        ("memused", used.min(memory), Growing),
        ("memavailable", (memory - used).max(0.0), Still),
        (
            "roottotal",
            root.map_or(0.0, |root| real(root.total_bytes)),
            Still,
        ),
        (
            "rootused",
            root.map_or(0.0, |root| root.used_bytes),
            Growing,
        ),
        ("netin", network(|nic| nic.receive_rate), Daily),
        ("netout", network(|nic| nic.transmit_rate), Daily),
    ]
}

fn of_storage(storage: &Storage, index: usize) -> Vec<Column> {
    let own = storage.nodes.get(&index);
    let on_node = own.or_else(|| storage.nodes.values().next());
    let total = on_node.map_or(0.0, |it| real(it.total_bytes));
    let used = on_node.map_or(0.0, |it| it.used_ratio) * total;
    vec![
        ("total", total, Course::Still),
        ("used", used, Course::Growing),
    ]
}

fn of_guest(guest: &Guest) -> Vec<Column> {
    use Course::{Daily, Growing, Still};
    let (load, memory) = (&guest.load, real(guest.memory_bytes));
    vec![
        ("maxcpu", f64::from(guest.cores), Still),
        ("cpu", load.cpu, Daily),
        ("maxmem", memory, Still),
        ("mem", load.memory * memory, Growing),
        ("netin", load.receive_rate, Daily),
        ("netout", load.transmit_rate, Daily),
        ("diskread", load.read_bytes, Daily),
        ("diskwrite", load.write_bytes, Daily),
    ]
}

/// The value of a column in the step that ended so long ago.
fn value(column: &Column, seed: u64, at: u64, age: u64) -> f64 {
    let (name, present, course) = *column;
    match course {
        Course::Still => present,
        Course::Daily => {
            // The highest at three in the afternoon.
            let turn = (real(at) / DAY - 0.375) * TAU;
            noise::around(present * (0.8 + 0.2 * turn.sin()), 0.1, seed, name, at)
        }
        Course::Growing => {
            let grown = (real(age) / GROWN_SECONDS).min(1.0) * GROWN;
            noise::around(present * (1.0 - grown), 0.005, seed, name, at).min(present)
        }
    }
}

fn encode(columns: &[Column], updated: u64, seed: u64) -> Vec<u8> {
    let archives: Vec<_> = CONSOLIDATIONS
        .iter()
        .flat_map(|consolidation| {
            ARCHIVES
                .iter()
                .map(move |archive| (*consolidation, *archive))
        })
        .collect();
    let mut file = File::default();
    // `stat_head_t`; the number tells machines apart whose `double` is another.
    file.text("RRD", 4).text("0003", 12);
    file.0.extend(8.642_135E130_f64.to_le_bytes());
    file.number(wide(columns.len()))
        .number(wide(archives.len()));
    file.number(STEP_SECONDS).zeros(80);
    for (name, ..) in columns {
        file.text(name, 20).text("GAUGE", 20).zeros(80);
    }
    for (consolidation, (step, rows)) in &archives {
        file.text(consolidation, 24).number(*rows);
        file.number(step / STEP_SECONDS).zeros(80);
    }
    file.number(updated).zeros(8);
    // What is not consolidated yet: nothing.
    file.zeros(112 * columns.len() + 80 * columns.len() * archives.len());
    for (_, (_, rows)) in &archives {
        // The newest row is the last one.
        file.number(rows - 1);
    }
    for (consolidation, (step, rows)) in &archives {
        for row in 0..*rows {
            let age = (rows - 1 - row) * step;
            let at = updated - updated % step - age.min(updated);
            for column in columns {
                let average = value(column, seed, at, age);
                let is_higher = *consolidation == "MAX" && column.2 == Course::Daily;
                let value = if is_higher { average * 1.1 } else { average };
                file.0.extend(value.to_le_bytes());
            }
        }
    }
    file.0
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[derive(Debug, Default)]
struct File(Vec<u8>);

impl File {
    fn text(&mut self, text: &str, length: usize) -> &mut Self {
        self.0.extend(text.as_bytes());
        self.zeros(length.saturating_sub(text.len()))
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn zeros(&mut self, length: usize) -> &mut Self {
        self.0.resize(self.0.len() + length, 0);
        self
    }
}
