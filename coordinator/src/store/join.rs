//! From many small blocks of one place to few.
//!
//! Every write adds a block of raw values, and every hour a piece of the day's coarser
//! ones: a question would have to open them all. So the newest of them are joined when
//! there are several of about one size, as in a log-structured merge tree: there are
//! never many, and no value is written more than a few times. When a day is over its
//! pieces become one.

use jiff::Timestamp;

use super::{
    block::{self, Series},
    engine::{Engine, StoreError},
    roll::{GRACE_SECONDS, buckets, count, points},
    row::{BlockQuery, BlockRow, Change, NewBlock, Source},
    tier::Tier,
    write::defect,
};

/// Fewer pieces are left as they are while more may come.
const SEVERAL: usize = 8;
/// A piece that is more than this part of what it is to be joined with is left as it is.
const PART: u64 = 3;

/// The pieces that are to be one, place by place.
pub(super) fn due(
    engine: &mut dyn Engine,
    now: Timestamp,
) -> Result<Vec<Vec<BlockRow>>, StoreError> {
    let mut due = Vec::new();
    for tier in Tier::ALL {
        let blocks = engine.blocks(&BlockQuery {
            tier: Some(tier),
            // What is rolled up is hardly read any more.
            only_fresh: tier == Tier::Raw,
            ..BlockQuery::default()
        })?;
        let together =
            |one: &BlockRow, next: &BlockRow| one.place == next.place && one.source == next.source;
        let pieces = blocks
            .chunk_by(together)
            .map(|pieces| of_place(pieces, now));
        due.extend(
            pieces
                .filter(|pieces| !pieces.is_empty())
                .map(<[_]>::to_vec),
        );
    }
    Ok(due)
}

/// Of the pieces of a place, in the order they were added, those that are to be one.
fn of_place(pieces: &[BlockRow], now: Timestamp) -> &[BlockRow] {
    let Some(first) = pieces.first() else {
        return &[];
    };
    let tier = first.place.tier;
    let end = first.place.begin.saturating_add(tier.span_seconds());
    let settled = end + Tier::Raw.span_seconds() + 2 * GRACE_SECONDS;
    // What was imported comes in few pieces: one for each node.
    if pieces.len() < 2 || first.source != Source::Agent {
        &[]
    } else if tier != Tier::Raw && now.as_second() >= settled {
        pieces
    } else {
        newest_alike(pieces)
    }
}

/// The most of the newest pieces of which none is much of them all.
fn newest_alike(pieces: &[BlockRow]) -> &[BlockRow] {
    let (mut total, mut largest, mut begin) = (0_u64, 0_u64, pieces.len());
    for (position, piece) in pieces.iter().enumerate().rev() {
        total = total.saturating_add(piece.bytes);
        largest = largest.max(piece.bytes);
        let is_several = pieces.len() - position >= SEVERAL;
        if is_several && largest.saturating_mul(PART) <= total {
            begin = position;
        }
    }
    pieces.get(begin..).unwrap_or_default()
}

/// One block in the place of several. What of them is damaged is left out.
pub(super) fn replace(engine: &mut dyn Engine, pieces: &[BlockRow]) -> Result<(), StoreError> {
    let Some(first) = pieces.first() else {
        return Ok(());
    };
    let of_place: Vec<_> = pieces.iter().collect();
    let (values, bytes) = if first.place.tier == Tier::Raw {
        let series: Vec<Series<_>> = points(engine, &of_place, |_| true)?.into_iter().collect();
        (count(&series), block::encode_points(&series))
    } else {
        let series: Vec<Series<_>> = buckets(engine, &of_place)?.into_iter().collect();
        (count(&series), block::encode_buckets(&series))
    };
    let mut changes = vec![Change::AddBlock(NewBlock {
        place: first.place,
        source: first.source,
        values,
        is_rolled_up: first.is_rolled_up,
        bytes: bytes.map_err(defect)?,
    })];
    changes.extend(pieces.iter().map(|block| Change::DropBlock(block.id)));
    engine.commit(&changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::Place;

    fn sizes(sizes: &[u64]) -> Vec<BlockRow> {
        let row = |(id, bytes): (i64, &u64)| BlockRow {
            id,
            place: Place {
                tier: Tier::Raw,
                begin: 0,
                partition: 0,
            },
            source: Source::Agent,
            values: 1,
            is_rolled_up: false,
            bytes: *bytes,
        };
        (0..).zip(sizes).map(row).collect()
    }

    #[test]
    fn the_newest_of_one_size_are_joined_and_a_large_one_is_left() {
        let joined = |pieces: &[u64]| newest_alike(&sizes(pieces)).len();
        assert_eq!(joined(&[1; 7]), 0);
        assert_eq!(joined(&[1; 8]), 8);
        assert_eq!(joined(&[8, 1, 1, 1, 1, 1, 1, 1]), 0);
        assert_eq!(joined(&[8, 1, 1, 1, 1, 1, 1, 1, 1]), 8);
        assert_eq!(joined(&[32, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1]), 10);
    }

    #[test]
    fn a_day_of_writes_has_few_pieces_and_writes_little_twice() {
        let mut pieces: Vec<u64> = Vec::new();
        let (mut most, mut rewritten) = (0, 0);
        for _ in 0..1440 {
            pieces.push(100);
            let joined = newest_alike(&sizes(&pieces)).len();
            if joined > 0 {
                let all: u64 = pieces.drain(pieces.len() - joined..).sum();
                rewritten += all;
                pieces.push(all);
            }
            most = most.max(pieces.len());
        }
        assert!(most < 24, "{most} pieces");
        assert!(rewritten < 5 * 144_000, "{rewritten} bytes");
    }
}
