//! The stdio side of MCP: copies bytes between a client and the coordinator.
//!
//! The bridge knows no message. Both directions are blocking threads: reads of
//! standard input cannot be cancelled, and a runtime would wait for them at its
//! end, so that a client which keeps its pipe open would keep the process.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::grpc::Role;

/// How long answers are awaited after the client closed its side.
const GRACE: Duration = Duration::from_secs(2);

const BUFFER: usize = 64 * 1024;

/// Copies between standard input and output and the coordinator's MCP socket
/// until one side closes. Nothing else is ever written to standard output.
///
/// # Errors
/// When the coordinator cannot be reached or goes away first. The text says what
/// to do; the caller prints it on standard error and exits with status 3.
pub async fn bridge(socket: &Path, role: Role) -> io::Result<()> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    copy(socket, role, input, output).await
}

async fn copy(
    socket: &Path,
    role: Role,
    mut input: impl Read + Send + 'static,
    mut output: impl Write + Send + 'static,
) -> io::Result<()> {
    let stream = UnixStream::connect(socket).map_err(|error| unreachable(socket, role, &error))?;
    let (mut to_server, mut from_server) = (stream.try_clone()?, stream.try_clone()?);
    // Set before the coordinator can see the end, since it may close at once.
    let done = Arc::new(AtomicBool::new(false));
    let set_done = Arc::clone(&done);
    let client_closed = spawn("mcp-input", move || {
        let result = pump(&mut input, &mut to_server);
        set_done.store(result.is_ok(), Ordering::SeqCst);
        // The coordinator sees the end and closes once it has answered. It may
        // be gone already.
        drop(to_server.shutdown(Shutdown::Write));
        result
    })?;
    let mut server_closed = spawn("mcp-output", move || pump(&mut from_server, &mut output))?;

    tokio::select! {
        result = &mut server_closed => match result {
            Ok(Ok(())) if done.load(Ordering::SeqCst) => Ok(()),
            result => gone(socket, result),
        },
        result = client_closed => {
            let ended = tokio::time::timeout(GRACE, server_closed).await;
            drop(stream.shutdown(Shutdown::Both));
            match (result, ended) {
                (Ok(Err(End::Reader(error))), _) => Err(describe("reading standard input", &error)),
                (Ok(Err(End::Writer(_))), Ok(result)) => gone(socket, result),
                _ => Ok(()),
            }
        }
    }
}

/// Which side of a copy failed.
#[derive(Debug)]
enum End {
    Reader(io::Error),
    Writer(io::Error),
}

fn spawn(
    name: &str,
    copy: impl FnOnce() -> Result<(), End> + Send + 'static,
) -> io::Result<oneshot::Receiver<Result<(), End>>> {
    let (send, receive) = oneshot::channel();
    // Not joined: it ends with the process, or when its reader does.
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody listens any more when the other direction ended first.
            drop(send.send(copy()));
        })?;
    Ok(receive)
}

/// Copies until the end, without waiting for a buffer to fill.
fn pump(from: &mut impl Read, to: &mut impl Write) -> Result<(), End> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(End::Reader(error)),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        to.write_all(bytes).map_err(End::Writer)?;
        to.flush().map_err(End::Writer)?;
    }
}

fn gone<E>(socket: &Path, result: Result<Result<(), End>, E>) -> io::Result<()> {
    match result {
        // The client does not read any more: it is leaving.
        Ok(Err(End::Writer(error))) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Ok(Err(End::Writer(error))) => Err(describe("writing standard output", &error)),
        _ => Err(io::Error::new(
            io::ErrorKind::ConnectionReset,
            format!(
                "the coordinator closed {}: it was stopped or restarted, or serves too many \
                 clients; start this again once `systemctl status pvelens` shows it running",
                socket.display()
            ),
        )),
    }
}

fn unreachable(socket: &Path, role: Role, error: &io::Error) -> io::Error {
    let socket = socket.display();
    let text = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
            "no coordinator at {socket}: start it with `systemctl start pvelens`, or name the \
             socket of one that runs"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("no access to {socket}: {}", role.how_to_get())
        }
        _ => format!("connecting to {socket}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

fn describe(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead, os::unix::net::UnixListener, time::Instant};

    use super::*;

    /// A client's side of standard input and output.
    fn stdio() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    fn socket() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mcp.sock");
        (directory, path)
    }

    fn run(path: &Path, stdio: UnixStream) -> io::Result<()> {
        let output = stdio.try_clone().unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(copy(path, Role::Reader, stdio, output))
    }

    #[test]
    fn bytes_go_both_ways_and_answers_after_the_end_of_input_arrive() {
        let (_directory, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            stream.write_all(b"answer\n").unwrap();
            request
        });
        let (mut client, ours) = stdio();
        client.write_all(b"{}\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let bridge = thread::spawn(move || run(&path, ours));
        let mut answer = String::new();
        io::BufReader::new(&client).read_line(&mut answer).unwrap();
        assert_eq!(answer, "answer\n");
        bridge.join().unwrap().unwrap();
        drop(server.join());
    }

    #[test]
    fn a_coordinator_that_goes_away_ends_it_while_input_stays_open() {
        let (_directory, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || drop(listener.accept()));
        let (client, ours) = stdio();
        let started = Instant::now();
        let error = run(&path, ours).unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
        assert!(started.elapsed() < GRACE);
        drop(client);
    }

    #[test]
    fn without_a_coordinator_the_error_says_what_to_do_and_output_stays_empty() {
        let (_directory, path) = socket();
        let (mut client, ours) = stdio();
        let error = run(&path, ours).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(
            error.to_string().contains("systemctl start pvelens"),
            "{error}"
        );
        let mut output = Vec::new();
        client.read_to_end(&mut output).unwrap();
        assert!(output.is_empty());
    }
}
