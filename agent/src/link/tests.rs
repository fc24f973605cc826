//! Links between real sockets.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    task::{JoinHandle, yield_now},
};

use super::{pipe::Side, report::State, *};

/// So that many attempts fit in a test; the delays are looked at, not waited out.
const FIRST: Duration = Duration::from_millis(10);
/// Of the coordinator, so that the kernel keeps little for it.
const RECEIVE_BYTES: u32 = 64 << 10;

/// A link with both ends in the hands of the test.
struct Bench {
    _directory: TempDir,
    socket: PathBuf,
    coordinator: TcpListener,
    agent: Option<UnixListener>,
    states: watch::Receiver<States>,
    shutdown: CancellationToken,
    following: JoinHandle<()>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self::without_agent();
        bench.agent = Some(UnixListener::bind(&bench.socket).unwrap());
        bench
    }

    fn without_agent() -> Self {
        Self::with(bound().listen(8).unwrap())
    }

    fn with(coordinator: TcpListener) -> Self {
        let address = coordinator.local_addr().unwrap();
        let (directory, socket, states, shutdown, following) = follow(&address.to_string());
        Self {
            _directory: directory,
            socket,
            coordinator,
            agent: None,
            states,
            shutdown,
            following,
        }
    }

    /// Both ends of the next link.
    async fn ends(&self) -> (TcpStream, UnixStream) {
        let (coordinator, _) = self.coordinator.accept().await.unwrap();
        let (agent, _) = self.agent.as_ref().unwrap().accept().await.unwrap();
        (coordinator, agent)
    }

    /// Ends it in order.
    async fn stop(self) {
        self.shutdown.cancel();
        self.following.await.unwrap();
    }
}

/// Small, so that a coordinator that does not read holds little.
fn bound() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BYTES).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

type Following = (
    TempDir,
    PathBuf,
    watch::Receiver<States>,
    CancellationToken,
    JoinHandle<()>,
);

fn follow(coordinator: &str) -> Following {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("link.sock");
    let coordinator: Coordinator = coordinator.parse().unwrap();
    let (sender, states) = watch::channel(States::new(std::slice::from_ref(&coordinator)));
    let link = Link {
        place: 0,
        agent: socket.clone(),
        backoff: Backoff::new(FIRST),
        dialer: Dialer::new(),
        reporter: Reporter::new(&coordinator, 0, sender),
        coordinator,
    };
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(link.follow(shutdown.clone()));
    (directory, socket, states, shutdown, following)
}

/// Why there is no link, and until when, as soon as that is so.
async fn waits(states: &mut watch::Receiver<States>) -> (String, Duration) {
    let states = states
        .wait_for(|states| matches!(states.first(), State::Waiting { .. }))
        .await
        .unwrap();
    match states.first() {
        State::Waiting { reason, delay } => (reason.clone(), *delay),
        other => panic!("{other:?}"),
    }
}

async fn is(states: &mut watch::Receiver<States>, state: State) {
    states
        .wait_for(|states| *states.first() == state)
        .await
        .unwrap();
}

async fn reads(mut stream: impl tokio::io::AsyncRead + Unpin, expected: &str) {
    let mut buffer = vec![0; expected.len()];
    stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(String::from_utf8(buffer).unwrap(), expected);
}

