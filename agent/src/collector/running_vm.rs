//! The VMs that run on this node, for the collectors that ask them.

use pvelens_proto::agent::v1::{GuestKind, GuestSettings};

use super::{
    CollectError, KERNEL_FILE_LIMIT, PMXCFS_FILE_LIMIT, Reading, guest_runtime::parse_process,
};
use crate::format::{FormatError, guest_config, whole_lines};

/// Where QEMU puts its PID files and sockets.
const DIRECTORY: &str = "/run/qemu-server";
const LOCAL: &str = "/etc/pve/local";

/// A VM with a living process.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunningVm {
    pub(super) vmid: u32,
    pub(super) pid: u64,
    /// In kernel ticks since boot; with the PID it tells one start from another.
    pub(super) start_ticks: u64,
}

/// By VMID. A VM that ended meanwhile is left out.
pub(super) fn running(reading: &mut Reading<'_>) -> Result<Vec<RunningVm>, CollectError> {
    let names = match reading.list(DIRECTORY) {
        Err(error) if error.is_not_found() && !reading.exists("/etc/pve") => {
            return Err(CollectError::NoData("not a Proxmox VE node"));
        }
        // Made by the first VM that starts.
        Err(error) if error.is_not_found() => Vec::new(),
        result => result?,
    };
    let mut vms = Vec::new();
    for name in names {
        let vmid = name.strip_suffix(".pid").and_then(|id| id.parse().ok());
        if let Some(vm) = vmid.and_then(|vmid| process(reading, vmid)) {
            vms.push(vm);
        }
    }
    vms.sort_unstable_by_key(|vm| vm.vmid);
    Ok(vms)
}

fn process(reading: &mut Reading<'_>, vmid: u32) -> Option<RunningVm> {
    let pid = reading.read_number(&format!("{DIRECTORY}/{vmid}.pid"))?;
    let path = format!("/proc/{pid}/stat");
    let text = reading.read_optional(&path, KERNEL_FILE_LIMIT)?;
    let process = reading.keep(parse_process(&text).map_err(|error| error.at(&path)))?;
    Some(RunningVm {
        vmid,
        pid,
        start_ticks: process.start_ticks,
    })
}

/// Where the configurations of this node's VMs are. `local` is a link to
/// `nodes/NAME`.
pub(super) fn configs(reading: &mut Reading<'_>) -> Option<String> {
    let target = reading.link_target(LOCAL);
    let target = reading.keep(target)?;
    let node = target.trim_end_matches('/').strip_prefix("nodes/");
    let node = node.filter(|node| !node.contains('/') && *node != "..");
    let node = node.ok_or_else(|| FormatError::malformed("not a link to a node").at(LOCAL));
    let node = reading.keep(node)?;
    Some(format!("/etc/pve/nodes/{node}/qemu-server"))
}

/// The settings of a VM as they are now, if they are here and can be read.
pub(super) fn settings(
    reading: &mut Reading<'_>,
    directory: &str,
    vmid: u32,
) -> Option<GuestSettings> {
    let path = format!("{directory}/{vmid}.conf");
    let text = reading.read_optional(&path, PMXCFS_FILE_LIMIT)?;
    // PVE itself works with one whose last line does not end.
    let whole = whole_lines(&text)
        .map(drop)
        .map_err(|error| error.at(&path));
    if reading.keep(whole).is_none() && text.is_empty() {
        return None;
    }
    guest_config::parse(GuestKind::Qemu, vmid, "", &text).settings
}
