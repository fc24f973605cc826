//! Goes on with the files of an agent that ended, however it ended.
//!
//! A record that is torn at the very end was never given to a reader, and goes.
//! Everything else must fit together to the last reference; if it does not, or
//! another version wrote it, a new epoch begins. `/run` is emptied at boot, so
//! no files are of an earlier one.

use std::{collections::VecDeque, error::Error, fs::File, io, path::Path};

use pvelens_proto::agent::v1::NodeUpdate;
use tracing::{info, warn};

use super::{
    base::Base,
    contents::Contents,
    directory::{Directory, OpenError, RefusedDirectory},
    disk::{BASE, Disk, NEWEST, is_segment, read_newest, segment_name},
    records::{Flaw, Header, Kind, Records},
    ring::{Kept, Ring, Segment},
    sequence_of,
};

/// Why the files cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {flaw}")]
struct Unusable {
    name: String,
    flaw: Flaw,
}

/// The ring of a directory. A directory that cannot be used at all costs only
/// the memory of restarts.
///
/// # Errors
/// When somebody else could have written there.
pub(super) fn open(path: &Path, limit: usize, epoch: String) -> Result<Ring, RefusedDirectory> {
    let directory = match Directory::open(path) {
        Ok(directory) => directory,
        Err(OpenError::Refused(refused)) => return Err(refused),
        Err(error) => return Ok(without_files(path, &error, limit, epoch)),
    };
    match recover(&directory) {
        Ok(None) => {}
        Ok(Some((epoch, newest, kept))) => {
            info!(
                directory = %path.display(),
                epoch,
                newest = kept.newest,
                segments = kept.segments.len(),
                "the spool goes on"
            );
            let disk = Disk::go_on(directory, epoch.clone(), newest);
            return Ok(Ring::go_on(disk, epoch, limit, kept));
        }
        Err(error) => {
            let directory = path.display();
            warn!(%directory, %error, "the spool cannot go on; a new one begins");
        }
    }
    Ok(match Disk::begin(directory, epoch.clone()) {
        Ok(disk) => Ring::on(disk, epoch, limit),
        Err(error) => without_files(path, &error, limit, epoch),
    })
}

fn without_files(
    path: &Path,
    error: &dyn Error,
    limit: usize,
    epoch: String,
) -> Ring {
    let directory = path.display();
    warn!(%directory, error, "no files for the spool; samples are kept in memory only");
    Ring::in_memory(epoch, limit)
}

type Found = (String, File, Kept);

/// `None` when there is nothing yet.
fn recover(directory: &Directory) -> Result<Option<Found>, Unusable> {
    let names = directory
        .names()
        .map_err(|error| unusable("the directory")(error.into()))?;
    let mut segments: VecDeque<_> = names.iter().filter(|name| is_segment(name)).collect();
    let here = |name: &str| names.iter().any(|other| other == name);
    if !here(BASE) && !here(NEWEST) && segments.is_empty() {
        return Ok(None);
    }
    let mut contents = Contents::default();
    let (header, base) = base(directory, &mut contents).map_err(unusable(BASE))?;
    let (counter, counted) = newest(directory, &header.epoch).map_err(unusable(NEWEST))?;

    // Before the base took the place of the one before, it had all of these.
    let first = segment_name(header.first);
    while let Some(name) = segments.pop_front_if(|name| **name < first) {
        directory
            .remove(name)
            .map_err(|error| unusable(name)(error.into()))?;
    }
    let mut reading = Reading {
        epoch: &header.epoch,
        next: header.first,
        contents,
    };
    let mut kept = VecDeque::new();
    let newest_name = segments.back().copied();
    for name in segments {
        let is_last = Some(name) == newest_name;
        let segment = reading
            .segment(directory, name, is_last)
            .map_err(unusable(name))?;
        kept.extend(segment);
    }
    let Reading { next, mut contents, .. } = reading;
    let found = next.saturating_sub(1);
    let severed = counted > found;
    if severed {
        let lost = counted.saturating_sub(found);
        warn!(lost, "the newest updates were not in the spool's files");
        contents.forget();
    }
    let kept = Kept {
        segments: kept,
        base,
        contents,
        newest: counted.max(found),
        severed,
    };
    Ok(Some((header.epoch, counter, kept)))
}

