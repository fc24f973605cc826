//! A node of two with guests of every kind, and the engine on it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
};

use pvelens_proto::{
    agent::v1::{
        GuestCommandArgument, GuestCommandResult, GuestMark, RunGuestCommandRequest,
        run_guest_command_response::Event,
    },
    timestamp_from_millis,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    audit::Audit,
    guest::{Guests, catalogue::Catalogue, rule::Rules},
    guest_socket::Remembered,
    host::{Clock, Host},
};

/// Read once: it is large.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

pub(super) const NOW: i64 = 1_795_349_087_000;
pub(super) const CREATED: i64 = 1_650_984_230;

/// VMs that run here, with the `id` of their systems.
pub(super) const RUNNING: [(u32, &str); 3] = [(101, "debian"), (102, "mswindows"), (104, "alpine")];

/// What there is, by path.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut put = |path: &str, text: String| files.insert(path.to_owned(), text);
    let config = |name: &str, vmid: u32, more: &str| {
        format!(
            "agent: 1\nname: {name}\nmeta: creation-qemu=9.0.2,ctime={CREATED}\nsmbios1: \
             uuid=3b2c1a00-0000-4000-8000-000000000{vmid}\n{more}"
        )
    };
    let here = "etc/pve/nodes/pve1/qemu-server";
    put(
        &format!("{here}/101.conf"),
        config("web1", 101, "tags: prod\n"),
    );
    put(&format!("{here}/102.conf"), config("win1", 102, ""));
    put(&format!("{here}/103.conf"), config("stopped", 103, ""));
    put(&format!("{here}/104.conf"), config("alpine1", 104, ""));
    put(
        "etc/pve/nodes/pve2/qemu-server/201.conf",
        config("other", 201, ""),
    );
    put(
        "etc/pve/nodes/pve1/lxc/110.conf",
        "hostname: ct1\n".to_owned(),
    );
    put(
        "etc/pve/user.cfg",
        "user:root@pam:1:0::::::\npool:customers::104::\npool:customers/small::102::\n".to_owned(),
    );
    put("var/log/pve/tasks/active", String::new());
    for (vmid, _) in RUNNING {
        put(&format!("run/qemu-server/{vmid}.pid"), format!("{vmid}\n"));
        put(
            &format!("proc/{vmid}/stat"),
            format!("{vmid} (kvm) S 1 2 2 0 -1 0 5 3 1 5 73 43 48 21 20 0 5 0 9 14 8 0\n"),
        );
        put(
            &format!("proc/{vmid}/cgroup"),
            format!("0::/qemu.slice/{vmid}.scope\n"),
        );
    }
    put(
        "etc/pvelens/guest-policy.toml",
        "[[allow]]\nguests = [\"all\"]\ncommands = [\"all\"]\n".to_owned(),
    );
    files
}

pub(super) struct World {
    directory: TempDir,
    pub(super) guests: Arc<Guests>,
    pub(super) clock: Arc<AtomicI64>,
    /// Sockets that nobody serves yet.
    pub(super) sockets: BTreeMap<u32, UnixListener>,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self::with(rules, &BTreeMap::new(), &BTreeMap::new())
    }

    /// With other content of files, an empty one being none, and other systems.
    pub(super) fn with(
        rules: Rules,
        changed: &BTreeMap<String, String>,
        systems: &BTreeMap<String, String>,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let mut files = files();
        for (path, text) in changed {
            if text.is_empty() {
                files.remove(path);
            } else {
                files.insert(path.clone(), text.clone());
            }
        }
        for (path, text) in &files {
            write(&directory.path().join(path), text);
        }
        for lists in ["nodes/pve1/lxc", "nodes/pve2/lxc", "nodes/pve2/qemu-server"] {
            fs::create_dir_all(directory.path().join("etc/pve").join(lists)).unwrap();
        }
        symlink("nodes/pve1", directory.path().join("etc/pve/local")).unwrap();
        let clock = Arc::new(AtomicI64::new(NOW));
        let host = Host::open(directory.path()).unwrap();
        let host = Arc::new(
            host.witnessed()
                .with_clock(Clock::Fixed(Arc::clone(&clock))),
        );
        let mut sockets = BTreeMap::new();
        for (vmid, id) in RUNNING {
            let path = directory.path().join(format!("run/qemu-server/{vmid}.qga"));
            sockets.insert(vmid, UnixListener::bind(path).unwrap());
            let id = systems.get(&vmid.to_string()).map_or(id, String::as_str);
            if !id.is_empty() {
                let system = Remembered {
                    process: (u64::from(vmid), 9),
                    id: id.to_owned(),
                    name: id.to_owned(),
                };
                host.guest_agents().remember_system(vmid, system);
            }
        }
        let mut guests = Guests::with_catalogue(host, Audit::in_memory(), CATALOGUE.clone());
        guests.rules = rules;
        Self {
            directory,
            guests: Arc::new(guests),
            clock,
            sockets,
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        write(&self.path(path), text);
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::AcqRel);
    }

    pub(super) async fn run(&self, request: RunGuestCommandRequest) -> GuestCommandResult {
        self.heard(request).await.0
    }

    /// The result, and what was told before it.
    pub(super) async fn heard(
        &self,
        request: RunGuestCommandRequest,
    ) -> (GuestCommandResult, Vec<Event>) {
        let (sender, mut receiver) = mpsc::channel(64);
        let guests = Arc::clone(&self.guests);
        let result = guests.run(request, "test".to_owned(), sender).await;
        let mut events = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        (result, events)
    }

    /// Whether anybody connected to a guest.
    pub(super) fn is_untouched(&self) -> bool {
        self.sockets.values().all(|socket| {
            socket.set_nonblocking(true).unwrap();
            socket.accept().is_err()
        })
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    // Whatever the umask is: the policy wants to know who may write it.
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// A good request.
pub(super) fn request(id: &str, vmid: u32, command: &str) -> RunGuestCommandRequest {
    RunGuestCommandRequest {
        request_id: id.to_owned(),
        made_at: Some(timestamp_from_millis(NOW)),
        guest: Some(GuestMark {
            cluster_id: String::new(),
            node: "pve1".to_owned(),
            vmid,
            ..GuestMark::default()
        }),
        command: command.to_owned(),
        arguments: Vec::new(),
        on_behalf_of: String::new(),
    }
}

pub(super) fn argument(name: &str, value: &str) -> GuestCommandArgument {
    GuestCommandArgument {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
