//! What tells an element of an answer from its siblings, and which lists inside
//! an element are elements of their own.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::api::leaf;

type Object = Map<String, Value>;

/// Fields that together are unique among the elements of a list.
fn key_fields(shape: &str) -> &'static [&'static str] {
    match shape {
        "/access/acl" => &["path", "ugid", "roleid"],
        "/access/domains" => &["realm"],
        "/access/groups" => &["groupid"],
        "/access/roles" => &["roleid"],
        "/access/users" => &["userid"],
        "/access/users#token" => &["owner", "tokenid"],
        "/access/users/{user}/token" => &["tokenid"],
        "/cluster/backup" | "/cluster/ha/status/current" => &["id"],
        "/cluster/ha/resources" => &["sid"],
        "/cluster/ha/rules" => &["rule"],
        // A daemon that starts anew counts anew.
        "/cluster/log" => &["node", "uid", "time"],
        "/cluster/tasks" | "/nodes/{node}/tasks" => &["upid"],
        "/nodes/{node}/apt/repositories#repository" => &["path", "index"],
        "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo" => &["mountpoint"],
        "/nodes/{node}/hosts#entry" => &["address"],
        "/nodes/{node}/services" => &["service"],
        "/nodes/{node}/storage/{storage}/content" => &["volid"],
        "/cluster/resources#pool" => &["pool"],
        "/pools" => &["poolid"],
        _ if shape.ends_with("/firewall/rules") => &["pos"],
        _ if shape.ends_with("/snapshot") => &["name"],
        _ => &["iface", "dev", "filename", "devpath"],
    }
}

/// The values of these fields; a token as PVE writes it.
pub(crate) fn key(shape: &str, object: &Object) -> String {
    let listed = "/cluster/ha/status/current";
    let shape = if shape.starts_with(listed) {
        listed
    } else {
        shape
    };
    let separator = if shape.ends_with("#token") { "!" } else { " " };
    let values = key_fields(shape)
        .iter()
        .filter_map(|name| object.get(*name));
    values.map(leaf).collect::<Vec<_>>().join(separator)
}

/// Of these we carry only whether they are set.
fn only_whether(shape: &str) -> &'static [&'static str] {
    match shape {
        "/access/users" => &["email"],
        "/access/users/{user}/token" => &["comment"],
        "/cluster/backup" => &["notes-template"],
        "/cluster/options" => &["description", "email_from", "tag-style"],
        _ => &[],
    }
}

/// The object without lists that are elements of their own, and those with the
/// name of their kind.
pub(crate) fn split(shape: &str, object: &Object) -> (Object, Vec<(&'static str, Object)>) {
    let mut rest = object.clone();
    let mut parts = Vec::new();
    for name in only_whether(shape) {
        if let Some(value) = rest.get_mut(*name) {
            *value = (!leaf(value).is_empty() || value.is_object()).into();
        }
    }
    match shape {
        "/access/users" => {
            let owner = object.get("userid").cloned().unwrap_or_default();
            for token in objects(rest.remove("tokens")) {
                let mut token = token;
                let comment = token.contains_key("comment");
                token.insert("comment".to_owned(), comment.into());
                token.insert("owner".to_owned(), owner.clone());
                parts.push(("token", token));
            }
        }
        "/nodes/{node}/apt/repositories" => {
            for file in objects(rest.remove("files")) {
                let path = file.get("path").cloned().unwrap_or_default();
                let repositories = objects(file.get("repositories").cloned());
                for (index, mut repository) in repositories.into_iter().enumerate() {
                    repository.insert("path".to_owned(), path.clone());
                    repository.insert("index".to_owned(), index.into());
                    parts.push(("repository", repository));
                }
            }
        }
        // A backup is two facts of ours: a task, and what its log tells.
        "/cluster/tasks" | "/nodes/{node}/tasks"
            if object.get("type") == Some(&"vzdump".into()) =>
        {
            for name in ["starttime", "endtime"] {
                if let Some(value) = object.get(name) {
                    rest.insert(format!("backup {name}"), value.clone());
                }
            }
            if let Some(status) = object.get("status").map(leaf) {
                let is_good = status == "OK" || status.starts_with("WARNINGS: ");
                rest.insert("backup good".to_owned(), is_good.into());
            }
        }
        // The state of a VM, too: pvestatd's, and what its monitor says.
        "/nodes/{node}/qemu/{vmid}/status/current"
            if object.get("status") == Some(&"running".into()) =>
        {
            for name in ["qmpstatus", "running-qemu"] {
                if let Some(value) = object.get(name) {
                    rest.insert(format!("monitor {name}"), value.clone());
                }
            }
        }
        "/nodes/{node}/hosts" => {
            let text = rest
                .remove("data")
                .map(|text| leaf(&text))
                .unwrap_or_default();
            for line in text.lines() {
                let line = line.split('#').next().unwrap_or_default();
                if let Some((address, names)) = line.split_once([' ', '\t']) {
                    let mut entry = Map::new();
                    entry.insert("address".to_owned(), address.into());
                    entry.insert("names".to_owned(), names.into());
                    parts.push(("entry", entry));
                }
            }
        }
        "/nodes/{node}/certificates/info" => {
            for name in ["subject", "issuer"] {
                if let Some(name) = rest.get_mut(name) {
                    *name = common_name(&leaf(name)).into();
                }
            }
            let names = object.get("san").and_then(Value::as_array);
            let names: Vec<String> = names.into_iter().flatten().map(leaf).collect();
            let names: Vec<String> = names.into_iter().map(plain_address).collect();
            rest.insert("san".to_owned(), names.join(" ").into());
        }
        // Commands are named at random; what we carry is how many wait.
        "/cluster/ha/status/manager_status" => {
            let managers = rest.get_mut("lrm_status").and_then(Value::as_object_mut);
            for manager in managers.into_iter().flat_map(|all| all.values_mut()) {
                let count = manager
                    .get("results")
                    .and_then(Value::as_object)
                    .map_or(0, Map::len);
                if let Some(manager) = manager.as_object_mut() {
                    manager.insert("results".to_owned(), count.into());
                }
            }
        }
        _ => {}
    }
    (rest, parts)
}

/// `pve1.example.test` of `/OU=PVE Cluster Node/CN=pve1.example.test`.
fn common_name(name: &str) -> String {
    let mut parts = name.split('/');
    let common = parts.find_map(|part| part.strip_prefix("CN="));
    common.unwrap_or_default().to_owned()
}

/// The API writes IPv6 addresses in full.
fn plain_address(name: String) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name,
    }
}

fn objects(list: Option<Value>) -> Vec<Object> {
    let list = match list {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    list.into_iter()
        .filter_map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        })
        .collect()
}
