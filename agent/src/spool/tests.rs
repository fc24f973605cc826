//! What a reader gets, whenever it comes and however often it leaves.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, prelude::*};
use pvelens_proto::agent::v1::{Load, NoData};

use super::{ring::PORTION, *};

#[expect(
    clippy::disallowed_methods,
    reason = "the tests see and damage the files"
)]
mod contents;
#[expect(
    clippy::disallowed_methods,
    reason = "the tests see and damage the files"
)]
mod damage;
#[expect(
    clippy::disallowed_methods,
    reason = "the tests see and damage the files"
)]
mod restart;

fn sample(collector: &str, content: u32) -> Sample {
    Sample {
        collector: collector.to_owned(),
        payload: Some(match content {
            0 => Payload::NoData(NoData {
                reason: "none".to_owned(),
            }),
            _ => Payload::Load(Load {
                tasks: content,
                ..Load::default()
            }),
        }),
        ..Sample::default()
    }
}

fn unchanged_since(sample: &Sample) -> Option<u64> {
    match &sample.payload {
        Some(Payload::Unchanged(unchanged)) => Some(unchanged.since_sequence),
        _ => None,
    }
}

/// A reader that remembers the last full payload of every collector by its
/// sequence, as a coordinator does.
#[derive(Debug, Default, Clone)]
struct Reader {
    cursor: Option<Cursor>,
    full: HashMap<String, Sample>,
    full_at: HashMap<String, u64>,
    seen: Vec<u64>,
    skipped: u64,
}

impl Reader {
    fn take(&mut self, update: &NodeUpdate) {
        let sequence = sequence_of(update);
        if update.baseline {
            self.full.clear();
            self.full_at.clear();
        } else {
            self.seen.push(sequence);
        }
        self.skipped += update.skipped_updates;
        for sample in &update.samples {
            match unchanged_since(sample) {
                Some(since) => {
                    assert!(self.full.contains_key(&sample.collector), "{sample:?}");
                    let at = self.full_at[&sample.collector];
                    assert!(at == since || at == 0, "{at} is not {since}");
                }
                None if sample.payload.is_some() => {
                    self.full.insert(sample.collector.clone(), sample.clone());
                    // A baseline does not say which update its payloads are from.
                    let at = if update.baseline { 0 } else { sequence };
                    self.full_at.insert(sample.collector.clone(), at);
                }
                None => {}
            }
        }
        self.cursor = update.cursor.clone();
    }

    /// Takes at most so many updates; then the connection breaks.
    fn read(&mut self, spool: &Spool, mut patience: usize) {
        loop {
            let updates = spool.read_from(self.cursor.as_ref());
            if updates.is_empty() {
                return;
            }
            for update in &updates {
                if patience == 0 {
                    return;
                }
                patience -= 1;
                self.take(update);
            }
        }
    }
}

#[test]
fn an_equal_payload_is_only_referred_to() {
    let spool = Spool::new("e".to_owned());
    spool.append(vec![sample("a", 1)]);
    spool.append(vec![sample("a", 2)]);
    let third = spool.append(vec![sample("a", 2), sample("b", 2)]);
    assert_eq!(unchanged_since(&third.samples[0]), Some(2));
    assert_eq!(unchanged_since(&third.samples[1]), None);
    // Nothing at all is short and needs no memory of the reader.
    spool.append(vec![sample("a", 0)]);
    let fifth = spool.append(vec![sample("a", 0)]);
    assert_eq!(unchanged_since(&fifth.samples[0]), None);
    let sixth = spool.append(vec![sample("a", 2)]);
    assert_eq!(unchanged_since(&sixth.samples[0]), None);
}

#[test]
fn a_failure_between_two_equal_payloads_does_not_hide_the_first() {
    let spool = Spool::new("e".to_owned());
    spool.append(vec![sample("a", 1)]);
    spool.append(vec![Sample {
        collector: "a".to_owned(),
        ..Sample::default()
    }]);
    let third = spool.append(vec![sample("a", 1)]);
    assert_eq!(unchanged_since(&third.samples[0]), Some(1));
}

#[test]
fn a_new_reader_gets_what_fell_out_of_the_ring_as_baseline() {
    let spool = Spool::with_limit("e".to_owned(), 200);
    spool.append(vec![sample("rare", 7)]);
    for content in 1..50 {
        spool.append(vec![sample("often", content), sample("rare", 7)]);
    }
    let mut reader = Reader::default();
    let first = spool.read_from(None);
    assert!(first[0].baseline && !first[1].baseline);
    assert_eq!(first[0].skipped_updates, 0);
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.full["rare"].payload, sample("rare", 7).payload);
    assert_eq!(reader.full["often"].payload, sample("often", 49).payload);
    assert!(spool.read_from(reader.cursor.as_ref()).is_empty());
    assert_eq!(spool.newest_payload("rare"), sample("rare", 7).payload);
    assert_eq!(spool.newest_payload("often"), sample("often", 49).payload);
}

#[test]
fn a_reader_that_fell_behind_is_told_how_much_it_missed() {
    let spool = Spool::with_limit("e".to_owned(), 200);
    spool.append(vec![sample("a", 1)]);
    let cursor = spool.newest();
    for content in 2..100 {
        spool.append(vec![sample("a", content)]);
    }
    let updates = spool.read_from(Some(&cursor));
    let oldest = sequence_of(&updates[1]);
    assert!(updates[0].baseline);
    assert_eq!(updates[0].skipped_updates, oldest - 2);
    assert_eq!(updates[1].skipped_updates, 0);
}

