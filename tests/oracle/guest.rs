//! What QEMU and the agents in guests answer.

use serde_json::{Map, Value, json};

use crate::{
    api::Record,
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// The counters of a device by QEMU's names.
const COUNTERS: &[(&str, &str)] = &[
    ("rd_bytes", "read_bytes_total"),
    ("wr_bytes", "written_bytes_total"),
    ("rd_operations", "reads_total"),
    ("wr_operations", "writes_total"),
    ("flush_operations", "flushes_total"),
    ("failed_rd_operations", "failed_reads_total"),
    ("failed_wr_operations", "failed_writes_total"),
    ("failed_flush_operations", "failed_flushes_total"),
    ("invalid_rd_operations", "invalid_reads_total"),
    ("invalid_wr_operations", "invalid_writes_total"),
    ("wr_highest_offset", "highest_offset_bytes"),
];
/// Times, which we carry in seconds.
const TIMES: &[(&str, &str)] = &[
    ("rd_total_time_ns", "read_seconds_total"),
    ("wr_total_time_ns", "write_seconds_total"),
    ("flush_total_time_ns", "flush_seconds_total"),
];

/// Adds the monitor and the guest agent of the VM that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    if record.shape.ends_with("/content") {
        insert(context, "volume", volume(ours, &record.key));
    }
    let Some(vmid) = record.vmid.map(|vmid| vmid.to_string()) else {
        return;
    };
    if let Some(monitor) = find(ours.value("guest_monitors"), "guests", "vmid", &vmid) {
        let mut monitor = monitor.clone();
        let blocks: Map<String, Value> = items(&monitor, "devices")
            .map(|device| (text(device, "name"), counters(device)))
            .collect();
        let device = find(&monitor, "devices", "name", &record.key).map(device_as_told);
        let version = text(&monitor, "qemu_version");
        let mut numbers = version.split('.');
        let version =
            json!({ "major": numbers.next(), "minor": numbers.next(), "micro": numbers.next() });
        set(&mut monitor, "version", Some(version));
        set(&mut monitor, "blockstat", Some(Value::Object(blocks)));
        context.insert("monitor".to_owned(), monitor);
        insert(context, "device", device);
    }
    let agent = find(ours.value("guest_agents"), "guests", "vmid", &vmid);
    insert(context, "agent", agent.cloned());
    let mounted = agent.and_then(|agent| {
        find(
            agent.get("filesystems")?,
            "filesystems",
            "mount_point",
            &record.key,
        )
    });
    insert(context, "guest_mounted", mounted.cloned());
}

/// The volume `STORAGE:VOLUME` in the configuration of a guest.
fn volume(ours: &Ours<'_>, id: &str) -> Option<Value> {
    for guest in items(ours.value("guest_configs"), "guests") {
        let settings = guest.get("settings").unwrap_or(&Value::Null);
        for volume in items(settings, "volumes") {
            if format!("{}:{}", text(volume, "storage"), text(volume, "volume")) == id {
                let of_container = text(volume, "kind") == "VOLUME_KIND_ROOTFS";
                let content = if of_container { "rootdir" } else { "images" };
                return Some(json!({ "id": id, "vmid": guest.get("vmid"), "content": content }));
            }
        }
    }
    None
}

fn counters(device: &Value) -> Value {
    let mut counters = json!({});
    for (theirs, ours) in COUNTERS {
        set(&mut counters, theirs, device.get(ours).cloned());
    }
    for (theirs, ours) in TIMES {
        let seconds = device.get(ours).and_then(Value::as_f64);
        set(
            &mut counters,
            theirs,
            seconds.map(|seconds| json!((seconds * 1e9).round())),
        );
    }
    counters
}

fn device_as_told(device: &Value) -> Value {
    let mut told = device.clone();
    let status = match text(device, "io_status").as_str() {
        "GUEST_IO_STATUS_OK" => Some("ok"),
        "GUEST_IO_STATUS_FAILED" => Some("failed"),
        "GUEST_IO_STATUS_NO_SPACE" => Some("nospace"),
        _ => None,
    };
    set(&mut told, "io_word", status.map(Value::from));
    set(&mut told, "stats", Some(counters(device)));
    told
}
