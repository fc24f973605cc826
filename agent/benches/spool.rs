//! What it costs to keep an update and to give it to a reader.
//!
//! `cargo bench -p pvelens-agent --bench spool`. Times depend on the machine;
//! the two places compare on any: a spool in files should cost little more than
//! one in memory. The files go to `/dev/shm`, a tmpfs as `/run` is.

use std::cell::Cell;

use divan::Bencher;
use pvelens_agent::spool::Spool;
use pvelens_proto::agent::v1::{GuestRuntime, GuestRuntimes, Sample, sample::Payload};

/// Guests of the node; an update of it has about 5 kB.
const GUESTS: u32 = 60;
/// Updates of a spool that is replayed.
const UPDATES: u64 = 2000;
const LIMIT: usize = 24 << 20;

fn main() {
    divan::main();
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

fn filled() -> Spool {
    let spool = Spool::with_limit("bench".to_owned(), LIMIT);
    for tick in 0..UPDATES {
        spool.append(samples(tick));
    }
    spool
}

#[divan::bench]
fn append(bencher: Bencher<'_, '_>) {
    let spool = filled();
    let tick = Cell::new(UPDATES);
    bencher
        .with_inputs(|| {
            tick.set(tick.get() + 1);
            samples(tick.get())
        })
        .bench_local_values(|samples| spool.append(samples));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>) {
    let spool = filled();
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
