//! Starting a tool, and seeing its end: the one place that starts a process.
//!
//! The tool gets no input, no environment of the caller, and a process group of
//! its own that is killed at the deadline.

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

use super::reply::{Outcome, printable};

/// Bytes of standard error that are kept.
const STDERR_LIMIT: usize = 4 << 10;
/// What a killed process may take to end. One that takes longer hangs in the
/// kernel.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// What became of a tool.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) outcome: Outcome,
    pub(super) stdout: Vec<u8>,
    pub(super) stdout_truncated: bool,
    pub(super) stderr: String,
    pub(super) stderr_truncated: bool,
}

/// Runs a program to its end or its deadline.
///
/// # Errors
/// When it cannot be started or followed.
pub(super) fn run(
    program: &str,
    arguments: &[String],
    timeout: Duration,
    stdout_limit: usize,
) -> io::Result<Ran> {
    let deadline = Instant::now() + timeout;
    let mut child = start(program, arguments)?;
    let ran = watch(&mut child, deadline, stdout_limit);
    if ran.is_err() {
        child.kill().ok();
    }
    ran
}

fn watch(child: &mut Child, deadline: Instant, stdout_limit: usize) -> io::Result<Ran> {
    let group = Pid::from_child(child);
    let ended = pidfd_open(group, PidfdFlags::empty())?;
    let mut stdout = Pipe::new(child.stdout.take().map(OwnedFd::from), stdout_limit)?;
    let mut stderr = Pipe::new(child.stderr.take().map(OwnedFd::from), STDERR_LIMIT)?;

    let in_time = follow(&ended, &mut stdout, &mut stderr, deadline)?;
    // Also what the tool itself has left running. The group outlives its
    // leader until that is waited for, so the number is still its own.
    kill_process_group(group, Signal::KILL).ok();
    let outcome = if in_time {
        outcome(child)?
    } else {
        let grace = Instant::now() + KILL_GRACE;
        let still_running = !follow(&ended, &mut stdout, &mut stderr, grace)?;
        Outcome::TimedOut { still_running }
    };
    Ok(Ran {
        outcome,
        stdout: stdout.bytes,
        stdout_truncated: stdout.truncated,
        stderr: printable(&String::from_utf8_lossy(&stderr.bytes), STDERR_LIMIT),
        stderr_truncated: stderr.truncated,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tools of the menu are started here, with arguments made from its rows"
)]
fn start(program: &str, arguments: &[String]) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        // LVM tells of every file that it inherits, before what is wrong.
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Reads both pipes until the process has ended; false when the deadline came
/// first. Who inherited the pipes does not matter.
fn follow(
    ended: &OwnedFd,
    stdout: &mut Pipe,
    stderr: &mut Pipe,
    deadline: Instant,
) -> io::Result<bool> {
    loop {
        let mut waiting = vec![PollFd::new(ended, PollFlags::IN)];
        waiting.extend([&*stdout, &*stderr].into_iter().filter_map(Pipe::waiting));
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut waiting, left.try_into().ok().as_ref()) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_ended = waiting
            .first()
            .is_some_and(|process| !process.revents().is_empty());
        // What was written before the end is still in the pipes.
        stdout.drain(deadline)?;
        stderr.drain(deadline)?;
        if has_ended {
            return Ok(true);
        }
    }
}

fn outcome(child: &mut Child) -> io::Result<Outcome> {
    let status = child.wait()?;
    Ok(match (status.code(), status.signal()) {
        (Some(exit_status), _) => Outcome::Exited { exit_status },
        (None, Some(signal)) => Outcome::Signalled { signal },
        (None, None) => Outcome::Failed {
            reason: format!("ended in an unknown way: {status}"),
        },
    })
}

/// One output of the tool. It is read to its end, but kept to its limit: the
/// status of the tool says more than a broken pipe would.
#[derive(Debug)]
struct Pipe {
    file: Option<File>,
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Pipe {
    fn new(pipe: Option<OwnedFd>, limit: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self {
            file: pipe.map(File::from),
            bytes: Vec::new(),
            limit,
            truncated: false,
        })
    }

    fn waiting(&self) -> Option<PollFd<'_>> {
        let file = self.file.as_ref()?;
        Some(PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN))
    }

    /// Reads what is there. A tool that writes without end is left at the
    /// deadline.
    fn drain(&mut self, deadline: Instant) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        while let Some(file) = &mut self.file {
            match file.read(&mut buffer) {
                Ok(0) => self.file = None,
                Ok(length) => {
                    let room = self.limit.saturating_sub(self.bytes.len());
                    self.truncated |= length > room;
                    self.bytes.extend(buffer.iter().take(length.min(room)));
                    if Instant::now() >= deadline {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
