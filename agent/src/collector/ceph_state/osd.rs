//! The JSON of `ceph osd tree` and `ceph osd df`: where OSDs are, and how full
//! (`ceph@src/osd/OSDMap.cc`, `ceph@src/crush/CrushTreeDumper.h`).

use std::collections::{HashMap, HashSet};

use pvelens_proto::agent::v1::CephOsd;
use serde_json::Value;

use super::cut;
use crate::format::{
    FormatError,
    loose::{decimal, list, number, ratio, small, text},
};

const OSD_LIMIT: usize = 5_000;
/// Buckets and OSDs that are looked at; an OSD may be below several roots.
const NODE_LIMIT: usize = 50_000;
const KIB: u64 = 1024;

/// `ceph osd tree`: buckets name their children by number.
pub(super) fn tree(document: &Value, osds: &mut Vec<CephOsd>) -> Result<bool, FormatError> {
    let nodes = rows(document)?;
    let mut hosts: HashMap<i64, String> = HashMap::new();
    for host in nodes.iter().filter(|node| is_type(node, "host")) {
        for child in list(host, "children").iter().filter_map(Value::as_i64) {
            if hosts.len() < NODE_LIMIT {
                hosts.entry(child).or_insert_with(|| text(host, "name"));
            }
        }
    }
    // Without a place in the CRUSH map.
    let stray = list(document, "stray").iter();
    let mut seen = HashSet::new();
    for node in nodes
        .iter()
        .chain(stray)
        .filter(|node| is_type(node, "osd"))
    {
        let Some(id) = number(node, "id").filter(|id| seen.insert(*id)) else {
            continue;
        };
        let host = i64::try_from(id).ok().and_then(|id| hosts.get(&id));
        osds.push(CephOsd {
            host: host.cloned().unwrap_or_default(),
            ..osd(node, id)
        });
    }
    osds.sort_by_key(|osd| osd.id);
    Ok(cut(osds, OSD_LIMIT) || is_cut(document))
}

/// Adds what `ceph osd df` says. An OSD that the tree did not name is added too.
pub(super) fn space(document: &Value, osds: &mut Vec<CephOsd>) -> Result<bool, FormatError> {
    let nodes = rows(document)?;
    let mut places: HashMap<u64, usize> = osds
        .iter()
        .enumerate()
        .map(|(place, osd)| (osd.id, place))
        .collect();
    let stray = list(document, "stray").iter();
    for node in nodes
        .iter()
        .chain(stray)
        .filter(|node| is_type(node, "osd"))
    {
        let Some(id) = number(node, "id") else {
            continue;
        };
        let place = *places.entry(id).or_insert_with(|| {
            osds.push(osd(node, id));
            osds.len().saturating_sub(1)
        });
        if let Some(osd) = osds.get_mut(place) {
            let bytes = |key| number(node, key).map(|kib| kib.saturating_mul(KIB));
            osd.size_bytes = bytes("kb");
            osd.used_bytes = bytes("kb_used");
            osd.available_bytes = bytes("kb_avail");
            osd.used_ratio = ratio(node, "utilization");
            osd.placement_groups = small(node, "pgs");
        }
    }
    osds.sort_by_key(|osd| osd.id);
    Ok(cut(osds, OSD_LIMIT) || is_cut(document))
}

fn rows(document: &Value) -> Result<&[Value], FormatError> {
    let rows = document.get("nodes").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| FormatError::malformed("no nodes in the tree"))?;
    Ok(rows.get(..NODE_LIMIT).unwrap_or(rows))
}

fn is_cut(document: &Value) -> bool {
    list(document, "nodes").len() > NODE_LIMIT
}

fn is_type(node: &Value, kind: &str) -> bool {
    node.get("type").and_then(Value::as_str) == Some(kind)
}

fn osd(node: &Value, id: u64) -> CephOsd {
    CephOsd {
        id,
        device_class: text(node, "device_class"),
        is_up: node
            .get("status")
            .and_then(Value::as_str)
            .map(|status| status == "up"),
        is_in: decimal(node, "reweight").map(|weight| weight > 0.0),
        crush_weight: decimal(node, "crush_weight"),
        ..CephOsd::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tree_of() -> Value {
        json!({"nodes": [
            {"id": -1, "name": "default", "type": "root", "children": [-3]},
            {"id": -3, "name": "pve1", "type": "host", "children": [0, 1]},
            {"id": 1, "type": "osd", "status": "down", "reweight": 0, "crush_weight": 0.5, "device_class": "hdd"},
            {"id": 0, "type": "osd", "status": "up", "reweight": 1, "crush_weight": 0.25, "device_class": "ssd"},
            // Below a second root.
            {"id": 0, "type": "osd", "status": "up", "reweight": 1},
        ], "stray": [{"id": 7, "type": "osd", "status": "down", "reweight": 0}]})
    }

    #[test]
    fn osds_have_their_host_and_their_space() {
        let mut osds = Vec::new();
        assert!(!tree(&tree_of(), &mut osds).unwrap());
        let places: Vec<_> = osds
            .iter()
            .map(|osd| (osd.id, osd.host.as_str(), osd.is_up, osd.is_in))
            .collect();
        assert_eq!(
            places,
            [
                (0, "pve1", Some(true), Some(true)),
                (1, "pve1", Some(false), Some(false)),
                (7, "", Some(false), Some(false)),
            ]
        );
        let df = json!({"nodes": [
            {"id": 9, "type": "osd", "kb": 4},
            {"id": 0, "type": "osd", "kb": 1000, "kb_used": 250, "kb_avail": 750, "utilization": 25.0, "pgs": 33, "status": "up"},
        ]});
        space(&df, &mut osds).unwrap();
        assert_eq!(osds[0].size_bytes, Some(1_024_000));
        assert_eq!(osds[0].used_ratio, Some(0.25));
        assert_eq!(osds[0].crush_weight, Some(0.25));
        assert_eq!(osds[0].placement_groups, Some(33));
        assert_eq!(osds[1].size_bytes, None);
        assert_eq!((osds[3].id, osds[3].size_bytes), (9, Some(4096)));
    }

    #[test]
    fn more_than_is_kept_is_told() {
        let rows: Vec<_> = (0..6_000)
            .map(|id| json!({"id": id, "type": "osd"}))
            .collect();
        let document = json!({ "nodes": rows });
        for understand in [tree, space] {
            let mut osds = Vec::new();
            assert!(understand(&document, &mut osds).unwrap());
            assert_eq!(osds.len(), OSD_LIMIT);
        }
    }

    proptest! {
        #[test]
        fn any_document_parses_or_fails(
            kind in "osd|host|root",
            key in "id|children|kb|reweight",
            value in "-?[0-9]{1,25}|\\{\\}|\\[-?[0-9]{1,25}\\]|\"x\"",
        ) {
            let text = format!("{{\"nodes\":[{{\"type\":\"{kind}\",\"{key}\":{value}}},1]}}");
            if let Ok(document) = serde_json::from_str(&text) {
                drop(tree(&document, &mut Vec::new()));
                drop(space(&document, &mut Vec::new()));
            }
        }
    }
}
