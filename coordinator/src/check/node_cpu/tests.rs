use crate::{check::testing::Scene, metric::Metric::*};

const PRESSURE: &str = "node.cpu.sustained_pressure";
const IOWAIT: &str = "node.cpu.iowait_high";
const NODE: &str = "node/pve1";

#[test]
fn pressure_is_judged_by_its_level() {
    for (value, expected) in [
        (0.14, "pass"),
        (0.15, "recovering"),
        (0.25, "recovering"),
        (0.26, "warning"),
        (0.50, "warning"),
        (0.51, "critical"),
    ] {
        let scene = Scene::healthy().with(0, CpuPressureSomeRatio, value);
        assert_eq!(scene.judge(PRESSURE, NODE), expected, "{value}");
        assert_eq!(scene.judge(PRESSURE, "node/pve2"), "pass");
    }
}

#[test]
fn pressure_must_last_ten_minutes_and_be_measured() {
    let mut scene = Scene::healthy().with(0, CpuPressureSomeRatio, 0.1);
    scene.record(
        crate::history::ObjectKey(0),
        CpuPressureSomeRatio,
        "",
        7,
        0.9,
    );
    assert_eq!(scene.judge(PRESSURE, NODE), "recovering");
    // Seven of ten minutes measured: too few to judge.
    let mut scene = Scene::healthy();
    scene.set(0, CpuPressureSomeRatio, 0.9, 6);
    assert_eq!(scene.judge(PRESSURE, NODE), "unknown");
    scene.set(0, CpuPressureSomeRatio, 0.9, 10);
    assert_eq!(scene.judge(PRESSURE, NODE), "critical");
}

#[test]
fn a_node_that_has_just_started_is_not_judged() {
    let mut scene = Scene::healthy().with(0, CpuPressureSomeRatio, 0.9);
    let load = scene.node(0).facts.load.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut load.value).uptime_seconds = 599.0;
    assert_eq!(scene.judge(PRESSURE, NODE), "unknown");
}

#[test]
fn iowait_counts_only_while_work_waits() {
    for (iowait, some, full, expected) in [
        (0.05, 0.05, 0.0, "pass"),
        (0.11, 0.04, 0.0, "recovering"),
        (0.11, 0.20, 0.0, "recovering"),
        (0.10, 0.21, 0.0, "recovering"),
        (0.11, 0.21, 0.0, "warning"),
        (0.01, 0.21, 0.11, "critical"),
    ] {
        let scene = Scene::healthy()
            .with(0, IowaitRatio, iowait)
            .with(0, IoPressureSomeRatio, some)
            .with(0, IoPressureFullRatio, full);
        let case = (iowait, some, full);
        assert_eq!(scene.judge(IOWAIT, NODE), expected, "{case:?}");
    }
}

#[test]
fn iowait_stands_alone_on_a_kernel_without_pressure() {
    let scene = Scene::healthy()
        .with(0, IowaitRatio, 0.2)
        .with(0, IoPressureSomeRatio, f64::NAN)
        .with(0, IoPressureFullRatio, f64::NAN);
    let result = scene.run(IOWAIT);
    let crate::check::Outcome::Fail(failure) = &result.verdicts[0].outcome else {
        panic!("{result:?}");
    };
    assert!((failure.confidence - 0.6).abs() < f64::EPSILON);
}
