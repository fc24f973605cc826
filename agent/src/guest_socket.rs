//! Asking a VM over one of its Unix sockets: the monitor of QEMU, and the guest
//! agent behind it.
//!
//! Such a socket serves one client at a time, and that client should be PVE: who
//! holds it makes backups run without freezing the guest. So a conversation is
//! short, is given up at its deadline, and is not tried where others wait. What
//! answers is trusted with nothing: a guest agent is under the hand of whoever is
//! root in the guest.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pvelens_proto::agent::v1::{FailureKind, GuestSocketOutcome};
use rustix::event::PollFlags;
use serde::de::DeserializeOwned;

use crate::{
    host::{Host, SourceError},
    probe::wait,
};

mod bounded;
mod memory;
pub(crate) mod qga;
pub(crate) mod qmp;
mod shorten;
mod turn;

pub(crate) use bounded::{Bounded, natural, text};
pub(crate) use memory::{Due, Known, Memory, Remembered};
use shorten::Shortener;
pub(crate) use turn::Turns;

/// Bytes of one line; that of a VM with 30 disks has some 100 KiB.
const LINE_LIMIT: usize = 1 << 20;
/// Bytes of all lines of one conversation.
const TOTAL_LIMIT: usize = 4 << 20;
/// The same when long strings are cut: a guest agent keeps 16 MiB of each stream of a
/// program, and tells them in base64.
const CUT_TOTAL_LIMIT: usize = 48 << 20;
/// Bytes that are read at once, and as many as the kernel gives when there are more.
const CHUNK: usize = 4 << 10;
const LARGE_CHUNK: usize = 256 << 10;
/// Lines that are no answer: events, and what was meant for others.
const SKIP_LIMIT: usize = 64;
/// VMs asked at the same time.
const SIDE_BY_SIDE: usize = 4;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no socket to talk to.
    Unreachable(SourceError),
    Busy,
    TimedOut,
    Closed,
    Malformed,
}

impl Trouble {
    pub(crate) fn outcome(&self) -> GuestSocketOutcome {
        match self {
            Self::Unreachable(_) => GuestSocketOutcome::NoSocket,
            Self::Busy => GuestSocketOutcome::Busy,
            Self::TimedOut => GuestSocketOutcome::TimedOut,
            Self::Closed => GuestSocketOutcome::Closed,
            Self::Malformed => GuestSocketOutcome::Malformed,
        }
    }

    /// What is wrong with the path, unless it is just not there or left over.
    pub(crate) fn failure(self) -> Option<SourceError> {
        match self {
            Self::Unreachable(error)
                if !matches!(
                    error.kind,
                    FailureKind::NotFound | FailureKind::Disconnected
                ) =>
            {
                Some(error)
            }
            _ => None,
        }
    }
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Exchange {
    stream: UnixStream,
    begun: Instant,
    deadline: Instant,
    /// Read, and not yet taken as a line.
    buffer: Vec<u8>,
    /// Where it is read to: small, until more comes at once.
    chunk: Vec<u8>,
    total: usize,
    /// Cuts what arrives from now on.
    shortener: Option<Shortener>,
}

impl Exchange {
    fn open(host: &Host, path: &str, patience: Duration) -> Result<Self, Trouble> {
        let begun = Instant::now();
        let stream = host.connect(path).map_err(Trouble::Unreachable)?;
        Ok(Self {
            stream: stream.ok_or(Trouble::Busy)?,
            begun,
            deadline: begun + patience,
            buffer: Vec::new(),
            chunk: vec![0; CHUNK],
            total: 0,
            shortener: None,
        })
    }

    /// From now on, keeps so many characters of each string.
    fn shorten(&mut self, limit: usize) {
        self.shortener = Some(Shortener::new(limit));
    }

    /// Characters of the strings that were cut, in order.
    fn cut(&self) -> &[u64] {
        self.shortener.as_ref().map_or(&[], Shortener::cut)
    }

    /// From now on, gives up this long after the beginning.
    fn be_patient(&mut self, patience: Duration) {
        self.deadline = self.begun + patience;
    }

