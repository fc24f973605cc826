use std::sync::Arc;

use pvelens_proto::timestamp_from_millis;

use crate::check::testing::Scene;

const ID: &str = "node.pvestatd.stale";
const NODE: &str = "node/pve1";

fn written(scene: &mut Scene, seconds_ago: i64) {
    let at = scene.at.as_millisecond() - seconds_ago * 1000;
    let status = scene.node(0).facts.pve_status.as_mut().unwrap();
    let status = Arc::make_mut(&mut status.value);
    status.node.as_mut().unwrap().computed_at = Some(timestamp_from_millis(at));
}

#[test]
fn figures_older_than_two_minutes_are_stale() {
    let mut scene = Scene::healthy();
    written(&mut scene, 120);
    assert_eq!(scene.judge(ID, NODE), "pass");
    written(&mut scene, 121);
    assert_eq!(scene.judge(ID, NODE), "warning");
}

#[test]
fn the_clock_of_the_node_is_corrected() {
    let mut scene = Scene::healthy();
    written(&mut scene, 200);
    scene.node(0).agent.as_mut().unwrap().clock_offset_seconds = Some(-195.0);
    assert_eq!(scene.judge(ID, NODE), "pass");
}

#[test]
fn the_broadcast_serves_as_well() {
    let mut scene = Scene::healthy();
    scene.node(0).facts.pve_status = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    let at = scene.at.as_millisecond();
    scene.node(0).broadcast.as_mut().unwrap().value.computed_at = Some(timestamp_from_millis(at));
    assert_eq!(scene.judge(ID, NODE), "pass");
}

#[test]
fn a_file_that_cannot_be_read_says_nothing_about_the_service() {
    let mut scene = Scene::healthy();
    written(&mut scene, 600);
    let old = scene.minutes_ago(9);
    scene.node(0).facts.pve_status.as_mut().unwrap().at = old;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    scene.node(0).agent.as_mut().unwrap().is_pve_node = false;
    assert_eq!(scene.judge(ID, NODE), "not applicable");
}
