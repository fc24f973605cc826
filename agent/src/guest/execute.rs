//! One command in one guest, over the socket of its guest agent.
//!
//! Each question is a conversation of its own, shorter than two seconds, and between
//! them the socket is free for PVE. A program is started, and asked for until it has
//! ended or its time is over; nothing can stop it from here. Its result can be fetched
//! once, so it is fetched whole and cut on the way.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use pvelens_proto::agent::v1::{
    GuestCommandOutcome as Outcome, GuestCommandOutput, GuestCommandResult,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    catalogue::{Command, PreparedCall, Rpc, System},
    output,
    resolve::Guest,
};
use crate::{
    guest_socket::{
        Trouble,
        qga::{self, Answer, Complaint, Cut, Question, SyncId},
        text,
    },
    host::Host,
};

/// Kept of what a program writes to its standard error.
const ERRORS_LIMIT: usize = 16 << 10;
const DETAIL_LIMIT: usize = 300;
/// The first look whether a program has ended, and the longest pause between two.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A pause is this part of the time so far, so that waiting adds little to any command
/// and asks a long one seldom.
const PAUSE_PART: u32 = 16;
/// Between two words that it still goes on.
const PROGRESS: Duration = Duration::from_secs(1);
/// Replaces the environment of the guest agent: the language of the output is fixed,
/// and nothing pages, colours or asks.
const ENVIRONMENT: [&str; 8] = [
    "LC_ALL=C",
    "LANG=C",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=dumb",
    "HOME=/",
    "SYSTEMD_PAGER=",
    "SYSTEMD_COLORS=0",
    "NO_COLOR=1",
];

/// A command for which every rule is kept.
pub(crate) struct Run<'a> {
    pub(crate) host: &'a Host,
    pub(crate) guest: &'a Guest,
    pub(crate) sync_ids: &'a Mutex<SyncId>,
    pub(crate) command: &'a Command,
    pub(crate) call: &'a PreparedCall,
    /// `None` when it is not known yet.
    pub(crate) system: Option<System>,
    /// Told each second how long it takes.
    pub(crate) progress: &'a dyn Fn(Duration),
}

