//! `/proc` of a node: CPU, memory, load, disks and pressure.

use std::io;

use super::{
    config::line,
    state::{MIB, Node, Share, Stall, State, seconds, share_of, whole},
    step::TICKS,
    tree::Tree,
};

const SECTORS_PER_REQUEST: f64 = 32.0;

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let uptime = seconds(state.now_millis() - node.boot_millis);
    tree.write("/proc/stat", &stat(node))?;
    tree.write("/proc/meminfo", &meminfo(node))?;
    tree.write("/proc/vmstat", &vmstat(node))?;
    tree.write("/proc/diskstats", &diskstats(node))?;
    let [one, five, fifteen] = node.counters.load;
    tree.write(
        "/proc/loadavg",
        &format!("{one:.2} {five:.2} {fifteen:.2} 2/640 31337\n"),
    )?;
    let idle = node.counters.idle;
    tree.write("/proc/uptime", &format!("{uptime:.2} {idle:.2}\n"))?;
    tree.write("/proc/pressure/cpu", &pressure(&node.counters.cpu))?;
    tree.write("/proc/pressure/memory", &pressure(&node.counters.memory))?;
    tree.write("/proc/pressure/io", &pressure(&node.counters.io))
}

fn stat(node: &Node) -> String {
    let counters = &node.counters;
    let ticks = |seconds: f64| whole(seconds * TICKS);
    let row = |name: &str, part: f64| {
        format!(
            "{name} {} 0 {} {} {} 0 0 0 {} 0",
            ticks(counters.user * part),
            ticks(counters.system * part),
            ticks(counters.idle * part),
            ticks(counters.iowait * part),
            ticks(counters.guest * part),
        )
    };
    let mut text = String::new();
    line(&mut text, &row("cpu ", 1.0));
    for cpu in 0..node.cpus {
        line(
            &mut text,
            &row(&format!("cpu{cpu}"), 1.0 / f64::from(node.cpus)),
        );
    }
    line(
        &mut text,
        &format!("intr {} 0 0", whole(counters.context_switches * 0.7)),
    );
    line(
        &mut text,
        &format!("ctxt {}", whole(counters.context_switches)),
    );
    line(&mut text, &format!("btime {}", node.boot_millis / 1000));
    line(&mut text, &format!("processes {}", whole(counters.forks)));
    text.push_str("procs_running 2\nprocs_blocked 0\n");
    text
}

fn meminfo(node: &Node) -> String {
    let kib = |bytes: u64| bytes / 1024;
    let available = node.memory.available_bytes;
    let free = node.memory.free_bytes;
    let swap_used = share_of(node.swap_bytes, node.load.swap_used_ratio);
    let mut text = String::new();
    for (key, bytes) in [
        ("MemTotal", node.memory_bytes),
        ("MemFree", free),
        ("MemAvailable", available),
        ("Buffers", 64 * MIB),
        ("Cached", available - free),
        ("SwapCached", 0),
        ("SwapTotal", node.swap_bytes),
        ("SwapFree", node.swap_bytes - swap_used),
        ("Dirty", 2 * MIB),
        ("Writeback", 0),
        ("Shmem", 96 * MIB),
        ("Slab", 900 * MIB),
        ("SReclaimable", 500 * MIB),
        ("SUnreclaim", 400 * MIB),
    ] {
        line(
            &mut text,
            &format!("{:<16}{:>12} kB", format!("{key}:"), kib(bytes)),
        );
    }
    text.push_str(
        "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n",
    );
    text
}

fn vmstat(node: &Node) -> String {
    let counters = &node.counters;
    let mut text = String::new();
    line(
        &mut text,
        &format!("nr_free_pages {}", node.memory.free_bytes / 4096),
    );
    line(
        &mut text,
        &format!("pgmajfault {}", whole(counters.major_faults)),
    );
    line(&mut text, &format!("oom_kill {}", counters.oom_kills));
    line(
        &mut text,
        &format!("pswpin {}", whole(counters.swap_in_pages)),
    );
    line(
        &mut text,
        &format!("pswpout {}", whole(counters.swap_out_pages)),
    );
    text
}

fn diskstats(node: &Node) -> String {
    let mut text = String::new();
    for disk in &node.disks {
        let counters = &disk.counters;
        line(
            &mut text,
            &format!(
                "{:>4} {:>7} {} {} 0 {} {} {} 0 {} {} 0 {} {} 0 0 0 0 0 0",
                disk.major,
                disk.minor,
                disk.name,
                whole(counters.reads),
                whole(counters.reads * SECTORS_PER_REQUEST),
                whole(counters.read_millis),
                whole(counters.writes),
                whole(counters.writes * SECTORS_PER_REQUEST),
                whole(counters.write_millis),
                whole(counters.busy_millis),
                whole(counters.read_millis + counters.write_millis),
            ),
        );
    }
    text
}

pub(super) fn pressure(stall: &Stall) -> String {
    let row = |kind: &str, share: &Share| {
        let [ten, sixty, three_hundred] = share.averages.map(|average| average * 100.0);
        format!(
            "{kind} avg10={ten:.2} avg60={sixty:.2} avg300={three_hundred:.2} total={}",
            whole(share.micros)
        )
    };
    let mut text = String::new();
    line(&mut text, &row("some", &stall.some));
    line(&mut text, &row("full", &stall.full));
    text
}
