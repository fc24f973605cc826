//! A reader that kept all up to a place, but not what the collectors said.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tempfile::TempDir;

use super::{
    restart::{open, path},
    *,
};

/// A content that stands for a collector that failed.
const FAILURE: u32 = u32::MAX;

/// Observed at that second.
fn timed(collector: &str, content: u32, second: i64) -> Sample {
    let mut sample = Sample {
        observed_at: Some(pvelens_proto::timestamp_from_millis(second * 1000)),
        interval_seconds: 10,
        ..sample(collector, content)
    };
    if content == FAILURE {
        sample.payload = None;
    }
    sample
}

fn place(spool: &Spool, sequence: u64) -> Cursor {
    Cursor {
        epoch: spool.epoch(),
        sequence,
    }
}

/// A turn of whoever looks back.
fn turn<T>(look: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    look.poll(&mut Context::from_waker(Waker::noop()))
}

fn contents_at(spool: &Spool, cursor: &Cursor) -> Option<NodeUpdate> {
    let mut look = pin!(spool.contents_at(cursor));
    loop {
        if let Poll::Ready(contents) = turn(look.as_mut()) {
            return contents;
        }
    }
}

/// The samples at a place.
fn contents(spool: &Spool, sequence: u64) -> Vec<Sample> {
    let cursor = place(spool, sequence);
    let update = contents_at(spool, &cursor).unwrap();
    assert_eq!(update.cursor, Some(cursor));
    assert!(update.baseline);
    assert_eq!(update.skipped_updates, 0);
    update.samples
}

#[test]
fn contents_are_those_of_the_place_and_as_new_as_they_were_then() {
    let spool = Spool::new("e".to_owned());
    spool.append(vec![timed("a", 1, 10), timed("b", 1, 11)]);
    spool.append(vec![timed("a", 1, 20)]);
    spool.append(vec![timed("a", 2, 30), timed("b", 2, 31)]);
    assert_eq!(
        contents(&spool, 2),
        [timed("b", 1, 11), timed("a", 1, 20)],
        "in the middle"
    );
    assert_eq!(contents(&spool, 3), [timed("a", 2, 30), timed("b", 2, 31)]);
    assert_eq!(spool.read_from(Some(&place(&spool, 2))).len(), 1);
}

#[test]
fn nothing_to_collect_is_a_content_and_a_failure_is_told_beside_it() {
    let spool = Spool::new("e".to_owned());
    spool.append(vec![timed("a", 1, 10), timed("b", 1, 10)]);
    spool.append(vec![timed("a", 0, 20), timed("b", FAILURE, 20)]);
    let (nothing, failure) = (timed("a", 0, 20), timed("b", FAILURE, 20));
    assert_eq!(
        contents(&spool, 2),
        [timed("b", 1, 10), nothing.clone(), failure]
    );
    // It was read again, so that it fails no longer.
    spool.append(vec![timed("b", 1, 30)]);
    assert_eq!(contents(&spool, 3), [nothing, timed("b", 1, 30)]);
}

#[test]
fn what_an_unchanged_sample_failed_to_read_is_what_counts() {
    let failing = |second| Sample {
        failures: vec![Default::default()],
        ..timed("a", 1, second)
    };
    let spool = Spool::new("e".to_owned());
    spool.append(vec![failing(10)]);
    spool.append(vec![timed("a", 1, 20)]);
    spool.append(vec![failing(30)]);
    assert_eq!(contents(&spool, 2), [timed("a", 1, 20)]);
    assert_eq!(contents(&spool, 3), [failing(30)]);
}

#[test]
fn what_fell_out_of_the_ring_is_as_new_as_its_last_sample_there() {
    let spool = Spool::with_limit("e".to_owned(), 400);
    spool.append(vec![timed("rare", 7, 1)]);
    spool.append(vec![timed("rare", 7, 2)]);
    for second in 3_u32..50 {
        spool.append(vec![timed("often", second, second.into())]);
    }
    assert!(spool.update(2).is_none());
    assert!(contents(&spool, 49).contains(&timed("rare", 7, 2)));
    let base = spool.read_from(None).remove(0);
    assert!(base.baseline && base.samples.contains(&timed("rare", 7, 2)));
    // The place just before the ring is that of the base.
    let before = base.cursor.unwrap().sequence;
    assert_eq!(contents(&spool, before), base.samples);
    // One before that fell behind, and is sent the base.
    let behind = place(&spool, before - 1);
    assert_eq!(contents_at(&spool, &behind), None);
    let updates = spool.read_from(Some(&behind));
    assert!(updates[0].baseline && updates[0].skipped_updates == 1);
}

#[test]
fn a_place_that_is_none_has_no_contents() {
    let spool = Spool::new("new".to_owned());
    spool.append(vec![timed("a", 1, 10)]);
    for (epoch, sequence) in [("old", 1), ("new", 2), ("new", 0)] {
        let cursor = Cursor {
            epoch: epoch.to_owned(),
            sequence,
        };
        assert_eq!(contents_at(&spool, &cursor), None, "{cursor:?}");
    }
}

#[test]
fn contents_outlive_a_restart() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    spool.append(vec![timed("rare", 7, 1)]);
    let mut second = 1;
    while spool.update(1).is_some() {
        second += 1;
        spool.append(vec![timed("often", second, second.into())]);
    }
    let newest = spool.newest().sequence;
    let known = [contents(&spool, newest - 1), contents(&spool, newest)];
    drop(spool);
    let spool = open(&directory, "second");
    assert_eq!(spool.epoch(), "first");
    assert_eq!(
        [contents(&spool, newest - 1), contents(&spool, newest)],
        known
    );
    spool.append(vec![timed("rare", 7, 1000)]);
    assert!(contents(&spool, newest + 1).contains(&timed("rare", 7, 1000)));
}

