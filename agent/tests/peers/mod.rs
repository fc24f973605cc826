//! A node with running VMs in a temporary tree, and real programs at their sockets.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its peer cannot be made"
)]

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pvelens_agent::host::{Clock, Host};
use tempfile::TempDir;

/// A node with running VMs, at a time that the test moves.
pub(crate) struct Vms {
    directory: TempDir,
    pub(crate) host: Arc<Host>,
    pub(crate) clock: Arc<AtomicI64>,
}

impl Vms {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for path in ["run/qemu-server", "etc/pve/nodes/pve1/qemu-server"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        let local = directory.path().join("etc/pve/local");
        std::os::unix::fs::symlink("nodes/pve1", local).unwrap();
        let clock = Arc::new(AtomicI64::new(1_795_349_087_000));
        let host = Host::open(directory.path()).unwrap();
        Self {
            host: Arc::new(host.with_clock(Clock::Fixed(Arc::clone(&clock)))),
            directory,
            clock,
        }
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Starts a VM with an agent; its process began at this tick.
    pub(crate) fn start(&self, vmid: u32, tick: u64) {
        self.write(&format!("run/qemu-server/{vmid}.pid"), &format!("{vmid}\n"));
        self.write(
            &format!("proc/{vmid}/stat"),
            &format!("{vmid} (kvm) S 1 2 2 0 -1 0 5 3 1 5 73 43 48 21 20 0 5 0 {tick} 14 8 0\n"),
        );
        self.configure(vmid, "agent: 1\n");
    }

    pub(crate) fn configure(&self, vmid: u32, text: &str) {
        self.write(&format!("etc/pve/nodes/pve1/qemu-server/{vmid}.conf"), text);
    }

    /// Where a socket of a VM is.
    pub(crate) fn socket(&self, vmid: u32, kind: &str) -> PathBuf {
        self.path(&format!("run/qemu-server/{vmid}.{kind}"))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::AcqRel);
    }
}

/// A real program that listens at a path, until the test ends.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Program {
    /// `None` when it is not installed, which CI does not accept.
    #[expect(
        clippy::print_stderr,
        reason = "a test that compares with nothing says so"
    )]
    pub(crate) fn start(
        program: &str,
        package: &str,
        arguments: &[&str],
        path: &Path,
    ) -> Option<Self> {
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let mut places = places.iter().map(|place| Path::new(place).join(program));
        let Some(found) = places.find(|path| path.exists()) else {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "{program} is not installed (package {package})");
            eprintln!("NOT TESTED: {program} is not installed (package {package})");
            return None;
        };
        let running = Self(Command::new(found).args(arguments).spawn().unwrap());
        let begun = Instant::now();
        while UnixStream::connect(path).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{program} does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Some(running)
    }
}
