//! A reader of the logs of backups.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// VMID and what is said in a log by its name, `lxc-211.log`: lines of
/// `2026-11-22 12:20:19 INFO: ...`.
pub(crate) fn backup(name: &str, log: &str) -> Result<(String, Map<String, Value>)> {
    let stem = name.strip_suffix(".log").context("not a log")?;
    let (kind, vmid) = stem.split_once('-').context("not a log of a guest")?;
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    put("vmid", json!(vmid));
    put("kind", json!(kind));
    put("outcome", json!("unfinished"));
    for line in log.lines() {
        let (time, said) = line.split_at_checked(19).context("a line without a time")?;
        let said = said.split_once(": ").map_or("", |(_, said)| said);
        if said.starts_with("Starting Backup of VM ") {
            put("started", json!(time));
        } else if let Some(status) = said.strip_prefix("status = ") {
            put("guest_status", json!(status));
        } else if let Some(mode) = said.strip_prefix("backup mode: ") {
            put("mode", json!(mode));
        } else if let Some(path) = said.strip_prefix("creating vzdump archive '") {
            let file = path.trim_end_matches('\'').rsplit('/').next();
            put("archive", json!(file));
        } else if let Some(size) = said.strip_prefix("archive file size: ") {
            // `45MB` are MiB.
            let mebibytes: u64 = size.trim_end_matches("MB").parse()?;
            put("size", json!(mebibytes << 20));
        } else if let Some(rest) = said.strip_prefix("Finished Backup of VM ") {
            let clock = rest.split(['(', ')']).nth(1).context("no duration")?;
            let seconds = clock.split(':').try_fold(0, |sum, part| {
                part.parse::<u64>().map(|part| sum * 60 + part)
            });
            put("outcome", json!("ok"));
            put("ended", json!(time));
            put("duration", json!(seconds?));
        } else if let Some((_, error)) = said.split_once(" failed - ") {
            put("outcome", json!("failed"));
            put("ended", json!(time));
            put("error", json!(error));
        }
    }
    Ok((vmid.to_owned(), fields))
}
