use std::path::Path;

use pvelens_proto::agent::v1::{self as wire, FilesystemState, sample::Payload};

use super::*;
use crate::{
    check::{CHECKS, Params},
    coordinator::Coordinator,
    live::fixture::{Feed, at, pve_status, storage_status},
    store::Store,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const VMID: u32 = 100;
const TOTAL: u64 = 1 << 40;

/// One node, its VM and its storage, and a store.
struct Site {
    coordinator: Arc<Coordinator>,
    store: Arc<Store>,
    feed: Feed,
}

impl Site {
    /// As of the second.
    fn open(directory: &Path, second: i64) -> Self {
        let store = Arc::new(Store::open(directory, 1 << 30, at(second)).unwrap());
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        coordinator.keep_in(Arc::clone(&store), at(second)).unwrap();
        let mut feed = Feed::new("c", "pve1");
        feed.restart(&format!("epoch {second}"));
        Self {
            coordinator,
            store,
            feed,
        }
    }

    /// Measures each minute. The VM uses half of its CPUs, and nearly all of them in a
    /// tenth of the time; a file system and the storage fill by a 1/1024 in five minutes.
    fn measure(&mut self, minutes: std::ops::Range<i64>) {
        for minute in minutes {
            let second = minute * MINUTE;
            let mut status = pve_status(second, &[(VMID, "running")]);
            status.guests[0].cpu_ratio = Some(if minute % 1440 < 144 { 0.95 } else { 0.5 });
            let mut storage = storage_status(second, "local-lvm", true);
            let used = u64::try_from(minute).unwrap() * (TOTAL / 1024 / 5);
            (storage.total_bytes, storage.used_bytes) = (Some(TOTAL), Some(used));
            status.storages.push(storage);
            let mounts = ["/", "/mnt/other"].map(|point| wire::Filesystem {
                mount_point: point.to_owned(),
                state: FilesystemState::Measured.into(),
                total_bytes: Some(TOTAL),
                used_bytes: Some(used),
                available_bytes: Some(TOTAL - used),
                filesystem_type: "ext4".to_owned(),
                ..wire::Filesystem::default()
            });
            let mounts = wire::Filesystems {
                filesystems: mounts.to_vec(),
            };
            let payloads = vec![Payload::PveStatus(status), Payload::Filesystems(mounts)];
            self.feed
                .send(&mut self.coordinator.live(), second, payloads);
            if minute % 60 == 59 {
                self.coordinator.write_down(at(second)).unwrap();
                self.store.maintain(at(second)).unwrap();
            }
        }
    }

    fn windows(&self, second: i64) -> Windows {
        self.coordinator.write_down(at(second)).unwrap();
        look_back(&self.coordinator, at(second)).unwrap();
        (*self.coordinator.windows()).clone()
    }

    /// Keys of the VM, the node and the storage.
    fn keys(&self) -> [ObjectKey; 3] {
        let live = self.coordinator.live();
        let keys = &live.clusters()["c"].keys;
        let (_, guest) = keys.guests().next().unwrap();
        [guest, keys.node("pve1"), keys.storage("pve1", "local-lvm")]
    }
}

fn p95(windows: &Windows, guest: ObjectKey, second: i64) -> Option<f32> {
    match windows.day(guest, Metric::CpuRatio, at(second)) {
        Kept::Of(day) => day.percentiles.map(|day| day.p95),
        _ => None,
    }
}

#[test]
fn hours_come_from_the_store_and_outlive_a_restart() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut site = Site::open(directory.path(), 0);
    site.measure(0..1441);
    let second = 1440 * MINUTE;
    let windows = site.windows(second);
    let [guest, node, storage] = site.keys();
    // The mean of the percentiles of all steps would be 0.545.
    let found = p95(&windows, guest, second).unwrap();
    assert!((0.94..=0.95).contains(&found), "{found}");
    let Kept::Of(day) = windows.day(guest, Metric::CpuRatio, at(second)) else {
        panic!("no day");
    };
    // The newest step has the last minute of one day and the first of the next.
    assert_eq!(day.hour, Some(0.725));
    for (object, part) in [(node, "/"), (storage, "")] {
        let Kept::Of(course) = windows.course(object, Metric::UsedRatio, part, at(second)) else {
            panic!("no course of {part}");
        };
        let growth = course.growth().unwrap() * 1024.0;
        assert!((growth - 1.0).abs() < 0.01, "{part}: {growth}");
    }
    let other = windows.course(node, Metric::UsedRatio, "/mnt/other", at(second));
    assert_eq!(other, Kept::TooFew, "no check asks for it");
    assert_eq!((windows.days.len(), windows.courses.len()), (1, 2));
    drop(site);

    // Half an hour later.
    let second = 1471 * MINUTE;
    let mut site = Site::open(directory.path(), second);
    let windows = site.windows(second);
    assert_eq!(p95(&windows, guest, second), None, "no node has spoken");
    site.measure(1471..1472);
    let windows = site.windows(second);
    assert_eq!(site.keys(), [guest, node, storage]);
    let found = p95(&windows, guest, second).unwrap();
    assert!((0.94..=0.95).contains(&found), "{found}");
    let course = windows.course(node, Metric::UsedRatio, "/", at(second));
    assert!(matches!(course, Kept::Of(_)));
    // Of the newest hour half is missing.
    let day = windows.day(guest, Metric::CpuRatio, at(second));
    assert!(matches!(day, Kept::Of(Day { hour: None, .. })), "{day:?}");
}

