//! `pvelens-agent doctor` as an administrator runs it: against a running agent
//! of a simulated node, without one, and with wrong settings. What it says of
//! the machine that the tests run on is not looked at.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests write the node, and start the program"
)]

mod node;

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use node::Node;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens-agent");
/// Looks at the socket of a starting agent, ten milliseconds apart.
const PATIENCE: usize = 1000;

/// An agent that ends with the test.
struct Agent(Child);

impl Agent {
    fn start(node: &Node, socket: &Path) -> Self {
        let child = Command::new(PROGRAM)
            .arg("run")
            .arg("--root")
            .arg(node.root())
            .arg("--socket")
            .arg(socket)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self(child);
        for _ in 0..PATIENCE {
            if UnixStream::connect(socket).is_ok() {
                return agent;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the agent does not serve");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What the doctor says in JSON, and its status.
fn doctor(node: &Node, socket: &Path, settings: &str) -> (Value, i32) {
    let file = node.root().join("agent.toml");
    fs::write(&file, settings).unwrap();
    let output = Command::new(PROGRAM)
        .args(["doctor", "--output", "json", "--config"])
        .arg(file)
        .env("PVELENS_AGENT__ROOT", node.root())
        .env("PVELENS_AGENT__SOCKET", socket)
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap();
    (said, output.status.code().unwrap())
}

/// The items of the section whose title begins so.
fn section<'v>(said: &'v Value, title: &str) -> &'v Vec<Value> {
    let sections = said["sections"].as_array().unwrap();
    let section = sections
        .iter()
        .find(|section| section["title"].as_str().unwrap().starts_with(title));
    section.unwrap()["items"].as_array().unwrap()
}

#[test]
fn a_running_agent_is_asked_and_its_sources_are_named() {
    let node = Node::new();
    let socket = node.root().join("agent/local.sock");
    fs::remove_file(node.root().join("run/pve/metrics")).unwrap();
    let agent = Agent::start(&node, &socket);
    // Until everything has been read once.
    let mut last = (Value::Null, 0);
    for _ in 0..PATIENCE {
        last = doctor(&node, &socket, "");
        let missing = last.0.to_string().contains("was not read yet");
        if !missing {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let (said, status) = last;
    assert_eq!(section(&said, "Settings")[0]["state"], "ok");
    assert_eq!(section(&said, "Node")[0]["state"], "ok", "{said:#}");
    let process = format!("(process {})", agent.0.id());
    assert!(said.to_string().contains(&process), "{said:#}");
    let sources = section(&said, "Sources");
    let problems: Vec<_> = sources
        .iter()
        .filter(|item| item["state"] == "problem")
        .collect();
    assert_eq!(problems.len(), 1, "{said:#}");
    let fix = problems[0]["fix"].as_str().unwrap();
    assert!(fix.contains("pvestatd"), "{fix}");
    assert_eq!((said["state"].as_str(), status), (Some("problem"), 1));
}

#[test]
fn without_an_agent_the_sources_are_read_all_the_same() {
    let node = Node::new();
    let (said, status) = doctor(&node, &node.root().join("none.sock"), "");
    assert_eq!(status, 1);
    assert_eq!(section(&said, "Agent")[0]["state"], "problem");
    assert_eq!(section(&said, "Node")[0]["state"], "ok");
    let sources = section(&said, "Sources, read by this command");
    let first = sources[0]["what"].as_str().unwrap();
    assert!(first.contains("sources read"), "{first}");
}

#[test]
fn wrong_settings_are_a_problem_and_nothing_else_is_left_out() {
    let node = Node::new();
    let socket = node.root().join("none.sock");
    let (said, status) = doctor(&node, &socket, "[spool]\nlimit = 1\n");
    assert_eq!(status, 1);
    let item = &section(&said, "Settings")[0];
    assert_eq!(item["state"], "problem");
    assert!(
        item["why"].as_str().unwrap().contains("`spool.limit`"),
        "{item}"
    );
    assert!(!section(&said, "Sources").is_empty());
}
