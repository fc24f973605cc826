//! Contents that nothing names any more are let go.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Head, Revision};
use crate::store::{
    Batch, Store, StoreError,
    row::{Change, RecordKind, RecordQuery, StateKind},
};

/// Records that are read at once, and contents of one transaction.
const BATCH: u32 = 1000;

/// Lets go of contents that neither a head nor a revision names; how many. Only whoever
/// writes to the store may do so, in turn: what is written meanwhile may name one again.
///
/// # Errors
/// When the store cannot be read or written.
pub(crate) fn sweep(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    let gone = store.read(|reader| {
        // First the contents: whatever names one of these is there, too.
        let mut contents: HashSet<String> =
            reader.state_keys(StateKind::Content)?.into_iter().collect();
        for row in reader.states(StateKind::Head)? {
            if let Ok(head) = serde_json::from_slice::<Head>(&row.body) {
                head.digest.iter().chain(&head.before).for_each(|digest| {
                    contents.remove(digest);
                });
            }
        }
        let mut query = RecordQuery {
            kind: RecordKind::Revision,
            from: None,
            until: None,
            cluster: None,
            subject: None,
            before: None,
            limit: BATCH,
        };
        while !contents.is_empty() {
            let rows = reader.records(&query)?;
            let Some(last) = rows.last() else { break };
            query.before = Some((last.record.at, last.id));
            for row in &rows {
                if let Ok(revision) = serde_json::from_slice::<Revision>(&row.record.body) {
                    revision
                        .before
                        .iter()
                        .chain(&revision.after)
                        .for_each(|digest| {
                            contents.remove(digest);
                        });
                }
            }
        }
        Ok(contents)
    })?;
    let gone: Vec<Change> = gone
        .into_iter()
        .map(|digest| Change::DropState(StateKind::Content, digest))
        .collect();
    for some in gone.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        let batch = Batch {
            changes: some.to_vec(),
            ..Batch::default()
        };
        store.write(&batch, now)?;
    }
    Ok(gone.len())
}
