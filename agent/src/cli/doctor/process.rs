//! The running agent: since when, in which cage, at what cost in memory.
//!
//! The cage is looked at as it is, not as the unit says, since a drop-in or an
//! old systemd may have opened it.

use crate::cage;

use super::{
    super::summary,
    report::Item,
    system::{System, Unit},
};

pub(in super::super) const UNIT: &str = "pvelens-agent.service";
const INIT: u32 = 1;
/// Above this share of its ceiling the agent is about to be slowed down or ended.
const NEAR_CEILING_PERCENT: u64 = 90;

/// One wall of the cage.
struct Wall {
    /// What its absence means.
    missing: &'static str,
    setting: &'static str,
    /// `None` when it cannot be seen.
    stands: fn(&Seen) -> Option<bool>,
}

const WALLS: &[Wall] = &[
    Wall {
        missing: "it has rights beyond those of a file's owner",
        setting: "CapabilityBoundingSet=",
        stands: |seen| {
            let none = |name| Some(u64::from_str_radix(seen.status(name)?, 16).ok()? == 0);
            Some(none("CapEff")? && none("CapPrm")? && none("CapBnd")?)
        },
    },
    Wall {
        missing: "it could gain rights by starting a program",
        setting: "NoNewPrivileges=yes",
        stands: |seen| Some(seen.status("NoNewPrivs")? == "1"),
    },
    Wall {
        missing: "it may use every system call",
        setting: "SystemCallFilter=",
        stands: |seen| Some(seen.status("Seccomp")? == "2"),
    },
    Wall {
        missing: "it has the network of the node",
        setting: "PrivateNetwork=yes",
        stands: |seen| seen.has_own("net"),
    },
    Wall {
        missing: "it could write to the file systems of the node",
        setting: "ProtectSystem=strict",
        stands: |seen| Some(seen.has_own("mnt")? && seen.root_is_read_only()?),
    },
];

/// What the kernel tells about the agent's process.
struct Seen<'s> {
    system: &'s System,
    process: u32,
    status: String,
    mounts: Option<String>,
}

impl Seen<'_> {
    fn status(&self, name: &str) -> Option<&str> {
        self.status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    fn has_own(&self, kind: &str) -> Option<bool> {
        let of = |process| self.system.namespace(process, kind);
        Some(of(self.process)? != of(INIT)?)
    }

    fn root_is_read_only(&self) -> Option<bool> {
        let options = options(self.mounts.as_deref()?, "/")?;
        Some(options.split(',').any(|option| option == "ro"))
    }
}

/// Items about the unit's process, or why there is none.
pub(super) fn look(system: &System, unit: &Unit) -> Vec<Item> {
    let Some(process) = unit.processes.first().copied() else {
        return vec![stopped(system, unit)];
    };
    let mut items = vec![running(system, process, unit)];
    match system.read(&format!("/proc/{process}/status")) {
        Some(status) => {
            let seen = Seen {
                system,
                process,
                status,
                mounts: system.read(&format!("/proc/{process}/mountinfo")),
            };
            items.extend(cage(&seen, unit));
            items.extend(stale_mount(&seen));
        }
        None => items.push(
            Item::unknown("whether the cage of the agent is closed")
                .why("its process cannot be looked at")
                .fix(if system.is_root {
                    "look again: it may just have ended"
                } else {
                    "run this as root"
                }),
        ),
    }
    items.push(memory(system));
    items
}

fn stopped(system: &System, unit: &Unit) -> Item {
    let item = Item::problem(format!("{UNIT} does not run"));
    if !system.has_systemd() {
        item.why("systemd is not the init system here, so there are no units")
            .fix("on a Proxmox VE node install the package pvelens-agent; for a look without it run `pvelens-agent run`")
    } else if unit.is_masked {
        item.why("the unit is masked: somebody switched it off on purpose")
            .fix(format!(
                "`systemctl unmask {UNIT}`, then `systemctl enable --now {UNIT}`"
            ))
    } else if unit.is_installed {
        item.why(format!(
            "it was stopped, or it ended; `journalctl -u {UNIT} -n 30` has its last words"
        ))
        .fix(format!("`systemctl enable --now {UNIT}`"))
    } else {
        item.why("the package is not installed")
            .fix("`apt install pvelens-agent`")
    }
}

fn running(system: &System, process: u32, unit: &Unit) -> Item {
    let since = uptime(system, process)
        .map(|seconds| format!(" for {}", summary::uptime(seconds)))
        .unwrap_or_default();
    let what = format!("{UNIT} runs{since} (process {process})");
    if unit.is_enabled {
        Item::ok(what)
    } else {
        Item::warning(format!("{what}, but does not start with the node"))
            .why("the unit is not enabled")
            .fix(format!("`systemctl enable {UNIT}`"))
    }
}

