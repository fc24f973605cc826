//! A spool into which something else than the agent wrote.

use anyhow::Result;
use pvelens_agent::{fuzzing::framed, spool::Spool};
use pvelens_proto::agent::v1::Sample;

use super::{Target, directory, node, write};

/// What the file of numbers begins with.
const MAGIC: &[u8] = b"pvelens spool 1\n";
const LIMIT: usize = 1 << 20;
const EPOCH: &str = "e";

pub(super) const SPOOL: Target = Target {
    name: "spool",
    run,
    seeds,
};

fn seeds() -> Result<Vec<Vec<u8>>> {
    let mut seeds = vec![[&[0], MAGIC].concat()];
    for update in node::updates()? {
        for place in 1_u8..5 {
            seeds.push([&[place], update.as_slice()].concat());
        }
    }
    Ok(seeds)
}

/// The first byte says where the others stand: in the file of numbers, raw in a
/// segment or the base, or there as a record whose checksum fits.
fn run(data: &[u8]) {
    let Some((place, content)) = data.split_first() else {
        return;
    };
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let intact = Spool::open(directory.path(), EPOCH.to_owned(), LIMIT);
    for number in 0..6 {
        intact.append(vec![sample(number)]);
    }
    drop(intact);
    match place % 5 {
        0 => write(&path("newest"), content),
        1 => write(&path("segment-00000000000000000001"), content),
        2 => write(&path("base"), content),
        3 => write(&path("segment-00000000000000000007"), &framed(content)),
        _ => write(&path("base"), &framed(content)),
    }
    let spool = Spool::open(directory.path(), "other".to_owned(), LIMIT);
    let before = spool.newest();
    drop(spool.read_from(None));
    spool.append(vec![sample(9)]);
    assert_ne!(spool.newest(), before);
    assert!(!spool.read_from(None).is_empty());
}

fn sample(read_bytes: u64) -> Sample {
    Sample {
        collector: "x".to_owned(),
        read_bytes,
        ..Sample::default()
    }
}
