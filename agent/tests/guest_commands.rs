//! Guest commands against a real guest agent: the whole catalogue, and everything that
//! can come of a program.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests make the sockets, and start what listens there"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its guest cannot be made"
)]

mod peers;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use peers::{Program, Vms};
use pvelens_agent::{
    audit::{Audit, Event},
    guest::{Guests, catalogue::Catalogue},
};
use pvelens_proto::{
    agent::v1::{
        GuestCommandArgument, GuestCommandOutcome as Outcome, GuestCommandResult, GuestMark,
        RunGuestCommandRequest,
    },
    timestamp_from_millis,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Programs that show what can come of one; none of them is in the real catalogue.
const PROGRAMS: &str = include_str!("fixtures/guest_commands/programs.toml");

/// A node with the VM 101, whose guest agent is a real one.
struct Guest {
    vms: Vms,
    guests: Arc<Guests>,
    number: u32,
    _agent: Program,
}

fn start(vms: &Vms, more: &[&str]) -> Option<Program> {
    let (socket, state) = (vms.socket(101, "qga"), vms.path("run"));
    let mut arguments = vec!["-m", "unix-listen", "-l", "/dev/null"];
    arguments.extend([
        "-p",
        socket.to_str().unwrap(),
        "-t",
        state.to_str().unwrap(),
    ]);
    arguments.extend(more);
    Program::start("qemu-ga", "qemu-guest-agent", &arguments, &socket)
}

impl Guest {
    fn new(catalogue: Option<&str>, more: &[&str]) -> Option<Self> {
        let vms = Vms::new();
        vms.start(101, 1);
        allow_all(&vms);
        let agent = start(&vms, more)?;
        let host = Arc::clone(&vms.host);
        let catalogue = match catalogue {
            Some(text) => Catalogue::parse(text).unwrap(),
            None => Catalogue::embedded().unwrap(),
        };
        let guests = Guests::with_catalogue(host, Audit::in_memory(), catalogue);
        Some(Self {
            vms,
            guests: Arc::new(guests),
            number: 0,
            _agent: agent,
        })
    }

    async fn run(&mut self, command: &str, arguments: &[(&str, &str)]) -> GuestCommandResult {
        self.number += 1;
        // More than may come within a minute.
        self.vms.pass(10);
        let request = self.request(self.number, command, arguments);
        let (events, _heard) = mpsc::channel(16);
        let guests = Arc::clone(&self.guests);
        guests.run(request, "test".to_owned(), events).await
    }

    fn request(
        &self,
        number: u32,
        command: &str,
        arguments: &[(&str, &str)],
    ) -> RunGuestCommandRequest {
        let now = self.vms.clock.load(Ordering::Acquire);
        RunGuestCommandRequest {
            request_id: format!("request-{number:08}"),
            made_at: Some(timestamp_from_millis(now)),
            guest: Some(GuestMark {
                node: "pve1".to_owned(),
                vmid: 101,
                ..GuestMark::default()
            }),
            command: command.to_owned(),
            arguments: arguments
                .iter()
                .map(|(name, value)| GuestCommandArgument {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
            on_behalf_of: String::new(),
        }
    }
}

fn allow_all(vms: &Vms) {
    let path = "etc/pvelens/guest-policy.toml";
    vms.write(
        path,
        "[[allow]]\nguests = [\"all\"]\ncommands = [\"all\"]\n",
    );
    fs::set_permissions(vms.path(path), fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(result: &GuestCommandResult) -> &str {
    &result.output.as_ref().unwrap().text
}

/// Of the entries for Linux, so many run here at least; the others want programs that
/// this machine has not, and are named.
const SHARE_PERCENT: usize = 80;

#[tokio::test]
#[expect(clippy::print_stderr, reason = "what could not be shown is named")]
async fn the_catalogue_runs_in_a_real_guest_agent() {
    let catalogue = Catalogue::embedded().unwrap();
    let linux: Vec<_> = catalogue
        .commands()
        .iter()
        .filter(|command| {
            command
                .systems
                .iter()
                .any(|system| system.name() == "linux")
        })
        .collect();
    let (mut ran, mut missing) = (0, Vec::new());
    let Some(mut guest) = Guest::new(None, &[]) else {
        return;
    };
    for command in &linux {
        let example = command.allow.first().expect("each has an example");
        let given: Vec<(&str, &str)> = example
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let result = guest.run(&command.id, &given).await;
        match result.outcome() {
            Outcome::Completed => {
                ran += 1;
                let output = result.output.unwrap();
                assert!(output.text.len() <= command.output_limit_bytes());
            }
            Outcome::ProgramMissing | Outcome::Unsupported | Outcome::Failed => {
                missing.push(format!("{} ({})", command.id, result.detail));
            }
            _ => panic!("{}: {result:?}", command.id),
        }
    }
    eprintln!("{ran} of {} entries for Linux ran", linux.len());
    for skipped in &missing {
        eprintln!("NOT TESTED: {skipped}");
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        !in_ci || ran * 100 >= linux.len() * SHARE_PERCENT,
        "only {ran} of {}: {missing:?}",
        linux.len()
    );
}

#[tokio::test]
async fn exit_codes_signals_and_both_streams_are_told() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let result = guest.run("fails", &[]).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    assert_eq!((result.exit_code, result.succeeded), (Some(1), Some(false)));
    let result = guest.run("two-is-an-answer", &[]).await;
    assert_eq!((result.exit_code, result.succeeded), (Some(2), Some(true)));
    let errors = result.errors.unwrap();
    assert!(errors.text.contains("/does/not/exist"), "{errors:?}");
    let result = guest.run("prints", &[]).await;
    assert_eq!((text(&result), result.exit_code), ("a\nb\n", Some(0)));
    assert_eq!(result.argv, ["/usr/bin/printf", "a\\nb\\n"]);
    let result = guest.run("nowhere", &[]).await;
    assert_eq!(result.outcome(), Outcome::ProgramMissing, "{result:?}");
    let result = guest.run("second-place", &[]).await;
    assert_eq!(result.argv, ["/usr/bin/printf", "x"]);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_such() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let result = guest.run("latin-1", &[]).await;
    let output = result.output.unwrap();
    assert_eq!(
        (output.text.as_str(), output.replaced),
        ("Gr\u{fffd}\u{fffd}e\n", 2)
    );
    assert_eq!(output.encoding, "unknown");
    let result = guest.run("escapes", &[]).await;
    let output = result.output.unwrap();
    assert_eq!(output.text, "red\n");
    assert!(output.removed > 0);
    let result = guest.run("zeros", &[]).await;
    assert_eq!(text(&result), "");
}

#[tokio::test]
async fn long_output_is_cut_and_says_so() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let result = guest.run("long", &[]).await;
    let output = result.output.unwrap();
    assert!(output.truncated && output.text.len() <= 4096);
    assert!(output.text.starts_with("1\n2\n3\n"));
    // Of 588,895 bytes.
    assert!(
        (588_890..=588_900).contains(&output.total_bytes),
        "{}",
        output.total_bytes
    );
    // More than a guest agent keeps: 16 MiB, which come in one line.
    let result = guest.run("huge", &[]).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    let output = result.output.unwrap();
    assert!(output.truncated && output.text.len() <= 4096);
    assert!(output.total_bytes >= 16 << 20);
    assert_eq!(guest.run("prints", &[]).await.outcome(), Outcome::Completed);
}

#[tokio::test]
async fn what_does_not_end_is_left_told_and_fetched_later() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let result = guest.run("sleeps", &[("seconds", "3")]).await;
    assert_eq!(result.outcome(), Outcome::StillRunning, "{result:?}");
    assert!(result.guest_pid.is_some());
    assert!(
        (1.0..2.5).contains(&result.elapsed_seconds),
        "{}",
        result.elapsed_seconds
    );
    let reaped = |guest: &Guest| {
        let records = guest.guests.audit().after(0, 100).unwrap();
        records
            .into_iter()
            .any(|record| matches!(record.event, Event::Reaped(_)))
    };
    let begun = Instant::now();
    while !reaped(&guest) {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it was not fetched"
        );
        thread::sleep(Duration::from_millis(100));
        guest.guests.reap();
    }
    for _ in 0..3 {
        guest.run("sleeps", &[("seconds", "9")]).await;
    }
    let result = guest.run("prints", &[]).await;
    assert_eq!(result.refusal.unwrap().rule, "left_running");
}

#[tokio::test]
async fn a_guest_that_blocks_programs_says_so() {
    let blocked = "--block-rpcs=guest-exec,guest-exec-status,guest-get-fsinfo";
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[blocked]) else {
        return;
    };
    let result = guest.run("prints", &[]).await;
    assert_eq!(result.outcome(), Outcome::BlockedInGuest, "{result:?}");
    assert!(result.detail.contains("disabled"));
    let result = guest.run("file-systems", &[]).await;
    assert_eq!(result.outcome(), Outcome::BlockedInGuest);
}

