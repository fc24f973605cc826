//! A probe as systemd starts it: the real program, its standard input and
//! output one end of a socket.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are systemd, which starts the probe"
)]

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::{Child, Command},
    thread,
};

use pvelens_agent::probe::{Header, Kind, Outcome, Request, ask_at};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens-agent");

fn answering(kind: &str, socket: UnixStream) -> Child {
    let input = OwnedFd::from(socket.try_clone().unwrap());
    Command::new(PROGRAM)
        .args(["answer-probe", kind])
        .stdin(input)
        .stdout(OwnedFd::from(socket))
        .spawn()
        .unwrap()
}

/// What the probe replies to these bytes, and the end of the caller's side.
fn answer(kind: &str, bytes: &[u8]) -> (Header, Vec<u8>) {
    let (mut caller, socket) = UnixStream::pair().unwrap();
    let mut probe = answering(kind, socket);
    caller.write_all(bytes).unwrap();
    caller.shutdown(Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    // A probe that leaves a part of the request unread ends with a reset.
    if let Err(error) = caller.read_to_end(&mut reply) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(probe.wait().unwrap().success());
    let end = reply.iter().position(|byte| *byte == b'\n').unwrap();
    let header: Header = serde_json::from_slice(&reply[..end]).unwrap();
    assert_eq!(header.stdout_bytes, reply.len() - end - 1);
    (header, reply[end + 1..].to_vec())
}

fn refusal(kind: &str, bytes: &[u8]) -> String {
    match answer(kind, bytes).0.outcome {
        Outcome::Refused { reason } => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn one_request_is_one_reply_and_the_end() {
    let request = b"{\"entry\":\"smart\",\"device\":\"sdzzzz\"}\n";
    assert_eq!(refusal("disk", request), "this node has no disk sdzzzz");
    let request = b"{\"entry\":\"mount_liveness\",\"mount_point\":\"/nonexistent\"}\n";
    assert!(refusal("cluster", request).starts_with("no file system of the network"));
}

#[test]
fn what_is_not_one_whole_line_is_refused() {
    let long = [b" ".repeat(5_000), b"\n".to_vec()].concat();
    for (bytes, reason) in [
        (&b""[..], "does not end with a newline"),
        (b"{\"entry\":\"vgs\"}", "does not end with a newline"),
        (
            b"{\"entry\":\"vgs\"}\n{\"entry\":\"vgs\"}\n",
            "something follows",
        ),
        (&long, "longer than 4 KiB"),
        (b"\n", "EOF"),
        (b"\0\xff\n", "expected value"),
        (b"{\"entry\":\"sshd_config\"}\n", "unknown variant"),
    ] {
        let refusal = refusal("disk", bytes);
        assert!(refusal.contains(reason), "{refusal}");
    }
}

#[test]
fn a_caller_that_does_not_read_costs_a_failed_probe_and_nothing_else() {
    let (mut caller, socket) = UnixStream::pair().unwrap();
    let mut probe = answering("disk", socket);
    caller.write_all(b"{}\n").unwrap();
    drop(caller);
    // Whether the reply was still taken is a matter of time; that it ends, is not.
    assert!(probe.wait().unwrap().code().is_some());
}

/// Accepts one connection and starts a probe for it.
fn listening(kind: &'static str) -> (TempDir, std::path::PathBuf, thread::JoinHandle<()>) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("probe.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let accepting = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        assert!(answering(kind, socket).wait().unwrap().success());
    });
    (directory, path, accepting)
}

#[test]
fn the_client_and_the_probe_understand_each_other() {
    let (_directory, socket, accepting) = listening("disk");
    let line = br#"{"entry":"md_detail","array":"md9999"}"#;
    let request = Request::parse(Kind::Disk, line).unwrap();
    let reply = ask_at(&socket, &request).unwrap();
    let reason = "this node has no md array md9999".to_owned();
    assert_eq!(reply.header.outcome, Outcome::Refused { reason });
    accepting.join().unwrap();
}

#[test]
fn the_command_line_asks_as_the_agent_does() {
    let (_directory, socket, accepting) = listening("disk");
    let run = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["probe", "disk"]).args(words);
        command.arg("--socket").arg(&socket).output().unwrap()
    };
    let asked = run(&["smart", "device=sdzzzz"]);
    accepting.join().unwrap();
    assert_eq!(asked.status.code(), Some(3));
    assert_eq!(asked.stdout, b"");
    let header: Header = serde_json::from_slice(&asked.stderr).unwrap();
    assert!(matches!(header.outcome, Outcome::Refused { .. }));

    let wrong = run(&["smart", "device=-a"]);
    assert_eq!(wrong.status.code(), Some(2));
    let gone = run(&["vgs"]);
    assert_eq!(gone.status.code(), Some(3));
    let words = String::from_utf8(gone.stderr).unwrap();
    assert!(
        words.contains("systemctl enable --now pvelens-probe-disk.socket"),
        "{words}"
    );
}
