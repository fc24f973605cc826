use crate::{
    check::testing::Scene,
    metric::Metric::*,
    view::{GuestStatus, MemorySource},
};

const CPU: &str = "guest.cpu.saturated";
const MEMORY: &str = "guest.mem.saturated";
const VM: &str = "guest/100";
const CT: &str = "guest/101";

#[test]
fn a_guest_that_uses_all_its_cpus_is_found() {
    for (used, expected) in [
        (0.79, "pass"),
        (0.80, "recovering"),
        (0.95, "recovering"),
        (0.96, "warning"),
    ] {
        let scene = Scene::healthy().with(10, CpuRatio, used);
        assert_eq!(scene.judge(CPU, VM), expected, "{used}");
    }
    let mut short = Scene::healthy().with(10, CpuRatio, 0.5);
    short.set(10, CpuRatio, 0.99, 20);
    assert_eq!(short.judge(CPU, VM), "unknown");
}

#[test]
fn wanted_limited_and_starved_load_is_not_saturation() {
    let saturated = || Scene::healthy().with(10, CpuRatio, 0.99);
    let mut scene = saturated();
    scene.settings(0).tags = vec!["batch".to_owned()];
    assert_eq!(scene.judge(CPU, VM), "not applicable");
    let mut scene = saturated();
    scene.settings(0).cpu_limit_cores = Some(1.0);
    assert_eq!(scene.judge(CPU, VM), "not applicable");
    scene.settings(0).cpu_limit_cores = Some(2.0);
    assert_eq!(scene.judge(CPU, VM), "warning");
    let scene = saturated().with(0, CpuPressureSomeRatio, 0.5);
    assert_eq!(scene.judge(CPU, VM), "recovering");
}

#[test]
fn load_is_judged_while_the_guest_runs_and_is_warm() {
    let mut scene = Scene::healthy().with(10, CpuRatio, 0.99);
    scene.view.guests[0].figures.uptime_seconds = Some(599.0);
    assert_eq!(scene.judge(CPU, VM), "unknown");
    assert_eq!(scene.judge(MEMORY, VM), "unknown");
    scene.view.guests[0].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(CPU, VM), "not applicable");
    assert_eq!(scene.judge(MEMORY, VM), "not applicable");
}

#[test]
fn a_container_needs_full_memory_and_stalls() {
    for (used, stalled, expected) in [
        (0.80, 0.5, "pass"),
        (0.95, 0.5, "recovering"),
        (0.96, 0.05, "recovering"),
        (0.96, 0.06, "warning"),
    ] {
        let scene = Scene::healthy().with(11, MemoryUsedRatio, used).with(
            11,
            MemoryPressureSomeRatio,
            stalled,
        );
        assert_eq!(scene.judge(MEMORY, CT), expected, "{used} {stalled}");
    }
    let scene = Scene::healthy().with(11, MemoryUsedRatio, f64::NAN);
    assert_eq!(scene.judge(MEMORY, CT), "unknown");
}

#[test]
fn free_memory_of_a_vm_proves_enough_and_its_lack_proves_nothing() {
    for (used, expected) in [(0.84, "pass"), (0.90, "recovering"), (0.95, "unknown")] {
        let scene = Scene::healthy().with(10, MemoryUsedRatio, used);
        assert_eq!(scene.judge(MEMORY, VM), expected, "{used}");
    }
    let mut scene = Scene::healthy();
    scene.view.guests[0].figures.memory_source = Some(MemorySource::Host);
    assert_eq!(scene.judge(MEMORY, VM), "unknown");
}
