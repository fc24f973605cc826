//! Values on their way: from what arrives to what is asked for later.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{
    BACKUPS, Batch, CORRECTED, FILE, Store, StoreError,
    block::SeriesKey,
    catalog::NewRows,
    journal::Recorded,
    query::{self, Found, Span},
    row::{BlockQuery, Object, ObjectKind, ObjectRow, SeriesRow, StateKind, StateRow},
    tier::Tier,
};

const LIMIT: u64 = 1 << 30;
/// An hour begins here.
const START: i64 = 1_795_600_800;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn open(directory: &Path) -> Store {
    Store::open(directory, LIMIT, at(0)).unwrap()
}

fn key(series: u32) -> SeriesKey {
    SeriesKey { metric: 1, series }
}

fn value(series: u32, second: i64, value: f64) -> Recorded {
    Recorded {
        series,
        metric: 1,
        is_corrected: false,
        at_millis: (START + second) * 1000,
        value,
    }
}

fn batch(values: Vec<Recorded>) -> Batch {
    Batch {
        values,
        ..Batch::default()
    }
}

/// Ten seconds apart, as if an agent had sent them a minute at a time.
fn fill(store: &Store, from: i64, until: i64, of: impl Fn(i64) -> f64) {
    let seconds: Vec<i64> = (from..until).step_by(10).collect();
    for minute in seconds.chunks(6) {
        let values = minute.iter().map(|second| value(0, *second, of(*second)));
        store.write(&batch(values.collect()), at(until)).unwrap();
    }
}

fn found(store: &Store, tier: Tier, from: i64, until: i64) -> Found {
    let span = Span {
        from: at(from),
        until: at(until),
        tier,
    };
    let keys = BTreeSet::from([key(0), key(5000)]);
    store
        .read(|reader| query::values(reader, &keys, &span))
        .unwrap()
}

/// Begin, count, minimum, maximum, mean and last of each bucket.
fn buckets(store: &Store, tier: Tier, from: i64, until: i64) -> Vec<(i64, u32, [f64; 4])> {
    let found = found(store, tier, from, until);
    let Some(values) = found.series.get(&key(0)) else {
        return Vec::new();
    };
    let begin = |index: i64| match tier {
        Tier::Raw => index / 1000 - START,
        tier => index * tier.step_seconds() - START,
    };
    values
        .buckets
        .iter()
        .map(|b| {
            // A mean is kept to the precision of a single float.
            let mean = (b.mean * 1000.0).round() / 1000.0;
            let figures = [b.minimum, b.maximum, mean, b.last];
            (begin(b.index), b.count, figures)
        })
        .collect()
}

fn blocks(store: &Store, tier: Tier) -> usize {
    let query = BlockQuery {
        tier: Some(tier),
        ..BlockQuery::default()
    };
    store.read(|reader| reader.blocks(&query)).unwrap().len()
}

#[test]
fn a_coarse_answer_is_the_same_before_and_after_rolling_up() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    fill(&store, 0, 7200, |second| (second % 600) as f64);
    let before: Vec<_> = Tier::ROLLED_UP
        .map(|tier| buckets(&store, tier, 0, 7200))
        .into();
    assert_eq!(before[0].len(), 120);
    assert_eq!(before[0][1], (60, 6, [60.0, 110.0, 85.0, 110.0]));
    assert_eq!(
        before[2],
        [
            (0, 360, [0.0, 590.0, 295.0, 590.0]),
            (3600, 360, [0.0, 590.0, 295.0, 590.0])
        ]
    );
    // The first hour is complete, the second not yet.
    store.maintain(at(7210)).unwrap();
    assert_eq!(blocks(&store, Tier::Minute), 1);
    let after: Vec<_> = Tier::ROLLED_UP
        .map(|tier| buckets(&store, tier, 0, 7200))
        .into();
    assert_eq!(before, after);
    store.maintain(at(7200 + 310)).unwrap();
    assert_eq!(blocks(&store, Tier::Minute), 2);
    let after: Vec<_> = Tier::ROLLED_UP
        .map(|tier| buckets(&store, tier, 0, 7200))
        .into();
    assert_eq!(before, after);
    // Rolling up again changes nothing.
    store.maintain(at(7200 + 320)).unwrap();
    assert_eq!(blocks(&store, Tier::Minute), 2);
}

#[test]
fn small_blocks_are_joined_while_an_hour_or_a_day_goes_on_and_nothing_else_changes() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let saw = |second: i64| ((second * 7919) % 600) as f64;
    fill(&store, 0, 1200, saw);
    // A later word about a time that is there already counts, also when it is joined.
    store
        .write(&batch(vec![value(0, 600, 7777.0)]), at(1200))
        .unwrap();
    let raw = buckets(&store, Tier::Raw, 0, 1200);
    assert_eq!((blocks(&store, Tier::Raw), raw.len()), (21, 120));
    assert_eq!(raw[60].2[3], 7777.0);
    store.maintain(at(1200)).unwrap();
    assert_eq!(blocks(&store, Tier::Raw), 1);
    assert_eq!(buckets(&store, Tier::Raw, 0, 1200), raw);
    // One more is too little to write them all again.
    store
        .write(&batch(vec![value(0, 1200, 1.0)]), at(1210))
        .unwrap();
    store.maintain(at(1210)).unwrap();
    assert_eq!(blocks(&store, Tier::Raw), 2);

    // Each hour that is rolled up makes a piece, and the day goes on.
    fill(&store, 1210, 12 * 3600, saw);
    let hours = buckets(&store, Tier::FiveMinutes, 0, 12 * 3600);
    assert_eq!(hours.len(), 144);
    store.maintain(at(12 * 3600 + 310)).unwrap();
    assert_eq!(blocks(&store, Tier::FiveMinutes), 1);
    assert_eq!(buckets(&store, Tier::FiveMinutes, 0, 12 * 3600), hours);
}

