//! A hostile node: what it sends is kept, merged, checked and told.

use std::{cell::RefCell, path::Path};

use anyhow::Result;
use jiff::Timestamp;
use prost::Message;
use pvelens::{check::Params, coordinator::Coordinator};
use pvelens_agent::{
    collector::{COLLECTORS, collect_once},
    host::Host,
};
use pvelens_proto::{
    agent::v1::{Cursor, DescribeResponse, NodeUpdate},
    timestamp_from_millis,
};

use super::Target;
use crate::small;

const NOW: i64 = 1_795_349_100;

pub(super) const NODE_UPDATE: Target = Target {
    name: "node_update",
    run,
    seeds: updates,
};

/// One of each of the small node's samples, and one of all.
pub(super) fn updates() -> Result<Vec<Vec<u8>>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures");
    let tree = small::tree(&fixtures, false)?;
    let host = Host::open(tree.path())?;
    let all: Vec<_> = COLLECTORS
        .iter()
        .map(|collector| {
            let mut sample = collect_once(collector, &host);
            sample.observed_at = Some(timestamp_from_millis(NOW * 1000));
            sample.duration_microseconds = 1;
            sample
        })
        .collect();
    let singles = all.iter().map(|sample| vec![sample.clone()]);
    let updates = singles.chain([all.clone()]).map(|samples| NodeUpdate {
        cursor: Some(Cursor {
            epoch: "e".to_owned(),
            sequence: 7,
        }),
        samples,
        ..NodeUpdate::default()
    });
    Ok(updates.map(|update| update.encode_to_vec()).collect())
}

/// The update comes after that of an honest node, and again: the second time rates are
/// made of it.
fn run(data: &[u8]) {
    thread_local! {
        static HONEST: RefCell<Option<NodeUpdate>> = const { RefCell::new(None) };
    }
    let Ok(update) = NodeUpdate::decode(data) else {
        return;
    };
    let honest = HONEST.with_borrow_mut(|known| known.get_or_insert_with(honest).clone());
    let coordinator = Coordinator::new(Params::default());
    coordinator.live().append(&agent("pve2"), honest, at(0));
    coordinator
        .live()
        .append(&agent("pve1"), update.clone(), at(1));
    let cursor = update.cursor.clone().map(|cursor| Cursor {
        sequence: cursor.sequence.wrapping_add(1),
        ..cursor
    });
    coordinator
        .live()
        .append(&agent("pve1"), NodeUpdate { cursor, ..update }, at(11));
    let current = coordinator.evaluate(at(12));
    assert!(serde_json::to_vec(&current.findings).is_ok());
}

fn honest() -> NodeUpdate {
    let updates = updates().unwrap_or_else(|error| panic!("no honest node: {error:#}"));
    let all = updates.last().map_or(&[][..], Vec::as_slice);
    NodeUpdate::decode(all).unwrap_or_default()
}

fn agent(node: &str) -> DescribeResponse {
    DescribeResponse {
        agent_version: "0.1.0".to_owned(),
        node_name: node.to_owned(),
        cluster_id: "c".to_owned(),
        is_pve_node: true,
        epoch: "e".to_owned(),
        ..DescribeResponse::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap_or_default()
}
