//! The server's side: one request in, one reply out, and the end.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    net::Shutdown,
};

use super::{
    ClusterRequest, Entry, Kind, REQUEST_LIMIT, Request, container, guard, mount,
    reply::{Outcome, Reply},
    spawn::{self, Ran},
    subscription,
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
            Ok(request) => reply(host, &request, Duration::MAX),
            Err(error) => refused(error.to_string()),
        },
        Err(reason) => refused(reason.to_owned()),
    };
    write(&output, &reply.to_bytes(), Instant::now() + REPLY_DEADLINE)?;
    // A thread that hangs in the kernel holds the connection after the end of the
    // process; the caller need not wait for it. Not every output is a connection.
    rustix::net::shutdown(&output, Shutdown::Both).ok();
    Ok(())
}

/// Does what is asked in this process, within `patience` at most.
pub(crate) fn reply(host: &Arc<Host>, request: &Request, patience: Duration) -> Reply {
    let started = Instant::now();
    let mut reply = match request.entry() {
        Some(entry) => {
            let timeout = entry.timeout.min(patience);
            run(&Entry { timeout, ..*entry }, host, request)
        }
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
        return match request {
            Request::Cluster(ClusterRequest::Subscription {}) => subscription::state(host),
            Request::Container(_) => container::filesystems(host, request, entry.stdout_limit),
            _ => {
                let mount_point = request.value("mount_point").unwrap_or_default();
                mount::liveness(host, mount_point, entry.timeout)
            }
        };
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
pub(crate) fn wait(file: impl AsFd, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use std::{path::Path, thread};

    use super::*;
    use crate::probe::{Kind, entry::Word};

    /// What a tool gives as an entry of the menu.
    fn ran(program: &'static str, words: &'static [Word], timeout: Duration) -> Reply {
        let request = Request::parse(Kind::Disk, br#"{"entry":"vgs"}"#).unwrap();
        let entry = Entry {
            program: Some(program),
            words,
            timeout,
            stdout_limit: 1000,
            guard: guard::none,
            ..*request.entry().unwrap()
        };
        let host = Arc::new(Host::open(Path::new("/")).unwrap());
        run(&entry, &host, &request)
    }

    const LONG: Duration = Duration::from_secs(60);

    macro_rules! shell {
        ($script:literal) => {
            ran("/bin/sh", &[Word::Is("-c"), Word::Is($script)], LONG)
        };
    }

    #[test]
    fn the_status_of_a_tool_is_reported_as_it_is() {
        let reply = shell!("echo out; echo err >&2; exit 7");
        assert_eq!(reply.header.outcome, Outcome::Exited { exit_status: 7 });
        assert_eq!(reply.stdout, b"out\n");
        assert_eq!(reply.header.stderr, "err\n");
        assert_eq!(reply.header.program[..2], ["/bin/sh", "-c"]);
    }

    #[test]
    fn a_tool_that_is_not_installed_is_named() {
        let path = "/nonexistent/tool".to_owned();
        let reply = ran("/nonexistent/tool", &[], LONG);
        assert_eq!(reply.header.outcome, Outcome::ProgramMissing { path });
        let reply = ran("/etc/passwd", &[], LONG);
        assert!(matches!(reply.header.outcome, Outcome::Failed { .. }));
    }

    #[test]
    fn a_tool_that_a_signal_ends_is_told_apart() {
        let reply = shell!("kill -SEGV $$");
        assert_eq!(reply.header.outcome, Outcome::Signalled { signal: 11 });
    }

    #[test]
    fn a_tool_that_hangs_is_killed_with_all_it_started() {
        let short = Duration::from_millis(300);
        let reply = ran(
            "/bin/sh",
            &[Word::Is("-c"), Word::Is("sleep 77 & echo $!; wait")],
            short,
        );
        let killed = Outcome::TimedOut {
            still_running: false,
        };
        assert_eq!(reply.header.outcome, killed);
        let child = String::from_utf8(reply.stdout).unwrap();
        // The signal is on its way: it dies, unless nobody sent one.
        let host = Host::open(Path::new("/")).unwrap();
        let path = format!("/proc/{}/cmdline", child.trim());
        let lives = || {
            host.read(&path, 100)
                .is_ok_and(|command| command.contains("77"))
        };
        for _ in 0..200 {
            if !lives() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{path} is still there");
    }

    #[test]
    fn more_output_than_the_limit_is_cut_and_marked() {
        let reply = shell!("head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2");
        assert_eq!(reply.header.outcome, Outcome::Exited { exit_status: 0 });
        assert_eq!(reply.stdout, [0; 1000]);
        assert!(reply.header.stdout_truncated && reply.header.stderr_truncated);
        assert!(!reply.header.stderr.contains('\0'));
        assert_eq!(reply.header.stdout_bytes, 1000);
        let sent = reply.to_bytes();
        let header = sent.iter().position(|byte| *byte == b'\n').unwrap();
        assert!(header < super::super::HEADER_LIMIT, "{header}");
        let endless = ran("/usr/bin/yes", &[], Duration::from_millis(200));
        assert!(matches!(endless.header.outcome, Outcome::TimedOut { .. }));
        assert_eq!(endless.stdout.len(), 1000);
    }

    #[test]
    fn who_inherits_the_pipes_does_not_hold_up_the_reply() {
        let reply = shell!("sleep 77 & echo done");
        assert_eq!(reply.header.outcome, Outcome::Exited { exit_status: 0 });
        assert_eq!(reply.stdout, b"done\n");
    }

    #[test]
    fn a_tool_gets_nothing_from_the_caller() {
        let environment = ran("/usr/bin/env", &[], LONG).stdout;
        let environment = String::from_utf8(environment).unwrap();
        let mut lines: Vec<_> = environment.lines().collect();
        lines.sort_unstable();
        let expected = [
            "LC_ALL=C",
            "LVM_SUPPRESS_FD_WARNINGS=1",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "TZ=UTC",
        ];
        assert_eq!(lines, expected);
        assert_eq!(ran("/bin/pwd", &[], LONG).stdout, b"/\n");
        assert_eq!(ran("/bin/cat", &[], LONG).stdout, b"");
    }

    #[test]
    fn a_mount_that_is_alive_gives_its_size() {
        let host = Arc::new(Host::open(Path::new("/")).unwrap());
        let reply = mount::liveness(&host, "/".to_owned(), LONG);
        assert_eq!(reply.header.outcome, Outcome::Answered {});
        let size: serde_json::Value = serde_json::from_slice(&reply.stdout).unwrap();
        assert!(size["total_bytes"].as_u64().unwrap() > 0);
        let reply = mount::liveness(&host, "/nonexistent".to_owned(), LONG);
        assert!(matches!(reply.header.outcome, Outcome::Failed { .. }));
    }
}