#[test]
fn what_comes_late_is_joined() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    fill(&store, 0, 3600, |_| 1.0);
    store.maintain(at(4000)).unwrap();
    // An agent could not be reached for the rest of that hour's last minute.
    store
        .write(&batch(vec![value(0, 3595, 9.0)]), at(4000))
        .unwrap();
    let hour = buckets(&store, Tier::Hour, 0, 3600);
    assert_eq!((hour[0].1, hour[0].2[1]), (361, 9.0));
    store.maintain(at(4010)).unwrap();
    let rolled = buckets(&store, Tier::Hour, 0, 3600);
    assert_eq!(hour, rolled);
    assert_eq!(blocks(&store, Tier::Hour), 2);
    // A day later the pieces are one.
    store.maintain(at(2 * 86_400)).unwrap();
    assert_eq!(blocks(&store, Tier::Hour), 1);
    assert_eq!(buckets(&store, Tier::Hour, 0, 3600), hour);
}

#[test]
fn values_go_when_they_are_too_old_and_not_before_they_are_rolled_up() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    fill(&store, 0, 3600, |_| 1.0);
    store.maintain(at(3600 + 7200 - 10)).unwrap();
    assert_eq!(buckets(&store, Tier::Raw, 0, 3600).len(), 360);
    store.maintain(at(3600 + 7200 + 10)).unwrap();
    assert_eq!(buckets(&store, Tier::Raw, 0, 3600).len(), 0);
    assert_eq!(buckets(&store, Tier::Minute, 0, 3600).len(), 60);
    store.maintain(at(3 * 86_400)).unwrap();
    assert_eq!(buckets(&store, Tier::Minute, 0, 3600).len(), 0);
    assert_eq!(buckets(&store, Tier::FiveMinutes, 0, 3600).len(), 12);
    store.maintain(at(40 * 86_400)).unwrap();
    assert_eq!(buckets(&store, Tier::FiveMinutes, 0, 3600).len(), 0);
    assert_eq!(buckets(&store, Tier::Hour, 0, 3600).len(), 1);
    store.maintain(at(402 * 86_400)).unwrap();
    assert_eq!(buckets(&store, Tier::Hour, 0, 3600).len(), 0);
}

#[test]
fn a_store_that_is_full_lets_the_oldest_go() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let store = Store::open(path, 600_000, at(0)).unwrap();
    let mut noise = 1_u64;
    for hour in 0..60 {
        let mut values = Vec::new();
        for series in 0..40 {
            for second in (0..3600).step_by(60) {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let random = (noise >> 11) as f64;
                values.push(value(series, hour * 3600 + second, random));
            }
        }
        let now = at((hour + 1) * 3600 + 400);
        store.write(&batch(values), now).unwrap();
        store.maintain(now).unwrap();
    }
    let condition = store.condition();
    assert!(condition.size.used_bytes() <= 600_000, "{condition:?}");
    let shortened = condition.shortened_to.unwrap();
    assert!(
        shortened > at(0) && shortened < at(60 * 3600),
        "{shortened}"
    );
    assert!(!buckets(&store, Tier::Minute, 59 * 3600, 60 * 3600).is_empty());
}

#[test]
fn what_was_known_is_there_again() {
    let directory = TempDir::new().unwrap();
    let object = ObjectRow {
        id: 7,
        object: Object {
            cluster: "c".into(),
            kind: ObjectKind::Qemu,
            name: "101".into(),
            generation: 2,
        },
        used_at: at(0),
    };
    let series = SeriesRow {
        id: 0,
        object: 7,
        metric: 1,
        part: "".into(),
    };
    let place = StateRow {
        kind: StateKind::Stream,
        key: "c/pve1".to_owned(),
        body: b"[]".to_vec(),
    };
    let batch = Batch {
        rows: NewRows {
            objects: vec![object.clone()],
            series: vec![series.clone()],
        },
        values: vec![value(0, 0, 0.5), value(0, 10, 0.7)],
        states: vec![place.clone()],
        changes: Vec::new(),
    };
    open(directory.path()).write(&batch, at(20)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory.path().join(FILE)), 0o600);
    let loaded = open(directory.path()).load(at(20)).unwrap();
    assert_eq!(
        (loaded.objects, loaded.series),
        (vec![object], vec![series])
    );
    assert_eq!(loaded.streams, [place]);
    let recent: Vec<_> = loaded.recent.iter().map(|r| (r.object, r.value)).collect();
    assert_eq!(recent, [(7, 0.5), (7, 0.7)]);
    // Long after, checks do not look back that far.
    assert_eq!(open(directory.path()).load(at(7200)).unwrap().recent, []);
}

