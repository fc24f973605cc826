//! What is let go: what is too old, and the oldest of what is too much.

use jiff::{SignedDuration, Timestamp};

use super::{
    engine::{Engine, StoreError},
    row::{BlockQuery, Change, RecordKind},
    tier::Tier,
};

/// Blocks of one transaction.
const BLOCKS: usize = 2000;
/// Objects without values are remembered as long as the coarsest values.
const OBJECTS: SignedDuration = SignedDuration::from_secs(Tier::Hour.kept_seconds());
/// What happened is kept as long.
const RECORDS: SignedDuration = OBJECTS;
/// Room that is free for use is given back when it is more than this share.
const FREE_SHARE: u64 = 4;
/// Below this it is not worth it.
const FREE_BYTES: u64 = 64 << 20;

/// Lets go of what is older than it is kept.
pub(super) fn drop_old(engine: &mut dyn Engine, now: Timestamp) -> Result<(), StoreError> {
    for tier in Tier::ALL {
        let end = now.as_second() - tier.kept_seconds() - tier.span_seconds();
        let old = engine.blocks(&BlockQuery {
            tier: Some(tier),
            until: Some(end + 1),
            ..BlockQuery::default()
        })?;
        // Values that wait for being rolled up have no other form yet.
        let old = old.iter().filter(|block| block.is_rolled_up);
        let drops: Vec<_> = old.map(|block| Change::DropBlock(block.id)).collect();
        for some in drops.chunks(BLOCKS) {
            engine.commit(some)?;
        }
    }
    let before = |kept| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
    engine.commit(&[
        Change::DropObjects(before(OBJECTS)),
        Change::DropRecords(RecordKind::Finding, before(RECORDS)),
        Change::DropRecords(RecordKind::Event, before(RECORDS)),
        Change::DropRecords(RecordKind::Revision, before(RECORDS)),
        Change::DropRecords(RecordKind::Intent, before(RECORDS)),
        Change::DropRecords(RecordKind::Audit, before(RECORDS)),
        Change::DropRecords(RecordKind::Analysis, before(RECORDS)),
    ])?;
    let size = engine.size()?;
    if size.free_bytes > FREE_BYTES.max(size.total_bytes / FREE_SHARE) {
        engine.shrink()?;
    }
    Ok(())
}

/// Lets the oldest span of the tier go that takes the most room, if all take more
/// than `limit_bytes`. The end of that span.
pub(super) fn make_room(
    engine: &mut dyn Engine,
    limit_bytes: u64,
) -> Result<Option<Timestamp>, StoreError> {
    if engine.size()?.used_bytes() <= limit_bytes {
        return Ok(None);
    }
    let mut largest = None;
    for tier in Tier::ROLLED_UP {
        let blocks = engine.blocks(&BlockQuery {
            tier: Some(tier),
            ..BlockQuery::default()
        })?;
        let spans = blocks.chunk_by(|one, next| one.place.begin == next.place.begin);
        // The newest span stays whatever it takes.
        if spans.count() < 2 {
            continue;
        }
        let bytes: u64 = blocks.iter().map(|block| block.bytes).sum();
        if largest.as_ref().is_none_or(|(most, _)| bytes > *most) {
            largest = Some((bytes, blocks));
        }
    }
    let Some((_, blocks)) = largest else {
        return Ok(None);
    };
    let Some(place) = blocks.first().map(|block| block.place) else {
        return Ok(None);
    };
    let oldest = blocks
        .iter()
        .take_while(|block| block.place.begin == place.begin);
    let drops: Vec<_> = oldest.map(|block| Change::DropBlock(block.id)).collect();
    for some in drops.chunks(BLOCKS) {
        engine.commit(some)?;
    }
    let end = place.begin.saturating_add(place.tier.span_seconds());
    Ok(Timestamp::from_second(end).ok())
}
