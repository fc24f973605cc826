//! What a store promises, tried on processes that are killed and disks that lose power.
//!
//! A process keeps the updates of an agent as a coordinator does, and says after each
//! write up to where they are kept. It ends at random moments, and another one
//! goes on: what was said to be kept must be there, each value once, and whatever
//! else is there must be where the stream is resumed from. Values tell which update
//! they came with.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use jiff::Timestamp;
use pvelens::{
    check::Params,
    coordinator::Coordinator,
    metric::Metric,
    store::{
        FILE, Store, StoreError,
        block::SeriesKey,
        query::{self, Span},
        sqlite,
        tier::Tier,
    },
};
use pvelens_proto::{
    agent::v1::{
        Cursor, DescribeResponse, Filesystem, FilesystemState, Filesystems, Memory, NodeUpdate,
        Sample, sample::Payload,
    },
    timestamp_from_millis,
};

pub mod disk;
pub mod kill;
mod message;
pub mod mount;
pub mod power;
pub mod small;

/// Second of the first update; an hour begins.
const START: i64 = 1_795_600_800;
/// Between two updates.
const STEP_SECONDS: i64 = 10;
/// Updates of one write.
const WRITE: u64 = 6;
/// Writes after which the store tidies up.
const TIDY: u64 = 15;
const LIMIT_BYTES: u64 = 1 << 30;
/// File systems of the node, so that there is something to write.
const PARTS: u64 = 200;

/// Why the promise could not be tried, or was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Broken(String),
}

/// When a process says that it keeps something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// When it is kept.
    Honest,
    /// Before that: to see that this is found out.
    Early,
}

/// The agent whose updates are kept.
#[must_use]
pub fn agent() -> DescribeResponse {
    DescribeResponse {
        agent_version: "0.1.0".to_owned(),
        node_name: "pve1".to_owned(),
        cluster_id: "c0ffee".to_owned(),
        is_pve_node: true,
        epoch: "first".to_owned(),
        sends_contents: true,
        ..DescribeResponse::default()
    }
}

