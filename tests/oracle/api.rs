//! What the HTTP API of Proxmox VE answered, cut into records of plain values.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{config, parts};

/// One object of an answer.
#[derive(Debug)]
pub(crate) struct Record {
    /// Path of the request with placeholders, and the type of the element.
    pub(crate) shape: String,
    pub(crate) node: Option<String>,
    pub(crate) vmid: Option<u64>,
    pub(crate) storage: Option<String>,
    /// Interface, snapshot, file name: what else tells it from its siblings.
    pub(crate) key: String,
    /// Leaves of the object by their dotted path.
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) file: String,
    /// When it was said, in seconds since the epoch.
    pub(crate) at: f64,
    /// The node whose tool said it; the API speaks for the cluster.
    pub(crate) told_by: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    path: String,
    at: f64,
    status: u16,
    reason: String,
    body: Value,
}

/// Reads all answers of one moment.
pub(crate) fn records(folder: &Path) -> Result<Vec<Record>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut records = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("META") {
            continue;
        }
        let answer: Answer =
            serde_json::from_str(&fs::read_to_string(&file)?).with_context(|| name.clone())?;
        read_answer(&name, &answer, &mut records);
    }
    Ok(records)
}

fn read_answer(file: &str, answer: &Answer, records: &mut Vec<Record>) {
    let path = answer.path.split('?').next().unwrap_or_default();
    let mut base = Record {
        shape: String::new(),
        node: None,
        vmid: None,
        storage: None,
        key: String::new(),
        fields: BTreeMap::new(),
        file: file.to_owned(),
        at: answer.at,
        told_by: None,
    };
    base.shape = base.read_path(path);
    let data = answer.body.get("data").unwrap_or(&Value::Null);
    let data = match data.get("result") {
        Some(result) if base.shape.contains("/agent/") => result,
        _ => data,
    };
    if answer.status != 200 {
        base.fields
            .insert("(error)".to_owned(), answer.reason.clone());
        records.push(base);
    } else if base.shape.ends_with("/pending") {
        records.push(base.with(&pending(data)));
    } else if base.shape == "/cluster/metrics/export" {
        records.extend(metrics(&base, data));
    } else if let Some(elements) = data
        .as_array()
        .filter(|list| list.iter().all(Value::is_object))
    {
        let elements = elements.iter().filter_map(Value::as_object);
        records.extend(elements.flat_map(|element| base.with_parts(element)));
    } else if let Some(object) = data.as_object() {
        records.extend(base.with_parts(object));
    } else {
        let mut object = Map::new();
        object.insert("value".to_owned(), data.clone());
        records.push(base.with(&object));
    }
}

impl Record {
    /// Two records about the same thing have the same identity.
    pub(crate) fn identity(&self) -> String {
        format!(
            "{} {:?} {:?} {:?} {}",
            self.shape, self.node, self.vmid, self.storage, self.key
        )
    }

    pub(crate) fn is_guest_config(&self) -> bool {
        self.shape.ends_with("/config") && self.vmid.is_some() || self.shape.ends_with("/pending")
    }

    pub(crate) fn is_container(&self) -> bool {
        self.shape.contains("lxc")
    }

    /// Puts placeholders into a path and keeps what they stand for.
    fn read_path(&mut self, path: &str) -> String {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut shape = String::new();
        for (position, part) in parts.iter().enumerate() {
            let before = position.checked_sub(1).and_then(|i| parts.get(i)).copied();
            shape.push('/');
            shape.push_str(match (before, position) {
                (Some("nodes"), 1) => {
                    self.node = Some((*part).to_owned());
                    "{node}"
                }
                (Some("qemu" | "lxc"), 3) => {
                    self.vmid = part.parse().ok();
                    "{vmid}"
                }
                (Some("storage"), 3) => {
                    self.storage = Some((*part).to_owned());
                    "{storage}"
                }
                (Some("users"), 2) => {
                    self.key = (*part).to_owned();
                    "{user}"
                }
                _ => part,
            });
        }
        shape
    }

    /// The records of one object of this answer, and of lists in it.
    fn with_parts(&self, object: &Map<String, Value>) -> Vec<Self> {
        let (object, parts) = parts::split(&self.shape, object);
        let mut records = vec![self.with(&object)];
        for (suffix, part) in parts {
            let shape = format!("{}#{suffix}", self.shape);
            let base = Self {
                shape,
                node: self.node.clone(),
                storage: self.storage.clone(),
                key: self.key.clone(),
                fields: BTreeMap::new(),
                file: self.file.clone(),
                told_by: None,
                ..*self
            };
            records.push(base.with(&part));
        }
        records
    }

