//! Tasks, the log of the cluster, backup jobs and their archives.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// Adds the task, entry or job that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let key = record.key.as_str();
    match record.shape.as_str() {
        "/cluster/tasks" | "/nodes/{node}/tasks" => {
            let task = find(ours.value("tasks"), "tasks", "upid", key);
            insert(context, "task", task.map(task_as_told));
            let run = find(ours.value("backups"), "runs", "upid", key);
            let run = run.cloned().map(|mut run| {
                let status = text(&run, "status");
                let is_good = status == "TASK_STATUS_OK" || status == "TASK_STATUS_WARNINGS";
                set(&mut run, "is_good", Some(json!(is_good)));
                run
            });
            insert(context, "run", run);
        }
        "/cluster/log" => {
            let entry = items(ours.value("cluster_log"), "entries").find(|entry| {
                let parts = ["node", "uid", "logged_at"].map(|part| text(entry, part));
                parts.join(" ") == key
            });
            let entry = entry.cloned().map(|mut entry| {
                let id = format!("{}:{}", text(&entry, "uid"), text(&entry, "node"));
                set(&mut entry, "id", Some(json!(id)));
                entry
            });
            insert(context, "entry", entry);
        }
        "/cluster/backup" => {
            let jobs = ours.value("job_config").get("jobs");
            let job = jobs.and_then(|jobs| find(jobs, "backups", "id", key));
            insert(context, "job", job.map(job_as_told));
        }
        "file/vzdump" => {
            let backup = find(ours.value("backups"), "last_backups", "vmid", key);
            insert(context, "backup", backup.map(backup_as_told));
        }
        _ => {}
    }
}

/// With the one line that PVE ends a task with.
fn task_as_told(task: &Value) -> Value {
    let mut task = task.clone();
    let told = match text(&task, "status").as_str() {
        "TASK_STATUS_OK" => Some("OK".to_owned()),
        "TASK_STATUS_WARNINGS" => Some(format!("WARNINGS: {}", text(&task, "warnings"))),
        "TASK_STATUS_ERROR" => task.get("error").map(leaf),
        "TASK_STATUS_UNKNOWN" => Some("unexpected status".to_owned()),
        _ => None,
    };
    set(&mut task, "told", told.map(Value::from));
    task
}

/// With what the API writes in another form.
fn job_as_told(job: &Value) -> Value {
    let mut job = job.clone();
    let options = job.get("options").unwrap_or(&Value::Null);
    let vmids: Vec<String> = items(options, "vmids").map(leaf).collect();
    let mut kept = Map::new();
    for (name, count) in options
        .get("retention")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        kept.insert(name.replace('_', "-"), count.clone());
    }
    set(&mut job, "vmids", Some(json!(vmids.join(","))));
    set(&mut job, "prune-backups", Some(Value::Object(kept)));
    set(&mut job, "type", Some(json!("vzdump")));
    job
}

/// With the words of the log.
fn backup_as_told(backup: &Value) -> Value {
    let mut backup = backup.clone();
    let word = |name: &str, prefix: &str| {
        let value = text(&backup, name).replace(prefix, "");
        json!(value.to_lowercase())
    };
    let kind = word("kind", "GUEST_KIND_");
    let outcome = word("outcome", "BACKUP_OUTCOME_");
    set(&mut backup, "kind_word", Some(kind));
    set(&mut backup, "outcome_word", Some(outcome));
    backup
}
