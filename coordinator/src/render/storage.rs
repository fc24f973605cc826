//! Storages.

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark, Table, Tone, figures, names, words},
    cell::{cluster_cell, missing, several, share},
};
use crate::{
    answer::Storages,
    figure,
    inventory::{StorageOnNodeSummary, StorageSummary, coverage},
};

impl Describe for Storages {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.storages.is_empty() {
            document.line(Mark::None, "No storage is known.");
        } else {
            let several = several(self.storages.iter().map(|storage| &*storage.cluster));
            let mut table = Table::new(&[
                words("CLUSTER"),
                names("STORAGE"),
                names("NODE"),
                words("TYPE"),
                words("STATUS"),
                figures("USED"),
                figures("OF").spare(1),
                figures("FREE").spare(2),
                names("CONTENT").spare(3),
                words("DATA"),
            ]);
            for storage in &self.storages {
                storage_rows(&mut table, storage, several, self.coverage.at);
            }
            document.table(table);
        }
        missing(&mut document, &self.coverage);
        document
    }
}

/// A shared storage is the same on every node: one row per state it has there.
fn storage_rows(table: &mut Table, storage: &StorageSummary, several: bool, now: Timestamp) {
    let mut row = |node: String, on_node: Option<&StorageOnNodeSummary>| {
        let mut cells = vec![
            cluster_cell(several, &storage.cluster),
            Some(storage.name.clone()),
            Some(node),
            Some(storage.storage_type.clone()),
        ];
        let tone = storage_cells(&mut cells, storage, on_node, now);
        table.row(tone, cells);
    };
    if storage.nodes.is_empty() {
        row("–".to_owned(), None);
    } else if storage.shared {
        let mut states: Vec<Vec<&StorageOnNodeSummary>> = Vec::new();
        for on_node in &storage.nodes {
            let known = states.iter_mut().find(|state| {
                state
                    .first()
                    .is_some_and(|one| one.status == on_node.status)
            });
            match known {
                Some(state) => state.push(on_node),
                None => states.push(vec![on_node]),
            }
        }
        for state in states {
            let best = state
                .iter()
                .max_by_key(|on_node| (on_node.total_bytes.is_some(), on_node.figures_at));
            let nodes = match state.as_slice() {
                [one] => one.node.clone(),
                [one, two] => format!("{}, {}", one.node, two.node),
                many => format!("{} nodes", many.len()),
            };
            row(nodes, best.copied());
        }
    } else {
        for on_node in &storage.nodes {
            row(on_node.node.clone(), Some(on_node));
        }
    }
}

fn storage_cells(
    cells: &mut Vec<Option<String>>,
    storage: &StorageSummary,
    on_node: Option<&StorageOnNodeSummary>,
    now: Timestamp,
) -> Tone {
    let status = if storage.disabled {
        "disabled"
    } else {
        on_node.map_or("unknown", |on_node| &on_node.status)
    };
    let (total, used) = on_node
        .map(|on_node| (on_node.total_bytes, on_node.used_bytes))
        .unwrap_or_default();
    let full = used
        .zip(total)
        .and_then(|(used, total)| figure::share(used, total));
    let tone = match (status, full) {
        ("inactive", _) => Tone::Critical,
        ("unknown", _) => Tone::Warning,
        ("disabled", _) => Tone::Dim,
        (_, Some(full)) if full >= 0.95 => Tone::Critical,
        (_, Some(full)) if full >= 0.85 => Tone::Warning,
        _ => Tone::Plain,
    };
    let free = total
        .zip(used)
        .map(|(total, used)| figure::bytes(total.saturating_sub(used)));
    let age = on_node
        .and_then(|on_node| coverage::age(now, on_node.figures_at?))
        .unwrap_or_default();
    cells.extend([
        Some(status.to_owned()),
        share(used, total),
        total.map(figure::bytes),
        free,
        Some(storage.content.join(",")),
        Some(age),
    ]);
    tone
}
