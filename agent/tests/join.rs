//! `pvelens-agent join` and `leave` as the administrator types them.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the program and look at what it made"
)]

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
};

use pvelens_proto::{join_line, timestamp_from_millis, v1::JoinTicket};
use tempfile::TempDir;

/// A node whose agent keeps everything below one directory.
struct Node(TempDir);

impl Node {
    fn new() -> Self {
        let node = Self(TempDir::new().unwrap());
        fs::create_dir_all(node.path("root/etc")).unwrap();
        fs::write(node.path("root/etc/hostname"), "pve1\n").unwrap();
        let settings = format!(
            "[agent]\nroot = {:?}\n[identity]\ndirectory = {:?}\n",
            node.path("root"),
            node.path("identity")
        );
        fs::write(node.path("agent.toml"), settings).unwrap();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The status, and what was said on standard output and standard error.
    fn types(&self, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pvelens-agent"))
            .args(arguments)
            .arg("--config-directory")
            .arg(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have ended without looking at it.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

const JOIN: &[&str] = &["join", "--no-enable"];

/// A line for a coordinator where nobody listens, and its address.
fn line() -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ticket = JoinTicket {
        enrollment_addresses: vec![address.clone()],
        link_addresses: vec!["mon.example.org:8440".to_owned()],
        authority_sha256: vec![7; 32],
        token_id: "k3x9".to_owned(),
        secret: vec![9; 32],
        expires_at: Some(timestamp_from_millis(1_000_000)),
    };
    (join_line::write(&ticket), address)
}

#[test]
fn a_line_that_is_none_or_damaged_is_named() {
    let node = Node::new();
    let (line, _) = line();
    for (input, expected) in [
        ("", "there is no line to join with"),
        ("hello\n", "does not begin with pvelens-join-1."),
        (&line[..line.len() - 20], "copy it again"),
    ] {
        let (status, _, text) = node.types(JOIN, input);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    assert!(!node.path("identity").exists());
}

#[test]
fn the_line_is_no_argument() {
    let (line, _) = line();
    let (status, ..) = Node::new().types(&["join", &line], "");
    assert_eq!(status, Some(2));
}

#[test]
fn a_coordinator_that_is_not_there_is_named_and_the_clock_is_doubted() {
    let node = Node::new();
    let (line, address) = line();
    fs::write(node.path("line"), &line).unwrap();
    let file = node.path("line");
    let from_file = ["join", "--no-enable", "--line-file", file.to_str().unwrap()];
    for (arguments, input) in [(JOIN, line.as_str()), (&from_file, "")] {
        let (status, _, text) = node.types(arguments, input);
        assert_eq!(status, Some(1), "{text}");
        assert!(
            text.contains(&format!("{address}: Connection refused")),
            "{text}"
        );
        assert!(text.contains("the line ended at 1970-01-01"), "{text}");
        assert!(!text.contains(&line), "{text}");
    }
    assert!(!node.path("joined.toml").exists());
}

#[test]
fn leaving_ends_what_joining_left_and_can_be_done_twice() {
    let node = Node::new();
    let (status, ..) = node.types(JOIN, &line().0);
    assert_eq!(status, Some(1));
    assert!(node.path("identity/pending.json").exists());
    for expected in ["What was left", "has not joined"] {
        let (status, text, error) = node.types(&["leave", "--no-disable"], "");
        assert_eq!((status, error.as_str()), (Some(0), ""), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("systemctl disable --now pvelens-link"),
            "{text}"
        );
    }
    assert!(!node.path("identity/pending.json").exists());
}
