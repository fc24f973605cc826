use std::collections::BTreeSet;

use proptest::prelude::*;
use pvelens_proto::{agent::v1::sample::Payload, timestamp_from_millis};
use tempfile::TempDir;

use super::*;
use crate::{
    live::fixture::{self, Feed, at},
    metric::Metric,
    store::{
        Store,
        query::{self, Span},
        row::{ObjectKind, StateKind},
        tier::Tier,
    },
};

const HOUR: i64 = 3600;

/// Two days of half hours that end an hour before second zero, all the same.
fn file(kind: RrdObjectKind, name: &str, layout: RrdLayout, columns: &[(&str, f32)]) -> RrdObject {
    let end = (at(0).as_second() / 1800 - 2) * 1800;
    let archive = RrdArchive {
        consolidation: RrdConsolidation::Average.into(),
        step_seconds: 1800,
        first_at: Some(timestamp_from_millis((end - 95 * 1800) * 1000)),
        rows: 96,
        series: columns
            .iter()
            .map(|(name, value)| RrdSeries {
                name: (*name).to_owned(),
                runs: vec![0, 96],
                values: vec![*value; 96],
            })
            .collect(),
    };
    RrdObject {
        kind: kind.into(),
        name: name.to_owned(),
        layout: layout.into(),
        updated_at: None,
        archives: vec![archive],
    }
}

fn history() -> RrdHistory {
    use RrdLayout::{Pve8, Pve9};
    use RrdObjectKind::{Guest, Node, Storage};
    let guest = [
        ("cpu", 0.25),
        ("mem", 1e9),
        ("netin", 100.0),
        ("maxcpu", 4.0),
    ];
    RrdHistory {
        objects: vec![
            file(
                Node,
                "pve1",
                Pve8,
                &[("cpu", 0.9), ("roottotal", 100.0), ("rootused", 25.0)],
            ),
            file(
                Node,
                "pve1",
                Pve9,
                &[
                    ("cpu", 0.125),
                    ("pressureiofull", 12.5),
                    ("memavailable", 1e9),
                    ("memtotal", 4e9),
                    ("arcsize", 0.0),
                    ("maxcpu", 8.0),
                ],
            ),
            file(Node, "pve2", Pve9, &[("cpu", 0.5)]),
            file(Storage, "tank", Pve9, &[("total", 200.0), ("used", 50.0)]),
            file(Guest, "100", Pve9, &guest),
            file(Guest, "101", Pve9, &guest),
            // Another node's, one that is not there, and no VMID.
            file(Guest, "102", Pve9, &guest),
            file(Guest, "103", Pve9, &guest),
            file(Guest, "-1", Pve9, &guest),
        ],
        truncated: false,
    }
}

struct World {
    live: Live,
    store: Store,
    feed: Feed,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(directory.path(), 1 << 30, at(0)).unwrap();
        let mut live = Live::default();
        live.load(store.load(at(0)).unwrap(), at(0));
        Self {
            live,
            store,
            feed: Feed::new("c", "pve1"),
            directory,
        }
    }

    fn send(&mut self, second: i64, payloads: Vec<Payload>) {
        self.feed.send(&mut self.live, second, payloads);
    }

    fn write(&mut self, second: i64) {
        let taken = self.live.take();
        self.store.write(&taken.batch, at(second)).unwrap();
        self.live.confirm(&taken);
    }

    /// Imports what waits; values of it.
    fn import(&mut self, second: i64) -> Option<u64> {
        let mut import = self.live.take_import(at(second))?;
        self.write(second);
        while !import.step(&self.store, at(second)).unwrap() {}
        self.live.imported(&import);
        Some(import.values())
    }

    /// Mean over three days and its hours, by object, metric and part.
    fn kept(&self) -> BTreeMap<(ObjectKind, String, &'static str, String), (f64, usize)> {
        let mut keys = BTreeMap::new();
        self.store
            .read(|reader| {
                for object in reader.objects()? {
                    for row in reader.series(Some(object.id))? {
                        let metric = Metric::numbered(row.metric).unwrap().info().name;
                        let name = object.object.name.to_string();
                        let key = SeriesKey {
                            metric: row.metric,
                            series: row.id,
                        };
                        let part = row.part.to_string();
                        keys.insert(key, (object.object.kind, name, metric, part));
                    }
                }
                Ok(())
            })
            .unwrap();
        let span = Span {
            from: at(-72 * HOUR),
            until: at(0),
            tier: Tier::Hour,
        };
        let wanted: BTreeSet<SeriesKey> = keys.keys().copied().collect();
        let found = self
            .store
            .read(|reader| query::values(reader, &wanted, &span))
            .unwrap();
        let found = found.series.into_iter();
        found
            .filter_map(|(key, values)| {
                let mean = values.hours.first()?.mean;
                let mean = (mean * 1e4).round() / 1e4;
                Some((keys[&key].clone(), (mean, values.hours.len())))
            })
            .collect()
    }
}

