//! `pvelens doctor` as a user runs it: against a running coordinator, without
//! one, and with wrong settings. What it says of the machine that the tests run
//! on is not looked at.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::indexing_slicing,
    reason = "a test fails by it, in its helpers too"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the program as a user does"
)]

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens");
/// Looks at the socket of a starting coordinator, ten milliseconds apart.
const PATIENCE: usize = 1000;

/// A coordinator that ends with the test.
struct Coordinator(Child);

impl Coordinator {
    fn start(settings: &Path, socket: &Path) -> Self {
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg("--config")
            .arg(settings)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let coordinator = Self(child);
        for _ in 0..PATIENCE {
            if UnixStream::connect(socket).is_ok() {
                return coordinator;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the coordinator does not serve");
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Settings of a coordinator in a directory of its own.
fn settings(directory: &TempDir) -> (PathBuf, PathBuf) {
    let run = directory.path().join("run");
    let file = directory.path().join("pvelens.toml");
    let agent = directory.path().join("agent.sock");
    let text = format!(
        "[agents]\nsockets = [{agent:?}]\n[sockets]\ndirectory = {run:?}\ngroup = \"\"\n[http]\nenabled = false\n"
    );
    fs::write(&file, text).unwrap();
    (file, run.join("read.sock"))
}

fn doctor(settings: &Path, format: &str) -> (String, i32) {
    let output = Command::new(PROGRAM)
        .args(["doctor", "--output", format, "--config"])
        .arg(settings)
        .env_remove("PVELENS_SOCKET")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

/// The first item of a section.
fn first(said: &str, title: &str) -> Value {
    let said: Value = serde_json::from_str(said).unwrap();
    let sections = said["sections"].as_array().unwrap();
    let section = sections.iter().find(|section| section["title"] == title);
    section.unwrap_or_else(|| panic!("{said:#}"))["items"][0].clone()
}

#[test]
fn a_running_coordinator_is_asked_about_its_agents() {
    let directory = TempDir::new().unwrap();
    let (settings, socket) = settings(&directory);
    let _coordinator = Coordinator::start(&settings, &socket);
    // Until it has tried to reach its agent.
    let mut last = (String::new(), 0);
    for _ in 0..PATIENCE {
        last = doctor(&settings, "json");
        if last.0.contains("is not connected") {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let (said, status) = last;
    assert_eq!(first(&said, "Settings")["state"], "ok");
    let coordinator = first(&said, "Coordinator");
    assert!(
        coordinator["what"].as_str().unwrap().contains("answers"),
        "{said}"
    );
    let agent = first(&said, "Agents");
    assert_eq!(agent["why"], "no such socket; is the agent running?");
    assert_eq!(status, 1, "{said}");
    let (text, _) = doctor(&settings, "text");
    let last = text.lines().find(|line| line.contains("Do first: "));
    assert!(last.is_some(), "{text}");
    assert!(!text.contains('\u{1b}'), "a pipe gets no colours: {text}");
    let (markdown, _) = doctor(&settings, "markdown");
    assert!(markdown.starts_with("### Settings\n"), "{markdown}");
}

#[test]
fn without_a_coordinator_the_status_says_that_it_was_not_asked() {
    let directory = TempDir::new().unwrap();
    let (settings, _) = settings(&directory);
    let (said, status) = doctor(&settings, "json");
    assert_eq!(status, 3);
    assert_eq!(first(&said, "Coordinator")["state"], "problem");
}

#[test]
fn wrong_settings_are_a_problem() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pvelens.toml");
    fs::write(&file, "[socket]\ndirectory = \"/x\"\n").unwrap();
    let (said, _) = doctor(&file, "json");
    let item = first(&said, "Settings");
    assert_eq!(item["state"], "problem");
    let why = item["why"].as_str().unwrap();
    assert!(why.contains("did you mean `sockets`?"), "{why}");
}

#[test]
fn what_operators_state_is_looked_at_too() {
    let directory = TempDir::new().unwrap();
    let (settings, _) = settings(&directory);
    let intent = settings.with_file_name("intent.toml");
    fs::write(&intent, "[tag]\nlab = [\"lab\"]\n").unwrap();
    let said = || {
        let (said, _) = doctor(&settings, "json");
        let said: Value = serde_json::from_str(&said).unwrap();
        said["sections"][0]["items"][1].clone()
    };
    let item = said();
    assert_eq!(item["state"], "problem", "{item:#}");
    let why = item["why"].as_str().unwrap();
    assert!(why.contains("did you mean `tags`?"), "{why}");
    fs::write(&intent, "[tags]\nlab = [\"lab\"]\n").unwrap();
    assert_eq!(said()["state"], "ok");
}
