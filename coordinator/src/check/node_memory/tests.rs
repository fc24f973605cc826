use crate::{check::testing::Scene, history::ObjectKey, metric::Metric::*};

const PRESSURE: &str = "node.mem.pressure";
const LOW: &str = "node.mem.available_low";
const SWAP: &str = "node.mem.swap_thrashing";
const OOM: &str = "node.mem.oom_kill";
const NODE: &str = "node/pve1";

#[test]
fn pressure_is_judged_by_some_and_full() {
    for (some, full, expected) in [
        (0.04, 0.0, "pass"),
        (0.04, 0.02, "recovering"),
        (0.10, 0.0, "recovering"),
        (0.11, 0.05, "warning"),
        (0.11, 0.06, "critical"),
        (0.41, 0.0, "critical"),
    ] {
        let scene = Scene::healthy()
            .with(0, MemoryPressureSomeRatio, some)
            .with(0, MemoryPressureFullRatio, full);
        assert_eq!(scene.judge(PRESSURE, NODE), expected, "{some} {full}");
    }
}

#[test]
fn heavy_pressure_is_critical_after_two_minutes() {
    let mut scene = Scene::healthy().with(0, MemoryPressureSomeRatio, 0.0);
    scene.set(0, MemoryPressureSomeRatio, 0.9, 3);
    assert_eq!(scene.judge(PRESSURE, NODE), "critical");
    scene.set(0, MemoryPressureSomeRatio, 0.2, 3);
    assert_eq!(scene.judge(PRESSURE, NODE), "unknown");
}

#[test]
fn little_available_memory_is_found() {
    for (share, bytes, expected) in [
        (0.14, 8e9, "pass"),
        (0.12, 8e9, "recovering"),
        (0.10, 8e9, "recovering"),
        (0.09, 8e9, "warning"),
        (0.05, 8e9, "warning"),
        (0.04, 8e9, "critical"),
        (0.30, 2.2e9, "pass"),
        (0.30, 2.1e9, "critical"),
    ] {
        let scene = Scene::healthy().with(0, MemoryAvailableRatio, share).with(
            0,
            MemoryAvailableBytes,
            bytes,
        );
        assert_eq!(scene.judge(LOW, NODE), expected, "{share} {bytes}");
    }
}

#[test]
fn swapping_counts_by_its_rate_not_by_use() {
    for (inward, outward, full, expected) in [
        (0.0, 10.0, 0.0, "pass"),
        (60.0, 0.0, 0.0, "recovering"),
        (500.0, 0.0, 0.0, "recovering"),
        (501.0, 0.0, 0.0, "warning"),
        (201.0, 199.0, 0.0, "recovering"),
        (201.0, 201.0, 0.0, "warning"),
        (501.0, 0.0, 0.06, "critical"),
    ] {
        let scene = Scene::healthy()
            .with(0, SwappedInPagesPerSecond, inward)
            .with(0, SwappedOutPagesPerSecond, outward)
            .with(0, MemoryPressureFullRatio, full);
        assert_eq!(
            scene.judge(SWAP, NODE),
            expected,
            "{inward} {outward} {full}"
        );
    }
}

#[test]
fn a_killed_process_is_an_event_of_the_node() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(OOM, NODE), "pass");
    let at = scene.minutes_ago(5);
    scene.history.record(ObjectKey(0), OomKills, at, 3.0);
    assert_eq!(scene.judge(OOM, NODE), "critical");
    assert_eq!(scene.judge(OOM, "node/pve2"), "pass");
}

#[test]
fn a_kill_inside_a_container_is_not_the_nodes() {
    let mut scene = Scene::healthy();
    let at = scene.minutes_ago(5);
    // The container 101 runs on pve2.
    scene.history.record(ObjectKey(1), OomKills, at, 3.0);
    scene.history.record(ObjectKey(11), OomKills, at, 3.0);
    assert_eq!(scene.judge(OOM, "node/pve2"), "pass");
    // Unless the node itself was short of memory.
    scene
        .history
        .record(ObjectKey(1), MemoryAvailableRatio, scene.at, -9.0);
    assert_eq!(scene.judge(OOM, "node/pve2"), "critical");
}

#[test]
fn memory_is_unknown_without_series() {
    let mut scene = Scene::healthy();
    scene.history = crate::history::History::default();
    for id in [PRESSURE, LOW, SWAP, OOM] {
        assert_eq!(scene.judge(id, NODE), "unknown", "{id}");
    }
}
