//! Changes as statements.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::failed;
use crate::store::{
    engine::StoreError,
    row::{Change, NewBlock, NewRecord},
};

pub(super) fn commit(connection: &mut Connection, changes: &[Change]) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    for change in changes {
        make(&transaction, change).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn make(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql)?.execute(values).map(drop)
    };
    match change {
        Change::PutObject(row) => run(
            "INSERT INTO object (id, cluster, kind, name, generation, used_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at",
            params![
                row.id,
                &*row.object.cluster,
                row.object.kind.number(),
                &*row.object.name,
                row.object.generation,
                row.used_at.as_second(),
            ],
        ),
        Change::PutSeries(row) => run(
            "INSERT INTO series (id, object, metric, part) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO NOTHING",
            params![row.id, row.object, row.metric, &*row.part],
        ),
        Change::AddBlock(block) => add_block(transaction, block),
        Change::DropBlock(id) => run("DELETE FROM block WHERE id = ?1", params![id]),
        Change::RolledUp(id) => run("UPDATE block SET rolled_up = 1 WHERE id = ?1", params![id]),
        Change::PutState(row) => run(
            "INSERT INTO state (kind, key, body) VALUES (?1, ?2, ?3) \
             ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            params![row.kind.number(), row.key, row.body],
        ),
        Change::DropState(kind, key) => run(
            "DELETE FROM state WHERE kind = ?1 AND key = ?2",
            params![kind.number(), key],
        ),
        Change::AddRecord(record) => add_record(transaction, record),
        Change::DropRecords(kind, before) => run(
            "DELETE FROM record WHERE kind = ?1 AND at < ?2",
            params![kind.number(), before.as_millisecond()],
        ),
        Change::DropObjects(before) => drop_objects(transaction, *before),
    }
}

fn add_block(transaction: &Transaction<'_>, block: &NewBlock) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO block (tier, begin, partition, source, value_count, rolled_up, bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            block.place.tier.number(),
            block.place.begin,
            block.place.partition,
            block.source.number(),
            block.values,
            block.is_rolled_up,
            block.bytes,
        ])
        .map(drop)
}

fn add_record(transaction: &Transaction<'_>, record: &NewRecord) -> rusqlite::Result<()> {
    let key = (!record.key.is_empty()).then_some(&record.key);
    transaction
        .prepare_cached(
            "INSERT INTO record (kind, at, cluster, subject, key, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (kind, key) WHERE key IS NOT NULL DO NOTHING",
        )?
        .execute(params![
            record.kind.number(),
            record.at.as_millisecond(),
            &*record.cluster,
            &*record.subject,
            key,
            record.body,
        ])
        .map(drop)
}

fn drop_objects(transaction: &Transaction<'_>, before: Timestamp) -> rusqlite::Result<()> {
    let before = before.as_second();
    transaction.execute(
        "DELETE FROM series WHERE object IN (SELECT id FROM object WHERE used_at < ?1)",
        params![before],
    )?;
    transaction
        .execute("DELETE FROM object WHERE used_at < ?1", params![before])
        .map(drop)
}
