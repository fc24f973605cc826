//! `pvelens-agent run` as systemd starts it, in mount namespaces that were built
//! right, wrong, and go wrong later.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the test is systemd: it makes the files and starts the agent"
)]

mod hanging;

use std::{
    fs::{self, File},
    io::Read,
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use hanging::Hanging;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_pvelens-agent");
/// Far more than a tick.
const PATIENCE: Duration = Duration::from_secs(60);
const UNIT: &str = include_str!("../../packaging/systemd/pvelens-agent.service");
/// Standard input becomes the socket that systemd hands over. Without capabilities,
/// since with them root opens what its mode forbids.
const START: &str = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; \
    exec \"$DIRECTORY/setpriv\" --inh-caps=-all --bounding-set=-all \"$AGENT\" run";
/// As on a node without secrets: `/etc` and `/var/lib` have none.
const NO_SECRETS: &str =
    "mount -t tmpfs none /etc && mount -t tmpfs none /var/lib && mkdir /etc/pve";
/// Used when there is nothing left in `/usr/bin`.
const TOOLS: &[&str] = &["setpriv", "mount"];

/// Hides what the unit hides, but for the secrets; `/usr/bin` last, since it has
/// what hides the others.
fn masks() -> String {
    let paths = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("InaccessiblePaths="))
        .flat_map(str::split_whitespace)
        .map(|path| path.trim_start_matches('-'));
    let mut paths: Vec<&str> = paths
        .filter(|path| !path.starts_with("/etc/") && !path.starts_with("/var/lib/"))
        .collect();
    paths.sort_by_key(|path| *path == "/usr/bin");
    let masks = paths
        .iter()
        .map(|path| format!("{{ [ ! -e {path} ] || mount -t tmpfs -o mode=000 none {path}; }}"));
    // Of what the unit shows in `/run` nothing is needed here.
    let run = std::iter::once("mount -t tmpfs none /run".to_owned());
    run.chain(masks).collect::<Vec<_>>().join(" && ")
}

/// An agent and its service manager.
struct Unit {
    directory: TempDir,
    notifications: UnixDatagram,
    agent: Child,
}

impl Unit {
    /// Starts the agent in a mount namespace of its own, which the script has
    /// prepared, with masks. `None` where this is not allowed.
    fn start(prepare: &str) -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "true"]).stderr(Stdio::null());
        allowed(unshare.status().unwrap().success().then_some(()))?;
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "sh",
            "-c",
            &format!("{prepare} && {} && {START}", masks()),
        ]);
        Some(Self::spawn(unshare))
    }

    fn spawn(mut command: Command) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        let notifications = UnixDatagram::bind(path("notify")).unwrap();
        notifications.set_read_timeout(Some(PATIENCE)).unwrap();
        for tool in TOOLS {
            fs::copy(Path::new("/usr/bin").join(tool), path(tool)).unwrap();
        }
        let listener = UnixListener::bind(path("local.sock")).unwrap();
        let agent = command
            .env("AGENT", AGENT)
            .env("DIRECTORY", directory.path())
            .env("NOTIFY_SOCKET", path("notify"))
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            directory,
            notifications,
            agent,
        }
    }

    /// The next message to the service manager.
    fn notification(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.notifications.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// What is still in the queue.
    fn other_notifications(&self) -> String {
        self.notifications.set_nonblocking(true).unwrap();
        let mut text = String::new();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.notifications.recv(&mut bytes) {
            text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
        text
    }

    /// Mounts in the namespace of the agent.
    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("nsenter")
            .args(["--mount", "--target", &self.agent.id().to_string()])
            .arg(self.directory.path().join("mount"))
            .args(arguments)
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits until the agent has ended: its status and its log.
    fn ended(&mut self) -> (Option<i32>, String) {
        let status = self.agent.wait().unwrap();
        let mut log = String::new();
        let path = self.directory.path().join("log");
        File::open(path).unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }

    fn stop(&self) {
        kill_process(Pid::from_child(&self.agent), Signal::TERM).unwrap();
    }
}

/// What needs the right to mount, if there is that right. CI skips nothing.
fn allowed<T>(mounted: Option<T>) -> Option<T> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(mounted.is_some() || !in_ci, "mounting is not allowed");
    mounted
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.agent.kill().ok();
        self.agent.wait().ok();
    }
}

#[test]
fn a_secret_that_can_be_opened_ends_the_agent_before_it_is_ready() {
    let Some(mut unit) = Unit::start(&format!("{NO_SECRETS} && mkdir /etc/pve/priv")) else {
        return;
    };
    let (status, log) = unit.ended();
    assert_eq!(status, Some(75), "{log}");
    assert!(log.contains("/etc/pve/priv can be opened"), "{log}");
    assert_eq!(unit.other_notifications(), "");
}

#[test]
fn a_cluster_file_system_of_another_time_ends_the_agent_before_it_is_ready() {
    let Some(mut unit) = Unit::start(&format!("{NO_SECRETS} && mount -t tmpfs old /etc/pve"))
    else {
        return;
    };
    let (status, log) = unit.ended();
    assert_eq!(status, Some(75), "{log}");
    assert!(log.contains("/etc/pve is tmpfs"), "{log}");
    assert!(log.contains("no mount for the node"), "{log}");
    assert_eq!(unit.other_notifications(), "");
}

#[test]
fn a_whole_cage_is_ready_and_ends_when_the_cluster_file_system_is_mounted_anew() {
    let Some(mut unit) = Unit::start(NO_SECRETS) else {
        return;
    };
    let first = unit.notification();
    assert!(first.contains("READY=1\n"), "{first}");
    assert!(first.contains("WATCHDOG=1\n"), "{first}");
    assert!(first.contains("STATUS="), "{first}");
    let socket = unit.directory.path().join("local.sock");
    drop(UnixStream::connect(&socket).unwrap());

    unit.mount(&["-t", "tmpfs", "new", "/etc/pve"]);
    let (status, log) = unit.ended();
    assert_eq!(status, Some(75), "{log}");
    assert!(log.contains("it was mounted anew"), "{log}");
    assert!(log.contains("sandbox=\"checked\""), "{log}");
    assert_eq!(unit.other_notifications(), "STOPPING=1\n");
    assert!(socket.exists(), "it is for systemd to remove");
}

#[test]
fn a_masked_path_that_hangs_is_no_reason_to_end() {
    let etc = TempDir::new().unwrap();
    let masked = etc.path().join("pve/priv");
    fs::create_dir_all(&masked).unwrap();
    let bind = format!(
        "mount -t tmpfs none /var/lib && mount --rbind '{}' /etc",
        etc.path().display()
    );
    let Some(hanging) = allowed(Hanging::over(masked)) else {
        return;
    };
    let Some(mut unit) = Unit::start(&bind) else {
        return;
    };
    assert!(unit.notification().contains("READY=1\n"));
    unit.stop();
    let (status, log) = unit.ended();
    drop(hanging);
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("the sandbox could not be checked"), "{log}");
    assert!(log.contains("trying the masked paths"), "{log}");
}

#[test]
fn started_by_hand_there_is_no_cage() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$AGENT\" run --socket \"$DIRECTORY/own.sock\""]);
    let mut unit = Unit::spawn(command);
    assert!(unit.notification().contains("READY=1\n"));
    let socket = unit.directory.path().join("own.sock");
    assert!(socket.exists());
    unit.stop();
    let (status, log) = unit.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("sandbox=\"none\""), "{log}");
    assert!(!socket.exists());
}
