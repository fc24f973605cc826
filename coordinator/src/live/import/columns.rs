//! Which columns of Proxmox VE mean what a metric means.
//!
//! What a column means is in `pve-manager@PVE/Service/pvestatd.pm`, its name in
//! `pve-cluster@src/pmxcfs/status.c`. PVE 9 has more columns than PVE 8, and those of
//! both have the same meaning. Left out is what no metric means: the number of CPUs,
//! the size of swap, and the disk of a guest, which is that of its image.

use crate::{metric::Metric, store::import::Formula};

/// A metric, the part of the object that it is of, and how it comes from columns.
pub(super) type Mapped = (Metric, &'static str, Formula);

/// All columns that are looked at.
pub(super) const COLUMNS: &[&str] = &[
    "cpu",
    "iowait",
    "loadavg",
    "memtotal",
    "memused",
    "memavailable",
    "arcsize",
    "swapused",
    "roottotal",
    "rootused",
    "netin",
    "netout",
    "pressurecpusome",
    "pressureiosome",
    "pressureiofull",
    "pressurememorysome",
    "pressurememoryfull",
    "mem",
    "memhost",
    "maxmem",
    "diskread",
    "diskwrite",
    "total",
    "used",
];

/// Traffic is that of all network cards together, and pressure the mean over ten
/// seconds that the kernel says, in percent. What can be reclaimed of the ARC is not
/// known: memory that is available is taken where there is none.
pub(super) const NODE: &[Mapped] = &[
    (Metric::CpuRatio, "", Formula::Column("cpu")),
    (Metric::IowaitRatio, "", Formula::Column("iowait")),
    (Metric::Load1, "", Formula::Column("loadavg")),
    (Metric::MemoryTotalBytes, "", Formula::Column("memtotal")),
    (Metric::MemoryUsedBytes, "", Formula::Column("memused")),
    (
        Metric::MemoryAvailableBytes,
        "",
        Formula::Without("memavailable", "arcsize"),
    ),
    (
        Metric::MemoryAvailableRatio,
        "",
        Formula::ShareWithout("memavailable", "memtotal", "arcsize"),
    ),
    (Metric::ArcBytes, "", Formula::Positive("arcsize")),
    (Metric::SwapUsedBytes, "", Formula::Column("swapused")),
    (Metric::TotalBytes, "/", Formula::Column("roottotal")),
    (Metric::UsedBytes, "/", Formula::Column("rootused")),
    (
        Metric::UsedRatio,
        "/",
        Formula::Share("rootused", "roottotal"),
    ),
    (Metric::ReceivedBytesPerSecond, "", Formula::Column("netin")),
    (
        Metric::TransmittedBytesPerSecond,
        "",
        Formula::Column("netout"),
    ),
    (
        Metric::CpuPressureSomeRatio,
        "",
        Formula::Percent("pressurecpusome"),
    ),
    (
        Metric::IoPressureSomeRatio,
        "",
        Formula::Percent("pressureiosome"),
    ),
    (
        Metric::IoPressureFullRatio,
        "",
        Formula::Percent("pressureiofull"),
    ),
    (
        Metric::MemoryPressureSomeRatio,
        "",
        Formula::Percent("pressurememorysome"),
    ),
    (
        Metric::MemoryPressureFullRatio,
        "",
        Formula::Percent("pressurememoryfull"),
    ),
];

pub(super) const STORAGE: &[Mapped] = &[
    (Metric::TotalBytes, "", Formula::Column("total")),
    (Metric::UsedBytes, "", Formula::Column("used")),
    (Metric::UsedRatio, "", Formula::Share("used", "total")),
];

/// Of a guest that says what it uses itself; else it is what the host has for it.
pub(super) const GUEST_MEMORY: &[Mapped] = &[
    (Metric::MemoryUsedBytes, "", Formula::Column("mem")),
    (Metric::MemoryUsedRatio, "", Formula::Share("mem", "maxmem")),
];

pub(super) const GUEST: &[Mapped] = &[
    (Metric::CpuRatio, "", Formula::Column("cpu")),
    (Metric::MemoryHostBytes, "", Formula::Column("memhost")),
    (Metric::MemoryTotalBytes, "", Formula::Column("maxmem")),
    (Metric::ReceivedBytesPerSecond, "", Formula::Column("netin")),
    (
        Metric::TransmittedBytesPerSecond,
        "",
        Formula::Column("netout"),
    ),
    (Metric::ReadBytesPerSecond, "", Formula::Column("diskread")),
    (
        Metric::WriteBytesPerSecond,
        "",
        Formula::Column("diskwrite"),
    ),
];
