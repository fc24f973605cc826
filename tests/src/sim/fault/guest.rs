//! Faults of one guest: state, load, configuration.

use pvelens::finding::Severity::{Critical, Info, Warning};
use serde::{Deserialize, Serialize};

use super::super::state::{Guest, Snapshot, State};
use crate::sim::label::Labels;

const DAY_SECONDS: i64 = 86_400;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum GuestFault {
    /// A VM stopped at an error of its disk.
    IoError {
        vmid: u32,
    },
    GuestCpu {
        vmid: u32,
    },
    GuestMemory {
        vmid: u32,
    },
    CacheUnsafe {
        vmid: u32,
    },
    Privileged {
        vmid: u32,
    },
    PrivilegedNesting {
        vmid: u32,
    },
    BindMountSystem {
        vmid: u32,
    },
    Unconfined {
        vmid: u32,
    },
    /// A mount point of a container that backups leave out.
    NotBackedUp {
        vmid: u32,
    },
    OldSnapshot {
        vmid: u32,
        days: i64,
    },
    /// No fault: the guest starts again.
    RestartGuest {
        vmid: u32,
    },
    /// No fault: the guest is switched off.
    StopGuest {
        vmid: u32,
    },
    /// No fault: the guest becomes a template.
    MakeTemplate {
        vmid: u32,
    },
}

impl GuestFault {
    pub const NAMES: &[&str] = &[
        "io_error",
        "guest_cpu",
        "guest_memory",
        "cache_unsafe",
        "privileged",
        "privileged_nesting",
        "bind_mount_system",
        "unconfined",
        "not_backed_up",
        "old_snapshot",
        "restart_guest",
        "stop_guest",
        "make_template",
    ];

    /// The guest it happens to.
    #[must_use]
    pub fn vmid(&self) -> u32 {
        match self {
            Self::IoError { vmid }
            | Self::GuestCpu { vmid }
            | Self::GuestMemory { vmid }
            | Self::CacheUnsafe { vmid }
            | Self::Privileged { vmid }
            | Self::PrivilegedNesting { vmid }
            | Self::BindMountSystem { vmid }
            | Self::Unconfined { vmid }
            | Self::NotBackedUp { vmid }
            | Self::OldSnapshot { vmid, .. }
            | Self::RestartGuest { vmid }
            | Self::StopGuest { vmid }
            | Self::MakeTemplate { vmid } => *vmid,
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        let now = state.now_millis();
        let Some(guest) = state.guest_mut(self.vmid()) else {
            return;
        };
        match self {
            Self::IoError { .. } => guest.qmp_status = "io-error".to_owned(),
            Self::GuestCpu { .. } => guest.load.cpu = 1.1,
            Self::GuestMemory { .. } => {
                guest.load.memory = 0.975;
                guest.load.memory_some = 0.15;
                guest.load.swap_in_pages = 400.0;
                guest.load.major_faults = 600.0;
            }
            Self::CacheUnsafe { .. } => {
                let disk = guest
                    .get("scsi0")
                    .unwrap_or_default()
                    .replace(",discard", ",cache=unsafe,discard");
                guest.set("scsi0", disk);
            }
            Self::Privileged { .. } => guest.unset("unprivileged"),
            Self::PrivilegedNesting { .. } => {
                guest.unset("unprivileged");
                guest.set("features", "nesting=1");
            }
            Self::BindMountSystem { .. } => guest.set("mp1", "/etc,mp=/srv/host-etc"),
            Self::Unconfined { .. } => guest.set("lxc.apparmor.profile", "unconfined"),
            Self::NotBackedUp { .. } => {
                let mount = guest
                    .get("mp0")
                    .unwrap_or_default()
                    .replace(",backup=1", "");
                guest.set("mp0", mount);
            }
            Self::OldSnapshot { days, .. } => guest.snapshots.push(Snapshot {
                name: "before-upgrade".to_owned(),
                taken_seconds: now / 1000 - days * DAY_SECONDS,
            }),
            Self::RestartGuest { .. } => guest.restart(now),
            Self::StopGuest { .. } => guest.running = false,
            Self::MakeTemplate { .. } => {
                guest.running = false;
                guest.template = true;
                guest.set("template", "1");
            }
        }
    }

    pub(super) fn label(&self, _state: &State, labels: &mut Labels) {
        let subject = format!("guest/{}", self.vmid());
        match self {
            Self::IoError { .. } => labels.root("guest.state.io_error", subject, Critical),
            Self::GuestCpu { .. } => labels.root("guest.cpu.saturated", subject, Warning),
            Self::GuestMemory { .. } => labels.root("guest.mem.saturated", subject, Warning),
            Self::CacheUnsafe { .. } => labels.root("guest.disk.cache_unsafe", subject, Critical),
            Self::Privileged { .. } => labels.root("ct.privileged", subject, Warning),
            Self::PrivilegedNesting { .. } => {
                labels.root("ct.privileged", subject.clone(), Critical);
                labels.root("ct.privileged_nesting", subject, Critical);
            }
            Self::BindMountSystem { .. } => {
                labels.root("ct.bind_mount_system", subject.clone(), Critical);
                // A bind mount is never in a backup either.
                labels.allow("ct.data_not_backed_up", subject);
            }
            Self::Unconfined { .. } => labels.root("ct.confinement_off", subject, Critical),
            Self::NotBackedUp { .. } => labels.root("ct.data_not_backed_up", subject, Warning),
            Self::OldSnapshot { days, .. } => {
                let severity = if *days > 45 { Warning } else { Info };
                labels.root("guest.snapshot.old", subject, severity);
            }
            Self::RestartGuest { .. } | Self::StopGuest { .. } | Self::MakeTemplate { .. } => {}
        }
    }
}

impl Guest {
    /// Address of its first network interface.
    #[must_use]
    pub fn mac(&self) -> Option<String> {
        let start = self.get("net0")?;
        let at = start.find("BC:24:11")?;
        start.get(at..at + 17).map(str::to_owned)
    }

    pub(super) fn set_mac(&mut self, address: &str) {
        if let (Some(old), Some(net)) = (self.mac(), self.get("net0")) {
            let net = net.replace(&old, address);
            self.set("net0", net);
        }
    }
}
