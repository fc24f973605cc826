//! What it costs to keep an update and to give it to a reader, in memory and in
//! files: see the ratio, since the times depend on the machine.
//!
//! `cargo bench -p pvelens-agent --bench spool`. The files go to `/dev/shm`, a
//! tmpfs as `/run` is. The spool is full, so that old updates go for new ones.

use std::cell::Cell;

use divan::Bencher;
use pvelens_agent::spool::Spool;
use pvelens_proto::agent::v1::{GuestRuntime, GuestRuntimes, Sample, sample::Payload};
use tempfile::TempDir;

/// Guests of the node; an update of it has about 5 kB.
const GUESTS: u32 = 60;
/// More than fit.
const UPDATES: u64 = 6000;
const LIMIT: usize = 24 << 20;

#[derive(Debug, Clone, Copy)]
enum Place {
    Memory,
    Files,
}

const PLACES: [Place; 2] = [Place::Memory, Place::Files];

fn main() {
    divan::main();
}

/// A spool, and the directory that goes with it.
struct Kept(Spool, TempDir);

impl Kept {
    #[expect(clippy::unwrap_used, reason = "without a directory there is no figure")]
    fn new(place: Place) -> Self {
        let directory = TempDir::new_in("/dev/shm").unwrap();
        let epoch = "bench".to_owned();
        let spool = match place {
            Place::Memory => Spool::with_limit(epoch, LIMIT),
            Place::Files => Spool::open(directory.path(), epoch, LIMIT),
        };
        for tick in 0..UPDATES {
            spool.append(samples(tick));
        }
        Self(spool, directory)
    }
}

fn samples(tick: u64) -> Vec<Sample> {
    let guests = (0..GUESTS).map(|vmid| GuestRuntime {
        vmid,
        cpu_seconds_total: Some(f64::from(vmid) + 0.5),
        memory_current_bytes: Some(tick << 20),
        memory_file_bytes: Some(tick << 19),
        read_bytes_total: Some(tick << 30),
        written_bytes_total: Some(tick << 30),
        reads_total: Some(tick),
        writes_total: Some(tick),
        ..GuestRuntime::default()
    });
    let sample = Sample {
        collector: "guest_runtime".to_owned(),
        payload: Some(Payload::GuestRuntimes(GuestRuntimes {
            guests: guests.collect(),
        })),
        ..Sample::default()
    };
    vec![sample]
}

#[divan::bench(args = PLACES, sample_count = 100, sample_size = 100)]
fn append(bencher: Bencher<'_, '_>, place: Place) {
    let Kept(spool, _directory) = Kept::new(place);
    let tick = Cell::new(UPDATES);
    bencher
        .with_inputs(|| {
            tick.set(tick.get() + 1);
            samples(tick.get())
        })
        .bench_local_values(|samples| spool.append(samples));
}

#[divan::bench(args = PLACES, sample_count = 20, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>, place: Place) {
    let Kept(spool, _directory) = Kept::new(place);
    bencher.bench_local(|| {
        let mut cursor = None;
        let mut count = 0;
        loop {
            let updates = spool.read_from(cursor.as_ref());
            let Some(last) = updates.last() else { break };
            count += updates.len();
            cursor = last.cursor.clone();
        }
        count
    });
}

/// The start of an agent with a full spool.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn recover(bencher: Bencher<'_, '_>) {
    let Kept(spool, directory) = Kept::new(Place::Files);
    drop(spool);
    bencher.bench_local(|| {
        let spool = Spool::open(directory.path(), "another".to_owned(), LIMIT);
        assert_eq!(spool.epoch(), "bench");
    });
}