    /// The record of one object of this answer.
    fn with(&self, object: &Map<String, Value>) -> Self {
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let split_by = match self.shape.as_str() {
            "/cluster/resources" | "/cluster/status" | "/cluster/ha/status/current" => text("type"),
            "/nodes/{node}/certificates/info" => text("filename"),
            _ => None,
        };
        let number = |key: &str| {
            let value = object.get(key)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let named = matches!(
            self.shape.as_str(),
            "/cluster/status" | "/cluster/config/nodes"
        );
        let mut record = Self {
            shape: split_by.map_or_else(
                || self.shape.clone(),
                |kind| format!("{}#{kind}", self.shape),
            ),
            node: self
                .node
                .clone()
                .or_else(|| text(if named { "name" } else { "node" })),
            vmid: self.vmid.or_else(|| number("vmid")),
            storage: self.storage.clone().or_else(|| text("storage")),
            key: String::new(),
            fields: BTreeMap::new(),
            file: self.file.clone(),
            at: self.at,
            told_by: None,
        };
        let key = parts::key(&record.shape, object);
        record.key = match self.key.as_str() {
            "" => key,
            owner => format!("{owner}!{key}"),
        };
        if record.is_guest_config() {
            record.fields = config::of_api(record.is_container(), object);
        } else {
            flatten("", &Value::Object(object.clone()), &mut record.fields);
            sum_failed_operations(&mut record.fields);
        }
        record
    }
}

/// A list of `{key, value, pending?, delete?}` becomes a configuration.
fn pending(data: &Value) -> Map<String, Value> {
    let elements = data.as_array().into_iter().flatten();
    elements
        .filter_map(|element| {
            let value = element.get("pending").or_else(|| element.get("value"))?;
            Some((element.get("key")?.as_str()?.to_owned(), value.clone()))
        })
        .collect()
}

/// `{id: "node/pve1", metric, value}` becomes one record for each id.
fn metrics(base: &Record, data: &Value) -> Vec<Record> {
    let list = data.get("data").unwrap_or(data).as_array();
    let mut by_id: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for metric in list.into_iter().flatten() {
        if let (Some(id), Some(name)) = (
            metric.get("id").and_then(Value::as_str),
            metric.get("metric").and_then(Value::as_str),
        ) {
            let value = metric.get("value").map(leaf).unwrap_or_default();
            by_id.entry(id).or_default().insert(name.to_owned(), value);
        }
    }
    let record = |(id, fields): (&str, BTreeMap<String, String>)| {
        let mut parts = id.split('/');
        let kind = parts.next().unwrap_or_default();
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        Record {
            shape: format!("{}#{kind}", base.shape),
            node: matches!(kind, "node" | "storage").then(|| first.to_owned()),
            vmid: first.parse().ok(),
            storage: second.map(str::to_owned),
            key: String::new(),
            fields,
            file: base.file.clone(),
            at: base.at,
            told_by: None,
        }
    };
    by_id.into_iter().map(record).collect()
}

/// Writes every leaf under its dotted path. `null` is no value.
pub(crate) fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(&below(key), value, leaves);
            }
        }
        Value::Array(array) => {
            for (position, value) in array.iter().enumerate() {
                flatten(&below(&position.to_string()), value, leaves);
            }
        }
        Value::Null => {}
        _ => {
            leaves.insert(path.to_owned(), leaf(value));
        }
    }
}

/// A value as text, flags as 0 and 1.
pub(crate) fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::Null => String::new(),
        _ => value.to_string(),
    }
}

/// Failed operations of all drives, which pvestatd's figures give as one number.
fn sum_failed_operations(leaves: &mut BTreeMap<String, String>) {
    let failed: Vec<u64> = leaves
        .iter()
        .filter(|(path, _)| path.starts_with("blockstat.") && path.contains(".failed_"))
        .filter_map(|(_, value)| value.parse().ok())
        .collect();
    if !failed.is_empty() {
        let sum: u64 = failed.iter().sum();
        leaves.insert("blockstat.failed_operations".to_owned(), sum.to_string());
    }
}
