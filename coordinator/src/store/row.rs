//! What a store keeps, in the terms of every engine.
//!
//! There are few kinds of rows, so that an engine is small: objects and their
//! series, blocks of values, states that are replaced, records that are only
//! added, and contents that are named by their digest. What a state or a record
//! means is the business of who writes it.

use jiff::Timestamp;

use super::tier::Tier;
use crate::view::Name;

/// Names an object in the store; never given twice.
pub type ObjectId = u32;
/// Names a series in the store; never given twice.
pub type SeriesId = u32;

/// What has series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    pub cluster: Name,
    pub kind: ObjectKind,
    /// Name of the node, VMID of the guest, `storage@node`.
    pub name: Name,
    /// Of guests that had one VMID one after the other, from one; else zero.
    pub generation: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    Node = 1,
    Qemu = 2,
    Lxc = 3,
    Storage = 4,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRow {
    pub id: ObjectId,
    pub object: Object,
    /// The day of its newest value, roughly.
    pub used_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRow {
    pub id: SeriesId,
    pub object: ObjectId,
    /// [`crate::metric::MetricInfo::number`].
    pub metric: u16,
    /// Disk, interface, mount point; empty = the object itself.
    pub part: Name,
}

/// Where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An agent measured them.
    Agent = 0,
    /// The node's own history, which had averages.
    Rrd = 1,
}

/// Many values of many series over one span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    pub place: Place,
    pub source: Source,
    /// Values in it.
    pub values: u32,
    /// False of raw values that are not rolled up yet.
    pub is_rolled_up: bool,
    pub bytes: Vec<u8>,
}

/// Which values a block may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub tier: Tier,
    /// Begin of the span, in seconds since 1970; a multiple of the tier's span.
    pub begin: i64,
    /// Of the series: their number divided by [`super::tier::PARTITION`].
    pub partition: u32,
}

/// A block that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Names it within the engine.
    pub id: i64,
    pub place: Place,
    pub source: Source,
    pub values: u32,
    pub is_rolled_up: bool,
    pub bytes: u64,
}

/// Which blocks to list. They come by place, then in the order they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockQuery {
    pub tier: Option<Tier>,
    /// Spans that begin there or later.
    pub from: Option<i64>,
    /// Spans that begin before.
    pub until: Option<i64>,
    pub partition: Option<u32>,
    /// Only raw blocks that are not rolled up.
    pub only_fresh: bool,
}

/// What a record is about. The number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A finding opened, changed or ended.
    Finding = 1,
    /// Something happened on a node or to a guest.
    Event = 2,
    /// A configuration became another one.
    Revision = 3,
    /// An operator made or withdrew a statement, or it ended.
    Intent = 4,
    /// Somebody did something with the coordinator.
    Audit = 5,
    /// What an analysis said.
    Analysis = 6,
}

/// Something that happened: added, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub kind: RecordKind,
    pub at: Timestamp,
    /// Empty = of no cluster.
    pub cluster: Name,
    /// `node/pve1`, `guest/104`; empty = none.
    pub subject: Name,
    /// A second record of the kind with this key is not added; empty = always add.
    pub key: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Grows in the order of adding.
    pub id: i64,
    pub record: NewRecord,
}

/// Which records to list: newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordQuery {
    pub kind: RecordKind,
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    pub cluster: Option<Name>,
    pub subject: Option<Name>,
    /// Older than this one, in the order of the answer.
    pub before: Option<(Timestamp, i64)>,
    pub limit: u32,
}

/// What a state is of. The number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    /// Place in the stream of an agent, by cluster and node.
    Stream = 1,
    /// A finding that is pending or open, by fingerprint.
    Finding = 2,
    /// What a configuration is or was, by digest.
    Content = 3,
    /// Which content a configuration has now, by cluster and subject.
    Head = 4,
    /// The history that a node had kept itself is imported, by cluster and node.
    Imported = 5,
    /// A statement of an operator, by its id.
    Statement = 6,
    /// A damaged file was replaced by this one; under one key.
    Replaced = 7,
    /// What was so when a view was looked at last, by cluster and subject.
    Last = 8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    pub kind: StateKind,
    pub key: String,
    pub body: Vec<u8>,
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    PutObject(ObjectRow),
    PutSeries(SeriesRow),
    AddBlock(NewBlock),
    DropBlock(i64),
    /// A raw block is rolled up now.
    RolledUp(i64),
    PutState(StateRow),
    DropState(StateKind, String),
    AddRecord(NewRecord),
    /// Those of the kind that happened before.
    DropRecords(RecordKind, Timestamp),
    /// Objects without values since then, and their series.
    DropObjects(Timestamp),
}

macro_rules! number {
    ($($type:ident),+) => {
        $(impl $type {
            pub(super) fn number(self) -> i64 {
                self as i64
            }
        })+
    };
}

macro_rules! numbered {
    ($type:ident: $($variant:ident),+) => {
        impl $type {
            /// None = written by a newer version.
            pub(super) fn numbered(number: i64) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|known| known.number() == number)
            }
        }
    };
}

number!(ObjectKind, Source, RecordKind, StateKind);
numbered!(ObjectKind: Node, Qemu, Lxc, Storage);
numbered!(Source: Agent, Rrd);
