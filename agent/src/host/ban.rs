//! Paths that are never opened, whatever asks for them and whatever link leads
//! there.
//!
//! Two kinds: places that hold secrets, and places that a process without
//! capabilities cannot read anyway. The second kind is refused also where it
//! could be read (as root, on a recording), so that no test can come to rely on
//! more than the sandbox will show.

/// Files of a process that need `CAP_SYS_PTRACE`, or hold its memory.
const PROCESS_FILES: &[&str] = &[
    "auxv",
    "environ",
    "fd",
    "fdinfo",
    "io",
    "map_files",
    "maps",
    "mem",
    "ns",
    "numa_maps",
    "pagemap",
    "root",
    "smaps",
    "smaps_rollup",
    "stack",
    "syscall",
];

/// Below these everything is banned.
const DIRECTORIES: &[&[&str]] = &[
    &["etc", "pve", "priv"],
    &["etc", "pve", "nodes", "*", "priv"],
    &["etc", "pve", "local", "priv"],
    &["etc", "pvelens"],
    &["etc", "ssl", "private"],
    // The database behind pmxcfs: opening it disturbs its owner.
    &["var", "lib", "pve-cluster"],
    &["root"],
    &["home"],
];

const FILES: &[&[&str]] = &[
    &["etc", "shadow"],
    &["etc", "shadow-"],
    &["etc", "gshadow"],
    &["etc", "gshadow-"],
    &["etc", "subscription"],
    &["proc", "kcore"],
];

/// Whether an absolute path is banned. `..` counts as a name: resolve first,
/// and ask again about the result.
pub(super) fn is_banned(path: &str) -> bool {
    let components: Vec<&str> = path
        .split('/')
        .filter(|component| !component.is_empty() && *component != ".")
        .collect();
    let Some(name) = components.last() else {
        return false;
    };
    is_key(name)
        || DIRECTORIES
            .iter()
            .any(|pattern| starts_with(&components, pattern))
        || FILES.iter().any(|file| components == *file)
        || is_process_secret(&components)
}

fn is_key(name: &str) -> bool {
    name.ends_with(".key") || name.ends_with("keyring") || name.ends_with("_key")
}

fn starts_with(components: &[&str], pattern: &[&str]) -> bool {
    components.len() >= pattern.len()
        && pattern
            .iter()
            .zip(components)
            .all(|(wanted, component)| *wanted == "*" || wanted == component)
}

/// `/proc/PID/io`, `/proc/PID/task/TID/io`, and everything below such a name.
fn is_process_secret(components: &[&str]) -> bool {
    match components {
        ["proc", process, "task", _, file, ..] | ["proc", process, file, ..] => {
            is_process(process) && PROCESS_FILES.contains(file)
        }
        _ => false,
    }
}

/// `/proc/pressure/io` is of no process, `/proc/self/io` is.
fn is_process(name: &str) -> bool {
    matches!(name, "self" | "thread-self") || name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_banned;

    #[test]
    fn secrets_and_process_memory_are_banned() {
        for path in [
            "/etc/pve/priv",
            "/etc/pve/priv/authkey.key",
            "/etc/pve/nodes/pve1/priv/x",
            "/etc/pve/nodes/pve1/pve-ssl.key",
            "//etc//pve/./priv/token.cfg",
            "/etc/pve/ceph/ceph.client.crash.keyring",
            "/etc/shadow",
            "/etc/ssh/ssh_host_ed25519_key",
            "/var/lib/pve-cluster/config.db",
            "/proc/1/root/etc/passwd",
            "/proc/77/io",
            "/proc/77/task/78/io",
            "/proc/self/environ",
            "/proc/thread-self/io",
            "/root/.ssh/id_ed25519",
        ] {
            assert!(is_banned(path), "{path}");
        }
    }

    #[test]
    fn what_collectors_need_is_not_banned() {
        for path in [
            "/",
            "/etc/pve/.members",
            "/etc/pve/local",
            "/etc/pve/nodes/pve1/qemu-server/100.conf",
            "/etc/pve/pve-root-ca.pem",
            "/proc/77/stat",
            "/proc/77/task/78/schedstat",
            "/proc/1/mountinfo",
            "/proc/1/net/dev",
            "/proc/io",
            "/proc/pressure/io",
            "/sys/fs/cgroup/lxc/101/io.stat",
        ] {
            assert!(!is_banned(path), "{path}");
        }
    }
}
