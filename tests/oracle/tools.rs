//! Readers of the outputs of tools.

use anyhow::Result;
use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use crate::{
    config::{items, text},
    outputs::Said,
};

/// What is said in the output that was recorded under this name.
pub(crate) fn read(file: &str, output: &str) -> Result<Vec<Said>> {
    match file {
        "ip-j-addr.json" => addresses(output),
        "ip-j-s-link.json" => links_of_ip(output),
        "ip-j-route.json" => elements("ip route", "dst", output, |route| route),
        "lsblk.json" => {
            let listed: Value = serde_json::from_str(output)?;
            let devices = listed.get("blockdevices").cloned().unwrap_or_default();
            elements("lsblk", "name", &devices.to_string(), |device| device)
        }
        "systemctl-list-units.json" => {
            elements("systemctl list-units", "unit", output, |unit| unit)
        }
        "systemctl-list-unit-files.json" => {
            elements("systemctl list-unit-files", "unit_file", output, |unit| {
                unit
            })
        }
        "systemctl-failed.json" => elements("systemctl --failed", "unit", output, |unit| unit),
        "systemctl-show.txt" => Ok(shown_units(output)),
        "timedatectl-show.txt" => Ok(vec![said("timedatectl", "", pairs(output, '='))]),
        "df-P.txt" => table(
            "df",
            output,
            &[
                "device",
                "type",
                "total",
                "used",
                "available",
                "share",
                "mount",
            ],
            "mount",
        ),
        "qm-list.txt" => table(
            "qm list",
            output,
            &["vmid", "name", "status", "mem", "bootdisk", "pid"],
            "vmid",
        ),
        "pct-list.txt" => containers(output),
        "pvesm-status.txt" => table(
            "pvesm status",
            output,
            &[
                "storage",
                "type",
                "status",
                "total",
                "used",
                "available",
                "share",
            ],
            "storage",
        ),
        "ha-manager-status.txt" => Ok(output.lines().filter_map(ha_line).collect()),
        "pvecm-status.txt" => Ok(quorum("pvecm status", "pvecm members", output)),
        "corosync-quorumtool-s.txt" => Ok(quorum(
            "corosync-quorumtool",
            "corosync-quorumtool members",
            output,
        )),
        "corosync-cfgtool-s.txt" => Ok(links(output)),
        "pveversion-v.txt" => Ok(output.lines().filter_map(package).collect()),
        _ => anyhow::bail!("an output without a reader"),
    }
}