#[test]
fn a_gap_of_more_than_a_fifth_is_too_few() {
    // Of 71 steps, and the one that has just begun.
    for (end_of_gap, is_covered) in [(280, true), (285, false)] {
        let directory = tempfile::TempDir::new().unwrap();
        let mut site = Site::open(directory.path(), 0);
        site.measure(0..200);
        site.measure(end_of_gap..356);
        let second = 356 * MINUTE;
        let [guest, node, _] = site.keys();
        let windows = site.windows(second);
        let course = windows.course(node, Metric::UsedRatio, "/", at(second));
        let found = matches!(course, Kept::Of(_));
        assert_eq!(found, is_covered, "{end_of_gap}: {course:?}");
        assert_eq!(p95(&windows, guest, second), None, "six hours are no day");
    }
}

#[test]
fn a_restart_does_not_end_what_was_found_by_hours() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut site = Site::open(directory.path(), 0);
    // 1/4 is free then, a day's growth 9/32.
    site.measure(3400..3841);
    let second = 3840 * MINUTE;
    let found = |site: &Site, second| {
        let current = site.coordinator.evaluate(at(second));
        let mut found = current.findings.iter();
        found
            .find(|finding| finding.check == "node.rootfs.space")
            .map(|finding| finding.summary.clone())
    };
    assert_eq!(found(&site, second), None, "nothing was read yet");
    site.coordinator.set_windows(site.windows(second));
    insta::assert_snapshot!(found(&site, second).unwrap(), @"File system / of pve1 will be full in 21 h if it goes on as in the last 6 hours: 256.0 GiB are left (25 %).");
    site.coordinator.write_down(at(second)).unwrap();
    drop(site);

    let mut site = Site::open(directory.path(), second + MINUTE);
    for minute in 3841..3851 {
        site.measure(minute..minute + 1);
        let is_there = found(&site, minute * MINUTE).is_some();
        assert!(is_there, "{minute}: hours that are not read say nothing");
    }
    let second = 3850 * MINUTE;
    site.coordinator.set_windows(site.windows(second));
    assert!(found(&site, second).is_some());
}

#[test]
fn a_guest_costs_little() {
    let entry = size_of::<((ObjectKey, Metric), Day)>();
    assert!(entry <= 36, "{entry}");
    assert!(HOUR / STEP_SECONDS * 24 == Form::Day.steps());
}

#[test]
fn what_is_declared_is_a_metric_of_such_objects() {
    for check in CHECKS {
        for declared in check.windows {
            let id = check.id;
            assert!(!declared.kinds.is_empty(), "{id}");
            let has_parts = declared.metric.info().part.is_some();
            assert!(declared.parts.is_empty() || has_parts, "{id}");
        }
    }
}
