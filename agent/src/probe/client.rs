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
    talk(socket, request, patience, entry.stdout_limit)
}

fn talk(
    socket: &Path,
    request: &Request,
    patience: Duration,
    stdout_limit: usize,
) -> Result<Reply, ProbeError> {
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
    call.reply(stdout_limit)
}

/// What is made of a probe that said this.
#[cfg(feature = "fuzzing")]
pub(crate) fn hear(said: &[u8], stdout_limit: usize) -> Result<Reply, ProbeError> {
    let (stream, mut peer) = UnixStream::pair().map_err(ProbeError::Talk)?;
    peer.write_all(said).map_err(ProbeError::Talk)?;
    drop(peer);
    let patience = Duration::from_secs(5);
    let deadline = Instant::now() + patience;
    let mut call = Call {
        stream,
        deadline,
        patience,
    };
    call.reply(stdout_limit)
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

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use tempfile::TempDir;

    use super::*;
    use crate::probe::{Kind, Outcome};

    const HEADER: &str = r#"{"outcome":{"kind":"exited","exit_status":0},"program":["/bin/true"],"stdout_bytes":3,"stdout_truncated":false,"stderr":"","stderr_truncated":false,"duration_milliseconds":1}"#;

    /// What the client makes of a peer that reads the request and then does
    /// `then`. The peer holds the connection until `then` ends.
    fn facing(then: impl FnOnce(&mut UnixStream) + Send + 'static) -> Result<Reply, ProbeError> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("probe.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            then(&mut stream);
        });
        let request = Request::parse(Kind::Disk, br#"{"entry":"vgs"}"#).unwrap();
        let reply = talk(&path, &request, Duration::from_millis(200), 1000);
        peer.join().unwrap();
        reply
    }

    fn saying(text: impl AsRef<[u8]> + Send + 'static) -> Result<Reply, ProbeError> {
        facing(move |stream| drop(stream.write_all(text.as_ref())))
    }

    #[test]
    fn a_reply_is_its_header_and_the_bytes_after_it() {
        let reply = saying(format!("{HEADER}\n\0\n\u{7f}")).unwrap();
        assert_eq!(reply.header.outcome, Outcome::Exited { exit_status: 0 });
        assert_eq!(reply.stdout, b"\0\n\x7f");
    }

    #[test]
    fn a_peer_that_says_nothing_is_left_at_the_deadline() {
        // It waits for the client to go.
        let silent = facing(|stream| drop(stream.read(&mut [0; 16])));
        assert!(matches!(silent, Err(ProbeError::TimedOut(_))), "{silent:?}");
        let halfway = facing(|stream| {
            stream.write_all(HEADER.as_bytes()).unwrap();
            drop(stream.read(&mut [0; 16]));
        });
        assert!(matches!(halfway, Err(ProbeError::TimedOut(_))));
    }

    #[test]
    fn a_peer_that_ends_early_is_closed() {
        for text in [
            "",
            "{",
            HEADER,
            &format!("{HEADER}\n"),
            &format!("{HEADER}\nab"),
        ] {
            let reply = saying(text.to_owned());
            assert!(
                matches!(reply, Err(ProbeError::Closed)),
                "{text}: {reply:?}"
            );
        }
    }

    #[test]
    fn what_is_no_reply_is_malformed() {
        let long = HEADER.replace("\"stdout_bytes\":3", "\"stdout_bytes\":1001");
        let huge = HEADER.replace(
            "\"stdout_bytes\":3",
            "\"stdout_bytes\":18446744073709551615",
        );
        let negative = HEADER.replace("\"stdout_bytes\":3", "\"stdout_bytes\":-3");
        let unknown = HEADER.replace("\"exit_status\":0", "\"exit_status\":0,\"x\":1");
        for text in [
            "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            "\n".to_owned(),
            "{}\n".to_owned(),
            format!("{HEADER}\nabcd"),
            format!("{long}\nabc"),
            format!("{huge}\nabc"),
            format!("{negative}\nabc"),
            format!("{unknown}\nabc"),
        ] {
            let reply = saying(text.clone());
            assert!(
                matches!(reply, Err(ProbeError::Malformed(_))),
                "{text}: {reply:?}"
            );
        }
        let not_text = saying(&[0xff, 0xfe, b'\n'][..]);
        assert!(matches!(not_text, Err(ProbeError::Malformed(_))));
    }

    #[test]
    fn an_endless_reply_is_not_kept() {
        let endless = |head: String| {
            facing(move |stream| {
                stream.write_all(head.as_bytes()).unwrap();
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
            })
        };
        for head in [String::new(), format!("{HEADER}\n")] {
            let reply = endless(head);
            assert!(matches!(reply, Err(ProbeError::Malformed(_))), "{reply:?}");
        }
    }

    #[test]
    fn nobody_listening_is_an_error_at_once() {
        let request = Request::parse(Kind::Disk, br#"{"entry":"vgs"}"#).unwrap();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("probe.sock");
        let gone = ask_at(&path, &request);
        assert!(matches!(gone, Err(ProbeError::Connect { .. })));
        drop(UnixListener::bind(&path).unwrap());
        let dead = ask_at(&path, &request);
        assert!(matches!(dead, Err(ProbeError::Connect { .. })));
    }
}