/// Seconds since the process began.
fn uptime(system: &System, process: u32) -> Option<f64> {
    let stat = system.read(&format!("/proc/{process}/stat"))?;
    // The name before it may have blanks and parentheses. `starttime` is the 22nd
    // field, so the 20th after the name.
    let (_, fields) = stat.rsplit_once(')')?;
    let started: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = system.read("/proc/uptime")?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a hundred, on every kernel")]
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Some((uptime - started / ticks).max(0.0))
}

fn cage(seen: &Seen<'_>, unit: &Unit) -> Vec<Item> {
    let mut items = Vec::new();
    let mut unseen = 0_usize;
    for wall in WALLS {
        match (wall.stands)(seen) {
            Some(true) => {}
            Some(false) => items.push(
                Item::problem(format!("the cage is open: {}", wall.missing))
                    .why(format!(
                        "`{}` of the unit is not in effect; {}",
                        wall.setting,
                        changed_by(unit)
                    ))
                    .fix(format!(
                        "`systemctl cat {UNIT}` shows what changes it; remove that, then `systemctl daemon-reload` and `systemctl restart {UNIT}`"
                    )),
            ),
            None => unseen = unseen.saturating_add(1),
        }
    }
    if seen
        .status("Uid")
        .and_then(|ids| ids.split_whitespace().nth(1))
        != Some("0")
    {
        items.push(
            Item::problem("the agent does not run as root")
                .why("files that Proxmox VE keeps for root stay closed to it; without capabilities, root is only the owner of those files")
                .fix(format!("keep `User=root`: `systemctl cat {UNIT}` shows what changes it")),
        );
    }
    if unseen > 0 {
        items.push(
            Item::unknown(format!(
                "{unseen} of {} walls of the cage were not seen",
                WALLS.len()
            ))
            .why("only root of the node may look at the namespaces of another process")
            .fix(if seen.system.is_root {
                "run this in a shell of the node itself, not of a container"
            } else {
                "run this as root"
            }),
        );
    }
    if items.is_empty() {
        items.push(Item::ok(
            "caged: no rights beyond its files, no network, nothing to write to, few system calls",
        ));
    }
    items
}

fn changed_by(unit: &Unit) -> String {
    match unit.drop_ins.split_first() {
        None => "this kernel or systemd may not support it".to_owned(),
        Some((one, [])) => format!("{one} may change it"),
        Some((one, more)) => format!("{one} or one of {} more files may change it", more.len()),
    }
}

/// The agent ends itself when `/etc/pve` was mounted anew; one that did not
/// reads a file system that has no future.
fn stale_mount(seen: &Seen<'_>) -> Option<Item> {
    let outside = seen.system.read("/proc/1/mountinfo")?;
    cage::other_mount(seen.mounts.as_deref()?, &outside).map(|violation| {
        Item::problem("the agent looks at a cluster file system that was replaced")
            .why(violation.to_string())
            .fix(format!("`systemctl restart {UNIT}`"))
    })
}

/// Options of what is mounted last on a place (`proc(5)`).
fn options<'m>(mountinfo: &'m str, place: &str) -> Option<&'m str> {
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(4);
        (fields.next()? == place).then(|| fields.next())?
    })
}

fn memory(system: &System) -> Item {
    let file = |name: &str| system.cgroup_file(UNIT, name);
    let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
    let Some(used) = number("memory.current") else {
        return Item::unknown("how much memory the agent uses")
            .why("the control group says nothing about it")
            .fix("`systemctl status pvelens-agent` shows it where memory is accounted");
    };
    let shown = summary::bytes(used);
    let killed = file("memory.events").is_some_and(|events| {
        let mut lines = events.lines();
        lines.any(|line| line.strip_prefix("oom_kill ").is_some_and(|n| n != "0"))
    });
    let Some(ceiling) = number("memory.high").or_else(|| number("memory.max")) else {
        return Item::warning(format!("uses {shown} of memory, without a ceiling"))
            .why("MemoryHigh= and MemoryMax= of the unit are not in effect")
            .fix(format!("`systemctl cat {UNIT}` shows what changes them"));
    };
    let what = format!(
        "uses {shown} of memory, at most {}",
        summary::bytes(ceiling)
    );
    if killed {
        Item::problem(what)
            .why("the kernel ended a process of it for want of memory")
            .fix("report it, with the number of guests of the node")
    } else if used > ceiling / 100 * NEAR_CEILING_PERCENT {
        Item::warning(what)
            .why("near its ceiling it becomes slow")
            .fix("lower `limit_mebibytes` of the section `spool` in /etc/pvelens/agent.toml")
    } else {
        Item::ok(what)
    }
}