    /// Sends a line as a whole or not at all: what came after half a line, of
    /// whomever, would become a part of it.
    fn send(&mut self, line: &[u8]) -> Result<(), Trouble> {
        match self.stream.write(line) {
            Ok(length) if length == line.len() => Ok(()),
            // A line is far smaller than what a socket takes at once.
            Ok(_) => Err(Trouble::Malformed),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.iter().skip(searched);
            if let Some(end) = fresh.clone().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(line);
            }
            searched = self.buffer.len();
            let total_limit = match self.shortener {
                Some(_) => CUT_TOTAL_LIMIT,
                None => TOTAL_LIMIT,
            };
            if searched > LINE_LIMIT || self.total > total_limit {
                return Err(Trouble::Malformed);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        loop {
            let readable = wait(&self.stream, PollFlags::IN, self.deadline);
            // Who never stops to talk is readable at the deadline, too.
            if Instant::now() >= self.deadline || !readable.map_err(|_| Trouble::Closed)? {
                return Err(Trouble::TimedOut);
            }
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(Trouble::Closed),
                Ok(length) => {
                    self.total += length;
                    let arrived = self.chunk.get(..length).unwrap_or_default();
                    match &mut self.shortener {
                        Some(shortener) => shortener.pass(arrived, &mut self.buffer),
                        None => self.buffer.extend(arrived),
                    }
                    if length == self.chunk.len() {
                        self.chunk.resize(LARGE_CHUNK, 0);
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(trouble(&error)),
            }
        }
    }
}

fn trouble(error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::WouldBlock {
        Trouble::Busy
    } else {
        Trouble::Closed
    }
}

/// A line of JSON. What a type does not name is passed over without recursion,
/// however deep it is.
fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Trouble> {
    let line = str::from_utf8(line).map_err(|_| Trouble::Malformed)?;
    serde_json::from_str(line).map_err(|_| Trouble::Malformed)
}

/// Asks some at the same time and the others in turn, in this order, and begins
/// with none once the time is over: what was not begun is `None`.
pub(crate) fn each<J: Sync, A: Send>(
    jobs: &[J],
    time: Duration,
    ask: impl Fn(&J) -> A + Sync,
) -> Vec<Option<A>> {
    let end = Instant::now() + time;
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .resize_with(jobs.len(), || None);
    let work = || {
        while Instant::now() < end {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else {
                return;
            };
            let answer = ask(job);
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = answers.get_mut(index) {
                *place = Some(answer);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..SIDE_BY_SIDE.min(jobs.len()) {
            // Without another thread it takes longer, and that is all.
            thread::Builder::new().spawn_scoped(scope, work).ok();
        }
        work();
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A conversation with someone who said this, and says no more. It can be heard as
/// long as the other end is held.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn facing(said: &[u8]) -> io::Result<(Exchange, UnixStream)> {
    let (stream, mut peer) = UnixStream::pair()?;
    peer.write_all(said)?;
    peer.shutdown(std::net::Shutdown::Write)?;
    stream.set_nonblocking(true)?;
    let begun = Instant::now();
    let exchange = Exchange {
        stream,
        begun,
        deadline: begun + Duration::from_secs(5),
        buffer: Vec::new(),
        chunk: vec![0; CHUNK],
        total: 0,
        shortener: None,
    };
    Ok((exchange, peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_begun_in_time_is_left_out() {
        let jobs: Vec<u64> = (0..12).collect();
        let slow = |job: &u64| {
            thread::sleep(Duration::from_millis(100));
            *job
        };
        let answers = each(&jobs, Duration::from_millis(150), slow);
        assert_eq!(answers.len(), 12);
        assert_eq!(answers.first(), Some(&Some(0)));
        assert_eq!(answers.last(), Some(&None));
        assert_eq!(each(&jobs, Duration::ZERO, slow), vec![None; 12]);
        let all: Vec<_> = jobs.iter().copied().map(Some).collect();
        assert_eq!(each(&jobs, Duration::from_secs(9), slow), all);
    }
}