#[test]
fn contents_that_cannot_be_read_back_end_the_epoch() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    spool.append(vec![timed("a", 1, 10)]);
    let cursor = spool.newest();
    let segment = path(&directory).join("segment-00000000000000000001");
    std::fs::write(segment, "").unwrap();
    assert_eq!(contents_at(&spool, &cursor), None);
    assert_ne!(spool.epoch(), "first");
}

#[test]
fn what_sinks_while_somebody_looks_back_is_not_missed() {
    let large = |collector: &str, second| Sample {
        payload: Some(Payload::NoData(NoData {
            reason: format!("{second}").repeat(PORTION / 2),
        })),
        ..timed(collector, 0, second)
    };
    let spool = Spool::with_limit("e".to_owned(), 8 * PORTION);
    spool.append(vec![timed("rare", 7, 1), large("a", 1)]);
    for second in 2..=6 {
        spool.append(vec![large("a", second)]);
    }
    spool.append(vec![timed("rare", 8, 7)]);
    let (third, sixth) = (place(&spool, 3), place(&spool, 6));
    let (mut early, mut late) = (
        pin!(spool.contents_at(&third)),
        pin!(spool.contents_at(&sixth)),
    );
    assert!(turn(early.as_mut()).is_pending());
    assert!(turn(late.as_mut()).is_pending());
    // Others may add in between, until even the third update sinks.
    let mut second = 7;
    while spool.update(5).is_some() {
        second += 1;
        spool.append(vec![large("b", second)]);
    }
    assert!(spool.update(6).is_some());
    // That place is out of the ring now.
    assert_eq!(turn(early.as_mut()), Poll::Ready(None));
    let contents = loop {
        if let Poll::Ready(contents) = turn(late.as_mut()) {
            break contents.unwrap();
        }
    };
    assert_eq!(contents.samples, [timed("rare", 7, 1), large("a", 6)]);
}

/// What is to be known of every collector, failures that are in the ring too.
#[derive(Debug, Default, Clone)]
struct Known {
    given: BTreeMap<String, Sample>,
    failed: BTreeMap<String, (u64, Sample)>,
}

impl Known {
    fn learn(&mut self, sample: &Sample, sequence: u64) {
        let collector = sample.collector.clone();
        if sample.payload.is_none() {
            self.failed.insert(collector, (sequence, sample.clone()));
        } else {
            self.failed.remove(&collector);
            self.given.insert(collector, sample.clone());
        }
    }

    fn samples(&self, spool: &Spool) -> Vec<Sample> {
        let failed = self.failed.values();
        let failed = failed.filter(|(sequence, _)| spool.update(*sequence).is_some());
        let failed = failed.map(|(_, sample)| sample);
        let mut samples: Vec<_> = self.given.values().chain(failed).cloned().collect();
        latest::sort(&mut samples);
        samples
    }
}

/// At every place a reader with the contents is where one is that read all.
fn compare(
    appends: &[Vec<(u8, u32)>],
    mut spool: Spool,
    restarted: impl Fn(Spool) -> Spool,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut known = vec![Known::default()];
    for (appended, contents) in (1_u64..).zip(appends) {
        let contents: BTreeMap<u8, u32> = contents.iter().copied().collect();
        let mut next = known[known.len() - 1].clone();
        let second = i64::try_from(appended).unwrap();
        let samples: Vec<_> = contents
            .into_iter()
            .map(|(collector, content)| timed(&collector.to_string(), content, second))
            .collect();
        for sample in &samples {
            next.learn(sample, appended);
        }
        spool.append(samples);
        known.push(next);
        if appended % 7 == 0 {
            spool = restarted(spool);
        }
    }
    prop_assert_eq!(spool.epoch(), "e");
    let mut all = Reader::default();
    all.read(&spool, usize::MAX);
    for (sequence, known) in (0..).zip(&known) {
        let cursor = place(&spool, sequence);
        let mut reader = Reader::default();
        match contents_at(&spool, &cursor) {
            Some(update) => {
                prop_assert_eq!(&update.samples, &known.samples(&spool));
                reader.take(&update);
            }
            None => {
                prop_assert!(sequence == 0 || spool.update(sequence).is_none());
                reader.cursor = Some(cursor);
            }
        }
        reader.read(&spool, usize::MAX);
        prop_assert_eq!(reader.content(), all.content());
    }
    Ok(())
}

fn appends() -> impl Strategy<Value = Vec<Vec<(u8, u32)>>> {
    let content = prop_oneof![5 => 0_u32..3, 1 => Just(FAILURE)];
    vec(vec((0_u8..4, content), 1..4), 0..40)
}

proptest! {
    #[test]
    fn a_reader_with_the_contents_of_its_place_knows_what_one_knows_that_read_all(
        appends in appends(),
        limit in 1_usize..1500,
    ) {
        compare(&appends, Spool::with_limit("e".to_owned(), limit), |spool| spool)?;
        let directory = TempDir::new().unwrap();
        // Files larger than the limit are not read.
        let limit = limit.max(400);
        let open = |epoch: &str| Spool::open(&path(&directory), epoch.to_owned(), limit);
        compare(&appends, open("e"), |spool| {
            drop(spool);
            open("another")
        })?;
    }
}
