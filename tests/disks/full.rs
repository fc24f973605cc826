//! Disks that are full or read-only, while the coordinator runs and when it starts.

use std::sync::Arc;

use pvelens::store::StoreError;
use pvelens_tests::kept::{
    disk::{Disk, Image, Nature},
    look,
    mount::Mounted,
    small::Small,
};
use tempfile::TempDir;

use crate::{power::is_possible, watch::Watch};

const FULL: &str = "The disk of the coordinator's store is full";
const FAILS: &str = "The store of the coordinator takes nothing";

/// One that is mounted on a directory of its own.
fn small() -> (TempDir, Small) {
    let directory = TempDir::new().unwrap();
    let small = Small::over(directory.path(), c"size=16m").unwrap();
    (directory, small)
}

#[test]
fn a_disk_that_is_full_keeps_nobody_from_seeing_and_nothing_is_lost() {
    if !is_possible() {
        return;
    }
    let (_directory, small) = small();
    let mut watch = Watch::start(small.path(), 0);
    watch.go_on(10).unwrap();
    assert_eq!(watch.findings(), [""; 0]);
    small.fill().unwrap();
    assert_eq!(watch.go_on(10), Err(StoreError::Full));
    watch.sees_the_present();
    assert_eq!(watch.findings(), [FULL]);
    small.free().unwrap();
    watch.go_on(10).unwrap();
    watch.sees_the_present();
    assert_eq!(watch.findings(), [""; 0]);
    // What waited meanwhile is there, too.
    let sequence = watch.end();
    assert_eq!(look(small.path(), sequence).unwrap(), sequence);
}

#[test]
fn a_coordinator_starts_on_a_full_disk() {
    if !is_possible() {
        return;
    }
    let (_directory, small) = small();
    let mut watch = Watch::start(small.path(), 0);
    watch.go_on(10).unwrap();
    let kept = watch.end();
    small.fill().unwrap();
    let mut watch = Watch::start(small.path(), kept);
    // There may have been room to open it, and none to write.
    watch.go_on(10).unwrap_or_default();
    watch.sees_the_present();
    assert!(
        watch.findings() == [FULL] || watch.findings() == [FAILS],
        "{:?}",
        watch.findings()
    );
    drop(watch);
    small.free().unwrap();
    assert_eq!(look(small.path(), kept).unwrap(), kept);
    let mut watch = Watch::start(small.path(), kept);
    watch.go_on(10).unwrap();
    assert_eq!(watch.findings(), [""; 0]);
    let sequence = watch.end();
    assert_eq!(look(small.path(), sequence).unwrap(), sequence);
}

#[test]
fn a_disk_that_becomes_read_only_is_named_and_nothing_is_lost() {
    if !is_possible() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let disk = Arc::new(Disk::of(Image::new(), Nature::default()));
    let mounted = Mounted::over(directory.path(), &disk).unwrap();
    let mut watch = Watch::start(directory.path(), 0);
    watch.go_on(10).unwrap();
    disk.change(|nature| nature.is_read_only = true);
    assert!(watch.go_on(10).is_err());
    watch.sees_the_present();
    assert_eq!(watch.findings(), [FAILS]);
    disk.change(|nature| nature.is_read_only = false);
    watch.go_on(10).unwrap();
    watch.sees_the_present();
    assert_eq!(watch.findings(), [""; 0]);
    let sequence = watch.end();
    assert_eq!(look(directory.path(), sequence).unwrap(), sequence);
    drop(mounted);
}

#[test]
fn a_coordinator_starts_on_a_read_only_disk() {
    if !is_possible() {
        return;
    }
    let (_directory, small) = small();
    let mut watch = Watch::start(small.path(), 0);
    watch.go_on(10).unwrap();
    let kept = watch.end();
    small.set_read_only(true).unwrap();
    let mut watch = Watch::start(small.path(), kept);
    watch.go_on(10).unwrap_or_default();
    watch.sees_the_present();
    assert_eq!(watch.findings(), [FAILS]);
    drop(watch);
    small.set_read_only(false).unwrap();
    assert_eq!(look(small.path(), kept).unwrap(), kept);
}
