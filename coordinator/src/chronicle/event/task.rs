//! Tasks of Proxmox VE.

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, TaskStatus};

use super::{Dated, Event, EventKind, Level, text};
use crate::{live::seen::plausible, view::Name};

/// What the types are called, and of what. A type that is not here keeps its name.
const TITLES: &[(&str, &str)] = &[
    ("qmstart", "start VM"),
    ("qmstop", "stop VM"),
    ("qmshutdown", "shut down VM"),
    ("qmreboot", "restart VM"),
    ("qmreset", "reset VM"),
    ("qmsuspend", "suspend VM"),
    ("qmpause", "pause VM"),
    ("qmresume", "resume VM"),
    ("qmcreate", "create VM"),
    ("qmdestroy", "destroy VM"),
    ("qmclone", "clone VM"),
    ("qmrestore", "restore VM"),
    ("qmconfig", "configure VM"),
    ("qmigrate", "migrate VM"),
    ("qmmove", "move disk of VM"),
    ("qmsnapshot", "snapshot of VM"),
    ("qmdelsnapshot", "delete snapshot of VM"),
    ("qmrollback", "roll back VM"),
    ("qmtemplate", "make a template of VM"),
    ("resize", "resize disk of"),
    ("vzstart", "start container"),
    ("vzstop", "stop container"),
    ("vzshutdown", "shut down container"),
    ("vzreboot", "restart container"),
    ("vzcreate", "create container"),
    ("vzdestroy", "destroy container"),
    ("vzclone", "clone container"),
    ("vzrestore", "restore container"),
    ("vzmigrate", "migrate container"),
    ("vzsnapshot", "snapshot of container"),
    ("vzdelsnapshot", "delete snapshot of container"),
    ("vzrollback", "roll back container"),
    ("vzdump", "back up"),
    ("startall", "start all guests"),
    ("stopall", "stop all guests"),
    ("migrateall", "migrate all guests"),
    ("aptupdate", "refresh package lists"),
    ("vncproxy", "console of"),
    ("vncshell", "shell of the node"),
    ("termproxy", "terminal of"),
    ("spiceproxy", "console of"),
    ("imgcopy", "copy volume"),
    ("imgdel", "delete volume"),
    ("download", "download"),
    ("srvreload", "reload service"),
    ("srvrestart", "restart service"),
    ("srvstart", "start service"),
    ("srvstop", "stop service"),
    ("hamigrate", "HA: migrate"),
    ("hastart", "HA: start"),
    ("hastop", "HA: stop"),
    ("clustercreate", "create the cluster"),
    ("clusterjoin", "join the cluster"),
    ("auth-realm-sync", "synchronise realm"),
    ("reloadnetworkall", "apply the software-defined network"),
];

/// Begins the key of a task that runs: it gives way to the one with its end.
pub(crate) const RUNNING: &str = "running ";

/// The tasks of one report, newest first.
pub(in crate::chronicle) fn events(
    tasks: &wire::Tasks,
    node: &Name,
) -> impl Iterator<Item = Dated> {
    tasks.tasks.iter().filter_map(|task| event(task, node))
}

fn event(task: &wire::Task, reporter: &Name) -> Option<Dated> {
    let at = plausible(task.started_at.as_ref())?;
    let until = plausible(task.ended_at.as_ref()).filter(|until| *until >= at);
    let node: Name = match task.node.is_empty() {
        true => Name::clone(reporter),
        false => text(&task.node).into(),
    };
    let vmid = task.id.parse::<u32>().ok();
    let subject = match vmid {
        Some(vmid) => format!("guest/{vmid}"),
        None => format!("node/{node}"),
    };
    let status = task.status();
    let is_running = status == TaskStatus::Running && !task.process_gone;
    let known = TITLES.iter().find(|(name, _)| *name == task.task_type);
    let mut title = known.map_or_else(|| text(&task.task_type), |(_, title)| (*title).to_owned());
    if !task.id.is_empty() {
        title = format!("{title} {}", text(&task.id));
    }
    let (level, end) = match status {
        TaskStatus::Ok => (Level::Info, "ok".to_owned()),
        TaskStatus::Running if task.process_gone => {
            (Level::Warning, "its process is gone".to_owned())
        }
        TaskStatus::Running => (Level::Info, "running".to_owned()),
        TaskStatus::Warnings => {
            let warnings = task.warnings.unwrap_or(1);
            (Level::Warning, format!("{warnings} warnings"))
        }
        TaskStatus::Error => (Level::Error, format!("failed: {}", text(&task.error))),
        TaskStatus::Unknown | TaskStatus::Unspecified => {
            (Level::Warning, "its end is not known".to_owned())
        }
    };
    let upid = text(&task.upid);
    Some(Dated {
        at,
        subject: subject.into(),
        key: match is_running {
            true => format!("{RUNNING}{upid}"),
            false => upid,
        },
        event: Event {
            kind: EventKind::Task,
            level,
            node,
            text: format!("{title}: {end}"),
            user: text(&task.user),
            until,
            task: text(&task.task_type),
        },
    })
}

/// Whether such a task changes the configuration of the guest it works on.
pub(crate) fn changes_guest(task: &str) -> bool {
    const CHANGING: &[&str] = &[
        "config", "create", "clone", "restore", "destroy", "migrate", "move", "snapshot",
        "rollback", "template", "resize", "disk", "volume",
    ];
    CHANGING.iter().any(|word| task.contains(word))
}

/// Whether such a task may change what is not a guest's.
pub(crate) fn changes(subject: &str, task: &str) -> bool {
    let begins: &[&str] = match subject {
        "cluster/access" => &["auth-realm-sync"],
        "cluster/corosync" => &["clustercreate", "clusterjoin"],
        "cluster/ceph" => &["ceph"],
        "cluster/ha" => &["ha"],
        "cluster/sdn" => &["reloadnetworkall"],
        _ if subject.ends_with("/packages") => &["apt", "pveupgrade"],
        _ if subject.ends_with("/host") => &["srvreload", "networkreload"],
        _ if subject.starts_with("storage/") => &[
            "cephcreatepool",
            "cephcreatefs",
            "cephdestroy",
            "lvmcreate",
            "zfscreate",
            "dircreate",
        ],
        _ => &[],
    };
    begins.iter().any(|begin| task.starts_with(begin))
}

/// How long it took; none of what has no end.
pub(crate) fn took(at: Timestamp, until: Option<Timestamp>) -> Option<i64> {
    Some(until?.duration_since(at).as_secs().max(0))
}
