//! `pvelens-agent link` as systemd runs it: its settings, what it tells, and how
//! it ends.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are both ends, and start the program"
)]

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpListener,
    os::unix::net::{UnixDatagram, UnixListener},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For something that does not come at all.
const PATIENCE: Duration = Duration::from_secs(60);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvelens-agent"));
    command.args(arguments).env_remove("NOTIFY_SOCKET");
    command
}

/// The status, and what was said.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn without_a_coordinator_it_says_what_to_set_and_is_not_started_again() {
    let directory = TempDir::new().unwrap();
    let settings = directory.path().join("agent.toml");
    fs::write(&settings, "[link]\ncoordinators = []\n").unwrap();
    let mut command = program(&["link", "--config"]);
    let (status, text) = said(&command.arg(&settings).output().unwrap());
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("`link.coordinators` is empty"), "{text}");
    assert!(text.contains("agent.toml"), "{text}");
    let unit = include_str!("../../packaging/systemd/pvelens-link.service");
    assert!(
        unit.lines()
            .any(|line| line == "RestartPreventExitStatus=2")
    );
}

#[test]
fn an_impossible_coordinator_is_named_wherever_it_was_set() {
    let directory = TempDir::new().unwrap();
    let settings = directory.path().join("agent.toml");
    fs::write(&settings, "[link]\ncoordinators = [\"https://mon\"]\n").unwrap();
    for command in ["link", "config check"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let mut file = program(&arguments);
        file.arg("--config").arg(&settings);
        let mut environment = program(&arguments);
        environment.env("PVELENS_LINK__COORDINATORS", "mon:8440,https://mon");
        for mut command in [file, environment] {
            let (status, text) = said(&command.output().unwrap());
            assert_eq!(status, Some(2), "{text}");
            assert!(text.contains("coordinators"), "{text}");
            assert!(text.contains("\"https://mon\" is a URL"), "{text}");
        }
    }
    for other in ["mon:0", "mon:8440"] {
        let mut command = program(&["link", "--coordinator", "mon", "--coordinator", other]);
        let (status, text) = said(&command.output().unwrap());
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(other), "{text}");
    }
}

#[test]
fn what_join_wrote_beside_the_settings_is_linked_to() {
    let directory = TempDir::new().unwrap();
    let path = |name| directory.path().join(name);
    let coordinator = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = coordinator.local_addr().unwrap();
    fs::write(path("agent.toml"), "").unwrap();
    fs::write(
        path("joined.toml"),
        format!("coordinators = [\"{address} nobody.invalid\"]\n"),
    )
    .unwrap();
    let agent = UnixListener::bind(path("link.sock")).unwrap();
    let child = program(&["link", "--config"])
        .arg(path("agent.toml"))
        .env("PVELENS_LINK__COORDINATORS", address.to_string())
        .env("PVELENS_LINK__SOCKET", path("link.sock"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _program = Program(child);
    let _ends = (coordinator.accept().unwrap(), agent.accept().unwrap());
    coordinator.set_nonblocking(true).unwrap();
    let second = coordinator.accept().map_err(|error| error.kind());
    assert_eq!(
        second.err(),
        Some(ErrorKind::WouldBlock),
        "one link, not two"
    );
}

#[test]
fn a_damaged_file_of_join_is_named_and_not_passed_over() {
    let directory = TempDir::new().unwrap();
    let path = |name| directory.path().join(name);
    fs::write(path("agent.toml"), "[link]\ncoordinators = [\"mon\"]\n").unwrap();
    fs::write(path("joined.toml"), "coordinators = [\"mon").unwrap();
    let mut command = program(&["link", "--config"]);
    let (status, text) = said(&command.arg(path("agent.toml")).output().unwrap());
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("joined.toml is damaged"), "{text}");
}

/// What systemd hears.
struct Systemd(UnixDatagram);

impl Systemd {
    fn hears(&self, expected: &str) {
        let mut buffer = [0; 1024];
        loop {
            let length = match self.0.recv(&mut buffer) {
                // The end of a child may interrupt it.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                length => length.unwrap(),
            };
            let message = String::from_utf8_lossy(&buffer[..length]);
            if message.contains(expected) {
                return;
            }
        }
    }
}

/// Ends with the test, when that fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        self.0.wait().unwrap();
    }
}

#[test]
fn it_carries_tells_systemd_and_ends_in_order() {
    let directory = TempDir::new().unwrap();
    let path = |name| directory.path().join(name);
    let systemd = Systemd(UnixDatagram::bind(path("notify")).unwrap());
    systemd.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let coordinator = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = coordinator.local_addr().unwrap().to_string();
    let agent = UnixListener::bind(path("link.sock")).unwrap();
    let child = program(&["link"])
        .env("PVELENS_LINK__COORDINATORS", &address)
        .env("PVELENS_LINK__SOCKET", path("link.sock"))
        .env("NOTIFY_SOCKET", path("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Program(child);
    systemd.hears("READY=1");

    let (mut coordinator, _) = coordinator.accept().unwrap();
    let (mut agent, _) = agent.accept().unwrap();
    coordinator.set_read_timeout(Some(PATIENCE)).unwrap();
    agent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 5];
    coordinator.write_all(b"hello").unwrap();
    agent.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello");
    agent.write_all(b"world").unwrap();
    coordinator.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"world");
    systemd.hears(&format!("STATUS=link to {address} is up"));
    systemd.hears("WATCHDOG=1");
    systemd.hears("WATCHDOG=1");

    let pid = Pid::from_raw(i32::try_from(program.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    systemd.hears("STOPPING=1");
    let mut rest = Vec::new();
    agent.read_to_end(&mut rest).unwrap();
    agent.write_all(b"goodbye").unwrap();
    drop(agent);
    coordinator.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"goodbye");
    assert_eq!(program.0.wait().unwrap().code(), Some(0));

    let mut log = String::new();
    let stderr = program.0.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(log.contains("to_agent=5 to_coordinator=12"), "{log}");
    assert!(!log.contains("hello") && !log.contains("world"), "{log}");
}

#[test]
fn it_ends_although_nobody_answers() {
    let directory = TempDir::new().unwrap();
    let notify = directory.path().join("notify");
    let systemd = Systemd(UnixDatagram::bind(&notify).unwrap());
    systemd.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = program(&["link", "--coordinator", "nobody.invalid"])
        .args(["--coordinator", "127.0.0.1:1"])
        .env("NOTIFY_SOCKET", &notify)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut program = Program(child);
    systemd.hears("0 of 2 links up; nobody.invalid:8440: looking up nobody.invalid: ");
    let pid = Pid::from_raw(i32::try_from(program.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}