impl Run<'_> {
    /// Asks, waits, and says how it went.
    pub(crate) fn run(&self) -> GuestCommandResult {
        if self.is_stopped_by_freeze()
            && let Some(frozen) = self.frozen()
        {
            return frozen;
        }
        match self.call {
            PreparedCall::Rpc(rpc) => self.ask(*rpc),
            PreparedCall::Exec {
                programs,
                arguments,
            } => self.execute(programs, arguments),
        }
    }

    /// What the guest agent answers while file systems are frozen needs no look.
    fn is_stopped_by_freeze(&self) -> bool {
        !matches!(
            self.call,
            PreparedCall::Rpc(Rpc::Ping | Rpc::Info | Rpc::FsFreezeStatus)
        )
    }

    /// The end, if file systems are frozen or there is no answer.
    fn frozen(&self) -> Option<GuestCommandResult> {
        let question = Question {
            name: Rpc::FsFreezeStatus.name(),
            arguments: None,
            longest_string: Some(DETAIL_LIMIT),
        };
        match self.question::<Value>(&question) {
            Ok(Answer::Returned(Cut { value, .. })) if value == "frozen" => {
                Some(ended(Outcome::Frozen, ""))
            }
            // Who does not tell is asked what is to be asked.
            Ok(_) => None,
            Err(trouble) => Some(unreachable(&trouble, false)),
        }
    }

    fn ask(&self, rpc: Rpc) -> GuestCommandResult {
        let limit = self.command.output_limit_bytes();
        let question = Question {
            name: rpc.name(),
            arguments: None,
            longest_string: Some(limit),
        };
        match self.question::<Value>(&question) {
            Ok(Answer::Returned(Cut { value, lengths, .. })) => GuestCommandResult {
                outcome: Outcome::Completed.into(),
                output: Some(output::of_json(&value, !lengths.is_empty(), limit)),
                succeeded: Some(true),
                ..GuestCommandResult::default()
            },
            Ok(Answer::Refused(complaint)) => refused(&complaint),
            Err(trouble) => unreachable(&trouble, false),
        }
    }

    fn execute(&self, programs: &[String], arguments: &[String]) -> GuestCommandResult {
        let mut missing = None;
        for program in programs {
            let begun = Instant::now();
            match self.start(program, arguments) {
                Ok(Answer::Returned(Cut { value, .. })) => {
                    let mut result = self.wait(value.pid, begun);
                    result.argv = argv(program, arguments);
                    return result;
                }
                Ok(Answer::Refused(complaint)) if is_missing(&complaint) => {
                    missing = Some(complaint);
                }
                Ok(Answer::Refused(complaint)) => return refused(&complaint),
                Err(trouble) => return unreachable(&trouble, true),
            }
        }
        let words = missing.map(|complaint| complaint.words());
        ended(Outcome::ProgramMissing, &words.unwrap_or_default())
    }

    fn start(&self, program: &str, arguments: &[String]) -> Result<Answer<Cut<Started>>, Trouble> {
        let mut exec = json!({"path": program, "arg": arguments, "capture-output": true});
        if self.system != Some(System::Windows)
            && let Some(exec) = exec.as_object_mut()
        {
            exec.insert("env".to_owned(), json!(ENVIRONMENT));
        }
        self.question(&Question {
            name: "guest-exec",
            arguments: Some(&exec),
            longest_string: Some(DETAIL_LIMIT),
        })
    }

    /// Waits for the end of a program.
    fn wait(&self, pid: u64, begun: Instant) -> GuestCommandResult {
        let deadline = begun + self.command.timeout();
        let mut told = begun;
        loop {
            let pause = (begun.elapsed() / PAUSE_PART).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            let left = deadline.saturating_duration_since(Instant::now());
            thread::sleep(pause.min(left));
            match status(
                self.host,
                self.guest.vmid,
                self.next_id(),
                pid,
                base64_limit(self.command),
            ) {
                Ok(Answer::Returned(cut)) if cut.value.exited => {
                    return finished(self.command, &cut);
                }
                Ok(Answer::Returned(_)) => {}
                Ok(Answer::Refused(complaint)) => {
                    let mut lost = ended(Outcome::Lost, "");
                    if complaint.is_disabled() {
                        lost = ended(Outcome::Frozen, &complaint.words());
                        lost.guest_pid = Some(pid);
                    }
                    return lost;
                }
                Err(Trouble::Unreachable(_)) => {
                    return ended(Outcome::Lost, "the VM or its guest agent's socket is gone");
                }
                Err(Trouble::Malformed) => {
                    let mut result = unreachable(&Trouble::Malformed, true);
                    result.guest_pid = Some(pid);
                    return result;
                }
                // PVE may talk to it, or it hangs for a moment.
                Err(Trouble::Busy | Trouble::TimedOut | Trouble::Closed) => {}
            }
            if Instant::now() >= deadline {
                let mut result = ended(Outcome::StillRunning, "");
                result.guest_pid = Some(pid);
                return result;
            }
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                (self.progress)(begun.elapsed());
            }
        }
    }

    fn question<T: serde::de::DeserializeOwned>(
        &self,
        question: &Question<'_>,
    ) -> Result<Answer<Cut<T>>, Trouble> {
        qga::question(self.host, self.guest.vmid, self.next_id(), question)
    }

    fn next_id(&self) -> SyncId {
        next_id(self.sync_ids)
    }
}

/// Characters of the output that are kept: base64 has four for three bytes.
fn base64_limit(command: &Command) -> usize {
    command.output_limit_bytes().div_ceil(3).saturating_mul(4)
}

/// What came of a program that has ended.
fn finished(command: &Command, cut: &Cut<Status>) -> GuestCommandResult {
    let status = &cut.value;
    let [Some(out), Some(errors)] = streams(cut) else {
        return ended(Outcome::Malformed, "the output is not in base64");
    };
    let output = output::decode(&out.bytes, out.total, command.output_limit_bytes());
    let errors = output::decode(&errors.bytes, errors.total, ERRORS_LIMIT);
    // That it is there means that it was cut; its value may be false.
    let out_truncated = output.truncated || status.out_truncated.is_some();
    let err_truncated = errors.truncated || status.err_truncated.is_some();
    GuestCommandResult {
        outcome: Outcome::Completed.into(),
        exit_code: status.exitcode,
        signal: status.signal,
        succeeded: status.exitcode.map(|code| command.is_answer(code)),
        output: Some(GuestCommandOutput {
            truncated: out_truncated,
            ..output
        }),
        errors: Some(GuestCommandOutput {
            truncated: err_truncated,
            ..errors
        }),
        ..GuestCommandResult::default()
    }
}

/// What comes of `said` as the end of a program, after our number.
#[cfg(feature = "fuzzing")]
pub(crate) fn hear_end(command: &Command, said: &[u8]) -> GuestCommandResult {
    let question = Question {
        name: "guest-exec-status",
        arguments: None,
        longest_string: Some(base64_limit(command)),
    };
    let Ok((exchange, _peer)) = crate::guest_socket::facing(said) else {
        return ended(Outcome::Unreachable, "");
    };
    match qga::converse::<Status>(exchange, SyncId::default(), &question) {
        Ok(Answer::Returned(cut)) => finished(command, &cut),
        Ok(Answer::Refused(complaint)) => refused(&complaint),
        Err(trouble) => unreachable(&trouble, true),
    }
}

