//! Which message is of which class.

use pvelens_proto::agent::v1::JournalClass;

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Kernel,
    Corosync,
    Ha,
    Pvestatd,
    Login,
    Pmxcfs,
    Scheduler,
    Qmeventd,
    Firewall,
    Ssh,
}

/// A message is of a class when it begins so and contains all of these, in any
/// case of letters.
struct Pattern {
    source: Source,
    begins: &'static str,
    contains: &'static [&'static str],
    class: JournalClass,
}

macro_rules! patterns {
    ($($source:ident $class:ident $begins:literal [$($word:literal),*];)+) => {
        &[$(Pattern {
            source: Source::$source,
            begins: $begins,
            contains: &[$($word),*],
            class: JournalClass::$class,
        }),+]
    };
}

/// The first that fits decides. In lower case. The kernel's words are those of
/// `mm/oom_kill.c`, `kernel/hung_task.c`, `kernel/watchdog.c`, `kernel/rcu/tree_stall.h`,
/// `block/blk-core.c`, `drivers/nvme/host/pci.c`, `drivers/ata/libata-eh.c`,
/// `fs/{ext4,xfs,nfs}`, `net/sched/sch_generic.c` and `net/bridge/br_fdb.c` of Linux
/// 6.2 to 6.17.
const PATTERNS: &[Pattern] = patterns! {
    Kernel OomKill "" ["out of memory: killed process"];
    Kernel OomContext "oom-kill:" ["task_memcg="];
    Kernel HungTask "info: task " ["blocked for more than"];
    Kernel Lockup "" ["soft lockup - cpu#"];
    Kernel Lockup "" ["hard lockup on cpu"];
    Kernel Lockup "" ["rcu", "self-detected stall"];
    Kernel Lockup "" ["rcu", "detected stalls on cpus"];
    Kernel Lockup "" ["rcu", "detected expedited stalls on cpus"];
    Kernel KvmSegfault "kvm[" ["segfault at"];
    Kernel KvmSegfault "cpu " ["/kvm[", "segfault at"];
    // Faults of other programs are not the kernel's.
    Kernel Unspecified "traps: " [];
    Kernel Oops "kernel panic - not syncing" [];
    Kernel Oops "bug: " [];
    Kernel Oops "kernel bug at " [];
    Kernel Oops "oops: " [];
    Kernel Oops "" [" general protection fault"];
    Kernel Oops "general protection fault" [];
    Kernel MemoryEcc "edac " [" ce "];
    Kernel MemoryEcc "edac " [" ue "];
    Kernel MachineCheck "" ["[hardware error]"];
    Kernel MachineCheck "mce: " ["machine check events logged"];
    Kernel NvmeTimeout "nvme" [" timeout"];
    Kernel NvmeTimeout "nvme" ["controller is down"];
    Kernel NvmeTimeout "nvme" ["device not ready"];
    // Every port without disk says so at the boot.
    Kernel Unspecified "ata" ["sata link down"];
    Kernel Unspecified "ata" ["sata link up"];
    Kernel AtaError "ata" ["failed command:"];
    Kernel AtaError "ata" ["exception emask"];
    Kernel AtaError "ata" ["hard resetting link"];
    Kernel Ext4Error "ext4-fs error" [];
    Kernel Ext4Error "ext4-fs " ["remounting filesystem read-only"];
    Kernel XfsError "xfs " ["corruption"];
    Kernel XfsError "xfs " ["i/o error"];
    Kernel XfsError "xfs " ["shut down"];
    Kernel XfsError "xfs " ["shutting down filesystem"];
    Kernel IoError "" ["i/o error, dev "];
    Kernel IoError "" ["medium error, dev "];
    Kernel IoError "" ["buffer i/o error on dev"];
    Kernel IoError "" ["sense key : medium error"];
    Kernel NfsNotResponding "nfs: server " ["not responding"];
    Kernel NicHang "" ["detected hardware unit hang"];
    Kernel NicHang "" ["netdev watchdog:"];
    Kernel NicHang "" ["reset adapter unexpectedly"];
    Kernel NicHang "" ["transmit queue", "timed out"];
    Kernel LinkDown "" ["link is down"];
    Kernel LinkDown "mlx" [": link down"];
    Kernel LinkUp "" ["link is up"];
    Kernel LinkUp "mlx" [": link up"];
    Kernel ConntrackFull "nf_conntrack: " ["table full, dropping packet"];
    Kernel OwnAddressReceived "" ["with own address as source address"];
    Kernel ApparmorDenied "" ["apparmor=\"denied\""];
    Kernel Thermal "" ["temperature above threshold"];
    Kernel Thermal "" ["critical temperature reached"];
    Corosync CorosyncLinkDown "" ["[knet", "host: ", "link: ", " is down"];
    Corosync CorosyncLinkUp "" ["[knet", "host: ", "link: ", " is up"];
    Corosync CorosyncRetransmit "" ["[totem", "retransmit list:"];
    Corosync CorosyncTokenLost "" ["[totem", "token has not been received"];
    Corosync CorosyncTokenLost "" ["[totem", "a processor failed"];
    Corosync CorosyncPause "" ["process pause detected"];
    Corosync CorosyncPause "" ["corosync main process was not scheduled"];
    Corosync CorosyncMembership "" ["[totem", "a new membership"];
    Ha HaFencing "" ["=> 'fence'"];
    Ha HaFencing "" ["fencing: "];
    Ha HaFencing "" ["lost lock 'ha_agent_"];
    Ha HaFencing "" ["client watchdog expired"];
    Ha HaFencing "" ["client did not stop watchdog"];
    Ha HaFencing "" ["watchdog active, but not"];
    Pvestatd PvestatdSlow "" ["status update time ("];
    Login AuthenticationFailure "authentication failure; " [];
    // Backups that people start, and those of the schedule.
    Login NotificationFailure "" ["could not notify via target"];
    Scheduler NotificationFailure "" ["could not notify via target"];
    Pmxcfs PmxcfsCritical "" [" crit: "];
    Qmeventd GuestCleanup "starting cleanup for " [];
    Qmeventd GuestCleanup "finished cleanup for " [];
    Firewall FirewallError "status update error: " [];
    Firewall FirewallError "" ["errors in rule parameters"];
    Firewall FirewallError "" ["error updating firewall rules"];
    Firewall FirewallError "" ["no such security group"];
    Firewall FirewallError "" ["no such alias"];
    Firewall FirewallError "" ["no such ipset"];
    Ssh AuthenticationFailure "failed password for " [];
    Ssh AuthenticationFailure "failed keyboard-interactive" [];
    Ssh AuthenticationFailure "invalid user " [];
};

