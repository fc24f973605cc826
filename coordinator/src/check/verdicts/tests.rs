use std::sync::Arc;

use proptest::prelude::*;
use pvelens_proto::{agent::v1 as wire, timestamp_from_millis};

use super::*;
use crate::{
    check::testing::Scene,
    history::ObjectKey,
    metric::Metric,
    view::{ClusterIndex, GuestIndex, NodeIndex},
};

#[test]
fn verdicts_are_counted_by_kind() {
    let counts = count(&Scene::healthy().run_all());
    assert_eq!(counts.checks, 50);
    assert_eq!((counts.failed, counts.unknown), (0, 0));
    assert!(counts.passed > 50 && counts.not_applicable > 0);
    let mut scene = Scene::healthy();
    scene.mounts(0)[0].read_only = true;
    assert_eq!(count(&scene.run_all()).failed, 1);
}

#[test]
fn a_subject_is_found_among_the_verdicts() {
    let result = Scene::healthy().run("node.rootfs.space");
    assert_eq!(result.of(Subject::Node(NodeIndex(1))).len(), 1);
    assert!(result.of(Subject::Node(NodeIndex(9))).is_empty());
    assert!(result.of(Subject::Cluster(ClusterIndex(0))).is_empty());
    assert!(result.of(Subject::Guest(GuestIndex(0))).is_empty());
}

fn lines(scene: &Scene) -> Vec<String> {
    not_assessed(&scene.view, &scene.run_all())
}

#[test]
fn a_silent_agent_is_one_line() {
    assert!(lines(&Scene::healthy()).is_empty());
    let mut scene = Scene::healthy();
    scene.silence(1, 6);
    let lines = lines(&scene);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("pve2: "), "{lines:?}");
    assert!(
        lines[0].ends_with("its agent has been silent for 6 min"),
        "{lines:?}"
    );
}

#[test]
fn nodes_without_an_agent_are_a_plain_sentence() {
    let mut scene = Scene::healthy();
    for node in [1, 2] {
        scene.node(node).agent = None;
        scene.node(node).facts = crate::view::NodeFacts::default();
    }
    let lines = lines(&scene);
    let line = lines.last().unwrap();
    assert!(line.starts_with("pve2 and pve3: "), "{line}");
    assert!(line.ends_with(" — no agent there"), "{line}");
}

#[test]
fn failures_and_short_histories_are_named() {
    let mut scene = Scene::healthy();
    scene.history = crate::history::History::default();
    scene.node(0).facts.interfaces = None;
    scene.node(0).failures = vec![crate::view::CollectorFailure {
        collector: "interface_state".into(),
        path: "/proc/1/net/dev".to_owned(),
        kind: wire::FailureKind::TimedOut,
        detail: "timed out".to_owned(),
        at: scene.at,
    }];
    let lines = lines(&scene);
    assert_eq!(lines[0], "pve1: 2 checks — /proc/1/net/dev: timed out");
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("not measured for long enough yet")),
        "{lines:?}"
    );
}

#[test]
fn many_reasons_are_cut() {
    let mut scene = Scene::healthy();
    let node = scene.view.nodes[2].clone();
    for number in 4..30 {
        let mut more = node.clone();
        more.name = format!("pve{number:02}").into();
        scene.view.nodes.push(more);
    }
    scene.view.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    scene.view.clusters[0].nodes = 0..29;
    for node in 0..29 {
        scene.silence(node, 6);
    }
    let lines = lines(&scene);
    assert_eq!(lines.len(), 10);
    assert!(
        lines[9].ends_with("more reasons why something was not judged"),
        "{lines:?}"
    );
}

