//! What the kernel is set to, its swap space and modules.
//!
//! Of `/proc/sys/net` nearly all is of the reader's network namespace, and the
//! agent's is empty. What files say about it is carried instead, and what the
//! tables of process 1 show.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, KernelSamePages, KernelSettings, KernelValue};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, plain::short};

mod apparmor;
mod configured;
mod table;

const SYSCTL: &str = "/proc/sys/";
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
const OPEN_FILES: &str = "/proc/sys/fs/file-nr";
const CONNECTIONS: &str = "/proc/1/net/stat/nf_conntrack";
/// Not of the reader's namespace: the kernel has one limit, and shows it in all.
const CONNECTIONS_LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const PROTOCOLS: &str = "/proc/1/net/snmp";
const BACKLOG: &str = "/proc/1/net/softnet_stat";
const SWAPS: &str = "/proc/swaps";
const MODULES: &str = "/proc/modules";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
const NX_HUGE_PAGES: &str = "/sys/module/kvm/parameters/nx_huge_pages";
const IGNORE_MSRS: &str = "/sys/module/kvm/parameters/ignore_msrs";
const NESTED: [&str; 2] = [
    "/sys/module/kvm_intel/parameters/nested",
    "/sys/module/kvm_amd/parameters/nested",
];
const UNSAFE_INTERRUPTS: &str = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
const KSM: &str = "/sys/kernel/mm/ksm";