#[test]
fn a_value_whose_time_was_corrected_says_so() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let corrected = Recorded {
        is_corrected: true,
        ..value(0, 0, 1.0)
    };
    // Said twice: the later word counts.
    let values = vec![value(0, 0, 5.0), corrected, value(5000, 0, 2.0)];
    store.write(&batch(values), at(0)).unwrap();
    let found = found(&store, Tier::Raw, 0, 10);
    let bucket = &found.series[&key(0)].buckets[0];
    assert_eq!((bucket.last, bucket.flags), (1.0, CORRECTED));
    assert_eq!(found.series[&key(5000)].buckets[0].flags, 0);
}

#[test]
fn a_damaged_file_is_set_aside_and_the_newest_good_backup_takes_over() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let store = open(path);
    fill(&store, 0, 60, |_| 1.0);
    fs::create_dir(path.join(BACKUPS)).unwrap();
    let backup = path.join(BACKUPS).join("a.db");
    super::sqlite::backup_file(&path.join(FILE), &backup).unwrap();
    fs::write(path.join(BACKUPS).join("newer.db"), b"no store").unwrap();
    fill(&store, 60, 120, |_| 2.0);
    drop(store);
    // The first page is gone.
    let mut bytes = fs::read(path.join(FILE)).unwrap();
    bytes[..4096].fill(0x55);
    fs::write(path.join(FILE), &bytes).unwrap();

    let store = open(path);
    let replaced = store.condition().replaced.unwrap();
    assert_eq!(replaced.backup.unwrap().0, backup);
    assert_eq!(fs::read(&replaced.set_aside).unwrap(), bytes);
    assert_eq!(buckets(&store, Tier::Raw, 0, 3600).len(), 6);
    fill(&store, 60, 120, |_| 3.0);
    assert_eq!(buckets(&store, Tier::Raw, 0, 3600).len(), 12);
}

#[test]
fn damage_that_is_found_later_is_looked_for_at_the_next_start() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let store = open(path);
    fill(&store, 0, 600, |_| 1.0);
    drop(store);
    // The pages of the blocks: it opens, and then does not work.
    let mut bytes = fs::read(path.join(FILE)).unwrap();
    bytes[6 * 4096..8 * 4096].fill(0x55);
    fs::write(path.join(FILE), &bytes).unwrap();
    let store = open(path);
    assert_eq!(store.condition().replaced, None);
    let written = store.write(&batch(vec![value(0, 700, 1.0)]), at(700));
    assert!(
        matches!(written, Err(StoreError::Damaged(_))),
        "{written:?}"
    );
    assert!(store.condition().failing.is_some());
    drop(store);
    let store = open(path);
    let replaced = store.condition().replaced.unwrap();
    assert_eq!(replaced.backup, None);
    assert!(!path.join(super::SUSPECT).exists());
    fill(&store, 0, 60, |_| 1.0);
    drop(store);
    // It is good now, and the gap is still to be seen.
    assert_eq!(open(path).condition().replaced, Some(replaced));
}

#[test]
fn a_damaged_block_costs_only_itself() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let store = open(path);
    fill(&store, 0, 3600, |second| second as f64);
    drop(store);
    let other = rusqlite::Connection::open(path.join(FILE)).unwrap();
    other
        .execute(
            "UPDATE block SET bytes = zeroblob(length(bytes)) WHERE id = 3",
            [],
        )
        .unwrap();
    drop(other);
    let store = open(path);
    let found = found(&store, Tier::Raw, 0, 3600);
    assert_eq!(found.damaged_blocks, 1);
    assert_eq!(found.series[&key(0)].buckets.len(), 354);
    // It does not stand in the way of the others.
    store.maintain(at(4000)).unwrap();
    assert_eq!(buckets(&store, Tier::Hour, 0, 3600)[0].1, 354);
}

#[test]
fn a_store_of_a_newer_version_or_of_something_else_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    drop(open(path));
    let other = rusqlite::Connection::open(path.join(FILE)).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let newer = Store::open(path, LIMIT, at(0)).unwrap_err();
    assert!(
        matches!(newer, StoreError::Newer { found: 99, .. }),
        "{newer:?}"
    );
    assert!(path.join(FILE).exists());
}

#[test]
fn a_file_that_was_replaced_is_told_for_a_week_over_restarts() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    std::fs::write(directory.path().join(FILE), b"no database at all, but text").unwrap();
    let again = |second| Store::open(directory.path(), 1 << 30, at(second)).unwrap();
    let first = again(0).condition().replaced.unwrap();
    assert_eq!(again(3600).condition().replaced, Some(first.clone()));
    let week = super::REPLACED_TOLD.as_secs();
    assert_eq!(again(week - 1).condition().replaced, Some(first));
    assert_eq!(again(week).condition().replaced, None);
    // It is forgotten then, also by a clock that was set back.
    assert_eq!(again(60).condition().replaced, None);
}
