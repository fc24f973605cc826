//! A coordinator whose store cannot be opened.

use std::{fs, path::Path, sync::Arc};

use crate::{
    check::Params,
    config::{self, Config},
    coordinator::Coordinator,
    live::fixture::{Feed, at, cpu, sample},
    serve::{ServeError, open_store},
    store::{FILE, Store, StoreError},
};

fn settings(directory: &Path) -> Config {
    Config {
        store: config::Store {
            directory: directory.to_owned(),
            ..config::Store::default()
        },
        ..Config::default()
    }
}

#[tokio::test]
async fn what_is_present_is_judged_without_a_store_and_a_finding_says_so() {
    let directory = tempfile::TempDir::new().unwrap();
    let taken = directory.path().join("a file");
    fs::write(&taken, b"").unwrap();
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    let opened = open_store(&coordinator, &settings(&taken), at(0)).await;
    opened.unwrap();
    assert!(coordinator.store().is_none());
    let mut feed = Feed::new("c", "pve1");
    for second in (0..400).step_by(10) {
        let update = feed.update(vec![sample(second, cpu(1.0, 9.0))]);
        coordinator
            .live()
            .append(&feed.described, update, at(second));
        coordinator.evaluate(at(second));
    }
    let current = coordinator.current();
    let title = "The store of the coordinator takes nothing";
    let told = current
        .findings
        .iter()
        .any(|finding| finding.title == title);
    assert!(told, "{:?}", current.findings);
}

#[tokio::test]
async fn a_store_of_another_coordinator_is_left_to_it() {
    let directory = tempfile::TempDir::new().unwrap();
    let other = Store::open(directory.path(), 1 << 30, at(0)).unwrap();
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    let opened = open_store(&coordinator, &settings(directory.path()), at(0)).await;
    assert!(matches!(
        opened,
        Err(ServeError::Store {
            source: StoreError::Busy,
            ..
        })
    ));
    drop(other);
}

#[tokio::test]
async fn damage_that_shows_when_it_is_read_is_set_aside_at_once() {
    let directory = tempfile::TempDir::new().unwrap();
    drop(Store::open(directory.path(), 1 << 30, at(0)).unwrap());
    let path = directory.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x55);
    fs::write(&path, bytes).unwrap();
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    let opened = open_store(&coordinator, &settings(directory.path()), at(0)).await;
    opened.unwrap();
    let condition = coordinator.store().unwrap().condition();
    assert!(condition.replaced.is_some() && condition.failing.is_none());
}