#[tokio::test]
async fn an_agent_that_restarts_in_between_has_lost_it() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let socket = guest.vms.socket(101, "qga");
    let (events, _heard) = mpsc::channel(16);
    let guests = Arc::clone(&guest.guests);
    let running = tokio::spawn(guests.run(
        guest.request(1000, "sleeps-long", &[]),
        "test".to_owned(),
        events,
    ));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The new one has the old one's socket.
    let vms = &guest.vms;
    fs::remove_file(&socket).unwrap();
    let restarted = start(vms, &[]).unwrap();
    let result = running.await.unwrap();
    assert_eq!(result.outcome(), Outcome::Lost, "{result:?}");
    let result = guest.run("prints", &[]).await;
    assert_eq!(result.outcome(), Outcome::Completed);
    drop(restarted);
}

#[tokio::test]
async fn two_commands_in_one_guest_come_one_after_the_other() {
    let Some(guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let mut running = Vec::new();
    for number in 0..4 {
        let (events, _heard) = mpsc::channel(16);
        let guests = Arc::clone(&guest.guests);
        let asked = guest.request(2000 + number, "sleeps", &[("seconds", "0")]);
        running.push(tokio::spawn(guests.run(asked, "test".to_owned(), events)));
    }
    for one in running {
        assert_eq!(one.await.unwrap().outcome(), Outcome::Completed);
    }
    let mut open = None;
    for record in guest.guests.audit().after(0, 100).unwrap() {
        match record.event {
            Event::Begun(begun) => assert_eq!(open.replace(begun.request_id), None),
            Event::Ended(ended) => assert_eq!(open.take(), Some(ended.request_id)),
            _ => {}
        }
    }
}

/// What PVE does on the same socket: the number and the command at once, without a
/// byte before, and an abort when a larger number or 0 comes back
/// (`qemu-server@src/PVE/QMPClient.pm`).
fn ask_as_pve(socket: &Path, id: u64) -> Result<(), String> {
    let begun = Instant::now();
    let stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let sync = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
    let ping = json!({"execute": "guest-ping"});
    (&stream)
        .write_all(format!("{sync}\n{ping}\n").as_bytes())
        .map_err(|e| e.to_string())?;
    let mut input = BufReader::new(&stream);
    let mut is_synced = false;
    loop {
        let mut line = Vec::new();
        input
            .read_until(b'\n', &mut line)
            .map_err(|error| error.to_string())?;
        if begun.elapsed() > Duration::from_secs(3) {
            return Err("agent not running".to_owned());
        }
        let start = line
            .iter()
            .rposition(|byte| *byte == 0xff)
            .map_or(0, |at| at + 1);
        let said: Value =
            serde_json::from_slice(&line[start..]).map_err(|e| format!("{e}: {line:?}"))?;
        if is_synced {
            return (said == json!({"return": {}}))
                .then_some(())
                .ok_or(said.to_string());
        }
        match said["return"].as_u64() {
            Some(number) if number == id => is_synced = true,
            Some(number) if number < id && number != 0 => {}
            _ => return Err(format!("wrong id: {said}")),
        }
    }
}

#[tokio::test]
async fn pve_gets_its_answers_meanwhile() {
    let Some(mut guest) = Guest::new(Some(PROGRAMS), &[]) else {
        return;
    };
    let socket = guest.vms.socket(101, "qga");
    let pve = thread::spawn(move || {
        for number in 0..200_u64 {
            ask_as_pve(&socket, 23_000 + number)
                .unwrap_or_else(|error| panic!("{number}: {error}"));
            thread::sleep(Duration::from_millis(5));
        }
    });
    for _ in 0..20 {
        let result = guest.run("prints", &[]).await;
        // Its turn may come late, and then it is told.
        assert!(
            matches!(result.outcome(), Outcome::Completed | Outcome::Unreachable),
            "{result:?}"
        );
    }
    pve.join().unwrap();
}
