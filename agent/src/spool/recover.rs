//! Goes on with the files of an agent that ended, however it ended.
//!
//! A record that is torn at the very end was never given to a reader, and goes.
//! Everything else must fit together to the last reference; if it does not, or
//! another version wrote it, a new epoch begins.

use std::{collections::VecDeque, fmt::Display, fs::File, path::Path};

use pvelens_proto::agent::v1::{Cursor, NodeUpdate};
use tracing::{info, warn};

use super::{
    base::Base,
    contents::Contents,
    directory::Directory,
    files::{BASE, Files, NEWEST, read_newest, segment_first, segment_name, write_newest},
    records::{Flaw, Records},
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

/// The ring of a directory. A directory that cannot be used costs only the
/// memory of restarts.
pub(super) fn open(path: &Path, epoch: String, limit: usize) -> Ring {
    let directory = match Directory::open(path) {
        Ok(directory) => directory,
        Err(error) => return without_files(path, &error, epoch, limit),
    };
    match recover(&directory, limit) {
        Ok(None) => {}
        Ok(Some((newest, kept))) => {
            info!(directory = %path.display(), newest = kept.newest, "the spool goes on");
            let files = Files::go_on(directory, newest, kept.epoch.clone());
            return Ring::go_on(files, kept, limit);
        }
        Err(error) => {
            let directory = path.display();
            warn!(%directory, %error, "the spool cannot go on; a new one begins");
        }
    }
    match Files::begin(directory, epoch.clone()) {
        Ok(files) => Ring::on(files, epoch, limit),
        Err(error) => without_files(path, &error, epoch, limit),
    }
}

fn without_files(path: &Path, error: &dyn Display, epoch: String, limit: usize) -> Ring {
    let directory = path.display();
    warn!(%directory, %error, "no files for the spool; a restart of the agent will lose it");
    Ring::in_memory(epoch, limit)
}

/// `None` when there is nothing yet.
fn recover(directory: &Directory, limit: usize) -> Result<Option<(File, Kept)>, Unusable> {
    let Some(newest) = directory.file(NEWEST).map_err(unusable(NEWEST))? else {
        return Ok(None);
    };
    let (counted, epoch) = read_newest(&newest).map_err(unusable(NEWEST))?;
    let mut reading = Reading {
        place: Cursor { epoch, sequence: 0 },
        contents: Contents::default(),
        limit,
    };
    let base = reading.base(directory).map_err(unusable(BASE))?;
    let segments = reading.segments(directory)?;
    let Reading {
        place: Cursor { epoch, sequence },
        contents,
        ..
    } = reading;
    if sequence == counted.saturating_add(1) {
        // The end came between the record and the count.
        write_newest(&newest, sequence, &epoch).map_err(unusable(NEWEST))?;
    } else if sequence != counted {
        return Err(unusable(NEWEST)(Flaw::Damaged(
            "its number is not that of the newest update",
        )));
    }
    let kept = Kept {
        epoch,
        segments,
        base,
        contents,
        newest: sequence,
    };
    Ok(Some((newest, kept)))
}

/// What was read so far.
struct Reading {
    /// That of the last update.
    place: Cursor,
    contents: Contents,
    limit: usize,
}

impl Reading {
    fn base(&mut self, directory: &Directory) -> Result<Base, Flaw> {
        let Some(file) = directory.file(BASE)? else {
            return Ok(Base::empty());
        };
        let mut collectors = Vec::new();
        let mut end = None;
        let (records, torn_bytes) = Records::scan(file, self.limit, |update: NodeUpdate| {
            let cursor = update.cursor.clone().unwrap_or_default();
            if end.is_some() || cursor.epoch != self.place.epoch {
                return Err(Flaw::Damaged("a record does not belong to it"));
            }
            match update.samples.as_slice() {
                [] => end = Some(cursor),
                [sample] => collectors.push(sample.collector.clone()),
                _ => return Err(Flaw::Damaged("a record has more than one sample")),
            }
            self.learn(&update)
        })?;
        match end {
            Some(end) if torn_bytes == 0 => self.place = end,
            // It gets its name when it is whole.
            _ => return Err(Flaw::Damaged("it is cut off")),
        }
        Ok(Base::new(collectors, records))
    }

    fn segments(&mut self, directory: &Directory) -> Result<VecDeque<Segment>, Unusable> {
        let names = directory.names().map_err(unusable("the directory"))?;
        let firsts: Vec<u64> = names
            .iter()
            .filter_map(|name| segment_first(name))
            .collect();
        let mut segments = VecDeque::new();
        for first in &firsts {
            let name = segment_name(*first);
            if *first <= self.place.sequence && segments.is_empty() {
                // The end came between a new base and what sank into it.
                directory.remove(&name).map_err(unusable(&name))?;
                continue;
            }
            let is_last = Some(first) == firsts.last();
            let segment = self
                .segment(directory, *first, is_last)
                .map_err(unusable(&name))?;
            segments.extend(segment);
        }
        Ok(segments)
    }

    /// `None` when the end came before its first record was whole.
    fn segment(
        &mut self,
        directory: &Directory,
        first: u64,
        is_last: bool,
    ) -> Result<Option<Segment>, Flaw> {
        let name = segment_name(first);
        if first != self.place.sequence.saturating_add(1) {
            return Err(Flaw::Damaged("what comes before it is missing"));
        }
        let Some(file) = directory.file(&name)? else {
            return Err(Flaw::Damaged("it went while it was looked for"));
        };
        let (records, torn_bytes) = Records::scan(file, self.limit, |update: NodeUpdate| {
            if update.cursor.as_ref().map(|cursor| cursor.epoch.as_str())
                != Some(self.place.epoch.as_str())
                || sequence_of(&update) != self.place.sequence.saturating_add(1)
            {
                return Err(Flaw::Damaged("an update is out of order"));
            }
            self.place.sequence = sequence_of(&update);
            self.learn(&update)
        })?;
        if !is_last && (torn_bytes > 0 || records.len() == 0) {
            return Err(Flaw::Damaged("it is cut off"));
        }
        if records.len() == 0 {
            directory.remove(&name)?;
            return Ok(None);
        }
        records.mend()?;
        Ok(Some(Segment { first, records }))
    }

    fn learn(&mut self, update: &NodeUpdate) -> Result<(), Flaw> {
        if self.contents.learn(update) {
            Ok(())
        } else {
            Err(Flaw::Damaged("an update refers to what is not there"))
        }
    }
}

fn unusable<E: Into<Flaw>>(name: &str) -> impl FnOnce(E) -> Unusable + use<E> {
    let name = name.to_owned();
    |error| Unusable {
        name,
        flaw: error.into(),
    }
}
