//! The caller's side: one request, one reply, all of it bounded.
//!
//! It blocks, as collectors do. The probe is trusted to be what systemd started
//! and nothing else: a reply that is not one is an error.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use super::{
    HEADER_LIMIT, Header, Reply, Request,
    answer::{REPLY_DEADLINE, REQUEST_DEADLINE, wait},
    connect::connect,
};

/// For systemd to start the process, and for one that was killed to end.
const START: Duration = Duration::from_secs(10);

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("not on the menu")]
    NotOnTheMenu,
    #[error("connecting to {path}")]
    Connect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("talking to the probe")]
    Talk(#[source] io::Error),
    #[error("no reply within {0:?}")]
    TimedOut(Duration),
    /// systemd closes connections above its limit without a word.
    #[error("the probe ended without a whole reply; it may have as many requests as it takes")]
    Closed,
    #[error("not a reply: {0}")]
    Malformed(&'static str),
}

/// Asks the probe of this node.
///
/// # Errors
/// When there is no reply. That the tool failed is a reply.
pub fn ask(request: &Request) -> Result<Reply, ProbeError> {
    ask_at(request.kind().socket(), request)
}

/// Asks a probe that listens elsewhere.
///
/// # Errors
/// As [`ask`].
pub fn ask_at(socket: &Path, request: &Request) -> Result<Reply, ProbeError> {
    let entry = request.entry().ok_or(ProbeError::NotOnTheMenu)?;
    let patience = REQUEST_DEADLINE + entry.timeout + REPLY_DEADLINE + START;
    let mut call = Call {
        stream: connect(socket).map_err(|source| ProbeError::Connect {
            path: socket.to_owned(),
            source,
        })?,
        deadline: Instant::now() + patience,
        patience,
    };
    // Less than a socket takes at once.
    let line = request.to_json() + "\n";
    match call.stream.write_all(line.as_bytes()) {
        // Whoever closed it may have said why.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(ProbeError::Talk(error));
        }
        _ => {}
    }
    call.reply(entry.stdout_limit)
}

/// A connection, and how long it may take.
#[derive(Debug)]
struct Call {
    stream: UnixStream,
    deadline: Instant,
    patience: Duration,
}

impl Call {
    fn reply(&mut self, stdout_limit: usize) -> Result<Reply, ProbeError> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if bytes.len() >= HEADER_LIMIT {
                return Err(ProbeError::Malformed("the header does not end"));
            }
            self.read_some(&mut bytes)?;
        };
        let mut stdout = bytes.split_off(end);
        stdout.remove(0);
        let header: Header = serde_json::from_slice(&bytes)
            .map_err(|_| ProbeError::Malformed("the header is not one"))?;
        if header.stdout_bytes > stdout_limit {
            return Err(ProbeError::Malformed("more output than the menu allows"));
        }
        while stdout.len() < header.stdout_bytes {
            self.read_some(&mut stdout)?;
        }
        if stdout.len() == header.stdout_bytes {
            match self.read_some(&mut stdout) {
                Err(ProbeError::Closed) => return Ok(Reply { header, stdout }),
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        Err(ProbeError::Malformed("longer than it says"))
    }

    /// Waits for bytes; the end of the stream is [`ProbeError::Closed`].
    fn read_some(&mut self, bytes: &mut Vec<u8>) -> Result<(), ProbeError> {
        let mut buffer = [0; 16 << 10];
        loop {
            if !wait(&self.stream, PollFlags::IN, self.deadline).map_err(ProbeError::Talk)? {
                return Err(ProbeError::TimedOut(self.patience));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ProbeError::Closed),
                Ok(length) => {
                    bytes.extend(buffer.iter().take(length));
                    return Ok(());
                }
                // A probe that ended before it read everything.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(ProbeError::Closed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ProbeError::Talk(error)),
            }
        }
    }
}
