//! Bytes of a value, by tier.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use pvelens::store::{
    FILE,
    block::{Series, decode_all_buckets, decode_all_points},
    bucket::{Bucket, Point},
    row::{BlockQuery, BlockRow},
    sqlite,
    tier::Tier,
};

use super::{TIDY_SECONDS, at, keeping, ratio, recorded};

/// Seconds between two writes, as a coordinator has it.
const WRITE_SECONDS: i64 = 60;

/// What the blocks of one tier take.
#[derive(Debug, Default)]
struct Taken {
    blocks: u64,
    values: u64,
    bytes: u64,
    /// Of the sketches in them.
    bins: u64,
    /// Of these blocks: series, and those of them that never change in it.
    series: u64,
    constant: u64,
}

pub(super) fn run(hours: u32) -> Result<()> {
    let Some(nodes) = recorded::recorded()? else {
        println!("SKIPPED: sizes (no recordings; set PVELENS_RECORDINGS)");
        return Ok(());
    };
    let directory = tempfile::TempDir::new()?;
    let (coordinator, store) = keeping(directory.path(), at(0))?;
    let end = i64::from(hours) * 3600;
    let mut measured = 0;
    for step in 0.. {
        let second = i64::try_from(step)? * recorded::STEP_SECONDS;
        if second > end + 600 {
            break;
        }
        for node in &nodes {
            let update = node.update(step, at(second));
            coordinator.live().append(&node.agent(), update, at(second));
        }
        if second % WRITE_SECONDS == 0 {
            measured += coordinator.live().waiting();
            coordinator.write_down(at(second))?;
        }
        if second % TIDY_SECONDS == 0 {
            store.maintain(at(second))?;
        }
    }
    let mut tiers = BTreeMap::new();
    let series = store.read(|reader| {
        for block in reader.blocks(&BlockQuery::default())? {
            let bytes = reader.block(block.id, 0, usize::MAX)?;
            tiers
                .entry(block.place.tier)
                .or_insert_with(Taken::default)
                .add(&block, &bytes);
        }
        Ok(reader.series(None)?.len())
    })?;
    let free = store.condition().size.free_bytes;
    // The last one that closes it brings the log into the file.
    drop((coordinator, store));
    let path = directory.path().join(FILE);
    let file = fs::metadata(&path)?.len();
    let problems = sqlite::check_file(&path)?;
    println!(
        "{} nodes, {series} series, {hours} hours: the recorded half hour again and again, through \
         ingest, journal, writes each {WRITE_SECONDS} s and roll-ups; {measured} values were measured",
        nodes.len()
    );
    let (mut values, mut bytes) = (0, 0);
    for (tier, taken) in &tiers {
        println!(
            "  {tier:<12?} {:>9} values in {:>5} blocks, {:>9} bytes: {:.2} a value of {:.1} bins; {:.0} % of \
             the series of a block are constant",
            taken.values,
            taken.blocks,
            taken.bytes,
            ratio(taken.bytes, taken.values),
            ratio(taken.bins, taken.values),
            100.0 * ratio(taken.constant, taken.series),
        );
        values += taken.values;
        bytes += taken.bytes;
    }
    println!(
        "  all          {values} values, {bytes} bytes: {:.2} a value",
        ratio(bytes, values)
    );
    println!(
        "  file         {file} bytes after the log was brought in, {free} of them free: {:.2} a value, \
         {:.2} without what is free, {:.2} for each one that was measured; problems: {}",
        ratio(file, values),
        ratio(file.saturating_sub(free), values),
        ratio(file, u64::try_from(measured)?),
        problems.len()
    );
    Ok(())
}

impl Taken {
    fn add(&mut self, block: &BlockRow, bytes: &[u8]) {
        self.blocks += 1;
        self.values += u64::from(block.values);
        self.bytes += block.bytes;
        let constant: Vec<bool> = if block.place.tier == Tier::Raw {
            let series = decode_all_points(bytes).unwrap_or_default();
            let all_same = |(_, points): &Series<Point>| same(points, |point| point.value);
            series.iter().map(all_same).collect()
        } else {
            let series = decode_all_buckets(bytes).unwrap_or_default();
            let buckets = series.iter().flat_map(|(_, buckets)| buckets);
            let bins: usize = buckets.map(|bucket| bucket.sketch.bins().len()).sum();
            self.bins += u64::try_from(bins).unwrap_or(0);
            let all_same = |(_, buckets): &Series<Bucket>| {
                same(buckets, |bucket| bucket.minimum) && same(buckets, |bucket| bucket.maximum)
            };
            series.iter().map(all_same).collect()
        };
        let total = constant.len();
        let constant = constant.into_iter().filter(|constant| *constant).count();
        self.series += u64::try_from(total).unwrap_or(0);
        self.constant += u64::try_from(constant).unwrap_or(0);
    }
}

fn same<T>(values: &[T], of: impl Fn(&T) -> f64) -> bool {
    values
        .windows(2)
        .all(|pair| of(&pair[0]).to_bits() == of(&pair[1]).to_bits())
}