pub(crate) fn next_id(ids: &Mutex<SyncId>) -> SyncId {
    ids.lock().unwrap_or_else(PoisonError::into_inner).next()
}

#[derive(Debug, Deserialize)]
struct Started {
    pid: u64,
}

/// What `guest-exec-status` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Status {
    pub(crate) exited: bool,
    #[serde(default)]
    exitcode: Option<i64>,
    #[serde(default)]
    signal: Option<u64>,
    #[serde(default)]
    out_data: String,
    #[serde(default)]
    err_data: String,
    #[serde(default)]
    out_truncated: Option<IgnoredAny>,
    #[serde(default)]
    err_truncated: Option<IgnoredAny>,
}

/// Asks whether a program has ended; who hears that it has, must keep what was said.
pub(crate) fn status(
    host: &Host,
    vmid: u32,
    id: SyncId,
    pid: u64,
    longest_string: usize,
) -> Result<Answer<Cut<Status>>, Trouble> {
    let question = Question {
        name: "guest-exec-status",
        arguments: Some(&json!({ "pid": pid })),
        longest_string: Some(longest_string),
    };
    qga::question(host, vmid, id, &question)
}

struct Stream {
    bytes: Vec<u8>,
    total: u64,
}

/// Output and errors. Which of them was cut is told by their order in the answer.
fn streams(cut: &Cut<Status>) -> [Option<Stream>; 2] {
    let at = |name: &[u8]| cut.line.windows(name.len()).position(|at| at == name);
    let errors_first = at(b"\"err-data\"") < at(b"\"out-data\"");
    let status = &cut.value;
    let longest = status.out_data.len().max(status.err_data.len());
    let mut lengths = cut.lengths.iter().copied();
    // One that is shorter than another of the same limit was not cut.
    let mut length = |data: &str| {
        if data.len() == longest {
            lengths.next()
        } else {
            None
        }
    };
    let (out, errors) = if errors_first {
        let errors = length(&status.err_data);
        (length(&status.out_data), errors)
    } else {
        let out = length(&status.out_data);
        (out, length(&status.err_data))
    };
    [
        stream(&status.out_data, out),
        stream(&status.err_data, errors),
    ]
}

/// `None` when it is no base64. `length`: characters there were before it was cut.
fn stream(data: &str, length: Option<u64>) -> Option<Stream> {
    // A cut leaves whole groups of four, and what is no group is no base64.
    let bytes = STANDARD.decode(data).ok()?;
    let total = length.map_or(0, |length| length / 4 * 3);
    Some(Stream { bytes, total })
}

fn argv(program: &str, arguments: &[String]) -> Vec<String> {
    let mut argv = vec![program.to_owned()];
    argv.extend_from_slice(arguments);
    argv
}

fn ended(outcome: Outcome, detail: &str) -> GuestCommandResult {
    GuestCommandResult {
        outcome: outcome.into(),
        detail: text(detail, DETAIL_LIMIT),
        ..GuestCommandResult::default()
    }
}

fn refused(complaint: &Complaint) -> GuestCommandResult {
    let outcome = if complaint.is_disabled() {
        Outcome::BlockedInGuest
    } else if complaint.is_not_found() {
        Outcome::Unsupported
    } else {
        Outcome::Failed
    };
    ended(outcome, &output::line(&complaint.words(), DETAIL_LIMIT))
}

/// Of a program that is not there (`glib@glib/gspawn.c`, `qemu@qga/commands.c`).
fn is_missing(complaint: &Complaint) -> bool {
    let words = complaint.words();
    !complaint.is_not_found()
        && (words.contains("No such file")
            || words.contains("cannot find")
            || (words.contains("Failed to execute") && !words.contains("denied")))
}

/// No answer, or none of the protocol. What the outcome itself says is not said again.
pub(crate) fn unreachable(trouble: &Trouble, may_have_begun: bool) -> GuestCommandResult {
    let (outcome, why) = match trouble {
        Trouble::Unreachable(error) => (Outcome::Unreachable, error.detail.as_str()),
        Trouble::Busy => (
            Outcome::Unreachable,
            "others talk to the guest agent, or wait to",
        ),
        Trouble::TimedOut => (Outcome::Unreachable, ""),
        Trouble::Closed => (Outcome::Unreachable, "the connection was closed"),
        Trouble::Malformed => (Outcome::Malformed, ""),
    };
    let begun = may_have_begun && matches!(trouble, Trouble::TimedOut | Trouble::Closed);
    let parts = [
        why,
        if begun {
            "the program may have been started"
        } else {
            ""
        },
    ];
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    ended(outcome, &said.join("; "))
}
