//! Neighbouring versions: today's code with the messages that earlier releases left.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use prost::Message;
use prost_reflect::DynamicMessage;
use pvelens::{
    check::Params,
    config::Config,
    coordinator::Coordinator,
    link::Listening,
    trust::{Names, TokenWish, Trust},
};
use pvelens_agent::{
    host::Host,
    identity::{Identity, accept, new_key_and_csr},
    service::{NodeAgent, serve},
    spool::Spool,
};
use pvelens_proto::{
    agent::v1::{DescribeResponse, NodeUpdate, WatchResponse, watch_response::Event},
    join_line,
    v1::EnrollRequest,
};
use pvelens_tests::{
    fuzz::small_node_updates,
    small,
    wire::{
        DESCRIBED, FILLED, MESSAGES, Release, SAMPLES, agrees, fill,
        old::{Answer, OldAgent, call},
        payloads, releases, today,
    },
};
use tokio::{
    net::{TcpStream, UnixListener},
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Endpoint};

const SAMPLE: &str = "pvelens.agent.v1.WatchResponse";
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

fn described(release: &Release) -> DescribeResponse {
    DescribeResponse::decode(&*release.kept(DESCRIBED).unwrap()).unwrap()
}

fn update(bytes: &[u8]) -> NodeUpdate {
    match WatchResponse::decode(bytes).unwrap().event {
        Some(Event::Update(update)) => update,
        event => panic!("no update: {event:?}"),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// When the last of the samples was taken.
fn newest(updates: &[NodeUpdate]) -> Timestamp {
    let samples = updates.iter().flat_map(|update| &update.samples);
    let times = samples.filter_map(|sample| sample.observed_at.as_ref());
    let seconds = times.map(|time| time.seconds).max().unwrap();
    Timestamp::from_second(seconds + 1).unwrap()
}

/// Figures of the small node, whoever told them.
fn assert_figures(coordinator: &Coordinator, at: Timestamp, node: &str) {
    let current = coordinator.evaluate(at);
    let view = &current.view;
    let node = view
        .nodes
        .iter()
        .find(|known| &*known.name == node)
        .unwrap();
    assert!(node.facts.memory.is_some(), "no memory");
    assert!(node.facts.load.is_some(), "no load");
    assert!(!view.guests.is_empty(), "no guests");
    assert!(!view.storages.is_empty(), "no storages");
    assert_eq!(current.agents.len(), 1);
}

#[test]
fn every_message_that_was_kept_says_the_same_today() {
    let pool = today().unwrap();
    for release in releases().unwrap() {
        for kind in [SAMPLES, FILLED] {
            for (name, bytes) in release.all(kind).unwrap() {
                let kept = release.message(SAMPLE).unwrap();
                let kept = DynamicMessage::decode(kept, &*bytes).unwrap();
                let known = pool.get_message_by_name(SAMPLE).unwrap();
                let known = DynamicMessage::decode(known, &*bytes).unwrap();
                agrees(&kept, &known).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            }
        }
        for (name, bytes) in release.all(MESSAGES).unwrap() {
            let name = format!("pvelens.agent.v1.{name}");
            let kept = DynamicMessage::decode(release.message(&name).unwrap(), &*bytes).unwrap();
            let known = pool.get_message_by_name(&name).unwrap();
            let known = DynamicMessage::decode(known, &*bytes).unwrap();
            agrees(&kept, &known).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }
}

#[test]
fn every_payload_of_today_is_understood_as_far_as_it_was_known() {
    let pool = today().unwrap();
    let watch = pool.get_message_by_name(SAMPLE).unwrap();
    for release in releases().unwrap() {
        let known = payloads(&release.pool).unwrap();
        let known: BTreeSet<u32> = known.iter().map(|field| field.number()).collect();
        for payload in payloads(&pool).unwrap() {
            let bytes = fill(&watch, payload.name()).encode_to_vec();
            let kept = release.message(SAMPLE).unwrap();
            // What is new to it does not trouble it.
            let kept = DynamicMessage::decode(kept, &*bytes).unwrap();
            if known.contains(&payload.number()) {
                let today = DynamicMessage::decode(watch.clone(), &*bytes).unwrap();
                agrees(&kept, &today)
                    .unwrap_or_else(|error| panic!("{}: {error:#}", payload.name()));
            }
        }
        // What a node really sends, too.
        for bytes in small_node_updates().unwrap() {
            let name = "pvelens.agent.v1.NodeUpdate";
            let kept = DynamicMessage::decode(release.message(name).unwrap(), &*bytes).unwrap();
            let today = pool.get_message_by_name(name).unwrap();
            let today = DynamicMessage::decode(today, &*bytes).unwrap();
            agrees(&kept, &today).unwrap();
        }
    }
}

#[test]
fn no_message_or_field_that_was_released_is_gone() {
    let pool = today().unwrap();
    for release in releases().unwrap() {
        for message in release.pool.all_messages() {
            let name = message.full_name();
            let today = pool.get_message_by_name(name);
            let today = today.unwrap_or_else(|| panic!("{name} is gone"));
            let bytes = fill(&message, "").encode_to_vec();
            let kept = DynamicMessage::decode(message.clone(), &*bytes).unwrap();
            let known = DynamicMessage::decode(today, &*bytes).unwrap();
            agrees(&kept, &known).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

#[test]
fn kept_samples_become_the_same_view() {
    for release in releases().unwrap() {
        let coordinator = Coordinator::new(Params::default());
        let agent = described(&release);
        let samples = release.all(SAMPLES).unwrap();
        let updates: Vec<_> = samples.values().map(|bytes| update(bytes)).collect();
        let at = newest(&updates);
        for update in updates {
            coordinator.live().append(&agent, update, at);
        }
        assert_figures(&coordinator, at, &agent.node_name);
        let record = &coordinator.current().agents[0];
        assert_eq!(record.updates_total, u64::try_from(samples.len()).unwrap());
        // Any value in any field is taken without harm.
        for bytes in release.all(FILLED).unwrap().values() {
            coordinator.live().append(&agent, update(bytes), at);
        }
        assert!(!coordinator.evaluate(at).view.nodes.is_empty());
    }
}

/// What the methods of a release answered; those that came later are not there.
fn answers(release: &Release) -> BTreeMap<&'static str, Answer> {
    let one = |name: &str| Answer {
        messages: vec![release.kept(&format!("{MESSAGES}/{name}.binpb")).unwrap()],
        ends: true,
    };
    let samples = release.all(SAMPLES).unwrap().into_values();
    BTreeMap::from([
        (
            "Describe",
            Answer {
                messages: vec![release.kept(DESCRIBED).unwrap()],
                ends: true,
            },
        ),
        (
            "Watch",
            Answer {
                // Without the heartbeat: with every field set its clock is off by decades.
                messages: samples.collect(),
                ends: false,
            },
        ),
        ("GetSelfReport", one("GetSelfReportResponse")),
        ("ListGuestCommands", one("ListGuestCommandsResponse")),
        ("RunGuestCommand", one("RunGuestCommandResponse")),
        ("ListAudit", one("ListAuditResponse")),
    ])
}

/// An identity of a node that joined then.
fn joined(trust: &Trust, described: &DescribeResponse, then: Timestamp) -> Identity {
    let wish = TokenWish {
        node: String::new(),
        cluster: String::new(),
        node_count: 1,
        valid: SignedDuration::from_hours(1),
    };
    let made = trust.create_token(wish, then).unwrap();
    let ticket = join_line::read(&made.join_line).unwrap();
    let (key, csr_der) = new_key_and_csr(&described.node_name).unwrap();
    let request = EnrollRequest {
        token_id: ticket.token_id,
        secret: ticket.secret,
        csr_der,
        node_name: described.node_name.clone(),
        cluster_id: described.cluster_id.clone(),
        agent_version: described.agent_version.clone(),
    };
    let given = trust.enroll(&request, "192.0.2.1", then).unwrap();
    let trusted = vec![given.authorities[0].certificate_der.clone()];
    let chain = given.chain.unwrap();
    let accepted = accept(&trusted, &given.authorities, &chain, &key).unwrap();
    Identity::new(accepted, key, vec!["192.0.2.2:8440".to_owned()])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_the_version_before_is_linked_and_only_lacks_what_it_never_had() {
    for release in releases().unwrap() {
        let described = described(&release);
        let directory = tempfile::tempdir().unwrap();
        // Its certificate should be renewed by now, which it knows nothing of.
        let then = now() - SignedDuration::from_hours(24 * 40);
        let names = Names::new(&["127.0.0.1".to_owned()], 8440, 8441);
        let trust = Arc::new(Trust::open(directory.path(), names, then).unwrap());
        let identity = joined(&trust, &described, then);
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let shutdown = CancellationToken::new();
        let mut config = Config::default();
        config.link.listen = address;
        let settings = watch::Sender::new(Arc::new(config));
        let listening = Listening {
            coordinator: Arc::clone(&coordinator),
            trust,
            clock: Arc::new(now),
            news: Arc::new(Notify::new()),
            settings: settings.subscribe(),
        };
        let listening = tokio::spawn(listening.run(shutdown.clone()));
        let dialling = tokio::spawn(dial(address, identity, OldAgent::new(answers(&release))));
        let wanted = release.all(SAMPLES).unwrap().len();
        let heard = async {
            loop {
                let current = coordinator.evaluate(now());
                let all = current
                    .agents
                    .iter()
                    .find(|agent| agent.updates_total >= u64::try_from(wanted).unwrap());
                if let Some(agent) = all {
                    return agent.clone();
                }
                sleep(POLL).await;
            }
        };
        let agent = timeout(DEADLINE, heard).await.expect("everything is heard");
        assert!(agent.connected, "{}", agent.last_error);
        assert_eq!(agent.version, described.agent_version);
        assert_eq!(agent.identity_problem, "");
        // Seen from its own time the figures are those of its node.
        let samples = release.all(SAMPLES).unwrap();
        let updates: Vec<_> = samples.values().map(|bytes| update(bytes)).collect();
        assert_figures(&coordinator, newest(&updates), &described.node_name);
        assert!(coordinator.evaluate(now()).agents[0].connected);
        dialling.abort();
        shutdown.cancel();
        listening.await.unwrap();
    }
}

/// Dials until there is a port, and is the old agent on that connection.
async fn dial(address: std::net::SocketAddr, identity: Identity, agent: OldAgent) {
    use futures::{StreamExt, stream};
    let tls = tokio_rustls::TlsAcceptor::from(identity.server_config().unwrap());
    loop {
        if let Ok(stream) = TcpStream::connect(address).await
            && let Ok(mut stream) = tls.accept(stream).await
        {
            let (far, mut near) = tokio::io::duplex(1 << 20);
            let incoming = stream::iter([std::io::Result::Ok(far)]).chain(stream::pending());
            let router = tonic::transport::Server::builder().add_service(agent.clone());
            tokio::select! {
                served = router.serve_with_incoming(incoming) => served.unwrap(),
                _ = tokio::io::copy_bidirectional(&mut stream, &mut near) => {}
            }
        }
        sleep(POLL).await;
    }
}

#[tokio::test]
async fn the_agent_of_today_answers_a_coordinator_of_the_version_before() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures");
    let tree = small::tree(&fixtures, false).unwrap();
    let host = Arc::new(Host::open(tree.path()).unwrap());
    let spool = Arc::new(Spool::new("today".to_owned()));
    let updates = small_node_updates().unwrap();
    spool.append(
        NodeUpdate::decode(&**updates.last().unwrap())
            .unwrap()
            .samples,
    );
    let agent = NodeAgent::new(host, spool);
    let socket = tree.path().join("local.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, agent, shutdown.clone()));
    let address = format!("unix:{}", socket.display());
    let channel = Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    for release in releases().unwrap() {
        let kept = |name: &str| release.kept(&format!("{MESSAGES}/{name}.binpb")).unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let message = release
                .message(&format!("pvelens.agent.v1.{name}"))
                .unwrap();
            DynamicMessage::decode(message, bytes).unwrap()
        };
        let mut answer = call(&channel, "Describe", kept("DescribeRequest"))
            .await
            .unwrap();
        let bytes = answer.message().await.unwrap().unwrap();
        let description = read("DescribeResponse", &bytes);
        let name = description.get_field_by_name("node_name").unwrap();
        assert_eq!(name.as_str(), Some(&*described(&release).node_name));
        // Its cursor is of an epoch that the agent does not know: it gets everything.
        let mut answer = call(&channel, "Watch", kept("WatchRequest")).await.unwrap();
        let mut samples = 0;
        while samples == 0 {
            let bytes = timeout(DEADLINE, answer.message())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            let response = read("WatchResponse", &bytes);
            if response.has_field_by_name("update") {
                let update = response.get_field_by_name("update").unwrap();
                let update = update
                    .as_message()
                    .unwrap()
                    .get_field_by_name("samples")
                    .unwrap();
                samples = update.as_list().unwrap().len();
            }
        }
        assert!(samples > 50, "{samples}");
        let mut answer = call(&channel, "GetSelfReport", kept("GetSelfReportRequest"))
            .await
            .unwrap();
        let bytes = answer.message().await.unwrap().unwrap();
        assert!(read("GetSelfReportResponse", &bytes).has_field_by_name("report"));
        // Refused since this agent runs none, by the method itself.
        for method in ["ListGuestCommands", "RunGuestCommand", "ListAudit"] {
            let answered = match call(&channel, method, kept(&format!("{method}Request"))).await {
                Ok(mut answer) => answer.message().await.err(),
                Err(status) => Some(status),
            };
            let code = answered.map(|status| status.code());
            assert_ne!(code, Some(Code::Unimplemented), "{method}");
            assert_ne!(code, Some(Code::Internal), "{method}");
        }
        // What it never called is not open to it here either.
        let refused = match call(&channel, "CreateCsr", Vec::new()).await {
            Ok(mut answer) => answer.message().await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
