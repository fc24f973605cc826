//! The disk probe: LVM, with the thin pool of the storage `local-lvm`.

use std::io;

use pvelens_agent::probe::Outcome;
use serde_json::{Value, json};

use super::{
    super::{
        state::{GIB, MIB, State, share_of},
        tree::Tree,
    },
    reply,
};

const DISK: &str = "disk";
const STORAGE: &str = "local-lvm";
/// Bytes of a block of metadata, and of data.
const METADATA_BLOCK: u64 = 4096;
const DATA_BLOCK: u64 = 64 << 10;
const METADATA_BYTES: u64 = GIB;

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let node = &state.nodes[index];
    let storage = state.storages.iter().find(|known| known.name == STORAGE);
    let Some(data) = storage.and_then(|storage| storage.on_node(index)) else {
        return Ok(());
    };
    tree.write("/sys/class/misc/device-mapper/dev", "10:236\n")?;
    let pool = node.thin_pool;
    let size = data.total_bytes;
    let free = 16 * GIB;
    let attributes = if pool.needs_check {
        "twi-cotzM-"
    } else {
        "twi-aotz--"
    };
    let percent = |ratio: f64| format!("{:.2}", ratio * 100.0);
    let mut volumes = vec![
        json!({
            "vg_name": "pve", "lv_name": "data", "lv_uuid": "data", "lv_attr": attributes,
            "lv_size": size.to_string(), "segtype": "thin-pool",
            "data_percent": percent(data.used_ratio), "metadata_percent": percent(pool.metadata_ratio),
            "lv_metadata_size": METADATA_BYTES.to_string(), "chunk_size": DATA_BLOCK.to_string(),
            "lv_when_full": "queue", "discards": "passdown",
            "lv_health_status": if pool.needs_check { "metadata_read_only" } else { "" },
        }),
        json!({
            "vg_name": "pve", "lv_name": "root", "lv_uuid": "root", "lv_attr": "-wi-ao----",
            "lv_size": (94 * GIB).to_string(), "segtype": "linear",
        }),
    ];
    // What the pool holds belongs to a volume that no guest of the simulation names.
    volumes.push(json!({
        "vg_name": "pve", "lv_name": "vm-900-disk-0", "lv_uuid": "vm", "lv_attr": "Vwi-a-tz--",
        "lv_size": size.to_string(), "segtype": "thin", "pool_lv": "data",
        "data_percent": percent(data.used_ratio),
    }));
    let group = json!({
        "vg_name": "pve", "vg_uuid": "vg", "vg_attr": "wz--n-",
        "vg_size": (size + 120 * GIB).to_string(), "vg_free": free.to_string(),
        "vg_extent_size": (4 * MIB).to_string(), "pv_count": "1", "vg_missing_pv_count": "0",
        "lv_count": "3", "snap_count": "0",
    });
    let disk = json!({
        "pv_name": "/dev/nvme0n1p3", "pv_uuid": "pv", "vg_name": "pve", "pv_attr": "a--",
        "pv_size": (size + 120 * GIB).to_string(), "pv_free": free.to_string(),
        "dev_size": (size + 120 * GIB).to_string(),
    });
    for (name, table, rows) in [
        ("vgs", "vg", vec![group]),
        ("lvs", "lv", volumes),
        ("pvs", "pv", vec![disk]),
    ] {
        let text = json!({"report": [{table: Value::Array(rows)}]}).to_string();
        reply(tree, (DISK, name), EXITED, name, text)?;
    }
    let (mode, check) = if pool.needs_check {
        ("ro", "needs_check")
    } else {
        ("rw", "-")
    };
    let (metadata, blocks) = (METADATA_BYTES / METADATA_BLOCK, size / DATA_BLOCK);
    let status = format!(
        "pve-data-tpool: 0 {} thin-pool 1 {}/{metadata} {}/{blocks} - {mode} discard_passdown queue_if_no_space {check} 1024\n",
        size / 512,
        share_of(metadata, pool.metadata_ratio),
        share_of(blocks, data.used_ratio),
    );
    reply(
        tree,
        (DISK, "dm_status.thin-pool"),
        EXITED,
        "dmsetup status",
        status,
    )
}

const EXITED: Outcome = Outcome::Exited { exit_status: 0 };
