//! `docker ps` and `podman ps`, a JSON object on each line.

use serde_json::Value;

use super::super::{
    number,
    output::{NAME, Output, WORD, count, member, some, text},
};
use crate::guest_command::facts::{Container, Containers, GuestFacts};

const LIMIT: usize = 40;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled() {
        match serde_json::from_str(line) {
            Ok(Value::Array(all)) => list.extend(all.iter().filter_map(container)),
            Ok(value) => match container(&value) {
                Some(one) => list.push(one),
                None => facts.unread(),
            },
            Err(_) => facts.unread(),
        }
    }
    if list.is_empty() && !output.is_empty() {
        return;
    }
    facts.understood = true;
    let of = |state: &str| {
        let all = list.iter().filter(|one| one.state == state);
        u32::try_from(all.count()).unwrap_or(u32::MAX)
    };
    let unhealthy = list.iter().filter(|one| is_unhealthy(one));
    let mut containers = Containers {
        total: count(&list),
        running: of("running"),
        restarting: of("restarting"),
        unhealthy: u32::try_from(unhealthy.count()).unwrap_or(u32::MAX),
        exited: of("exited"),
        containers: Vec::new(),
    };
    list.sort_by_key(rank);
    facts.bound("containers.containers", &mut list, LIMIT);
    containers.containers = list;
    facts.containers = Some(containers);
}

/// Those in trouble first.
fn rank(one: &Container) -> u8 {
    match one.state.as_str() {
        "restarting" | "dead" => 0,
        _ if is_unhealthy(one) => 1,
        // 137 and 143: stopped by a signal, as `docker stop` does.
        "exited" | "stopped" if !matches!(one.exit_code, Some(0 | 137 | 143)) => 2,
        "paused" | "created" => 3,
        "running" => 4,
        _ => 5,
    }
}

fn is_unhealthy(one: &Container) -> bool {
    one.health.as_deref() == Some("unhealthy")
}

fn container(value: &Value) -> Option<Container> {
    let status = member(value, "Status", NAME).unwrap_or_default();
    let name = match value.get("Names")? {
        Value::Array(names) => names.first()?.as_str()?,
        name => name.as_str()?,
    };
    // Before 20.10 there is no state, but the status begins with it.
    let state = member(value, "State", WORD)
        .map(|state| state.to_ascii_lowercase())
        .or_else(|| state_of(&status))?;
    let health = ["unhealthy", "health: starting", "healthy"]
        .into_iter()
        .find(|health| status.contains(&format!("({health})")))
        .map(|health| text(health.trim_start_matches("health: "), WORD));
    Some(Container {
        name: some(name, NAME)?,
        image: member(value, "Image", NAME).unwrap_or_default(),
        exit_code: exit_code(&status),
        state,
        health,
        status,
    })
}

fn state_of(status: &str) -> Option<String> {
    let state = match status.split_whitespace().next()? {
        "Up" => "running",
        "Exited" => "exited",
        "Restarting" => "restarting",
        "Created" => "created",
        "Dead" => "dead",
        _ => return None,
    };
    Some(state.to_owned())
}

/// `Exited (137) 2 hours ago`, `Restarting (1) 5 seconds ago`.
fn exit_code(status: &str) -> Option<i64> {
    let (word, rest) = status.split_once(" (")?;
    let (code, _) = rest.split_once(')')?;
    matches!(word, "Exited" | "Restarting")
        .then(|| number::small(code).map(i64::from))
        .flatten()
}
