//! Rows as they are asked for.
//!
//! What a newer version wrote and this one does not know is left out; what
//! cannot be true is damage.

use std::io::{Read, Seek, SeekFrom};

use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB, Row, ToSql, params};

use super::failed;
use crate::store::{
    engine::StoreError,
    row::{
        BlockQuery, BlockRow, NewRecord, Object, ObjectKind, ObjectRow, Place, RecordQuery,
        RecordRow, SeriesRow, Source, StateKind, StateRow,
    },
    tier::Tier,
};

pub(super) fn objects(connection: &Connection) -> Result<Vec<ObjectRow>, StoreError> {
    let sql = "SELECT id, cluster, kind, name, generation, used_at FROM object ORDER BY id";
    list(connection, sql, &[], object_row)
}

pub(super) fn objects_named(
    connection: &Connection,
    name: &str,
) -> Result<Vec<ObjectRow>, StoreError> {
    let sql = "SELECT id, cluster, kind, name, generation, used_at FROM object \
               WHERE name = ?1 ORDER BY id";
    list(connection, sql, params![name], object_row)
}

fn object_row(row: &Row<'_>) -> rusqlite::Result<Option<ObjectRow>> {
    let Some(kind) = ObjectKind::numbered(row.get(2)?) else {
        return Ok(None);
    };
    Ok(Some(ObjectRow {
        id: row.get(0)?,
        object: Object {
            cluster: text(row, 1)?.into(),
            kind,
            name: text(row, 3)?.into(),
            generation: row.get(4)?,
        },
        used_at: Timestamp::from_second(row.get(5)?).unwrap_or_default(),
    }))
}

pub(super) fn series(
    connection: &Connection,
    object: Option<u32>,
) -> Result<Vec<SeriesRow>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Some(SeriesRow {
            id: row.get(0)?,
            object: row.get(1)?,
            metric: row.get(2)?,
            part: text(row, 3)?.into(),
        }))
    };
    match object {
        None => {
            let sql = "SELECT id, object, metric, part FROM series ORDER BY id";
            list(connection, sql, &[], read)
        }
        Some(object) => {
            let sql = "SELECT id, object, metric, part FROM series WHERE object = ?1 ORDER BY id";
            list(connection, sql, params![object], read)
        }
    }
}

pub(super) fn blocks(
    connection: &Connection,
    query: &BlockQuery,
) -> Result<Vec<BlockRow>, StoreError> {
    // A range on the index for each tier: without one SQLite would read it all.
    let tiers = match query.tier {
        Some(tier) => vec![tier],
        None => Tier::ALL.to_vec(),
    };
    let sql = "SELECT id, tier, begin, partition, source, value_count, rolled_up, length(bytes) \
               FROM block WHERE tier = ?1 AND begin >= ?2 AND begin < ?3 \
               AND (?4 IS NULL OR partition = ?4) AND (NOT ?5 OR NOT rolled_up) \
               ORDER BY begin, partition, id";
    let mut blocks = Vec::new();
    for tier in tiers {
        let values = params![
            tier.number(),
            query.from.unwrap_or(i64::MIN),
            query.until.unwrap_or(i64::MAX),
            query.partition,
            query.only_fresh,
        ];
        blocks.append(&mut list(connection, sql, values, block_row)?);
    }
    Ok(blocks)
}

fn block_row(row: &Row<'_>) -> rusqlite::Result<Option<BlockRow>> {
    let (Some(tier), Some(source)) = (Tier::numbered(row.get(1)?), Source::numbered(row.get(4)?))
    else {
        return Ok(None);
    };
    Ok(Some(BlockRow {
        id: row.get(0)?,
        place: Place {
            tier,
            begin: row.get(2)?,
            partition: row.get(3)?,
        },
        source,
        values: row.get(5)?,
        is_rolled_up: row.get(6)?,
        bytes: u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
    }))
}

pub(super) fn block(
    connection: &Connection,
    id: i64,
    offset: usize,
    length: usize,
) -> Result<Vec<u8>, StoreError> {
    let opened = connection.blob_open(MAIN_DB, "block", "bytes", id, true);
    let mut blob = match opened {
        Ok(blob) => blob,
        // Dropped since it was listed: too old, or rolled up into another one.
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let from = offset.min(blob.len());
    let mut bytes = vec![0; length.min(blob.len() - from)];
    let from = u64::try_from(from).unwrap_or(u64::MAX);
    blob.seek(SeekFrom::Start(from))
        .and_then(|_| blob.read_exact(&mut bytes))
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    Ok(bytes)
}

/// The row is not there: SQLite says so in words alone.
fn is_missing(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such rowid")
}

pub(super) fn states(
    connection: &Connection,
    kind: StateKind,
) -> Result<Vec<StateRow>, StoreError> {
    let sql = "SELECT key, body FROM state WHERE kind = ?1 ORDER BY key";
    list(connection, sql, params![kind.number()], |row| {
        Ok(Some(StateRow {
            kind,
            key: text(row, 0)?,
            body: row.get(1)?,
        }))
    })
}

pub(super) fn state(
    connection: &Connection,
    kind: StateKind,
    key: &str,
) -> Result<Option<StateRow>, StoreError> {
    let sql = "SELECT body FROM state WHERE kind = ?1 AND key = ?2";
    let rows = list(connection, sql, params![kind.number(), key], |row| {
        Ok(Some(StateRow {
            kind,
            key: key.to_owned(),
            body: row.get(0)?,
        }))
    })?;
    Ok(rows.into_iter().next())
}

pub(super) fn state_keys(
    connection: &Connection,
    kind: StateKind,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT key FROM state WHERE kind = ?1 ORDER BY key";
    list(connection, sql, params![kind.number()], |row| {
        Ok(Some(text(row, 0)?))
    })
}

pub(super) fn records(
    connection: &Connection,
    query: &RecordQuery,
) -> Result<Vec<RecordRow>, StoreError> {
    let sql = "SELECT id, at, cluster, subject, key, body FROM record \
               WHERE kind = ?1 AND at >= ?2 AND at < ?3 \
               AND (?4 IS NULL OR cluster = ?4) AND (?5 IS NULL OR subject = ?5) \
               AND (?6 IS NULL OR (at, id) < (?6, ?7)) \
               ORDER BY at DESC, id DESC LIMIT ?8";
    let (before, before_id) = match query.before {
        Some((at, id)) => (Some(at.as_millisecond()), id),
        None => (None, 0),
    };
    let values = params![
        query.kind.number(),
        query.from.map_or(i64::MIN, |from| from.as_millisecond()),
        query.until.map_or(i64::MAX, |until| until.as_millisecond()),
        query.cluster.as_deref(),
        query.subject.as_deref(),
        before,
        before_id,
        query.limit,
    ];
    list(connection, sql, values, |row| {
        Ok(Some(RecordRow {
            id: row.get(0)?,
            record: NewRecord {
                kind: query.kind,
                at: Timestamp::from_millisecond(row.get(1)?).unwrap_or_default(),
                cluster: text(row, 2)?.into(),
                subject: text(row, 3)?.into(),
                key: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
                body: row.get(5)?,
            },
        }))
    })
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(values).map_err(failed)?;
    let mut list = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        match read(row) {
            Ok(found) => list.extend(found),
            // Of another type or size than was ever written.
            Err(error) => return Err(StoreError::Damaged(error.to_string())),
        }
    }
    Ok(list)
}