fn guests() -> Vec<Payload> {
    vec![fixture::guest_list(&[
        (100, "pve1"),
        (101, "pve1"),
        (102, "pve2"),
    ])]
}

#[test]
fn columns_become_metrics_of_the_same_meaning() {
    let mut world = World::new();
    world.send(0, guests());
    let mut status = fixture::pve_status(0, &[(100, "running"), (101, "running")]);
    status.guests[0].balloon = Some(pvelens_proto::agent::v1::BalloonStatus {
        guest_free_bytes: Some(1),
        ..Default::default()
    });
    world.send(0, vec![Payload::PveStatus(status)]);
    world.send(1, vec![Payload::RrdHistory(history())]);
    // 96 half hours of thirteen series.
    let hours = world.import(2).unwrap();
    let kept = world.kept();
    let told: Vec<_> = kept
        .iter()
        .map(|((kind, name, metric, part), (mean, count))| {
            assert!((47..=49).contains(count), "{name} {metric}: {count}");
            format!("{kind:?} {name} {metric} {part}: {mean}")
        })
        .collect();
    let counts: usize = kept.values().map(|(_, count)| count).sum();
    assert_eq!(u64::try_from(counts).unwrap(), hours);
    assert_eq!(
        told,
        [
            "Node pve1 cpu_ratio : 0.125",
            "Node pve1 io_pressure_full_ratio : 0.125",
            "Node pve1 memory_available_bytes : 1000000000",
            "Node pve1 memory_available_ratio : 0.25",
            "Node pve1 memory_total_bytes : 4000000000",
            "Node pve1 total_bytes /: 100",
            "Node pve1 used_bytes /: 25",
            "Node pve1 used_ratio /: 0.25",
            // Only one of the two VMs says what it uses itself.
            "Qemu 100 cpu_ratio : 0.25",
            "Qemu 100 memory_used_bytes : 1000000000",
            "Qemu 100 received_bytes_per_second : 100",
            "Qemu 101 cpu_ratio : 0.25",
            "Qemu 101 received_bytes_per_second : 100",
            "Storage tank@pve1 total_bytes : 200",
            "Storage tank@pve1 used_bytes : 50",
            "Storage tank@pve1 used_ratio : 0.25",
        ]
    );
}

#[test]
fn a_node_is_imported_once() {
    let mut world = World::new();
    world.send(0, vec![Payload::RrdHistory(history())]);
    // Its guests are not known yet.
    assert!(world.live.take_import(at(1)).is_none());
    world.send(2, guests());
    assert!(world.import(3).unwrap() > 0);
    // Again: from the agent, after it was restarted, and after this was.
    world.send(4, vec![Payload::RrdHistory(history())]);
    world.feed.restart("again");
    world.send(5, vec![Payload::RrdHistory(history())]);
    assert!(world.live.take_import(at(9999)).is_none());
    let World {
        live: _live,
        store,
        feed,
        directory,
    } = world;
    drop(store);
    let store = Store::open(directory.path(), 1 << 30, at(6)).unwrap();
    let loaded = store.load(at(6)).unwrap();
    assert_eq!(loaded.imported.len(), 1);
    assert_eq!(loaded.imported[0].kind, StateKind::Imported);
    let mut live = Live::default();
    live.load(loaded, at(6));
    let mut world = World {
        live,
        store,
        feed,
        directory,
    };
    world.send(7, guests());
    world.send(8, vec![Payload::RrdHistory(history())]);
    assert!(world.live.take_import(at(9999)).is_none());
}

