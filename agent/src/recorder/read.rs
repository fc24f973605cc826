//! What the recorder left, read back: for whoever asks after a node was reset.
//!
//! A file that is torn or damaged gives what stands before that, and is named.

use std::{io, path::Path};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::Sample;

use super::{
    files::{name, numbers},
    picture::{Account, Picture},
    record::{Mark, Record, time},
    sign::Sign,
};
use crate::spool::{
    directory::Directory,
    records::{Flaw, Records},
};

/// Bytes of a file; the ring has at most 64 MiB, and a file an eighth of that.
const FILE_LIMIT: usize = 64 << 20;
/// The fast collectors, the status files and all others give an update each: what
/// comes within this time is one moment.
const MOMENT: SignedDuration = SignedDuration::from_secs(5);
/// Moments of one emergency; more than fit into the ring.
const MOMENTS: usize = 100_000;
/// Emergencies and flaws that are kept in memory.
const ENTRIES: usize = 1000;

/// Everything that is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Oldest first.
    pub emergencies: Vec<Emergency>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    pub files: usize,
    pub bytes: u64,
}

/// A file that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub what: String,
}

/// One emergency, as far as it is in the ring.
#[derive(Debug, Clone, PartialEq)]
pub struct Emergency {
    pub began: Timestamp,
    /// All signs that there were, in words for people and for programs.
    pub signs: Vec<Sign>,
    /// `None` when the node was reset, or the agent ended, before it was over.
    pub ended: Option<Timestamp>,
    /// When something was last written.
    pub last: Timestamp,
    pub updates: u64,
    /// Samples that found no room.
    pub left_out_samples: u64,
    /// In order of time; the first ones may be from before it began.
    pub moments: Vec<Picture>,
}

/// Reads what is in a directory; one that is not there has nothing. Each sample is
/// shown to `visit` with the beginning of its emergency.
///
/// # Errors
/// When there is a directory, and it cannot be looked into.
pub fn read(directory: &Path, mut visit: impl FnMut(Timestamp, &Sample)) -> io::Result<Recorded> {
    let mut recorded = Recorded::default();
    let Some(directory) = Directory::look(directory)? else {
        return Ok(recorded);
    };
    for number in numbers(&directory)? {
        let name = name(number);
        recorded.files = recorded.files.saturating_add(1);
        if let Err(what) = recorded.take_file(&directory, &name, &mut visit)
            && recorded.problems.len() < ENTRIES
        {
            recorded.problems.push(Problem { file: name, what });
        }
    }
    Ok(recorded)
}

impl Recorded {
    fn take_file(
        &mut self,
        directory: &Directory,
        name: &str,
        visit: &mut impl FnMut(Timestamp, &Sample),
    ) -> Result<(), String> {
        let file = match directory.file_to_read(name) {
            Ok(file) => file,
            // The recorder at work made room for the next one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let bytes = file.metadata().map_err(|error| error.to_string())?.len();
        self.bytes = self.bytes.saturating_add(bytes);
        let mut account = Account::default();
        let mut records = 0_u64;
        let scanned = Records::scan(file, FILE_LIMIT, |record: Record| {
            records = records.saturating_add(1);
            self.take(record, &mut account, visit)
        });
        let before = match records {
            0 => "nothing of it can be read".to_owned(),
            1 => "1 record before that is shown".to_owned(),
            number => format!("{number} records before that are shown"),
        };
        match scanned {
            Ok((_, 0)) => Ok(()),
            // As a reset leaves it.
            Ok((_, torn)) => Err(format!(
                "its last {torn} bytes are no whole record; {before}"
            )),
            Err(flaw) => Err(format!("{flaw}; {before}")),
        }
    }

    fn take(
        &mut self,
        record: Record,
        account: &mut Account,
        visit: &mut impl FnMut(Timestamp, &Sample),
    ) -> Result<(), Flaw> {
        let began = Timestamp::from_millisecond(record.emergency).ok();
        let (Some(began), Some(at)) = (began, record.at.as_ref().and_then(time)) else {
            return Err(Flaw::Damaged("a record has no time"));
        };
        let mark = record.mark();
        // Those of one emergency are next to each other.
        if self
            .emergencies
            .last()
            .is_none_or(|last| last.began != began)
        {
            if self.emergencies.len() >= ENTRIES {
                return Err(Flaw::Damaged("more emergencies than can be"));
            }
            self.emergencies.push(Emergency::new(began));
        }
        let Some(emergency) = self.emergencies.last_mut() else {
            return Ok(());
        };
        emergency.last = at;
        emergency.ended = (mark == Mark::Ended).then_some(at);
        emergency.left_out_samples = emergency
            .left_out_samples
            .saturating_add(record.left_out_samples);
        let signs = record.signs.iter().filter_map(|name| Sign::named(name));
        emergency.signs.extend(signs);
        emergency.signs.sort_unstable();
        emergency.signs.dedup();
        if let Some(update) = &record.update {
            emergency.updates = emergency.updates.saturating_add(1);
            account.take(update, at);
            emergency.add(&account.picture);
            for sample in &update.samples {
                visit(began, sample);
            }
        }
        Ok(())
    }
}

impl Emergency {
    fn new(began: Timestamp) -> Self {
        Self {
            began,
            signs: Vec::new(),
            ended: None,
            last: began,
            updates: 0,
            left_out_samples: 0,
            moments: Vec::new(),
        }
    }

    fn add(&mut self, picture: &Picture) {
        let is_full = self.moments.len() >= MOMENTS;
        match self.moments.last_mut() {
            // The time of a moment is that of its first update.
            Some(last) if picture.at.duration_since(last.at) < MOMENT => {
                let at = last.at;
                last.clone_from(picture);
                last.at = at;
            }
            _ if is_full => {}
            _ => self.moments.push(picture.clone()),
        }
    }
}
