//! The store in one SQLite file.
//!
//! Write-ahead log with `synchronous = FULL`: a commit returns when the log is
//! synced. One connection writes; each reader has its own and waits for nobody.
//! A lock beside the file keeps a second coordinator out, since two would give
//! the same numbers to different things.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, backup::Backup};
use rustix::fs::{FlockOperation, flock};

use super::{
    engine::{Engine, Reader, Size, StoreError},
    row::{
        BlockQuery, BlockRow, Change, ObjectRow, RecordQuery, RecordRow, SeriesRow, StateKind,
        StateRow,
    },
};

mod read;
mod schema;
mod write;

/// Another connection of this process has the file for a moment.
const BUSY: Duration = Duration::from_secs(10);
/// Bytes of the log that stay when it begins anew.
const LOG_BYTES: i64 = 8 << 20;
/// Pages that are given back at a time.
const SHRINK_PAGES: u32 = 2048;
/// Problems that a check names before it stops.
const PROBLEMS: u32 = 20;
/// Pages of one step of a backup; writers wait no longer than that.
const BACKUP_PAGES: i32 = 512;

/// The store in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

/// One more connection, for reading.
#[derive(Debug)]
struct SqliteReader {
    connection: Connection,
}

impl Sqlite {
    /// Opens the file, or makes it; an older schema is brought up to date.
    ///
    /// # Errors
    /// When another process has it, when it is damaged, of a newer version, or
    /// cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        // Only its owner may read it, from its first byte on.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| not_opened(&error))?;
        drop(file);
        let mut connection = connect(path)?;
        own(&connection)?;
        schema::bring_up(&mut connection)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

/// Opens a file that another process may have open, to read it.
///
/// # Errors
/// When it is not there, damaged, or of another version.
pub fn open_reader(path: &Path) -> Result<Box<dyn Reader>, StoreError> {
    let connection = connect(path)?;
    schema::verify(&connection)?;
    Ok(Box::new(SqliteReader { connection }))
}

/// What is wrong with a file that another process may have open; empty = nothing.
///
/// # Errors
/// When it cannot be read at all.
pub fn check_file(path: &Path) -> Result<Vec<String>, StoreError> {
    let connection = connect(path)?;
    schema::verify(&connection)?;
    check(&connection)
}

/// Copies a file that another process may have open; the copy is of one moment.
///
/// # Errors
/// When it cannot be read, or the copy not written.
pub fn backup_file(path: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = connect(path)?;
    schema::verify(&connection)?;
    backup(&connection, to)
}

/// The file of the lock of a store.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))
        .map_err(|error| not_opened(&error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Busy),
        Err(error) => Err(StoreError::Other(format!("locking it: {error}"))),
    }
}

fn not_opened(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly(error.to_string())
        }
        _ => StoreError::Other(error.to_string()),
    }
}

/// A connection that changes nothing by itself. It may write, since a reader beside
/// a writer takes part in the write-ahead log.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    set(&connection, "temp_store", &"MEMORY")?;
    // A file that somebody else wrote shall not do anything but hold rows.
    set(&connection, "trusted_schema", &false)?;
    set(&connection, "cell_size_check", &true)?;
    Ok(connection)
}

/// Makes the file that of a coordinator which writes it.
fn own(connection: &Connection) -> Result<(), StoreError> {
    // Before the first table: it makes it possible to give room back.
    set(connection, "auto_vacuum", &"INCREMENTAL")?;
    set(connection, "journal_mode", &"WAL")?;
    set(connection, "synchronous", &"FULL")?;
    set(connection, "journal_size_limit", &LOG_BYTES)
}