#[test]
fn a_place_of_another_epoch_or_of_the_future_is_no_place() {
    let spool = Spool::new("new".to_owned());
    spool.append(vec![sample("a", 1)]);
    for cursor in [
        Cursor {
            epoch: "old".to_owned(),
            sequence: 1,
        },
        Cursor {
            epoch: "new".to_owned(),
            sequence: 2,
        },
        Cursor {
            epoch: "new".to_owned(),
            sequence: 0,
        },
    ] {
        assert_eq!(spool.read_from(Some(&cursor)).len(), 1, "{cursor:?}");
    }
}

#[test]
fn a_portion_is_bounded_and_an_update_larger_than_one_still_comes() {
    let spool = Spool::new("e".to_owned());
    let large = |fill: char| Sample {
        collector: fill.to_string(),
        payload: Some(Payload::NoData(NoData {
            reason: fill.to_string().repeat(PORTION / 2 + 1),
        })),
        ..Sample::default()
    };
    spool.append(vec![large('a')]);
    spool.append(vec![large('b')]);
    spool.append(vec![large('c'), large('d'), large('e')]);
    let mut cursor = None;
    let mut portions = Vec::new();
    loop {
        let updates = spool.read_from(cursor.as_ref());
        let Some(last) = updates.last() else { break };
        cursor = last.cursor.clone();
        portions.push(updates.len());
    }
    assert_eq!(portions, [1, 1, 1]);
}

#[test]
fn samples_are_in_order_of_observation_and_news_are_told() {
    let spool = Spool::new("e".to_owned());
    let mut news = spool.subscribe();
    assert!(!news.has_changed().unwrap());
    let at = |millis| Sample {
        observed_at: Some(pvelens_proto::timestamp_from_millis(millis)),
        ..sample(&millis.to_string(), 1)
    };
    let update = spool.append(vec![at(30), at(10), at(20)]);
    let order: Vec<_> = update
        .samples
        .iter()
        .map(|s| s.collector.as_str())
        .collect();
    assert_eq!(order, ["10", "20", "30"]);
    assert_eq!(*news.borrow_and_update(), 1);
}

/// The node samples; a reader comes, takes some updates and leaves; or the agent
/// is started anew.
#[derive(Debug, Clone)]
enum Event {
    Append(Vec<(u8, u32)>),
    Read(usize, usize),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => appending().prop_map(Event::Append),
        1 => (0_usize..3, 0_usize..6).prop_map(|(reader, patience)| Event::Read(reader, patience)),
    ]
}

fn appending() -> impl Strategy<Value = Vec<(u8, u32)>> {
    vec((0_u8..4, 0_u32..3), 1..4)
}

/// Samples of one update; a collector runs once for each.
fn samples(contents: &[(u8, u32)]) -> Vec<Sample> {
    let contents: BTreeMap<u8, u32> = contents.iter().copied().collect();
    contents
        .into_iter()
        .map(|(collector, content)| sample(&collector.to_string(), content))
        .collect()
}

/// What every collector gave last.
type Content = HashMap<String, Payload>;

fn learn(content: &mut Content, samples: &[Sample]) {
    for sample in samples {
        content.insert(sample.collector.clone(), sample.payload.clone().unwrap());
    }
}

impl Reader {
    fn content(&self) -> Content {
        let known = self.full.iter();
        known
            .map(|(name, sample)| (name.clone(), sample.payload.clone().unwrap()))
            .collect()
    }
}

/// Every reader sees each update that it is owed once and can resolve it.
fn follow(
    events: Vec<Event>,
    open: impl Fn() -> Spool,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut spool = open();
    let mut readers = vec![Reader::default(); 3];
    let mut content = Content::new();
    let mut appended = 0_u64;
    for event in events {
        match event {
            Event::Append(contents) => {
                let samples = samples(&contents);
                learn(&mut content, &samples);
                let update = spool.append(samples);
                appended += 1;
                prop_assert_eq!(sequence_of(&update), appended);
            }
            Event::Read(reader, patience) => readers[reader].read(&spool, patience),
            Event::Restart => {
                drop(spool);
                spool = open();
            }
        }
    }
    for reader in &mut readers {
        reader.read(&spool, usize::MAX);
        prop_assert!(reader.seen.is_sorted_by(|a, b| a < b));
        // What it did not see was dropped, and it was told so.
        let first = reader.seen.first().copied().unwrap_or(appended + 1);
        let unseen = appended - u64::try_from(reader.seen.len()).unwrap();
        prop_assert!(unseen < reader.skipped + first);
        prop_assert!(unseen >= reader.skipped);
        prop_assert_eq!(&reader.content(), &content);
    }
    for (collector, payload) in content {
        prop_assert_eq!(spool.newest_payload(&collector), Some(payload));
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_reader_sees_each_update_it_is_owed_once_and_can_resolve_it(
        events in vec(event(), 0..60),
        limit in 1_usize..600,
    ) {
        follow(events, || Spool::with_limit("e".to_owned(), limit))?;
    }
}