/// Numbers. Not of a network namespace.
const NUMBERS: [&str; 15] = [
    "/proc/sys/fs/aio-max-nr",
    "/proc/sys/fs/aio-nr",
    "/proc/sys/fs/inotify/max_user_instances",
    "/proc/sys/kernel/dmesg_restrict",
    "/proc/sys/kernel/keys/maxkeys",
    "/proc/sys/kernel/kptr_restrict",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/tainted",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/swappiness",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "kernel_settings",
    summary: "settings of the kernel and what configures them, swap space and modules",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(600),
    deadline: FILE_DEADLINE,
    paths: &[
        "/proc/sys/fs/aio-max-nr",
        "/proc/sys/fs/aio-nr",
        "/proc/sys/fs/inotify/max_user_instances",
        "/proc/sys/kernel/dmesg_restrict",
        "/proc/sys/kernel/keys/maxkeys",
        "/proc/sys/kernel/kptr_restrict",
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/panic_on_oops",
        "/proc/sys/kernel/pid_max",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/tainted",
        "/proc/sys/kernel/unprivileged_bpf_disabled",
        "/proc/sys/kernel/yama/ptrace_scope",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/swappiness",
        CORE_PATTERN,
        OPEN_FILES,
        CONNECTIONS,
        CONNECTIONS_LIMIT,
        PROTOCOLS,
        BACKLOG,
        SWAPS,
        MODULES,
        APPARMOR,
        apparmor::PROFILES,
        NX_HUGE_PAGES,
        IGNORE_MSRS,
        "/sys/module/kvm_intel/parameters/nested",
        "/sys/module/kvm_amd/parameters/nested",
        UNSAFE_INTERRUPTS,
        "/sys/kernel/mm/ksm/run",
        "/sys/kernel/mm/ksm/pages_sharing",
        "/sys/kernel/mm/ksm/pages_shared",
        "/sys/kernel/mm/ksm/full_scans",
        configured::SYSCTL_CONF,
        "/etc/sysctl.d/*.conf",
        "/usr/lib/sysctl.d/*.conf",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let [intel, amd] = NESTED.map(|path| flag(reading, path));
    let mut settings = KernelSettings {
        values: values(reading),
        pipes_core_dumps: reading
            .read_word(CORE_PATTERN)
            .map(|pattern| pattern.starts_with('|')),
        is_apparmor_enabled: flag(reading, APPARMOR),
        kvm_nx_huge_pages: reading
            .read_word(NX_HUGE_PAGES)
            .map(|word| short(&word, 20)),
        kvm_ignores_msrs: flag(reading, IGNORE_MSRS),
        is_kvm_nested: intel.or(amd),
        same_pages: same_pages(reading),
        allows_unsafe_interrupts: flag(reading, UNSAFE_INTERRUPTS),
        tracked_connections: parsed(reading, CONNECTIONS, table::connections),
        tracked_connections_limit: reading.read_number(CONNECTIONS_LIMIT),
        forwards_ipv4: parsed(reading, PROTOCOLS, table::forwarding),
        apparmor: parsed(reading, apparmor::PROFILES, apparmor::parse),
        ..KernelSettings::default()
    };
    if let Some((open, limit)) = parsed(reading, OPEN_FILES, table::open_files) {
        settings.open_files = Some(open);
        settings.open_files_limit = Some(limit);
    }
    if let Some((drops, squeezes)) = parsed(reading, BACKLOG, table::backlog) {
        settings.backlog_drops_total = Some(drops);
        settings.backlog_squeezes_total = Some(squeezes);
    }
    if let Some(mut swaps) = parsed(reading, SWAPS, table::swaps) {
        settings.truncated |= swaps.len() > table::SWAP_LIMIT;
        swaps.truncate(table::SWAP_LIMIT);
        settings.swaps = swaps;
    }
    if let Some(modules) = parsed(reading, MODULES, table::modules) {
        settings.truncated |= modules.known.len() > table::MODULE_LIMIT;
        settings.modules = modules.known;
        settings.modules.truncate(table::MODULE_LIMIT);
        settings.out_of_tree_modules = Some(modules.out_of_tree);
    }
    configured::collect(reading, &mut settings);
    Ok(Payload::KernelSettings(settings))
}

fn values(reading: &mut Reading<'_>) -> Vec<KernelValue> {
    let mut values = Vec::new();
    for path in NUMBERS {
        let Some(word) = reading.read_word(path) else {
            continue;
        };
        let value = word.parse();
        let value = value.map_err(|_| FormatError::malformed("not a number").at(path));
        if let Some(value) = reading.keep(value) {
            let key = key_of(path);
            values.push(KernelValue { key, value });
        }
    }
    values
}

/// `vm.swappiness` for `/proc/sys/vm/swappiness`.
fn key_of(path: &str) -> String {
    let key = path.strip_prefix(SYSCTL).unwrap_or(path);
    key.replace('/', ".")
}

/// A parameter of a module; newer kernels say `Y`, some modules `1`.
fn flag(reading: &mut Reading<'_>, path: &str) -> Option<bool> {
    let flag = match reading.read_word(path)?.as_str() {
        "Y" | "1" => Ok(true),
        "N" | "0" => Ok(false),
        _ => Err(FormatError::malformed("neither Y nor N").at(path)),
    };
    reading.keep(flag)
}

fn same_pages(reading: &mut Reading<'_>) -> Option<KernelSamePages> {
    let mut number = |file| reading.read_number(&format!("{KSM}/{file}"));
    let pages = KernelSamePages {
        run: number("run"),
        pages_sharing: number("pages_sharing"),
        pages_shared: number("pages_shared"),
        full_scans_total: number("full_scans"),
    };
    (pages != KernelSamePages::default()).then_some(pages)
}

/// What is in a file that may be absent.
fn parsed<T>(
    reading: &mut Reading<'_>,
    path: &str,
    parse: impl Fn(&str) -> Result<T, FormatError>,
) -> Option<T> {
    let text = reading.read_optional(path, KERNEL_FILE_LIMIT)?;
    reading.keep(parse(&text).map_err(|error| error.at(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn settings(files: &[(&str, &str)]) -> KernelSettings {
        let sample = sample(&COLLECTOR, files);
        assert_eq!(kinds(&sample), []);
        match sample.payload {
            Some(Payload::KernelSettings(settings)) => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_number_is_declared() {
        for path in NUMBERS.iter().chain(&NESTED) {
            assert!(COLLECTOR.paths.contains(path), "{path}");
        }
        assert_eq!(
            key_of("/proc/sys/kernel/keys/maxkeys"),
            "kernel.keys.maxkeys"
        );
    }

    #[test]
    fn a_panic_without_delay_is_negative() {
        let settings = settings(&[("proc/sys/kernel/panic", "-1\n")]);
        assert_eq!(settings.values[0].value, -1);
        assert_eq!(settings.values.len(), 1);
        assert_eq!(settings.same_pages, None);
    }

    #[test]
    fn a_core_pattern_says_only_whether_it_is_a_program() {
        let settings = settings(&[
            ("proc/sys/kernel/core_pattern", "|/usr/lib/handler canary\n"),
            ("sys/module/kvm_amd/parameters/nested", "1\n"),
        ]);
        assert_eq!(settings.pipes_core_dumps, Some(true));
        assert_eq!(settings.is_kvm_nested, Some(true));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
