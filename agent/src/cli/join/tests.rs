//! Joining, with a coordinator that is there, is another one, or does not answer.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    thread,
};

use pvelens_proto::join_line::JoinLineError;
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::TempDir;

use super::*;
use crate::cli::leave::forget;
use coordinator::{Ca, Coordinator as Server, Reply, Shown, ticket};

mod coordinator;

/// Long enough for a handshake on a busy machine.
const PATIENT: Deadlines = Deadlines {
    each: Duration::from_secs(60),
    all: Duration::from_secs(60),
};
/// For somebody who says nothing at all.
const SHORT: Deadlines = Deadlines {
    each: Duration::from_millis(50),
    all: Duration::from_millis(120),
};

/// A node.
struct Node {
    directory: TempDir,
    places: Places,
}

impl Node {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name| directory.path().join(name);
        fs::create_dir_all(path("root/etc")).unwrap();
        fs::write(path("root/etc/hostname"), "pve1\n").unwrap();
        let places = Places {
            config: path("etc"),
            identity: path("identity"),
            root: path("root"),
        };
        Self { directory, places }
    }

    fn joins(&self, pin: &[u8], addresses: &[SocketAddr], deadlines: Deadlines) -> Outcome {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let ticket = ticket(pin.to_vec(), &addresses);
        enter(&self.places, &ticket, deadlines).map_err(|error| format!("{error:#}"))
    }

    /// Why it did not join; nothing of it is left but the key that is tried again.
    fn fails(&self, pin: &[u8], addresses: &[SocketAddr], deadlines: Deadlines) -> String {
        let error = self.joins(pin, addresses, deadlines).unwrap_err();
        assert!(Identity::load(&self.places.identity).unwrap().is_none());
        assert_eq!(joined::load(&self.places.config).unwrap(), []);
        error
    }

    fn has_pending(&self) -> bool {
        self.places.identity.join("pending.json").exists()
    }
}

type Outcome = Result<Joined, String>;

/// A server whose certificate is of its authority, and that.
fn good(replies: &[Reply]) -> (Vec<u8>, Server) {
    let ca = Ca::new();
    let pin = ca.sha256();
    (pin, Server::of(ca, replies))
}

#[test]
fn a_node_that_joins_has_an_identity_and_a_way_for_its_link() {
    let (pin, server) = good(&[]);
    let node = Node::new();
    let joined = node.joins(&pin, &[server.address], PATIENT).unwrap();
    let identity = Identity::load(&node.places.identity).unwrap().unwrap();
    assert_eq!(identity, joined.identity);
    assert_eq!(
        (identity.cluster.as_str(), identity.node.as_str()),
        ("host:pve1", "pve1")
    );
    let fingerprint = identity.authority_fingerprint();
    assert_eq!(fingerprint, crate::hex(&pin));
    let links = joined::load(&node.places.config).unwrap();
    assert_eq!(
        links.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["mon.example.org:8440 192.0.2.7:8440"]
    );
    assert!(!node.has_pending());
    let text = joined.text();
    assert!(text.contains("pve1 has joined the coordinator mon."));
    assert!(text.contains(short(&fingerprint)), "{text}");
    let [asked] = server.asked().try_into().unwrap();
    assert_eq!(
        (asked.token_id.as_str(), asked.secret),
        ("k3x9", vec![9; 32])
    );
    assert!(!asked.csr_der.is_empty());

    let error = check_has_not_joined(&node.places).unwrap_err().to_string();
    assert!(error.contains("joined already, as pve1"), "{error}");
    assert!(error.contains("--replace"), "{error}");
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let (pin, server) = good(&[Reply::Lost]);
    let node = Node::new();
    let error = node.fails(&pin, &[server.address], PATIENT);
    assert!(error.contains("gave no answer"), "{error}");
    assert!(node.has_pending());
    node.joins(&pin, &[server.address], PATIENT).unwrap();
    let [first, second] = server.asked().try_into().unwrap();
    assert_eq!(first, second);
}

#[test]
fn nothing_is_sent_to_whoever_does_not_show_the_authority_of_the_line() {
    let (_, server) = good(&[]);
    let node = Node::new();
    let error = node.fails(&[7; 32], &[server.address], PATIENT);
    assert!(error.contains("intercepted"), "{error}");
    assert!(error.contains(&server.address.to_string()), "{error}");
    assert_eq!(server.asked(), []);
}

#[test]
fn showing_the_authority_of_another_is_not_enough() {
    let (real, own) = (Ca::new(), Ca::new());
    let shown = Shown {
        signer: &own,
        chain: &real,
        ..Shown::of(&own)
    };
    let server = Server::start(Ca::new(), &shown, &[]);
    let error = Node::new().fails(&real.sha256(), &[server.address], PATIENT);
    assert!(
        error.contains("not of the authority that it shows"),
        "{error}"
    );
    assert!(error.contains("intercepted"), "{error}");
    assert_eq!(server.asked(), []);
}

