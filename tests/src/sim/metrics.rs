//! `/run/pve/metrics`: what pvestatd of a node computed last.

use std::io;

use serde_json::{Map, Value, json};

use super::{
    state::{Guest, Kind, Node, Share, State, real, seconds, share_of, whole},
    tree::Tree,
};

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    // A stopped pvestatd leaves its last file behind.
    if node.broadcast_millis < state.now_millis() {
        return Ok(());
    }
    let at = (node.broadcast_millis + node.skew_millis) / 1000;
    let mut vms = Map::new();
    let mut containers = Map::new();
    for guest in state.guests.iter().filter(|guest| guest.node == index) {
        let (map, value) = match guest.kind {
            Kind::Qemu => (&mut vms, vm(state, guest)),
            Kind::Lxc => (&mut containers, container(state, guest)),
        };
        map.insert(guest.vmid.to_string(), value);
    }
    let storages: Map<String, Value> = state
        .storages
        .iter()
        .filter_map(|storage| {
            let on_node = storage.on_node(index)?;
            let total = if on_node.active {
                on_node.total_bytes
            } else {
                0
            };
            let used = whole(real(total) * on_node.used_ratio);
            Some((
                storage.name.clone(),
                json!({
                    "type": storage.kind, "content": storage.option("content"),
                    "shared": u8::from(storage.shared), "enabled": 1,
                    "active": u8::from(on_node.active),
                    "total": total, "used": used, "avail": total - used,
                }),
            ))
        })
        .collect();
    let stamped = |data: Value| json!({ "data": data, "timestamp": at });
    let line = json!({
        "lxc": stamped(Value::Object(containers)),
        "node": stamped(of_node(state, node)),
        "qemu": stamped(Value::Object(vms)),
        "storage": stamped(Value::Object(storages)),
    });
    tree.write("/run/pve/metrics", &format!("{line}\n"))
}

/// pvestatd shows some numbers as text; so do we.
fn of_node(state: &State, node: &Node) -> Value {
    let counters = &node.counters;
    let root = node.filesystems.iter().find(|fs| fs.mount_point == "/");
    let (blocks, used) = root.map_or((0, 0), |fs| (fs.total_bytes, whole(fs.used_bytes)));
    let load = |number: usize| format!("{:.2}", counters.load[number]);
    json!({
        "uptime": whole(seconds(state.now_millis() - node.boot_millis)),
        "cpustat": {
            "avg1": load(0), "avg5": load(1), "avg15": load(2), "cpus": node.cpus,
            "cpu": format!("{:.6}", node.load.cpu), "wait": format!("{:.6}", node.load.iowait),
        },
        "memory": {
            "memtotal": node.memory_bytes, "memused": node.memory_bytes - node.memory.available_bytes,
            "memfree": node.memory.free_bytes, "memavailable": node.memory.available_bytes,
            "memshared": 0, "arcsize": 0,
            "swaptotal": node.swap_bytes,
            "swapused": share_of(node.swap_bytes, node.load.swap_used_ratio),
        },
        "blockstat": {
            "blocks": blocks.to_string(), "bfree": (blocks - used).to_string(),
            "bavail": (blocks - used).to_string(), "used": used.to_string(),
        },
    })
}

fn percent(share: &Share) -> String {
    format!("{:.2}", share.averages[0] * 100.0)
}

/// What VMs and containers have in common.
fn common(state: &State, guest: &Guest) -> Map<String, Value> {
    let counters = &guest.counters;
    let running = guest.running;
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    set("vmid", json!(guest.vmid));
    set("name", json!(guest.name));
    set("status", json!(if running { "running" } else { "stopped" }));
    set("cpus", json!(guest.cores));
    set("maxmem", json!(guest.memory_bytes));
    set("maxdisk", json!(guest.disk_bytes().to_string()));
    set("tags", json!(guest.get("tags").unwrap_or_default()));
    if let Some(lock) = guest.get("lock") {
        set("lock", json!(lock));
    }
    if guest.template {
        set("template", json!(1));
    }
    if !running {
        set("uptime", json!(0));
        return map;
    }
    set("pid", json!(guest.pid));
    set(
        "uptime",
        json!(whole(seconds(state.now_millis() - guest.start_millis))),
    );
    set("cpu", json!(guest.load.cores_used / f64::from(guest.cores)));
    set(
        "mem",
        json!(share_of(guest.memory_bytes, guest.load.memory)),
    );
    set("netin", json!(whole(counters.received)));
    set("netout", json!(whole(counters.transmitted)));
    set("diskread", json!(whole(counters.read)));
    set("diskwrite", json!(whole(counters.written)));
    if state.pve_version >= 9 {
        for (name, stall) in [
            ("cpu", counters.cpu),
            ("io", counters.io),
            ("memory", counters.memory),
        ] {
            set(&format!("pressure{name}some"), json!(percent(&stall.some)));
            set(&format!("pressure{name}full"), json!(percent(&stall.full)));
        }
    }
    map
}

fn vm(state: &State, guest: &Guest) -> Value {
    let mut map = common(state, guest);
    let status = if guest.running {
        guest.qmp_status.as_str()
    } else {
        "stopped"
    };
    map.insert("qmpstatus".to_owned(), json!(status));
    map.insert("disk".to_owned(), json!(0));
    if guest.running {
        if state.pve_version >= 9 {
            map.insert("memhost".to_owned(), json!(guest.resident_bytes()));
        }
        let free = share_of(guest.memory_bytes, 1.0 - guest.load.memory);
        map.insert(
            "ballooninfo".to_owned(),
            json!({
                "actual": guest.memory_bytes, "max_mem": guest.memory_bytes,
                "total_mem": guest.memory_bytes, "free_mem": free,
                "last_update": state.now_millis() / 1000,
                "mem_swapped_in": whole(guest.counters.swapped_in), "mem_swapped_out": 0,
                "major_page_faults": whole(guest.counters.major_faults), "minor_page_faults": 0,
            }),
        );
        let failed = u64::from(guest.qmp_status == "io-error") * 12;
        map.insert(
            "blockstat".to_owned(),
            json!({ "scsi0": {
                "rd_bytes": whole(guest.counters.read), "wr_bytes": whole(guest.counters.written),
                "rd_operations": whole(guest.counters.read / 16_384.0),
                "wr_operations": whole(guest.counters.written / 16_384.0),
                "failed_rd_operations": 0, "failed_wr_operations": failed,
                "failed_flush_operations": 0,
            } }),
        );
        map.insert("running-machine".to_owned(), json!("pc-i440fx-9.2+pve1"));
        map.insert("running-qemu".to_owned(), json!("10.0.2"));
    }
    Value::Object(map)
}

fn container(state: &State, guest: &Guest) -> Value {
    let mut map = common(state, guest);
    map.insert("type".to_owned(), json!("lxc"));
    map.insert("maxswap".to_owned(), json!(512 << 20));
    if guest.running {
        map.insert("swap".to_owned(), json!(0));
        map.insert("disk".to_owned(), json!(share_of(guest.disk_bytes(), 0.3)));
    }
    Value::Object(map)
}
