//! Parameters of the kernel that weaken, harden or tune a node.
//!
//! A command line may hold keys, addresses and anything that an initramfs takes, so
//! only those that are named here are carried.

use pvelens_proto::agent::v1::KernelFlag;

/// Flags of one command line; a line of the kernel has at most a few kilobytes.
const FLAG_LIMIT: usize = 100;
const VALUE_LIMIT: usize = 100;

/// Names as in `linux@Documentation/admin-guide/kernel-parameters.txt`, sorted.
const CARRIED: &[&str] = &[
    "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE",
    "amd_iommu",
    "amd_pstate",
    "apparmor",
    "audit",
    "cgroup_disable",
    "cgroup_enable",
    "clocksource",
    "crashkernel",
    "debugfs",
    "default_hugepagesz",
    "elevator",
    "gather_data_sampling",
    "hugepages",
    "hugepagesz",
    "idle",
    "init_on_alloc",
    "init_on_free",
    "intel_idle.max_cstate",
    "intel_iommu",
    "intel_pstate",
    "iommu",
    "iommu.passthrough",
    "iommu.strict",
    "ipv6.disable",
    "ipv6.disable_ipv6",
    "isolcpus",
    "kpti",
    "kvm.ignore_msrs",
    "kvm.nx_huge_pages",
    "kvm-amd.nested",
    "kvm-intel.nested",
    "kvm-intel.vmentry_l1d_flush",
    "l1tf",
    "lockdown",
    "lsm",
    "mds",
    "mem_sleep_default",
    "mitigations",
    "mmio_stale_data",
    "module.sig_enforce",
    "net.ifnames",
    "nmi_watchdog",
    "no_stf_barrier",
    "nohz_full",
    "noibpb",
    "noibrs",
    "nokaslr",
    "nomodeset",
    "nopti",
    "nosmap",
    "nosmep",
    "nosmt",
    "nospec_store_bypass_disable",
    "nospectre_bhb",
    "nospectre_v1",
    "nospectre_v2",
    "nowatchdog",
    "numa_balancing",
    "nvme_core.default_ps_max_latency_us",
    "page_alloc.shuffle",
    "panic",
    "pci",
    "pcie_acs_override",
    "pcie_aspm",
    "pcie_port_pm",
    "processor.max_cstate",
    "psi",
    "pti",
    "randomize_kstack_offset",
    "rcu_nocbs",
    "reg_file_data_sampling",
    "retbleed",
    "security",
    "selinux",
    "slab_nomerge",
    "spec_rstack_overflow",
    "spec_store_bypass_disable",
    "spectre_bhi",
    "spectre_v2",
    "spectre_v2_user",
    "srbds",
    "swapaccount",
    "systemd.unified_cgroup_hierarchy",
    "transparent_hugepage",
    "tsc",
    "tsx",
    "tsx_async_abort",
    "vfio_iommu_type1.allow_unsafe_interrupts",
    "vsyscall",
    "zfs.zfs_arc_max",
    "zfs.zfs_arc_min",
];

/// The flags of a command line, in order.
pub(super) fn parse(line: &str) -> Vec<KernelFlag> {
    line.split_ascii_whitespace()
        // Behind it are the arguments of init.
        .take_while(|word| *word != "--")
        .filter_map(|word| {
            let (given, value) = word.split_once('=').unwrap_or((word, ""));
            let name = CARRIED.iter().find(|name| is_same(name, given))?;
            Some(KernelFlag {
                name: (*name).to_owned(),
                value: shown(value),
            })
        })
        .take(FLAG_LIMIT)
        .collect()
}

/// `-` and `_` are one for the kernel (`linux@kernel/params.c`).
fn is_same(name: &str, given: &str) -> bool {
    let dashed = |byte: u8| if byte == b'-' { b'_' } else { byte };
    name.len() == given.len()
        && name
            .bytes()
            .zip(given.bytes())
            .all(|(a, b)| dashed(a) == dashed(b))
}

fn shown(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b",._:+-@".contains(&byte);
    if value.len() <= VALUE_LIMIT && value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        "?".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_known_with_dash_and_underscore() {
        let flags = parse("kvm_intel.nested=1 intel-iommu=on,sm_on -- mitigations=off");
        let names: Vec<_> = flags.iter().map(|flag| flag.name.as_str()).collect();
        assert_eq!(names, ["kvm-intel.nested", "intel_iommu"]);
        assert_eq!(flags[1].value, "on,sm_on");
    }

    #[test]
    fn a_value_that_no_such_flag_has_is_not_carried() {
        assert_eq!(parse("mitigations=\"canary").first().unwrap().value, "?");
        assert_eq!(parse(&format!("psi={}", "a".repeat(101)))[0].value, "?");
    }
}
