//! What every engine does alike: it is compared with a model of a few maps, over
//! changes in any order, and with itself opened anew.

use std::{fmt::Write as _, path::Path};

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    engine::{Engine, Reader, StoreError},
    row::{
        BlockQuery, Change, NewBlock, NewRecord, Object, ObjectKind, ObjectRow, Place, RecordKind,
        RecordQuery, SeriesRow, Source, StateKind, StateRow,
    },
    sqlite::Sqlite,
    tier::Tier,
};

mod model;

use model::Model;

/// Opens the engine under test on what a directory has.
type Open = fn(&Path) -> Result<Box<dyn Engine>, StoreError>;

fn sqlite(directory: &Path) -> Result<Box<dyn Engine>, StoreError> {
    Ok(Box::new(Sqlite::open(&directory.join("store.db"))?))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_600_000 + second).unwrap()
}

fn object(id: u32, used: i64) -> Change {
    Change::PutObject(ObjectRow {
        id,
        object: Object {
            cluster: "c".into(),
            kind: [ObjectKind::Node, ObjectKind::Storage][usize::from(id.is_multiple_of(2))],
            name: format!("n{id}").into(),
            generation: 0,
        },
        used_at: at(used),
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let small = 0_u32..6;
    let seconds = 0_i64..100;
    let source = prop::sample::select(vec![Source::Agent, Source::Rrd]);
    let place = (0_i64..4, 0_i64..5, 0_u32..3);
    let block = (place, source, any::<bool>(), 0_usize..9000).prop_map(
        |((tier, begin, partition), source, is_rolled_up, length)| {
            Change::AddBlock(NewBlock {
                place: Place {
                    tier: Tier::numbered(tier).unwrap(),
                    begin: begin * 3600,
                    partition,
                },
                source,
                values: 7,
                is_rolled_up,
                bytes: (0..=250_u8).cycle().take(length).collect(),
            })
        },
    );
    let kind = prop::sample::select(vec![RecordKind::Finding, RecordKind::Analysis]);
    let key = prop::option::of(0_u32..4);
    let record =
        (kind, seconds.clone(), small.clone(), key).prop_map(|(kind, second, subject, key)| {
            Change::AddRecord(NewRecord {
                kind,
                at: at(second),
                cluster: "c".into(),
                subject: format!("guest/{subject}").into(),
                key: key.map(|key| key.to_string()).unwrap_or_default(),
                body: vec![1, 2, 3],
            })
        });
    prop_oneof![
        2 => (small.clone(), seconds.clone()).prop_map(|(id, used)| object(id, used)),
        2 => (small.clone(), small.clone()).prop_map(|(id, object)| {
            Change::PutSeries(SeriesRow {
                id,
                object,
                metric: 7,
                part: "sda".into(),
            })
        }),
        4 => block,
        1 => (1_i64..12).prop_map(Change::DropBlock),
        1 => (1_i64..12).prop_map(Change::RolledUp),
        2 => (small.clone(), prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(key, body)| {
            Change::PutState(StateRow {
                kind: StateKind::Stream,
                key: key.to_string(),
                body,
            })
        }),
        1 => small.clone().prop_map(|key| Change::PutState(StateRow {
            kind: StateKind::Imported,
            key: key.to_string(),
            body: vec![1],
        })),
        1 => small.prop_map(|key| Change::DropState(StateKind::Stream, key.to_string())),
        3 => record,
        1 => seconds
            .clone()
            .prop_map(|second| Change::DropRecords(RecordKind::Finding, at(second))),
        1 => seconds.prop_map(|second| Change::DropObjects(at(second))),
    ]
}

/// Everything a reader can tell.
fn told(reader: &mut dyn Reader) -> String {
    let mut told = String::new();
    let mut add = |what: &dyn std::fmt::Debug| {
        writeln!(told, "{what:?}").unwrap();
    };
    add(&reader.objects().unwrap());
    add(&reader.objects_named("n3").unwrap());
    add(&reader.series(None).unwrap());
    add(&reader.series(Some(3)).unwrap());
    add(&reader.states(StateKind::Stream).unwrap());
    add(&reader.states(StateKind::Finding).unwrap());
    add(&reader.state_keys(StateKind::Stream).unwrap());
    add(&reader.state(StateKind::Stream, "3").unwrap());
    add(&reader.state(StateKind::Finding, "3").unwrap());
    add(&reader.states(StateKind::Imported).unwrap());
    let whole = BlockQuery::default();
    let queries = [
        whole.clone(),
        BlockQuery {
            tier: Some(Tier::Raw),
            only_fresh: true,
            ..whole.clone()
        },
        BlockQuery {
            tier: Some(Tier::Minute),
            from: Some(3600),
            until: Some(3 * 3600),
            partition: Some(1),
            only_fresh: false,
        },
    ];
    for query in &queries {
        let blocks = reader.blocks(query).unwrap();
        add(&blocks);
        for block in blocks {
            for (offset, length) in [(0, 16), (4000, 5000), (8999, 10), (20_000, 1)] {
                add(&reader.block(block.id, offset, length).unwrap());
            }
        }
    }
    add(&reader.block(99, 0, 10).unwrap());
    let records = RecordQuery {
        kind: RecordKind::Finding,
        from: None,
        until: None,
        cluster: None,
        subject: None,
        before: None,
        limit: 100,
    };
    let all = reader.records(&records).unwrap();
    add(&all);
    let analyses = RecordQuery {
        kind: RecordKind::Analysis,
        ..records.clone()
    };
    add(&reader.records(&analyses).unwrap());
    let narrow = RecordQuery {
        from: Some(at(20)),
        until: Some(at(80)),
        cluster: Some("c".into()),
        subject: Some("guest/2".into()),
        ..records.clone()
    };
    add(&reader.records(&narrow).unwrap());
    if let Some(second) = all.get(1) {
        let next = RecordQuery {
            before: Some((second.record.at, second.id)),
            limit: 2,
            ..records
        };
        add(&reader.records(&next).unwrap());
    }
    told
}

fn conforms(open: Open, steps: &[Vec<Change>]) {
    let directory = TempDir::new().unwrap();
    let mut engine = open(directory.path()).unwrap();
    let mut beside = engine.reader().unwrap();
    let mut model = Model::default();
    for changes in steps {
        engine.commit(changes).unwrap();
        model.commit(changes);
        let expected = told(&mut model);
        assert_eq!(told(&mut *engine), expected);
        assert_eq!(told(&mut *beside), expected);
    }
    drop((engine, beside));
    let mut again = open(directory.path()).unwrap();
    assert_eq!(told(&mut *again), told(&mut model));
    assert_eq!(again.check().unwrap(), Vec::<String>::new());
    let copy = directory.path().join("copy.db");
    again.backup(&copy).unwrap();
    assert!(again.backup(&copy).is_err(), "a backup wrote over another");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sqlite_conforms(steps in prop::collection::vec(prop::collection::vec(changes(), 0..8), 1..6)) {
        conforms(sqlite, &steps);
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = TempDir::new().unwrap();
    let first = sqlite(directory.path()).unwrap();
    assert_eq!(sqlite(directory.path()).err(), Some(StoreError::Busy));
    drop(first);
    sqlite(directory.path()).unwrap();
}

#[test]
fn a_change_that_cannot_be_made_undoes_the_others() {
    let directory = TempDir::new().unwrap();
    let mut engine = sqlite(directory.path()).unwrap();
    let huge = Change::AddBlock(NewBlock {
        place: Place {
            tier: Tier::Raw,
            begin: 0,
            partition: 0,
        },
        source: Source::Agent,
        values: 1,
        is_rolled_up: false,
        // More than a row may have.
        bytes: vec![0; 1_000_000_001],
    });
    assert!(engine.commit(&[object(1, 0), huge]).is_err());
    assert_eq!(engine.objects().unwrap(), Vec::new());
    engine.commit(&[object(1, 0)]).unwrap();
    assert_eq!(engine.objects().unwrap().len(), 1);
}