fn said(shape: &'static str, key: &str, fields: Map<String, Value>) -> Said {
    Said {
        shape,
        key: key.to_owned(),
        fields,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A list in JSON, one thing an element.
fn elements(
    shape: &'static str,
    key: &str,
    output: &str,
    change: impl Fn(Value) -> Value,
) -> Result<Vec<Said>> {
    let list: Vec<Value> = serde_json::from_str(output)?;
    let list = list.into_iter();
    Ok(list
        .map(|element| said(shape, &text(&element, key), object(change(element))))
        .collect())
}

fn addresses(output: &str) -> Result<Vec<Said>> {
    let list: Vec<Value> = serde_json::from_str(output)?;
    let mut all = Vec::new();
    for interface in &list {
        for address in items(interface, "addr_info") {
            let cidr = format!("{}/{}", text(address, "local"), text(address, "prefixlen"));
            let global = text(address, "scope") == "global";
            let shape = if global { "ip addr" } else { "ip addr#own" };
            let fields = json!({ "ifname": interface.get("ifname"), "cidr": cidr });
            all.push(said(shape, &cidr, object(fields)));
        }
    }
    Ok(all)
}

/// Those that PVE makes for guests apart.
fn links_of_ip(output: &str) -> Result<Vec<Said>> {
    let mut all = elements("ip link", "ifname", output, link)?;
    for one in &mut all {
        let made = ["tap", "veth", "fwbr", "fwln", "fwpr"];
        if made.iter().any(|prefix| one.key.starts_with(prefix)) {
            one.shape = "ip link#guest";
        }
    }
    Ok(all)
}

/// Words in the form of `/sys/class/net`.
fn link(mut link: Value) -> Value {
    let up = items(&link, "flags").any(|flag| flag == "UP");
    let state = text(&link, "operstate").to_lowercase();
    link["up"] = json!(up);
    link["operstate"] = json!(state);
    if let Some(link) = link.as_object_mut() {
        link.remove("flags");
    }
    link
}

fn pairs(lines: &str, separator: char) -> Map<String, Value> {
    lines
        .lines()
        .filter_map(|line| line.split_once(separator))
        .map(|(key, value)| (key.trim().to_owned(), json!(value.trim())))
        .collect()
}

fn shown_units(output: &str) -> Vec<Said> {
    let units = output.split("\n\n").map(|unit| pairs(unit, '='));
    units
        .map(|unit| {
            let name = unit
                .get("Id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            said("systemctl show", &name, unit)
        })
        .collect()
}

/// Columns without spaces in their values, below one line of titles.
fn table(shape: &'static str, output: &str, columns: &[&str], key: &str) -> Result<Vec<Said>> {
    let mut rows = Vec::new();
    for line in output.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        anyhow::ensure!(words.len() == columns.len(), "{line}");
        let fields: Map<String, Value> = columns
            .iter()
            .zip(&words)
            .map(|(column, word)| ((*column).to_owned(), sized(column, word)))
            .collect();
        let name = fields
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        rows.push(said(shape, &name, fields));
    }
    Ok(rows)
}

/// Sizes are in KiB.
fn sized(column: &str, word: &str) -> Value {
    match word.parse::<u64>() {
        Ok(kib) if ["total", "used", "available"].contains(&column) => json!(kib * 1024),
        _ => json!(word),
    }
}

/// The lock stands between state and name, and is mostly absent.
fn containers(output: &str) -> Result<Vec<Said>> {
    let mut rows = Vec::new();
    for line in output.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (vmid, status, lock, name) = match *words.as_slice() {
            [vmid, status, name] => (vmid, status, None, name),
            [vmid, status, lock, name] => (vmid, status, Some(lock), name),
            _ => anyhow::bail!("{line}"),
        };
        let fields = json!({ "vmid": vmid, "status": status, "lock": lock, "name": name });
        rows.push(said("pct list", vmid, object(fields)));
    }
    Ok(rows)
}

/// `quorum OK`, `master pve2 (active, TIME) - ...`, `lrm pve1 (active, watchdog active, TIME)`,
/// `service vm:102 (pve1, started)`.
fn ha_line(line: &str) -> Option<Said> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let inside = rest
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let parts: Vec<&str> = inside
        .map_or(rest, |(inside, _)| inside)
        .split(", ")
        .collect();
    let time = |text: &str| {
        let time = DateTime::strptime("%a %b %d %H:%M:%S %Y", text).ok()?;
        Some(
            time.to_zoned(jiff::tz::TimeZone::UTC)
                .ok()?
                .timestamp()
                .as_second(),
        )
    };
    let at = parts.last().and_then(|part| time(part));
    let word = parts.first().copied().unwrap_or_default();
    let (shape, fields) = match kind {
        "quorum" => ("ha-manager quorum", json!({ "quorate": name == "OK" })),
        "master" => (
            "ha-manager master",
            json!({ "master": name, "word": word, "at": at }),
        ),
        "lrm" => (
            "ha-manager lrm",
            json!({ "node": name, "word": word, "at": at, "watchdog": parts.get(1) }),
        ),
        "service" => (
            "ha-manager service",
            json!({ "sid": name, "on": word, "state": parts.get(1) }),
        ),
        _ => ("ha-manager other", json!({ "line": line })),
    };
    Some(said(shape, name, object(fields)))
}

/// Blocks of `Key: value`, and the list of members.
fn quorum(shape: &'static str, members: &'static str, output: &str) -> Vec<Said> {
    let mut blocks = pairs(output, ':');
    // Behind the number of votes that are needed it says what is missing.
    if let Some(needed) = blocks.get_mut("Quorum") {
        let words = needed.as_str().unwrap_or_default();
        *needed = json!(words.split(' ').next());
    }
    if let Some(id) = blocks.get_mut("Node ID") {
        *id = json!(number(id.as_str().unwrap_or_default()));
    }
    let mut all = vec![said(shape, "", blocks)];
    let list = output
        .lines()
        .skip_while(|line| !line.contains("Nodeid"))
        .skip(1);
    for line in list {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [id, votes, name, ..] = *words.as_slice() {
            let Some(number) = number(id) else { continue };
            let fields = json!({
                "nodeid": number,
                "votes": votes,
                "name": name,
                "local": words.last() == Some(&"(local)"),
            });
            all.push(said(members, &number.to_string(), object(fields)));
        }
    }
    all
}

/// `1` or `0x00000001`
fn number(id: &str) -> Option<u64> {
    match id.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => id.parse().ok(),
    }
}

/// `LINK ID 0 udp`, below it `nodeid: 2: connected`.
fn links(output: &str) -> Vec<Said> {
    let mut all = Vec::new();
    let mut link = "";
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("Local node ID ") {
            let id = rest.split(',').next().unwrap_or_default();
            all.push(said("corosync-cfgtool", "", object(json!({ "id": id }))));
        } else if let Some(rest) = line.strip_prefix("LINK ID ") {
            link = rest.split(' ').next().unwrap_or_default();
        } else if let Some(rest) = line.trim().strip_prefix("nodeid:") {
            let parts: Vec<&str> = rest.split(':').map(str::trim).collect();
            if let [node, state] = *parts.as_slice() {
                let fields = json!({ "link": link, "nodeid": node, "state": state });
                all.push(said(
                    "corosync-cfgtool link",
                    &format!("{link} {node}"),
                    object(fields),
                ));
            }
        }
    }
    all
}

/// `corosync: 3.1.9-2+deb13u1`
fn package(line: &str) -> Option<Said> {
    let (name, version) = line.split_once(": ")?;
    let fields = json!({ "version": version });
    Some(said("pveversion", name, object(fields)))
}
