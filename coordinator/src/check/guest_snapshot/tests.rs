use std::sync::Arc;

use pvelens_proto::{agent::v1::GuestSnapshot, timestamp_from_millis};

use crate::check::testing::Scene;

const ID: &str = "guest.snapshot.old";
const VM: &str = "guest/100";

fn snapshots(days: &[(&str, i64)]) -> Scene {
    let mut scene = Scene::healthy();
    let now = scene.at.as_millisecond();
    let config = Arc::make_mut(scene.view.guests[0].config.as_mut().unwrap());
    config.snapshots = days
        .iter()
        .map(|(name, days)| GuestSnapshot {
            name: (*name).to_owned(),
            taken_at: Some(timestamp_from_millis(now - days * 86_400_000 - 1000)),
            ..GuestSnapshot::default()
        })
        .collect();
    scene
}

#[test]
fn age_decides() {
    for (days, expected) in [
        (29, "pass"),
        (30, "info"),
        (44, "info"),
        (45, "warning"),
        (400, "warning"),
    ] {
        assert_eq!(snapshots(&[("a", days)]).judge(ID, VM), expected, "{days}");
    }
    assert_eq!(Scene::healthy().judge(ID, VM), "pass");
}

#[test]
fn the_oldest_speaks_for_all() {
    let scene = snapshots(&[("new", 1), ("b", 50), ("a", 60)]);
    assert_eq!(
        scene.summary(ID),
        "VM 100 (web) has the snapshot a from 60 d ago, and 1 old one more."
    );
}

#[test]
fn very_old_ones_on_a_full_thin_pool_are_critical() {
    let mut scene = snapshots(&[("a", 181)]);
    scene.storage(1).storage_type = "lvmthin".to_owned();
    assert_eq!(scene.judge(ID, VM), "warning");
    scene.view.storages[1].nodes[0].used_bytes = Some(900 << 30);
    assert_eq!(scene.judge(ID, VM), "critical");
}

#[test]
fn technical_and_wanted_snapshots_stay() {
    let scene = snapshots(&[("__replicate_100-0_1700000000__", 90), ("vzdump", 90)]);
    assert_eq!(scene.judge(ID, VM), "pass");
    let mut scene = snapshots(&[("a", 90)]);
    scene.settings(0).tags = vec!["keep-snapshot".to_owned()];
    assert_eq!(scene.judge(ID, VM), "not applicable");
    scene.view.guests[0].config = None;
    assert_eq!(scene.judge(ID, VM), "unknown");
}