/// The class of a message that has one.
pub(super) fn class(source: Source, message: &str) -> Option<JournalClass> {
    let message = message.to_ascii_lowercase();
    PATTERNS
        .iter()
        .filter(|pattern| pattern.source == source && message.starts_with(pattern.begins))
        .find(|pattern| pattern.contains.iter().all(|word| message.contains(word)))
        .map(|pattern| pattern.class)
        .filter(|class| *class != JournalClass::Unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_in_lower_case() {
        for pattern in PATTERNS {
            for word in pattern.contains.iter().chain([&pattern.begins]) {
                assert_eq!(**word, word.to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn messages_have_their_class() {
        use JournalClass as C;
        for (message, wanted) in [
            (
                "Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB",
                Some(C::OomKill),
            ),
            (
                "Out of memory: Killed process 7 (kvm) total-vm:1kB",
                Some(C::OomKill),
            ),
            (
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=ns,mems_allowed=0,oom_memcg=/lxc/110,task_memcg=/lxc/110/ns,task=x,pid=7,uid=0",
                Some(C::OomContext),
            ),
            (
                "INFO: task kvm:7 blocked for more than 122 seconds.",
                Some(C::HungTask),
            ),
            (
                "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kvm:7]",
                Some(C::Lockup),
            ),
            (
                "rcu: INFO: rcu_sched self-detected stall on CPU",
                Some(C::Lockup),
            ),
            (
                "BUG: kernel NULL pointer dereference, address: 0",
                Some(C::Oops),
            ),
            ("traps: x[7] general protection fault ip:1 sp:2", None),
            (
                "mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 5",
                Some(C::MachineCheck),
            ),
            (
                "EDAC MC0: 1 CE memory read error on CPU_SrcID#0",
                Some(C::MemoryEcc),
            ),
            (
                "nvme nvme0: I/O tag 12 (100c) opcode 0x1 (I/O Cmd) QID 3 timeout, aborting req_op:WRITE(1) size:4096",
                Some(C::NvmeTimeout),
            ),
            ("ata1: SATA link down (SStatus 0 SControl 300)", None),
            (
                "ata1.00: failed command: READ FPDMA QUEUED",
                Some(C::AtaError),
            ),
            (
                "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0",
                Some(C::IoError),
            ),
            (
                "EXT4-fs error (device dm-1): ext4_find_entry:1: x",
                Some(C::Ext4Error),
            ),
            (
                "XFS (dm-1): Metadata corruption detected at x",
                Some(C::XfsError),
            ),
            (
                "nfs: server nas not responding, still trying",
                Some(C::NfsNotResponding),
            ),
            ("nfs: server nas OK", None),
            (
                "e1000e 0000:00:1f.6 eno1: Detected Hardware Unit Hang:",
                Some(C::NicHang),
            ),
            (
                "NETDEV WATCHDOG: eno1 (e1000e): transmit queue 0 timed out 5000 ms",
                Some(C::NicHang),
            ),
            (
                "igb 0000:01:00.0 eno1: igb: eno1 NIC Link is Down",
                Some(C::LinkDown),
            ),
            (
                "nf_conntrack: nf_conntrack: table full, dropping packet",
                Some(C::ConntrackFull),
            ),
            (
                "vmbr0: received packet on eno1 with own address as source address (addr:02:00:00:00:00:01, vlan:0)",
                Some(C::OwnAddressReceived),
            ),
            (
                "CPU 0/KVM[7]: segfault at 0 ip 1 sp 2 error 4",
                Some(C::KvmSegfault),
            ),
        ] {
            assert_eq!(class(Source::Kernel, message), wanted, "{message}");
        }
        for (source, message, wanted) in [
            (
                Source::Corosync,
                "[KNET  ] link: host: 2 link: 0 is down",
                C::CorosyncLinkDown,
            ),
            (
                Source::Corosync,
                "[KNET  ] rx: host: 2 link: 0 is up",
                C::CorosyncLinkUp,
            ),
            (
                Source::Corosync,
                "[TOTEM ] Retransmit List: 1 2",
                C::CorosyncRetransmit,
            ),
            (
                Source::Corosync,
                "[TOTEM ] A new membership (1.2) was formed. Members",
                C::CorosyncMembership,
            ),
            (
                Source::Ha,
                "node 'pve2': state changed from 'unknown' => 'fence'",
                C::HaFencing,
            ),
            (
                Source::Ha,
                "client watchdog expired - disable watchdog updates",
                C::HaFencing,
            ),
            (
                Source::Pvestatd,
                "status update time (12.345 seconds)",
                C::PvestatdSlow,
            ),
            (
                Source::Qmeventd,
                "Starting cleanup for 101",
                C::GuestCleanup,
            ),
            (
                Source::Firewall,
                "/etc/pve/firewall/cluster.fw (line 7) - errors in rule parameters: IN ACCEPT x",
                C::FirewallError,
            ),
            (
                Source::Firewall,
                "status update error: iptables_restore_cmdlist: Try `x'",
                C::FirewallError,
            ),
            (
                Source::Scheduler,
                "could not notify via target `mail-to-root`: could not notify via endpoint(s)",
                C::NotificationFailure,
            ),
            (
                Source::Ssh,
                "Failed password for root from 192.0.2.99 port 40022 ssh2",
                C::AuthenticationFailure,
            ),
            (
                Source::Pmxcfs,
                "[dcdb] crit: cpg_initialize failed: 2",
                C::PmxcfsCritical,
            ),
        ] {
            assert_eq!(class(source, message), Some(wanted), "{message}");
        }
    }
}