#[must_use]
pub fn at(sequence: u64) -> Timestamp {
    let steps = i64::try_from(sequence).unwrap_or(i64::MAX);
    let second = START.saturating_add(steps.saturating_mul(STEP_SECONDS));
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// Its number is the memory that is available.
#[must_use]
pub fn update(sequence: u64, is_contents: bool) -> NodeUpdate {
    update_of(sequence, is_contents, PARTS)
}

/// As [`update`], of a node with so many file systems.
#[must_use]
pub fn update_of(sequence: u64, is_contents: bool, parts: u64) -> NodeUpdate {
    let memory = Memory {
        total_bytes: 1 << 40,
        available_bytes: sequence,
        ..Memory::default()
    };
    let filesystems = (0..parts).map(|part| Filesystem {
        mount_point: format!("/mnt/{part}"),
        state: FilesystemState::Measured.into(),
        total_bytes: Some(1 << 40),
        used_bytes: Some(sequence.wrapping_mul(0x9e37_79b9 + part) & 0xffff_ffff),
        ..Filesystem::default()
    });
    let filesystems = Filesystems {
        filesystems: filesystems.collect(),
    };
    let sample = |collector: &str, payload| Sample {
        collector: collector.to_owned(),
        observed_at: Some(timestamp_from_millis(at(sequence).as_millisecond())),
        interval_seconds: 10,
        payload: Some(payload),
        ..Sample::default()
    };
    NodeUpdate {
        cursor: Some(Cursor {
            epoch: agent().epoch,
            sequence,
        }),
        samples: vec![
            sample("memory", Payload::Memory(memory)),
            sample("filesystem", Payload::Filesystems(filesystems)),
        ],
        baseline: is_contents,
        skipped_updates: 0,
    }
}

/// Opens the store as a coordinator that starts, and where it resumes the stream. It
/// must be the file that was written.
fn start(directory: &Path, now: Timestamp) -> Result<(Coordinator, Arc<Store>, u64), KeptError> {
    let started = open(directory, now)?;
    match started.1.condition().replaced {
        Some(replaced) => Err(KeptError::Broken(format!("set aside: {}", replaced.why))),
        None => Ok(started),
    }
}

fn open(directory: &Path, now: Timestamp) -> Result<(Coordinator, Arc<Store>, u64), KeptError> {
    let coordinator = Coordinator::new(Params::default());
    let store = Arc::new(Store::open(directory, LIMIT_BYTES, now)?);
    coordinator.keep_in(Arc::clone(&store), now)?;
    let resume = coordinator.live().resume(&agent());
    let kept = resume.cursor.map_or(0, |cursor| cursor.sequence);
    Ok((coordinator, store, kept))
}

/// Keeps updates until it is killed, and tells up to where.
///
/// # Errors
/// When the store cannot be used, or nobody listens.
pub fn keep(directory: &Path, manner: Manner, tell: impl io::Write) -> Result<(), KeptError> {
    let mut tell = tell;
    let mut tell = |sequence: u64| {
        writeln!(tell, "{sequence}")?;
        tell.flush()
    };
    // Only what is kept says what time it is.
    let (coordinator, store, kept) = start(directory, at(0))?;
    let mut sequence = kept;
    if kept > 0 {
        let contents = update(kept, true);
        coordinator.live().append(&agent(), contents, at(kept));
    }
    for write in 1_u64.. {
        for _ in 0..WRITE {
            sequence += 1;
            let update = update(sequence, false);
            coordinator.live().append(&agent(), update, at(sequence));
        }
        if manner == Manner::Early {
            tell(sequence)?;
        }
        coordinator.write_down(at(sequence))?;
        if manner == Manner::Honest {
            tell(sequence)?;
        }
        if write % TIDY == 0 {
            store.maintain(at(sequence))?;
        }
    }
    Ok(())
}

/// Looks at what is kept, after a crash: up to where.
///
/// # Errors
/// When something is missing, there twice, or not as it was.
pub fn look(directory: &Path, told: u64) -> Result<u64, KeptError> {
    looked(directory, start(directory, at(told))?, told)
}

/// As [`look`], where a backup took the place of the file that was written.
///
/// # Errors
/// As there.
pub fn look_at_backup(directory: &Path, told: u64) -> Result<u64, KeptError> {
    looked(directory, open(directory, at(told))?, told)
}

fn looked(
    directory: &Path,
    (coordinator, store, kept): (Coordinator, Arc<Store>, u64),
    told: u64,
) -> Result<u64, KeptError> {
    let broken = |what: String| Err(KeptError::Broken(what));
    if kept < told {
        return broken(format!("kept up to {kept}, and said {told}"));
    }
    let key = store.read(|reader| {
        let objects = reader.objects_named("pve1")?;
        let mut keys = BTreeSet::new();
        for object in objects {
            for row in reader.series(Some(object.id))? {
                if row.metric == Metric::MemoryAvailableBytes.number() {
                    keys.insert(SeriesKey {
                        metric: row.metric,
                        series: row.id,
                    });
                }
            }
        }
        Ok(keys)
    })?;
    if kept > 0 && key.len() != 1 {
        return broken(format!("{} series of one figure", key.len()));
    }
    let values = |tier: Tier, from: Timestamp| {
        let span = Span {
            from,
            until: at(kept + 1000),
            tier,
        };
        let found = store.read(|reader| query::values(reader, &key, &span))?;
        let series = found.series.into_values().next();
        Ok::<_, StoreError>(series.unwrap_or_default().buckets)
    };
    // The newest ones each, as they came: an hour is kept for two at least.
    let recent = kept.saturating_sub(360);
    let newest: Vec<u64> = values(Tier::Raw, at(recent + 1))?
        .iter()
        .map(|value| number(value.last))
        .collect();
    let expected: Vec<u64> = (recent + 1..=kept).collect();
    if newest != expected {
        return broken(format!(
            "{} values after {recent}, the last {:?}; {} are kept, the last {kept}",
            newest.len(),
            newest.last(),
            expected.len(),
        ));
    }
    // All of them, rolled up.
    let (mut count, mut previous) = (0_u64, 0);
    for bucket in values(Tier::Minute, at(0))? {
        let (first, last) = (number(bucket.minimum), number(bucket.maximum));
        if first != previous + 1 || last - first + 1 != u64::from(bucket.count) {
            return broken(format!("{first} to {last} come after {previous}"));
        }
        previous = last;
        count += u64::from(bucket.count);
    }
    if (count, previous) != (kept, kept) {
        return broken(format!("{count} values up to {previous}; {kept} are kept"));
    }
    drop((coordinator, store));
    let problems = sqlite::check_file(&directory.join(FILE))?;
    match problems.first() {
        None => Ok(kept),
        Some(problem) => broken(format!("the file: {problem}")),
    }
}

/// Of the update that a value came with.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no number of an update is compared with one, and differs"
)]
fn number(value: f64) -> u64 {
    value.round() as u64
}
