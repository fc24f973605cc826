use crate::{check::testing::Scene, view::NodeStatus};

const HEARTBEAT: &str = "observability.coordinator_heartbeat";
const STALE: &str = "cluster.agent.stale_report";

fn silent(minutes: [i64; 3]) -> Scene {
    let mut scene = Scene::healthy();
    for (node, minutes) in minutes.into_iter().enumerate() {
        scene.silence(node, minutes);
        scene.node(node).status = NodeStatus::Unknown;
    }
    scene
}

#[test]
fn all_agents_silent_at_once_is_the_coordinators_own_trouble() {
    let scene = silent([5, 5, 4]);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "critical");
    let summary = scene.summary(HEARTBEAT);
    assert!(summary.starts_with("This coordinator lost all 3 agents at once: its own network"));
    for node in ["node/pve1", "node/pve2", "node/pve3"] {
        assert_eq!(scene.judge(STALE, node), "unknown");
    }
}

#[test]
fn agents_that_fall_silent_one_after_the_other_are_judged_each() {
    let scene = silent([9, 7, 4]);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "pass");
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
}

#[test]
fn one_that_was_silent_before_does_not_hide_it_and_one_that_speaks_does() {
    let mut scene = silent([5, 5, 5]);
    scene.silence(2, 0);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "pass");
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
    // With two agents there is nothing to compare.
    scene.node(2).agent = None;
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "not applicable");
}

#[test]
fn clocks_that_all_differ_from_the_coordinators_show_that_its_own_is_wrong() {
    for (offsets, expected) in [
        ([86_400.0, 86_400.5, 86_399.0], "warning clock, pass"),
        ([-90.0, -91.0, -90.0], "warning clock, pass"),
        ([90.0, 90.0, 0.0], "pass"),
        ([3.0, 3.0, 3.0], "pass"),
    ] {
        let mut scene = Scene::healthy();
        for (node, offset) in offsets.into_iter().enumerate() {
            scene
                .node(node)
                .agent
                .as_mut()
                .unwrap()
                .clock_offset_seconds = Some(offset);
        }
        assert_eq!(scene.judge(HEARTBEAT, "cluster"), expected, "{offsets:?}");
    }
}
