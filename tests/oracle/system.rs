//! Units, the clock, certificates, repositories, packages, and what corosync says.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// Adds the unit, certificate or source that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let key = record.key.as_str();
    let shape = record.shape.as_str();
    match shape {
        "/nodes/{node}/services" => {
            let name = format!("{key}.service");
            insert(
                context,
                "unit",
                find(ours.value("units"), "units", "name", &name).map(unit_as_told),
            );
        }
        "cmd/systemctl list-units" | "cmd/systemctl list-unit-files" | "cmd/systemctl show" => {
            insert(
                context,
                "unit",
                find(ours.value("units"), "units", "name", key).map(unit_as_told),
            );
        }
        "cmd/timedatectl" | "/nodes/{node}/time" => {
            let mut clock = ours.value("time_sync").clone();
            for (field, name) in [
                ("is_ntp_enabled", "enabled_word"),
                ("is_synchronized", "synchronized_word"),
            ] {
                let is_so = clock.get(field).and_then(Value::as_bool);
                set(
                    &mut clock,
                    name,
                    is_so.map(|is_so| json!(yes_or_no(is_so).to_lowercase())),
                );
            }
            context.insert("clock".to_owned(), clock);
        }
        "/nodes/{node}/status" if Some(ours.node) == record.node.as_deref() => {
            insert(context, "kernel", Some(kernel_as_told(ours)));
        }
        "/nodes" => certificate(ours, record, "pve-ssl.pem", context),
        _ if shape.starts_with("/nodes/{node}/certificates/info#") => {
            certificate(ours, record, key, context);
        }
        "/nodes/{node}/apt/repositories#repository" => {
            insert(context, "repository", repository(ours, key));
        }
        "cmd/pveversion" => {
            let package = find(ours.value("packages"), "packages", "name", key);
            let package = package.filter(|one| text(one, "state") == "PACKAGE_STATE_INSTALLED");
            let absent = json!({ "version": "not correctly installed" });
            insert(context, "package", Some(package.cloned().unwrap_or(absent)));
        }
        _ if shape.starts_with("cmd/corosync") || shape.starts_with("cmd/pvecm") => {
            corosync(ours, record, context);
        }
        _ => {}
    }
}

/// The API writes one word for what systemd knows of the file.
fn unit_as_told(unit: &Value) -> Value {
    let mut unit = unit.clone();
    let load = text(&unit, "load_state");
    let file = text(&unit, "unit_file_state");
    let word = if load == "not-found" { load } else { file };
    let pid = unit.get("main_pid").cloned().unwrap_or(json!(0));
    set(&mut unit, "file_word", Some(json!(word)));
    set(&mut unit, "pid_or_zero", Some(pid));
    unit
}

fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "Yes" } else { "No" }
}

fn kernel_as_told(ours: &Ours<'_>) -> Value {
    let mut kernel = ours.value("kernels").clone();
    let build = text(&kernel, "running_build");
    let told = format!("Linux {} {build}", text(&kernel, "running_release"));
    let efi = ours.value("firmware").get("efi").and_then(Value::as_bool);
    let mode = efi.map(|efi| if efi { "efi" } else { "legacy-bios" });
    set(&mut kernel, "told", Some(json!(told)));
    set(&mut kernel, "boot_mode", mode.map(Value::from));
    kernel
}

/// The certificate of a file, with fingerprint and key as OpenSSL writes them.
fn certificate(ours: &Ours<'_>, record: &Record, file: &str, context: &mut Map<String, Value>) {
    let node = record.node.as_deref().unwrap_or_default();
    let all = ours.value("certificates");
    let found = items(all, "files").find(|one| {
        let owner = text(one, "node");
        text(one, "path").ends_with(&format!("/{file}")) && (owner.is_empty() || owner == node)
    });
    let Some(mut certificate) = found.and_then(|one| one.get("certificate")).cloned() else {
        return;
    };
    let digits = text(&certificate, "sha256").to_uppercase();
    let pairs: Vec<&str> = (0..digits.len())
        .step_by(2)
        .filter_map(|i| digits.get(i..i + 2))
        .collect();
    set(
        &mut certificate,
        "fingerprint",
        Some(json!(pairs.join(":"))),
    );
    let kind = match text(&certificate, "key_type").as_str() {
        "RSA" => "rsaEncryption",
        "EC" => "id-ecPublicKey",
        _ => "",
    };
    set(&mut certificate, "key_word", Some(json!(kind)));
    context.insert("certificate".to_owned(), certificate);
}

/// The repository `FILE POSITION`, counted as the API counts.
fn repository(ours: &Ours<'_>, key: &str) -> Option<Value> {
    let (file, position) = key.split_once(' ')?;
    let mut of_file =
        items(ours.value("repositories"), "repositories").filter(|one| text(one, "file") == file);
    let mut repository = of_file.nth(position.parse().ok()?)?.clone();
    let uri = format!(
        "{}://{}{}",
        text(&repository, "scheme"),
        text(&repository, "host"),
        text(&repository, "path")
    );
    let kind = if file.ends_with(".sources") {
        "sources"
    } else {
        "list"
    };
    for (field, from) in [
        ("Types", "types"),
        ("Suites", "suites"),
        ("Components", "components"),
        ("Enabled", "enabled"),
    ] {
        let value = repository.get(from).cloned();
        set(&mut repository, field, value);
    }
    set(&mut repository, "URIs", Some(json!([uri])));
    set(&mut repository, "FileType", Some(json!(kind)));
    Some(repository)
}

fn corosync(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let state = ours.value("corosync_state");
    let mut quorum = state.get("quorum").cloned().unwrap_or_default();
    let flags: Vec<String> = items(&quorum, "flags").map(leaf).collect();
    let members = items(&quorum, "members").count();
    let quorate = quorum.get("is_quorate").and_then(Value::as_bool);
    set(
        &mut quorum,
        "word",
        quorate.map(|quorate| json!(yes_or_no(quorate))),
    );
    set(&mut quorum, "flags_text", Some(json!(flags.join(" "))));
    set(&mut quorum, "member_count", Some(json!(members)));
    let member = find(&quorum, "members", "node_id", &record.key).cloned();
    insert(context, "quorum_member", member);
    context.insert("quorum".to_owned(), quorum);
    context.insert("corosync_state".to_owned(), state.clone());
    let link = items(state, "local_links").find(|link| {
        format!("{} {}", text(link, "link_number"), text(link, "node_id")) == record.key
    });
    let link = link.cloned().map(|mut link| {
        let word = match text(&link, "state").as_str() {
            "CONNECTED" | "COROSYNC_LINK_STATE_CONNECTED" => "connected",
            "COROSYNC_LINK_STATE_DISCONNECTED" => "disconnected",
            "COROSYNC_LINK_STATE_LOCAL" => "localhost",
            _ => "",
        };
        set(&mut link, "word", Some(json!(word)));
        link
    });
    insert(context, "local_link", link);
}
