//! What was done on the cluster: its log, and the tasks of each node.

use std::io;

use super::{
    state::{Guest, Kind, State},
    tree::Tree,
};

/// A word of the log that all members share.
#[derive(Debug, Clone)]
pub struct Word {
    pub seconds: i64,
    pub node: String,
    pub user: String,
    pub text: String,
}

/// A task of one node that has ended.
#[derive(Debug, Clone)]
pub struct Task {
    pub node: usize,
    /// When it began, in seconds since 1970.
    pub seconds: i64,
    pub length_seconds: i64,
    /// `qmconfig`
    pub kind: String,
    pub id: String,
    pub user: String,
    /// `OK`, or an error.
    pub end: String,
}

/// The log as each member shows it, newest first.
pub(super) fn cluster_log(state: &State) -> String {
    let entries: Vec<String> = state
        .words
        .iter()
        .enumerate()
        .rev()
        .map(|(number, word)| {
            let Word {
                seconds,
                node,
                user,
                text,
            } = word;
            format!(
                "{{\"uid\": {}, \"time\": {seconds}, \"pri\": 6, \"tag\": \"pvedaemon\", \
                 \"pid\": 1200, \"node\": \"{node}\", \"user\": \"{user}\", \"msg\": \"{text}\"}}",
                number + 1
            )
        })
        .collect();
    format!("{{\n\"data\": [\n{}\n]\n}}\n", entries.join(",\n"))
}

/// The list of tasks that have ended, oldest first. A node that never had one has no
/// list.
pub(super) fn write_tasks(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let name = &state.nodes[index].name;
    let own = state
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| task.node == index);
    let lines: String = own
        .map(|(number, task)| {
            let begin = task.seconds;
            let end = begin + task.length_seconds;
            let (kind, id, user) = (&task.kind, &task.id, &task.user);
            format!(
                "UPID:{name}:{number:08X}:00000001:{begin:08X}:{kind}:{id}:{user}: {end:08X} {}\n",
                task.end
            )
        })
        .collect();
    match lines.is_empty() {
        true => Ok(()),
        false => tree.write("/var/log/pve/tasks/index", &lines),
    }
}

/// Whoever changes guests otherwise than by hand leaves a task.
pub(super) fn tell_edits(state: &mut State, before: &[Guest]) {
    let seconds = state.now_millis().div_euclid(1000);
    let edited = state.guests.iter().filter(|guest| {
        let was = before.iter().find(|was| was.vmid == guest.vmid);
        was.is_some_and(|was| was.config != guest.config || was.memory_bytes != guest.memory_bytes)
    });
    let tasks: Vec<Task> = edited
        .filter(|guest| guest.kind == Kind::Qemu)
        .map(|guest| Task {
            node: guest.node,
            seconds,
            length_seconds: 1,
            kind: "qmconfig".to_owned(),
            id: guest.vmid.to_string(),
            user: "root@pam".to_owned(),
            end: "OK".to_owned(),
        })
        .collect();
    state.tasks.extend(tasks);
}