/// A cluster in which much is wrong, so that most checks have something to say.
fn broken() -> Scene {
    let mut scene = Scene::healthy();
    let config = scene.corosync();
    config.nodes[0].addresses.pop();
    config.nodes[2].addresses.pop();
    config.nodes[1].quorum_votes = 2;
    for (name, latency) in [("sdb", 0.9), ("sdc", 0.03), ("sdd", 0.015)] {
        let disks = scene.node(0).facts.disks.as_mut().unwrap();
        Arc::make_mut(&mut disks.value).disks.push(wire::Disk {
            name: name.to_owned(),
            kind: wire::DiskKind::Drive.into(),
            ..wire::Disk::default()
        });
        scene.record(ObjectKey(0), Metric::DiskLatencySeconds, name, 20, latency);
    }
    for (point, read_only) in [("/var", false), ("/var/log", false), ("/mnt/data", true)] {
        scene.mounts(0).push(wire::Filesystem {
            mount_point: point.to_owned(),
            read_only,
            state: wire::FilesystemState::Measured.into(),
            total_bytes: Some(100 << 30),
            available_bytes: Some(1 << 30),
            ..wire::Filesystem::default()
        });
    }
    scene.storage(0).path = "/mnt/data/vm".to_owned();
    for name in ["eno2", "eno3"] {
        let mut port =
            crate::check::testing::interface(name, wire::InterfaceKind::Physical, "vmbr1");
        port.carrier = Some(false);
        scene.interfaces(0).push(port);
    }
    for guest in [0, 1] {
        let settings = scene.settings(guest);
        settings.unprivileged = None;
        settings.features = vec![
            "nesting".to_owned(),
            "keyctl".to_owned(),
            "mount=nfs".to_owned(),
        ];
        settings.confinement_lines = ["unconfined", "x"]
            .map(|value| wire::RawLxcLine {
                key: "lxc.apparmor.profile".to_owned(),
                value: value.to_owned(),
            })
            .into();
        for (key, path) in [
            ("mp0", "/etc"),
            ("mp1", "/mnt/a"),
            ("mp2", "/var"),
            ("mp3", "/mnt/b"),
        ] {
            settings.volumes.push(wire::GuestVolume {
                key: key.to_owned(),
                kind: wire::VolumeKind::BindMount.into(),
                host_path: path.to_owned(),
                mount_point: path.to_owned(),
                cache: "unsafe".to_owned(),
                ..wire::GuestVolume::default()
            });
        }
        for (key, bridge) in [("net1", "vmbr7"), ("net2", "vmbr8")] {
            settings.nics.push(wire::GuestNic {
                key: key.to_owned(),
                bridge: bridge.to_owned(),
                mac_address: "BC:24:11:00:00:01".to_owned(),
                ..wire::GuestNic::default()
            });
        }
        settings.tags = vec!["database".to_owned(), "internet-facing".to_owned()];
        let now = scene.at.as_millisecond();
        let config = Arc::make_mut(scene.view.guests[guest].config.as_mut().unwrap());
        config.snapshots = [("b", 50), ("a", 50), ("c", 90)]
            .map(|(name, days)| wire::GuestSnapshot {
                name: name.to_owned(),
                taken_at: Some(timestamp_from_millis(now - days * 86_400_000)),
                ..wire::GuestSnapshot::default()
            })
            .into();
    }
    scene
}

/// A fixed permutation for each seed.
fn shuffle<T>(items: &mut [T], seed: &mut u64) {
    for position in (1..items.len()).rev() {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(*seed >> 33).unwrap() % (position + 1);
        items.swap(position, other);
    }
}

fn shuffled(mut seed: u64) -> Scene {
    let mut scene = broken();
    let seed = &mut seed;
    shuffle(&mut scene.corosync().nodes, seed);
    for node in &mut scene.corosync().nodes {
        shuffle(&mut node.addresses, seed);
    }
    shuffle(scene.mounts(0), seed);
    shuffle(scene.interfaces(0), seed);
    let disks = scene.node(0).facts.disks.as_mut().unwrap();
    shuffle(&mut Arc::make_mut(&mut disks.value).disks, seed);
    for guest in [0, 1] {
        let settings = scene.settings(guest);
        shuffle(&mut settings.volumes, seed);
        shuffle(&mut settings.nics, seed);
        shuffle(&mut settings.features, seed);
        shuffle(&mut settings.tags, seed);
        shuffle(&mut settings.confinement_lines, seed);
        let config = Arc::make_mut(scene.view.guests[guest].config.as_mut().unwrap());
        shuffle(&mut config.snapshots, seed);
    }
    scene
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_lists_changes_nothing(seed in any::<u64>()) {
        let expected = format!("{:?}", broken().run_all());
        prop_assert_eq!(format!("{:?}", shuffled(seed).run_all()), expected);
    }
}

#[test]
fn the_broken_cluster_fails_in_many_ways() {
    assert!(count(&broken().run_all()).failed > 20);
}
