use crate::{
    check::testing::Scene,
    history::ObjectKey,
    metric::Metric::*,
    view::{GuestStatus, MemorySource},
    windows::{Day, Kept, Percentiles, Windows},
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

/// The guest has a store's day behind it, and so much CPU now.
fn day(p95: f32, hour: f32, now: f64) -> Scene {
    let mut scene = Scene::healthy().with(10, CpuRatio, now);
    scene.view.guests[0].figures.uptime_seconds = Some(1e6);
    scene.windows = Windows::read_at(scene.at);
    let percentiles = Percentiles {
        p50: 0.4,
        p95,
        p99: 1.0,
    };
    let day = Day {
        percentiles: Some(percentiles),
        hour: Some(hour),
    };
    scene.windows.add_day(ObjectKey(10), CpuRatio, day);
    scene
}

/// Without the percentiles, or without the hour.
fn part_of(day: &mut Scene, (has_percentiles, has_hour): (bool, bool)) {
    let Kept::Of(known) = day.windows.day(ObjectKey(10), CpuRatio, day.at) else {
        panic!("no day");
    };
    let part = Day {
        percentiles: known.percentiles.filter(|_| has_percentiles),
        hour: known.hour.filter(|_| has_hour),
    };
    day.windows.add_day(ObjectKey(10), CpuRatio, part);
}

#[test]
fn a_day_of_nearly_full_use_is_found_and_an_hour_of_calm_ends_it() {
    for (p95, hour, now, expected) in [
        (0.90, 0.85, 0.85, "recovering"),
        (0.91, 0.85, 0.85, "warning"),
        // What was so for more than an hour of the day is told for as long as it was.
        (0.91, 0.5, 0.5, "warning"),
        (0.90, 0.79, 0.79, "pass"),
        (0.90, 0.80, 0.79, "recovering"),
        (0.90, 0.79, 0.80, "recovering"),
        (0.90, 0.97, 0.97, "warning"),
    ] {
        let scene = day(p95, hour, now);
        assert_eq!(scene.judge(CPU, VM), expected, "{p95} {hour} {now}");
    }
    insta::assert_snapshot!(day(0.93, 0.5, 0.5).summary(CPU), @"VM 100 (web) has used 93 % or more of its 2 CPUs for more than an hour of the last day.");
    insta::assert_snapshot!(day(0.93, 0.97, 0.97).summary(CPU), @"VM 100 (web) has used 97 % of its 2 CPUs for 30 minutes.");
    let pressed = day(0.91, 0.85, 0.85).with(0, CpuPressureSomeRatio, 0.5);
    assert_eq!(pressed.judge(CPU, VM), "recovering");
}

#[test]
fn a_day_that_is_not_known_opens_nothing_and_an_hour_ends_nothing() {
    let mut scene = day(0.99, 0.5, 0.5);
    part_of(&mut scene, (false, true));
    assert_eq!(scene.judge(CPU, VM), "pass");
    part_of(&mut scene, (false, false));
    assert_eq!(scene.judge(CPU, VM), "recovering");
    scene.windows = Windows::awaited();
    assert_eq!(scene.judge(CPU, VM), "recovering");
    // Without a store half an hour is all there is.
    scene.windows = Windows::default();
    assert_eq!(scene.judge(CPU, VM), "pass");
}

#[test]
fn a_day_of_another_run_does_not_count() {
    for (hours, expected) in [(19.1, "pass"), (19.3, "warning")] {
        let mut scene = day(0.99, 0.5, 0.5);
        scene.view.guests[0].figures.uptime_seconds = Some(hours * 3600.0);
        assert_eq!(scene.judge(CPU, VM), expected, "{hours}");
    }
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
