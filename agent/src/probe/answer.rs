//! The server's side: one request in, one reply out, and the end.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{
    Entry, Kind, REQUEST_LIMIT, Request, guard, mount,
    reply::{Outcome, Reply},
    spawn::{self, Ran},
};
use crate::host::Host;

/// For the request to arrive.
pub(super) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// For the reply to be taken.
pub(super) const REPLY_DEADLINE: Duration = Duration::from_secs(5);

/// Reads one request from `input` and writes the reply to `output`.
///
/// # Errors
/// When nothing can be read or written; whatever else goes wrong is a reply.
pub fn answer(kind: Kind, host: &Arc<Host>, input: impl AsFd, output: impl AsFd) -> io::Result<()> {
    let started = Instant::now();
    let reply = match read_line(&input, started + REQUEST_DEADLINE)? {
        Ok(line) => match Request::parse(kind, &line) {
            Ok(request) => reply(host, &request),
            Err(error) => refused(error.to_string()),
        },
        Err(reason) => refused(reason.to_owned()),
    };
    write(
        &output,
        &reply.into_bytes(),
        Instant::now() + REPLY_DEADLINE,
    )
}

fn reply(host: &Arc<Host>, request: &Request) -> Reply {
    let started = Instant::now();
    let mut reply = match request.entry() {
        Some(entry) => run(entry, host, request),
        None => refused("not on the menu".to_owned()),
    };
    reply.header.duration_milliseconds =
        u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    reply
}

fn run(entry: &Entry, host: &Arc<Host>, request: &Request) -> Reply {
    if let Err(reason) = (entry.guard)(host, request) {
        return refused(reason);
    }
    let Some(program) = entry.program else {
        let mount_point = request.value("mount_point").unwrap_or_default();
        return mount::liveness(host, mount_point, entry.timeout);
    };
    let Some(arguments) = entry.arguments(request) else {
        return refused("a parameter of the menu is missing".to_owned());
    };
    let mut command = vec![program.to_owned()];
    command.extend(arguments.iter().cloned());
    if let Err(reason) = guard::left_behind(host, &command) {
        return refused(reason);
    }
    match spawn::run(program, &arguments, entry.timeout, entry.stdout_limit) {
        Ok(ran) => ended(command, ran),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Reply::only(Outcome::ProgramMissing {
                path: program.to_owned(),
            })
        }
        Err(error) => Reply::only(Outcome::Failed {
            reason: format!("{program}: {error}"),
        }),
    }
}

fn ended(program: Vec<String>, ran: Ran) -> Reply {
    let mut reply = Reply::with(ran.outcome, ran.stdout);
    reply.header.program = program;
    reply.header.stdout_truncated = ran.stdout_truncated;
    reply.header.stderr = ran.stderr;
    reply.header.stderr_truncated = ran.stderr_truncated;
    reply
}

fn refused(reason: String) -> Reply {
    Reply::only(Outcome::Refused { reason })
}

/// The first line without its newline, or why there is none.
fn read_line(input: impl AsFd, deadline: Instant) -> io::Result<Result<Vec<u8>, &'static str>> {
    let mut file = File::from(input.as_fd().try_clone_to_owned()?);
    let mut line = Vec::new();
    let mut buffer = [0; REQUEST_LIMIT];
    loop {
        if !wait(&file, PollFlags::IN, deadline)? {
            return Ok(Err("no request within 5 s"));
        }
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(Err("the request does not end with a newline"));
        }
        line.extend(buffer.iter().take(length));
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            if end >= REQUEST_LIMIT {
                return Ok(Err("the request is longer than 4 KiB"));
            }
            if end + 1 < line.len() {
                return Ok(Err("something follows the request"));
            }
            line.truncate(end);
            return Ok(Ok(line));
        }
        if line.len() >= REQUEST_LIMIT {
            return Ok(Err("the request is longer than 4 KiB"));
        }
    }
}

/// Writes everything, or gives up on a caller that does not read.
fn write(output: impl AsFd, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    let mut file = File::from(output.as_fd().try_clone_to_owned()?);
    rustix::io::ioctl_fionbio(&file, true)?;
    while !bytes.is_empty() {
        if !wait(&file, PollFlags::OUT, deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match file.write(bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until a file can be read or written; false at the deadline.
pub(super) fn wait(file: impl AsFd, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let fd = file.as_fd();
        match poll(
            &mut [PollFd::new(&fd, flags)],
            left.try_into().ok().as_ref(),
        ) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