fn base(directory: &Directory, contents: &mut Contents) -> Result<(Header, Base), Flaw> {
    let mut collectors = Vec::new();
    let scanned = Records::scan(open_file(directory, BASE)?, |_, update| {
        let [sample] = update.samples.as_slice() else {
            return Err(Flaw::Damaged("a record has not one sample"));
        };
        collectors.push(sample.collector.clone());
        learn(contents, &update)
    })?;
    match scanned.whole {
        Some((header, records))
            if header.kind == Kind::Base && header.first > 0 && scanned.torn_bytes == 0 =>
        {
            Ok((header, Base::new(collectors, records)))
        }
        // It gets its name when it is whole.
        _ => Err(Flaw::Damaged("it is no whole base")),
    }
}

fn newest(directory: &Directory, epoch: &str) -> Result<(File, u64), Flaw> {
    let file = open_file(directory, NEWEST)?;
    let newest = read_newest(&file, epoch)?;
    Ok((file, newest))
}

/// What was read so far.
struct Reading<'a> {
    epoch: &'a str,
    /// Number of the next update, unless some are missing.
    next: u64,
    contents: Contents,
}

impl Reading<'_> {
    /// `None` when a kill left nothing of it.
    fn segment(
        &mut self,
        directory: &Directory,
        name: &str,
        is_last: bool,
    ) -> Result<Option<Segment>, Flaw> {
        let mut begun = false;
        let scanned = Records::scan(open_file(directory, name)?, |header, update| {
            if !std::mem::replace(&mut begun, true) {
                self.begin(header, name)?;
            }
            self.update(&update)
        })?;
        if scanned.torn_bytes > 0 {
            if !is_last {
                return Err(Flaw::Damaged("it ends within a record"));
            }
            let torn_bytes = scanned.torn_bytes;
            warn!(name, torn_bytes, "the last record of the spool was torn and goes");
        }
        match scanned.whole {
            Some((header, records)) if records.len() > 0 => {
                records.mend()?;
                Ok(Some(Segment {
                    kind: header.kind,
                    first: header.first,
                    records,
                }))
            }
            _ if is_last => {
                directory.remove(name)?;
                Ok(None)
            }
            _ => Err(Flaw::Damaged("it has no record")),
        }
    }

    fn begin(&mut self, header: &Header, name: &str) -> Result<(), Flaw> {
        let fits = match header.kind {
            Kind::Base => false,
            Kind::Segment => header.first == self.next,
            Kind::FreshSegment => header.first >= self.next,
        };
        if !fits || header.epoch != self.epoch || segment_name(header.first) != name {
            return Err(Flaw::Damaged("it does not follow what is before it"));
        }
        if header.kind == Kind::FreshSegment {
            self.contents.forget();
        }
        self.next = header.first;
        Ok(())
    }

    fn update(&mut self, update: &NodeUpdate) -> Result<(), Flaw> {
        let of_epoch = update
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.epoch == self.epoch);
        if !of_epoch || sequence_of(update) != self.next {
            return Err(Flaw::Damaged("an update is out of order"));
        }
        self.next = self.next.saturating_add(1);
        learn(&mut self.contents, update)
    }
}

fn learn(
    contents: &mut Contents,
    update: &NodeUpdate,
) -> Result<(), Flaw> {
    if contents.learn(update) {
        Ok(())
    } else {
        Err(Flaw::Damaged("an update refers to what is not there"))
    }
}

fn open_file(directory: &Directory, name: &str) -> Result<File, Flaw> {
    directory.file(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => Flaw::Read(error),
    })
}

fn unusable(name: &str) -> impl FnOnce(Flaw) -> Unusable + use<> {
    let name = name.to_owned();
    |flaw| Unusable { name, flaw }
}
