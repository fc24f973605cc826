//! The schema and its way up: numbered files, each run once, in order.

use rusqlite::{Connection, TransactionBehavior};

use super::failed;
use crate::store::engine::StoreError;

/// Never changed once released; what comes later is a file of its own.
const SCHEMAS: &[&str] = &[include_str!("../schema/0001_init.sql")];
/// Marks a file as a store of pvelens.
const APPLICATION: i64 = 0x7076_6c6e;

/// Brings a file up to the newest schema; each step is a transaction.
pub(super) fn bring_up(connection: &mut Connection) -> Result<(), StoreError> {
    verify(connection)?;
    let known = i64::try_from(SCHEMAS.len()).unwrap_or(i64::MAX);
    for (version, schema) in (1..=known).zip(SCHEMAS) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        if pragma(&transaction, "user_version")? < version {
            transaction.execute_batch(schema).map_err(failed)?;
            transaction
                .pragma_update(None, "application_id", APPLICATION)
                .map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", version)
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Whether the file is a store of a version that is known.
pub(super) fn verify(connection: &Connection) -> Result<(), StoreError> {
    let found = pragma(connection, "user_version")?;
    let known = i64::try_from(SCHEMAS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let application = pragma(connection, "application_id")?;
    if found > 0 && application != APPLICATION {
        return Err(StoreError::Damaged(
            "the file is a database of something else".to_owned(),
        ));
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(failed)
}
