//! Databases of earlier schemas are opened, and hold what they held.
//!
//! `schema-N.db.zst` was written by the last version that had schema N, and is never
//! written again. Of a new schema the test that misses it writes one, to be kept.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use pvelens::store::{
    FILE, Store,
    row::{BlockQuery, ObjectKind, RecordKind, RecordQuery, StateKind},
    sqlite,
    tier::Tier,
};
use pvelens_tests::kept::{agent, at, look, update_of};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tempfile::TempDir;

use crate::keeping;

/// What each of them has: an hour that is rolled up, and the begin of the next.
const UPDATES: u64 = 400;
const PARTS: u64 = 2;
const EVERY_SCHEMA: &[u32] = &[1];

fn path(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("histories/schema-{schema}.db.zst"))
}

/// Which schema a file has: as its header says, in big-endian bytes.
fn schema_of(database: &[u8]) -> u32 {
    u32::from_be_bytes(*database[60..].first_chunk().unwrap())
}

fn kept(schema: u32) -> Vec<u8> {
    let packed = fs::read(path(schema)).unwrap();
    let mut database = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(packed.as_slice())
        .unwrap()
        .read_to_end(&mut database)
        .unwrap();
    database
}

#[test]
fn a_database_of_every_schema_is_opened_and_holds_what_it_held() {
    for schema in EVERY_SCHEMA {
        let database = kept(*schema);
        assert_eq!(schema_of(&database), *schema);
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join(FILE), database).unwrap();
        // Every value, each once, and the place in the stream.
        assert_eq!(look(directory.path(), UPDATES).unwrap(), UPDATES);
        let store = Store::open(directory.path(), 1 << 30, at(UPDATES)).unwrap();
        let loaded = store.load(at(UPDATES)).unwrap();
        let names: Vec<_> = loaded
            .objects
            .iter()
            .map(|row| (row.object.kind, &*row.object.cluster, &*row.object.name))
            .collect();
        assert_eq!(names, [(ObjectKind::Node, "c0ffee", "pve1")]);
        // Six figures of memory but ARC, and three of each file system.
        assert_eq!(loaded.series.len(), 4 + 3 * 2);
        assert_eq!(loaded.streams.len(), 1);
        assert_eq!(loaded.findings.len(), 1);
        assert!(!loaded.recent.is_empty());
        let query = RecordQuery {
            kind: RecordKind::Finding,
            from: None,
            until: None,
            cluster: None,
            subject: None,
            before: None,
            limit: 100,
        };
        let (records, blocks) = store
            .read(|reader| {
                let records = reader.records(&query)?;
                Ok((records, reader.blocks(&BlockQuery::default())?))
            })
            .unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(&*records[0].record.subject, "node/pve1");
        for tier in Tier::ALL {
            let values = blocks.iter().filter(|block| block.place.tier == tier);
            assert!(
                values.map(|block| block.values).sum::<u32>() > 0,
                "{tier:?}"
            );
        }
    }
}

#[test]
fn a_database_of_the_newest_schema_is_kept() {
    let directory = TempDir::new().unwrap();
    write(directory.path());
    let file = directory.path().join(FILE);
    assert_eq!(sqlite::check_file(&file).unwrap(), [""; 0]);
    let database = fs::read(file).unwrap();
    let schema = schema_of(&database);
    let path = path(schema);
    if !path.exists() {
        let packed = compress_to_vec(database.as_slice(), CompressionLevel::Fastest);
        fs::write(&path, packed).unwrap();
    }
    // Of a new one the file is there now: it has to be added here and kept.
    assert_eq!(EVERY_SCHEMA.last(), Some(&schema));
}

/// Writes what a coordinator keeps of a small node that is short of memory.
fn write(directory: &Path) {
    let (coordinator, store) = keeping(directory, at(0));
    for sequence in 1..=UPDATES {
        let update = update_of(sequence, false, PARTS);
        coordinator.live().append(&agent(), update, at(sequence));
        if sequence % 6 == 0 || sequence == UPDATES {
            coordinator.evaluate(at(sequence));
            coordinator.write_down(at(sequence)).unwrap();
        }
    }
    store.maintain(at(UPDATES)).unwrap();
    let states = store.read(|reader| reader.states(StateKind::Finding));
    assert_eq!(states.unwrap().len(), 1);
}
