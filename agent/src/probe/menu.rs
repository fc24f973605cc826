//! The menu: everything that a probe can do, one row each.
//!
//! A row is the whole truth about an entry: `probe list` and `reads` print it,
//! and the command line is made from it. What no row names cannot be run.

use std::time::Duration;

use super::{
    Kind,
    entry::{
        Entry, Parameter,
        Word::{Is, Unless, When},
    },
    guard,
};

mod ceph;
mod cluster;
mod container;
mod disk;
mod system;

/// Every entry of every probe.
pub fn menu() -> impl Iterator<Item = &'static Entry> {
    use clap::ValueEnum;

    let kinds = Kind::value_variants().iter();
    kinds.flat_map(|kind| entries(*kind))
}

/// The entries of one probe.
pub(super) const fn entries(kind: Kind) -> &'static [Entry] {
    match kind {
        Kind::Disk => disk::ENTRIES,
        Kind::Cluster => cluster::ENTRIES,
        Kind::System => system::ENTRIES,
        Kind::Ceph => ceph::ENTRIES,
        Kind::Container => container::ENTRIES,
    }
}

/// What most rows share, those of the disk probe first of all.
const ROW: Entry = Entry {
    probe: Kind::Disk,
    name: "",
    title: "",
    why: "",
    parameters: &[],
    program: None,
    words: &[],
    timeout: seconds(15),
    stdout_limit: 1 << 20,
    needs: "",
    guard: guard::none,
};

const fn text(name: &'static str, accepts: &'static str) -> Parameter {
    Parameter {
        name,
        accepts,
        is_number: false,
    }
}

const fn number(name: &'static str, accepts: &'static str) -> Parameter {
    Parameter {
        name,
        accepts,
        is_number: true,
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