#[test]
fn only_a_coordinator_with_a_certificate_for_a_server_is_asked() {
    let ca = Ca::new();
    for (uri, usage) in [
        (
            "pvelens://coordinator/mon",
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
        (
            "pvelens://client/admin/eve",
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
        (
            "pvelens://client/admin/eve",
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
        (
            "pvelens://node/host:pve2/pve2",
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
    ] {
        let shown = Shown {
            uri,
            usage,
            ..Shown::of(&ca)
        };
        let server = Server::start(Ca::new(), &shown, &[]);
        let error = Node::new().fails(&ca.sha256(), &[server.address], PATIENT);
        assert!(
            error.contains("not that of a coordinator"),
            "{uri}: {error}"
        );
        assert_eq!(server.asked(), []);
    }
}

#[test]
fn what_the_coordinator_says_no_to_is_said_with_what_to_do() {
    for (reason, expected) in [
        ("TOKEN_USED", "was used already"),
        ("TOKEN_EXPIRED", "has ended"),
        ("TOKEN_WITHDRAWN", "was withdrawn"),
        ("TOKEN_UNKNOWN", "does not know the token"),
        ("TOKEN_SCOPE", "not for this node"),
        ("NODE_ALREADY_ENROLLED", "pvelens agents token --node pve1"),
        ("SOMETHING_NEW", "the token is no good"),
    ] {
        let (pin, server) = good(&[Reply::No(reason)]);
        // The next address is not asked: the coordinator has decided.
        let twice = [server.address, server.address];
        let error = Node::new().fails(&pin, &twice, PATIENT);
        assert!(error.contains("the coordinator mon refuses"), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\u{1b}'), "{error:?}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn an_identity_of_another_node_is_not_taken() {
    let (pin, server) = good(&[Reply::ForAnother]);
    let error = Node::new().fails(&pin, &[server.address], PATIENT);
    assert!(error.contains("for other instead of pve1"), "{error}");
}

/// Somebody who says this to whoever comes, and then nothing.
fn says(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(words));
            open.push(stream);
        }
    });
    address
}

/// Nobody listens there.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn every_address_that_gives_no_answer_is_named_with_its_reason() {
    let node = Node::new();
    let garbage = says(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let nobody = nobody();
    let error = node.fails(&[7; 32], &[nobody, garbage], PATIENT);
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(
        error.contains(&format!("{nobody}: Connection refused")),
        "{error}"
    );
    assert!(
        error.contains(&format!("{garbage}: it does not speak TLS")),
        "{error}"
    );
    assert!(!error.contains("intercepted"), "{error}");
}

#[test]
fn silence_ends_with_the_deadline_of_each_address_and_of_all() {
    let silent = says(b"");
    let error = Node::new().fails(&[7; 32], &[silent; 4], SHORT);
    assert!(error.contains("no answer within"), "{error}");
    assert!(error.contains("no time left"), "{error}");
}

#[test]
fn the_first_address_that_answers_is_joined() {
    let (pin, server) = good(&[]);
    let (_, other) = good(&[]);
    let garbage = says(b"SSH-2.0-OpenSSH_9.2\r\n");
    let addresses = [nobody(), garbage, other.address, server.address];
    let node = Node::new();
    node.joins(&pin, &addresses, PATIENT).unwrap();
    assert_eq!((server.asked().len(), other.asked().len()), (1, 0));
}

#[test]
fn a_ticket_that_makes_no_sense_is_refused_before_anything_is_made() {
    let node = Node::new();
    let refused = |change: fn(&mut JoinTicket)| {
        let mut ticket = ticket(vec![7; 32], &["mon:8441".to_owned()]);
        change(&mut ticket);
        let error = enter(&node.places, &ticket, SHORT).unwrap_err();
        assert!(!node.has_pending());
        format!("{error:#}")
    };
    assert!(refused(|ticket| ticket.authority_sha256.clear()).contains("no authority"));
    assert!(refused(|ticket| ticket.enrollment_addresses.clear()).contains("no address"));
    assert!(refused(|ticket| ticket.link_addresses.clear()).contains("no address"));
    let error = refused(|ticket| ticket.link_addresses = vec!["https://x".to_owned()]);
    assert!(error.contains("is a URL"), "{error}");
}

#[test]
fn a_damaged_line_and_a_late_one_are_told() {
    let ticket = JoinTicket {
        expires_at: Some(pvelens_proto::timestamp_from_millis(1_000_000)),
        ..ticket(vec![7; 32], &[])
    };
    let line = join_line::write(&ticket);
    let read = |text: &str| first_line(text.as_bytes()).unwrap();
    assert_eq!(
        join_line::read(&read(&format!("\n {line} \nrest"))),
        Ok(ticket.clone())
    );
    let cut = line.get(..line.len() - 9).unwrap();
    assert_eq!(join_line::read(&read(cut)), Err(JoinLineError::Damaged));
    assert_eq!(join_line::read(&read("")), Err(JoinLineError::Empty));
    let endless = "x".repeat(1 << 20);
    assert!(u64::try_from(read(&endless).len()).unwrap() <= LINE_LIMIT);

    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(is_late(&ticket, at(999)), None);
    assert_eq!(is_late(&ticket, at(1000)), Some(at(1000)));
}

#[test]
fn leaving_forgets_everything_and_says_what_is_left_to_do() {
    let (pin, server) = good(&[]);
    let node = Node::new();
    assert!(forget(&node.places).unwrap().contains("has not joined"));
    node.joins(&pin, &[server.address], PATIENT).unwrap();
    let text = forget(&node.places).unwrap();
    assert!(text.contains("pvelens agents revoke pve1"), "{text}");
    assert!(Identity::load(&node.places.identity).unwrap().is_none());
    assert!(!node.directory.path().join("etc/joined.toml").exists());

    // What a failed attempt left, and what cannot be read, goes, too.
    node.fails(&[7; 32], &[server.address], PATIENT);
    assert!(node.has_pending());
    assert!(forget(&node.places).unwrap().contains("What was left"));
    assert!(!node.has_pending());
    fs::write(node.places.identity.join("identity.json"), "{").unwrap();
    assert!(check_has_not_joined(&node.places).is_err());
    assert!(forget(&node.places).unwrap().contains("could not be used"));
    check_has_not_joined(&node.places).unwrap();
}