fn set(connection: &Connection, name: &str, value: &dyn rusqlite::ToSql) -> Result<(), StoreError> {
    // Some answer with what is set now.
    let answered = |_: &rusqlite::Row<'_>| Ok(());
    match connection.pragma_update_and_check(None, name, value, answered) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn check(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection
        .prepare(&format!("PRAGMA integrity_check({PROBLEMS})"))
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| row.get::<_, String>(0))
        .map_err(failed)?;
    let mut problems = Vec::new();
    for row in rows {
        match row.map_err(failed) {
            Ok(row) if row == "ok" => {}
            Ok(row) => problems.extend(row.lines().map(str::to_owned)),
            // It may be too damaged to say more.
            Err(StoreError::Damaged(problem)) => {
                problems.push(problem);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

fn backup(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| StoreError::Other(format!("{}: {error}", to.display())))?;
    let copied = copy(connection, to).and_then(|()| {
        file.sync_all()
            .map_err(|error| StoreError::Other(format!("{}: {error}", to.display())))
    });
    if copied.is_err() {
        // Half a copy helps nobody.
        fs::remove_file(to).unwrap_or_default();
    }
    copied
}

fn copy(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(failed)?;
    let copying = Backup::new(connection, &mut target).map_err(failed)?;
    copying
        .run_to_completion(BACKUP_PAGES, Duration::ZERO, None)
        .map_err(failed)?;
    drop(copying);
    // One file, without a log beside it.
    set(&target, "journal_mode", &"DELETE")?;
    let problems = check(&target)?;
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(StoreError::Damaged(problem)),
    }
}

/// What an error of SQLite means for whoever runs the coordinator.
fn failed(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly(text)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        _ => StoreError::Other(text),
    }
}

impl Reader for Sqlite {
    fn objects(&mut self) -> Result<Vec<ObjectRow>, StoreError> {
        read::objects(&self.connection)
    }

    fn objects_named(&mut self, name: &str) -> Result<Vec<ObjectRow>, StoreError> {
        read::objects_named(&self.connection, name)
    }

    fn series(&mut self, object: Option<u32>) -> Result<Vec<SeriesRow>, StoreError> {
        read::series(&self.connection, object)
    }

    fn blocks(&mut self, query: &BlockQuery) -> Result<Vec<BlockRow>, StoreError> {
        read::blocks(&self.connection, query)
    }

    fn block(&mut self, id: i64, offset: usize, length: usize) -> Result<Vec<u8>, StoreError> {
        read::block(&self.connection, id, offset, length)
    }

    fn states(&mut self, kind: StateKind) -> Result<Vec<StateRow>, StoreError> {
        read::states(&self.connection, kind)
    }

    fn state(&mut self, kind: StateKind, key: &str) -> Result<Option<StateRow>, StoreError> {
        read::state(&self.connection, kind, key)
    }

    fn state_keys(&mut self, kind: StateKind) -> Result<Vec<String>, StoreError> {
        read::state_keys(&self.connection, kind)
    }

    fn records(&mut self, query: &RecordQuery) -> Result<Vec<RecordRow>, StoreError> {
        read::records(&self.connection, query)
    }
}

impl Reader for SqliteReader {
    fn objects(&mut self) -> Result<Vec<ObjectRow>, StoreError> {
        read::objects(&self.connection)
    }

    fn objects_named(&mut self, name: &str) -> Result<Vec<ObjectRow>, StoreError> {
        read::objects_named(&self.connection, name)
    }

    fn series(&mut self, object: Option<u32>) -> Result<Vec<SeriesRow>, StoreError> {
        read::series(&self.connection, object)
    }

    fn blocks(&mut self, query: &BlockQuery) -> Result<Vec<BlockRow>, StoreError> {
        read::blocks(&self.connection, query)
    }

    fn block(&mut self, id: i64, offset: usize, length: usize) -> Result<Vec<u8>, StoreError> {
        read::block(&self.connection, id, offset, length)
    }

    fn states(&mut self, kind: StateKind) -> Result<Vec<StateRow>, StoreError> {
        read::states(&self.connection, kind)
    }

    fn state(&mut self, kind: StateKind, key: &str) -> Result<Option<StateRow>, StoreError> {
        read::state(&self.connection, kind, key)
    }

    fn state_keys(&mut self, kind: StateKind) -> Result<Vec<String>, StoreError> {
        read::state_keys(&self.connection, kind)
    }

    fn records(&mut self, query: &RecordQuery) -> Result<Vec<RecordRow>, StoreError> {
        read::records(&self.connection, query)
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        write::commit(&mut self.connection, changes)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        open_reader(&self.path)
    }

    fn size(&mut self) -> Result<Size, StoreError> {
        let pragma = |name: &str| -> Result<u64, StoreError> {
            let value: i64 = self
                .connection
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(failed)?;
            Ok(u64::try_from(value).unwrap_or(0))
        };
        let page = pragma("page_size")?;
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let log_bytes = fs::metadata(PathBuf::from(log)).map_or(0, |log| log.len());
        Ok(Size {
            total_bytes: pragma("page_count")?.saturating_mul(page),
            free_bytes: pragma("freelist_count")?.saturating_mul(page),
            log_bytes,
        })
    }

    fn shrink(&mut self) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while rows.next().map_err(failed)?.is_some() {}
        Ok(())
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        check(&self.connection)
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        backup(&self.connection, to)
    }
}