#[test]
fn what_two_nodes_have_of_a_guest_is_there_once() {
    let mut world = World::new();
    world.send(0, guests());
    world.send(1, vec![Payload::RrdHistory(history())]);
    world.import(2).unwrap();
    let before = world.kept();
    // It moves before the other node is heard for the first time.
    world.feed = Feed::new("c", "pve2");
    world.send(
        3,
        vec![fixture::guest_list(&[(100, "pve2"), (102, "pve2")])],
    );
    world.send(4, vec![Payload::RrdHistory(history())]);
    world.import(5).unwrap();
    let after = world.kept();
    for (series, kept) in before {
        assert_eq!(after.get(&series), Some(&kept));
    }
    assert!(after.keys().any(|(_, name, _, _)| name == "102"));
}

#[test]
fn a_node_whose_guests_stay_unknown_is_imported_without_them() {
    let mut world = World::new();
    world.send(0, vec![Payload::RrdHistory(history())]);
    assert!(world.live.take_import(at(599)).is_none());
    assert!(world.import(600).unwrap() > 0);
    assert!(
        world
            .kept()
            .keys()
            .all(|(kind, ..)| *kind != ObjectKind::Qemu)
    );
}

#[test]
fn without_a_store_nothing_waits() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![Payload::RrdHistory(history())]);
    assert!(live.recorder.imports.waiting.is_empty());
}

#[test]
fn what_waits_is_bounded_and_given_free() {
    let mut imports = Imports::default();
    let offer = |imports: &mut Imports, node: &str| {
        imports.offer(&"c".into(), &node.into(), history(), at(0));
    };
    offer(&mut imports, "pve1");
    offer(&mut imports, "pve1");
    let one = imports.bytes;
    assert_eq!(one, history().encoded_len());
    imports.bytes = WAITING_BYTES;
    offer(&mut imports, "pve2");
    assert_eq!(imports.waiting.len(), 1);
    imports.bytes = one;
    imports.finish("c/pve1");
    assert_eq!((imports.waiting.len(), imports.bytes), (0, 0));
}

fn wild() -> impl Strategy<Value = RrdObject> {
    let column = prop::sample::select(vec!["cpu", "mem", "used", "total", "netin", "nothing"]);
    let runs = prop::collection::vec(prop_oneof![0_u32..30, Just(u32::MAX)], 0..6);
    let values = prop::collection::vec(any::<f32>(), 0..60);
    let series = (column, runs, values).prop_map(|(name, runs, values)| RrdSeries {
        name: name.to_owned(),
        runs,
        values,
    });
    let series = prop::collection::vec(series, 0..4);
    let time = prop::option::of(any::<i64>());
    let archive = (any::<i32>(), any::<u32>(), time, 0_u32..200, series).prop_map(
        |(consolidation, step_seconds, time, rows, series)| RrdArchive {
            consolidation: consolidation.rem_euclid(4),
            step_seconds: [step_seconds, 1800, 86_400][usize::try_from(rows % 3).unwrap()],
            first_at: time.map(|seconds| pvelens_proto::Timestamp { seconds, nanos: 7 }),
            rows,
            series,
        },
    );
    let archives = prop::collection::vec(archive, 0..4);
    let name = prop_oneof![
        Just("pve1".to_owned()),
        Just("100".to_owned()),
        Just("a@b".to_owned()),
        ".{0,9}"
    ];
    (0_i32..5, name, 0_i32..4, archives).prop_map(|(kind, name, layout, archives)| RrdObject {
        kind,
        name,
        layout,
        updated_at: None,
        archives,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_hostile_history_is_taken_or_left(objects in prop::collection::vec(wild(), 0..12)) {
        let mut world = World::new();
        world.send(0, guests());
        world.send(1, vec![Payload::RrdHistory(RrdHistory { objects, truncated: true })]);
        prop_assert!(world.import(2).is_some());
        for ((kind, name, _, _), _) in world.kept() {
            let known = match kind {
                ObjectKind::Node => name == "pve1",
                ObjectKind::Storage => name.ends_with("@pve1"),
                _ => name == "100",
            };
            prop_assert!(known, "{name}");
        }
    }
}
