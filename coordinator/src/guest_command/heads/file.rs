//! The file in which the ends of records outlive the coordinator.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Head, NODES, Place};

/// In the directory of what is kept.
pub(super) const NAME: &str = "audit-heads.json";
/// Far more than that many nodes take.
const LIMIT_BYTES: u64 = 8 << 20;

/// One node.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    cluster: String,
    node: String,
    #[serde(flatten)]
    head: Head,
}

/// What is in the file; nothing when there is none.
///
/// # Errors
/// When it cannot be read, or is not as it was written.
pub(super) fn read(path: &Path) -> io::Result<BTreeMap<Place, Head>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        metadata => {
            if metadata?.len() > LIMIT_BYTES {
                return Err(io::Error::other("it is larger than it can be"));
            }
        }
    }
    let entries: Vec<Entry> = serde_json::from_slice(&fs::read(path)?)?;
    let entries = entries.into_iter().take(NODES).map(|entry| {
        let place = Place {
            cluster: entry.cluster,
            node: entry.node,
        };
        (place, entry.head)
    });
    Ok(entries.collect())
}

/// Replaces the file as a whole: after a crash there is the old one or the new one.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(path: &Path, nodes: &BTreeMap<Place, Head>) -> io::Result<()> {
    let entries: Vec<Entry> = nodes
        .iter()
        .map(|(place, head)| Entry {
            cluster: place.cluster.clone(),
            node: place.node.clone(),
            head: head.clone(),
        })
        .collect();
    let mut text = serde_json::to_vec_pretty(&entries)?;
    text.push(b'\n');
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    match path.parent() {
        // So that the name is on the disk too.
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Keeps what cannot be read for whoever wants to know.
pub(super) fn put_aside(path: &Path) {
    // When this fails, the next write replaces it.
    drop(fs::rename(path, beside(path, ".damaged")));
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