async fn ends(mut stream: impl tokio::io::AsyncRead + Unpin) {
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn bytes_pass_both_ways_and_the_link_is_up_when_the_agent_answers() {
    let mut bench = Bench::new();
    let (mut coordinator, mut agent) = bench.ends().await;
    is(&mut bench.states, State::Connected).await;
    coordinator.write_all(b"hello").await.unwrap();
    reads(&mut agent, "hello").await;
    assert_eq!(*bench.states.borrow().first(), State::Connected);
    agent.write_all(b"answer").await.unwrap();
    reads(&mut coordinator, "answer").await;
    is(&mut bench.states, State::Up).await;
    drop((coordinator, agent));
    bench.stop().await;
}

#[tokio::test]
async fn a_slow_reader_gets_fifty_megabytes_unchanged_while_the_sender_waits() {
    const TOTAL: u64 = 50 << 20;
    /// What the kernel may keep of both connections.
    const AHEAD: u64 = 16 << 20;
    let bench = Bench::new();
    let (mut coordinator, agent) = bench.ends().await;
    let (mut agent_reader, mut agent_writer) = agent.into_split();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    // A prime, so that no buffer has the same content twice.
    let pattern = |place: u64| u8::try_from(place % 251).unwrap();
    let sending = tokio::spawn(async move {
        let mut place = 0;
        while place < TOTAL {
            let next: Vec<u8> = (place..TOTAL.min(place + 50_021)).map(pattern).collect();
            agent_writer.write_all(&next).await.unwrap();
            place += u64::try_from(next.len()).unwrap();
            counter.store(place, Ordering::Relaxed);
        }
    });
    let (mut received, mut pings) = (0, 0);
    let mut buffer = vec![0; 16 << 10];
    loop {
        let length = coordinator.read(&mut buffer).await.unwrap();
        if length == 0 {
            break;
        }
        for byte in &buffer[..length] {
            assert_eq!(*byte, pattern(received));
            received += 1;
        }
        let ahead = sent.load(Ordering::Relaxed).saturating_sub(received);
        assert!(ahead < AHEAD, "{ahead} bytes are under way");
        if received > pings * (TOTAL / 10) {
            // The other direction is free.
            coordinator.write_all(b"ping").await.unwrap();
            reads(&mut agent_reader, "ping").await;
            pings += 1;
        }
        yield_now().await;
    }
    sending.await.unwrap();
    assert_eq!(received, TOTAL);
    assert_eq!(pings, 10);
    drop((coordinator, agent_reader));
    bench.stop().await;
}

#[tokio::test]
async fn what_one_end_says_after_the_other_has_closed_arrives() {
    let bench = Bench::new();
    let (mut coordinator, mut agent) = bench.ends().await;
    coordinator.shutdown().await.unwrap();
    ends(&mut agent).await;
    agent.write_all(b"last words").await.unwrap();
    drop(agent);
    reads(&mut coordinator, "last words").await;
    ends(&mut coordinator).await;

    let (mut coordinator, mut agent) = bench.ends().await;
    agent.write_all(b"refused").await.unwrap();
    agent.shutdown().await.unwrap();
    reads(&mut coordinator, "refused").await;
    ends(&mut coordinator).await;
    coordinator.write_all(b"why?").await.unwrap();
    reads(&mut agent, "why?").await;
    drop(coordinator);
    ends(&mut agent).await;
    bench.stop().await;
}

#[tokio::test]
async fn an_agent_that_was_gone_is_linked_when_it_is_back() {
    let mut bench = Bench::without_agent();
    let (reason, _) = waits(&mut bench.states).await;
    assert!(reason.contains("the agent at /"), "{reason}");
    bench.agent = Some(UnixListener::bind(&bench.socket).unwrap());
    // Attempts that met no agent are in the queue of the coordinator.
    let mut agent = bench.agent.as_ref().unwrap().accept().await.unwrap().0;
    agent.write_all(b"back").await.unwrap();
    is(&mut bench.states, State::Up).await;
    loop {
        let mut coordinator = bench.coordinator.accept().await.unwrap().0;
        let mut buffer = [0; 4];
        if coordinator.read_exact(&mut buffer).await.is_ok() {
            assert_eq!(&buffer, b"back");
            break;
        }
    }
    drop(agent);
    bench.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_was_gone_is_linked_when_it_is_back() {
    let socket = bound();
    let address = socket.local_addr().unwrap().to_string();
    let (directory, path, mut states, shutdown, following) = follow(&address);
    let agent = UnixListener::bind(&path).unwrap();
    let (reason, _) = waits(&mut states).await;
    assert!(
        reason.contains(&format!("connecting to {address}: ")),
        "{reason}"
    );
    let bench = Bench {
        _directory: directory,
        socket: path,
        coordinator: socket.listen(8).unwrap(),
        agent: Some(agent),
        states,
        shutdown,
        following,
    };
    for _ in 0..3 {
        let (coordinator, mut agent) = bench.ends().await;
        // It goes without a word, as one that is killed.
        drop(coordinator);
        ends(&mut agent).await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn an_end_that_closes_at_once_is_tried_ever_more_rarely() {
    for who in [Side::Coordinator, Side::Agent] {
        let mut bench = Bench::new();
        let mut least = FIRST;
        for _ in 0..6 {
            let (coordinator, agent) = bench.ends().await;
            let other: Box<dyn Send> = match who {
                Side::Coordinator => {
                    drop(coordinator);
                    Box::new(agent)
                }
                Side::Agent => {
                    drop(agent);
                    Box::new(coordinator)
                }
            };
            // The other one goes as soon as it hears of it.
            drop(other);
            let (reason, delay) = waits(&mut bench.states).await;
            assert!(delay >= least, "{delay:?} is less than {least:?}: {reason}");
            least *= 2;
        }
        bench.stop().await;
    }
}

/// Both ends of one link, and what carries between them.
async fn pair() -> ((TcpStream, UnixStream), (TcpStream, UnixStream)) {
    let listener = bound().listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (agent, pipe) = UnixStream::pair().unwrap();
    ((ours.unwrap(), pipe), (theirs.unwrap().0, agent))
}

/// Carries until it ends; gives why and after how long on the paused clock.
fn carrying(
    (coordinator, agent): (TcpStream, UnixStream),
    stop: &CancellationToken,
) -> JoinHandle<(End, Duration)> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let since = Instant::now();
        let end = carry(coordinator, agent, drop, drop, &stop).await;
        (end, since.elapsed())
    })
}

#[tokio::test(start_paused = true)]
async fn an_end_that_hangs_is_dropped_after_the_other_closed() {
    let (pipe, (coordinator, mut agent)) = pair().await;
    let carried = carrying(pipe, &CancellationToken::new());
    drop(coordinator);
    let (end, lasted) = carried.await.unwrap();
    assert!(end.is_close_of(Side::Coordinator), "{end}");
    assert!(lasted >= pipe::GRACE, "{lasted:?}");
    ends(&mut agent).await;

    let (pipe, (mut coordinator, agent)) = pair().await;
    let carried = carrying(pipe, &CancellationToken::new());
    drop(agent);
    let (end, lasted) = carried.await.unwrap();
    assert!(end.is_close_of(Side::Agent), "{end}");
    assert!(lasted >= pipe::GRACE, "{lasted:?}");
    ends(&mut coordinator).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_stopped_ends_although_both_ends_hang() {
    let (pipe, (mut coordinator, mut agent)) = pair().await;
    let stop = CancellationToken::new();
    let carried = carrying(pipe, &stop);
    stop.cancel();
    // The agent is told first, and could still answer.
    ends(&mut agent).await;
    let (end, lasted) = carried.await.unwrap();
    assert!(matches!(end, End::Stopped), "{end}");
    assert!(lasted >= pipe::GRACE, "{lasted:?}");
    ends(&mut coordinator).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_stopped_ends_although_nobody_reads() {
    let (pipe, (coordinator, mut agent)) = pair().await;
    let stop = CancellationToken::new();
    let carried = carrying(pipe, &stop);
    let flood = tokio::spawn(async move { agent.write_all(&vec![0; 50 << 20]).await });
    stop.cancel();
    let (end, _) = carried.await.unwrap();
    assert!(matches!(end, End::Stopped), "{end}");
    // The agent did not get rid of it.
    assert!(flood.await.unwrap().is_err());
    drop(coordinator);
}

#[tokio::test]
async fn a_link_that_is_stopped_passes_on_what_the_agent_says_to_that() {
    let bench = Bench::new();
    let (mut coordinator, mut agent) = bench.ends().await;
    bench.shutdown.cancel();
    ends(&mut agent).await;
    agent.write_all(b"goodbye").await.unwrap();
    drop(agent);
    reads(&mut coordinator, "goodbye").await;
    ends(&mut coordinator).await;
    bench.stop().await;
}

#[tokio::test]
async fn the_next_address_is_tried_and_the_one_that_works_is_kept() {
    // The first one is nobody's, behind the second one is somebody who goes at once.
    let (nobody, rude) = (bound(), bound().listen(8).unwrap());
    let good = bound().listen(8).unwrap();
    let addresses = [
        nobody.local_addr().unwrap().to_string(),
        rude.local_addr().unwrap().to_string(),
        good.local_addr().unwrap().to_string(),
    ];
    let (_directory, socket, mut states, shutdown, following) = follow(&addresses.join(" "));
    let agent = UnixListener::bind(&socket).unwrap();
    drop(rude.accept().await.unwrap());
    drop(agent.accept().await.unwrap());
    for _ in 0..3 {
        let (mut coordinator, _) = good.accept().await.unwrap();
        let mut agent = agent.accept().await.unwrap().0;
        agent.write_all(b"hello").await.unwrap();
        reads(&mut coordinator, "hello").await;
        is(&mut states, State::Up).await;
        drop((coordinator, agent));
    }
    let again = tokio::time::timeout(Duration::ZERO, rude.accept()).await;
    assert!(again.is_err(), "{again:?}");
    shutdown.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn every_address_that_does_not_answer_is_named() {
    let sockets = [bound(), bound()];
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().unwrap().to_string())
        .collect();
    let (_directory, _, mut states, shutdown, following) = follow(&addresses.join(" "));
    let (reason, _) = waits(&mut states).await;
    for address in &addresses {
        assert!(reason.contains(address), "{reason}");
    }
    shutdown.cancel();
    following.await.unwrap();
}
