//! Losses of power, on a disk that forgets what was not synced.
//!
//! A process that keeps updates writes to a [`Disk`] whose power goes before an
//! operation that was drawn: a write, a sync, a change of a name. What is left of what
//! was not synced is drawn, too. Then somebody looks at a copy, and another process
//! goes on with what is left, so that the power also goes while the store is opened
//! again.

use std::{fmt, path::Path, process::Stdio, sync::Arc};

use pvelens::store::FILE;

use super::{
    KeptError, Manner,
    disk::{Cut, Disk, Image, Left, Nature, Syncs},
    kill::Writer,
    look,
    mount::Mounted,
};
use crate::numbers::Numbers;

/// Operations that a disk does at most before its power goes, as powers of two: from the
/// first steps of opening the store to some eighty of its writes, with values rolled up.
const OPERATIONS: std::ops::Range<u64> = 3..12;
/// One of so many goes while the file itself is written, before one of so many
/// operations on it.
const WITHIN_FILE: u64 = 8;
const FILE_OPERATIONS: u64 = 400;
/// One of so many begins with an empty disk.
const ANEW: u64 = 12;

/// How the disk or the process is wrong, to see that it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wrong {
    /// A sync does nothing.
    Sync,
    /// A sync of the log does nothing.
    LogSync,
    /// A sync of the file itself does nothing.
    FileSync,
    /// Names are not synced.
    NameSync,
    /// The process says that it keeps what it has not written yet.
    Early,
}

/// What to try.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub losses: u32,
    pub seed: u64,
    pub wrong: Option<Wrong>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub losses: u32,
    /// Of these, those after at least one write was said to be kept.
    pub after_writes: u32,
    /// Of these, by what was left of what was not synced.
    pub nothing_left: u32,
    pub all_left: u32,
    /// Of these, those while the log was brought into the file.
    pub within_file: u32,
    /// Updates that were kept, of all disks.
    pub kept: u64,
    /// Kept, though nobody had said so.
    pub untold: u64,
    /// Writes, syncs and changes of names, of all disks.
    pub operations: u64,
}

/// Takes the power away so many times, and looks after each.
///
/// # Errors
/// When something that was said to be kept is not, or nothing can be mounted.
pub fn run(directory: &Path, options: Options) -> Result<Outcome, KeptError> {
    let mut numbers = Numbers::new(options.seed);
    let mut outcome = Outcome::default();
    let (mut image, mut kept_before) = (Image::new(), 0);
    for loss in 0..options.losses {
        let in_this = |error| KeptError::Broken(format!("loss {loss}: {error}"));
        // Names are made at the start alone.
        let only_anew = options.wrong == Some(Wrong::NameSync);
        if only_anew || numbers.below(ANEW) == 0 {
            (image, kept_before) = (Image::new(), 0);
        }
        let nature = Nature {
            cut: Some(cut(&mut numbers)),
            syncs: syncs(options.wrong),
            ..Nature::default()
        };
        let disk = Arc::new(Disk::of(image, nature));
        let told = live_on(&disk, directory, options.wrong).map_err(in_this)?;
        let left = match numbers.below(4) {
            0 => Left::Nothing,
            1 => Left::Everything,
            _ => Left::Some,
        };
        outcome.within_file += u32::from(disk.holds_back(FILE));
        image = disk.lose(left, &mut numbers);
        let expected = told.unwrap_or(kept_before);
        let kept = look_at(&image, directory, expected).map_err(in_this)?;
        outcome.losses += 1;
        outcome.after_writes += u32::from(told.is_some());
        outcome.nothing_left += u32::from(left == Left::Nothing);
        outcome.all_left += u32::from(left == Left::Everything);
        outcome.operations += disk.operations();
        outcome.untold += kept - expected;
        outcome.kept += kept - kept_before;
        kept_before = kept;
    }
    Ok(outcome)
}

/// Many soon after the start, some late; some while the log is brought into the file,
/// which is seldom.
fn cut(numbers: &mut Numbers) -> Cut {
    if numbers.below(WITHIN_FILE) == 0 {
        return Cut {
            of: FILE,
            before: 2 + numbers.below(FILE_OPERATIONS),
        };
    }
    let bits = OPERATIONS.start + numbers.below(OPERATIONS.end - OPERATIONS.start);
    Cut {
        of: "",
        before: 1 + numbers.below(1 << bits),
    }
}

fn syncs(wrong: Option<Wrong>) -> Syncs {
    match wrong {
        None | Some(Wrong::Early) => Syncs::All,
        Some(Wrong::Sync) => Syncs::None,
        Some(Wrong::LogSync) => Syncs::AllBut("-wal"),
        Some(Wrong::FileSync) => Syncs::AllBut(".db"),
        Some(Wrong::NameSync) => Syncs::AllButNames,
    }
}

/// Lets a process write until the power goes; what it told last.
fn live_on(
    disk: &Arc<Disk>,
    directory: &Path,
    wrong: Option<Wrong>,
) -> Result<Option<u64>, KeptError> {
    let mounted = Mounted::over(directory, disk)?;
    let manner = match wrong {
        Some(Wrong::Early) => Manner::Early,
        _ => Manner::Honest,
    };
    // That its disk fails is no news.
    let writer = Writer::start(directory, manner, Stdio::null())?;
    let told = writer.until_its_end()?;
    drop(mounted);
    if disk.is_cut() {
        return Ok(told);
    }
    Err(KeptError::Broken(
        "the process ended before the power went".to_owned(),
    ))
}

/// Looks at a copy, with the power on; up to where updates are kept.
fn look_at(image: &Image, directory: &Path, told: u64) -> Result<u64, KeptError> {
    let disk = Arc::new(Disk::of(image.clone(), Nature::default()));
    let mounted = Mounted::over(directory, &disk)?;
    let kept = look(directory, told);
    drop(mounted);
    kept
}

/// Mounts a disk, to see whether that is allowed.
///
/// # Errors
/// Where it is not.
pub fn possible() -> Result<(), KeptError> {
    let directory = tempfile::TempDir::new()?;
    let disk = Arc::new(Disk::of(Image::new(), Nature::default()));
    Ok(Mounted::over(directory.path(), &disk).map(drop)?)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} losses of power, {} of them after a write, {} while the log was brought into the \
             file; of what was not synced nothing was left in {}, all of it in {}, and some in the \
             others. All that was said to be kept is there, each value once; {} updates in all, \
             {} of them kept without having been said; {} operations of the disk",
            self.losses,
            self.after_writes,
            self.within_file,
            self.nothing_left,
            self.all_left,
            self.kept,
            self.untold,
            self.operations
        )
    }
}
