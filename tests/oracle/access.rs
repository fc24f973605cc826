//! Users, roles, permissions and pools; the firewall; options of the datacenter.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// Adds the user, rule or option that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let access = ours.value("access_config");
    let users = access.get("user_config").unwrap_or(&Value::Null);
    let key = record.key.as_str();
    match record.shape.as_str() {
        "/access/users" => {
            let user = find(users, "users", "id", key);
            insert(context, "user", user.map(|user| user_as_told(users, user)));
        }
        "/access/users#token" | "/access/users/{user}/token" => {
            let token = find(users, "tokens", "id", key).cloned().map(|mut token| {
                let id = text(&token, "id");
                let name = id.split_once('!').map_or("", |(_, name)| name).to_owned();
                set(&mut token, "name", Some(json!(name)));
                with_expiry(&mut token);
                token
            });
            insert(context, "token", token);
        }
        "/access/groups" => insert(context, "group", find(users, "groups", "id", key).cloned()),
        "/access/acl" => insert(context, "permission", permission(users, key)),
        "/pools" | "/cluster/resources#pool" => {
            insert(context, "pool", find(users, "pools", "id", key).cloned());
        }
        "/cluster/resources#qemu" | "/cluster/resources#lxc" => {
            let pool = items(users, "pools").find(|pool| {
                let mut vmids = items(pool, "vmids").filter_map(Value::as_u64);
                vmids.any(|vmid| Some(vmid) == record.vmid)
            });
            insert(context, "pool", pool.cloned());
        }
        "/cluster/options" => {
            let options = ours.value("datacenter_config");
            insert(context, "options", Some(options_as_told(options)));
        }
        _ => firewall(ours, record, context),
    }
}

fn user_as_told(users: &Value, user: &Value) -> Value {
    let mut user = user.clone();
    let id = text(&user, "id");
    let groups: Vec<String> = items(users, "groups")
        .filter(|group| items(group, "members").any(|member| leaf(member) == id))
        .map(|group| text(group, "id"))
        .collect();
    let factor = user.get("has_second_factor") == Some(&Value::Bool(true));
    set(&mut user, "groups", Some(json!(groups.join(","))));
    set(
        &mut user,
        "factor_word",
        Some(json!(if factor { "x" } else { "" })),
    );
    with_expiry(&mut user);
    user
}

/// The API writes 0 for never.
fn with_expiry(subject: &mut Value) {
    let expiry = subject.get("expires_at").cloned().unwrap_or(json!(0));
    set(subject, "expiry", Some(expiry));
}

/// One role of one subject on one path: `PATH SUBJECT ROLE`.
fn permission(users: &Value, key: &str) -> Option<Value> {
    for rule in items(users, "rules") {
        for subject in items(rule, "subjects") {
            for role in items(rule, "roles").map(leaf) {
                let (path, id) = (text(rule, "path"), text(subject, "id"));
                if format!("{path} {id} {role}") == key {
                    let kind = text(subject, "kind").replace("ACCESS_SUBJECT_KIND_", "");
                    return Some(json!({
                        "path": path,
                        "ugid": id,
                        "roleid": role,
                        "propagate": rule.get("propagates"),
                        "type": kind.to_lowercase(),
                    }));
                }
            }
        }
    }
    None
}

/// With limits as `datacenter.cfg` writes them, in KiB.
fn options_as_told(options: &Value) -> Value {
    let mut options = options.clone();
    let limits: Vec<String> = items(&options, "bandwidth_limits")
        .map(|limit| {
            let bytes = limit.get("bytes_per_second").and_then(Value::as_u64);
            format!("{}={}", text(limit, "operation"), bytes.unwrap_or(0) / 1024)
        })
        .collect();
    set(&mut options, "bwlimit", Some(json!(limits.join(","))));
    options
}

fn firewall(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let Some(part) = record.shape.split("/firewall/").nth(1) else {
        return;
    };
    let guest = record.vmid.map(|vmid| vmid.to_string());
    let (scope, name) = match (&guest, &record.node) {
        (Some(vmid), _) => ("GUEST", vmid.as_str()),
        (None, Some(node)) => ("NODE", node.as_str()),
        (None, None) => ("DATACENTER", ""),
    };
    let files = ours.value("firewall_configs");
    let file = items(files, "files").find(|file| {
        text(file, "scope") == format!("FIREWALL_SCOPE_{scope}") && text(file, "name") == name
    });
    let Some(file) = file else { return };
    if part == "options" {
        let options = items(file, "options").map(|option| {
            (
                text(option, "key"),
                option.get("value").cloned().unwrap_or_default(),
            )
        });
        context.insert("firewall".to_owned(), Value::Object(options.collect()));
        return;
    }
    let position: Option<usize> = record.key.parse().ok();
    let rule = position
        .and_then(|position| items(file, "rules").nth(position))
        .cloned();
    insert(
        context,
        "rule",
        rule.map(|mut rule| {
            let log = text(&rule, "log_level");
            let direction = text(&rule, "direction").to_lowercase();
            let position = json!(record.key);
            set(&mut rule, "type", Some(json!(direction)));
            set(
                &mut rule,
                "log",
                Some(json!(if log.is_empty() { "nolog" } else { &log })),
            );
            set(&mut rule, "pos", Some(position));
            rule
        }),
    );
}
