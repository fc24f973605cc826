//! What an engine of the store must do.
//!
//! An engine holds rows and knows nothing of what they mean. Whatever is written
//! goes through [`Engine::commit`]: one transaction, and when it returns the
//! changes are on the disk. `conformance` says what every engine does alike.

use std::path::Path;

use super::row::{
    BlockQuery, BlockRow, Change, ObjectRow, RecordQuery, RecordRow, SeriesRow, StateKind, StateRow,
};

/// Why the store did not do as it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("there is no room left on the disk of the store")]
    Full,
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error(
        "the store was written by a newer version of pvelens (schema {found}, known is {known})"
    )]
    Newer { found: i64, known: i64 },
    #[error("another process has the store open")]
    Busy,
    #[error("the store: {0}")]
    Other(String),
}

/// Reads what was committed. Each call sees one moment.
pub trait Reader: Send + std::fmt::Debug {
    /// Sorted by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn objects(&mut self) -> Result<Vec<ObjectRow>, StoreError>;

    /// Those of this name, whatever their cluster and kind; sorted by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn objects_named(&mut self, name: &str) -> Result<Vec<ObjectRow>, StoreError>;

    /// Of one object, or of all; sorted by id.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn series(&mut self, object: Option<u32>) -> Result<Vec<SeriesRow>, StoreError>;

    /// By place, then in the order of adding.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn blocks(&mut self, query: &BlockQuery) -> Result<Vec<BlockRow>, StoreError>;

    /// Bytes of a block from `offset` on, at most `length`; fewer at its end,
    /// none of a block that is no longer there.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn block(&mut self, id: i64, offset: usize, length: usize) -> Result<Vec<u8>, StoreError>;

    /// All of a kind, sorted by key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn states(&mut self, kind: StateKind) -> Result<Vec<StateRow>, StoreError>;

    /// One of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn state(&mut self, kind: StateKind, key: &str) -> Result<Option<StateRow>, StoreError>;

    /// Keys of all of a kind, sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn state_keys(&mut self, kind: StateKind) -> Result<Vec<String>, StoreError>;

    /// Newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn records(&mut self, query: &RecordQuery) -> Result<Vec<RecordRow>, StoreError>;
}

/// Keeps what is committed.
pub trait Engine: Reader {
    /// Makes all changes or none. When this returns, they outlive a loss of power.
    ///
    /// # Errors
    /// When they could not be made.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// One more reader, which may be used beside this.
    ///
    /// # Errors
    /// When the store cannot be opened once more.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// What it takes on the disk.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn size(&mut self) -> Result<Size, StoreError>;

    /// Gives free room back to the file system, as much as is worth it.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn shrink(&mut self) -> Result<(), StoreError>;

    /// What is wrong with it; empty = nothing. Reads everything.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn check(&mut self) -> Result<Vec<String>, StoreError>;

    /// A copy of one moment, in a file that must not exist yet.
    ///
    /// # Errors
    /// When it could not be written whole.
    fn backup(&mut self, to: &Path) -> Result<(), StoreError>;
}

/// What a store takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows, and room of earlier ones.
    pub total_bytes: u64,
    /// Of these, free for use.
    pub free_bytes: u64,
    /// Beside them: what is written ahead.
    pub log_bytes: u64,
}

impl Size {
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.free_bytes)
    }
}
