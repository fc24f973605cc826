//! What operators state, over sockets of several roles.

use pvelens_proto::v1::{
    ListStatementEventsRequest, ListStatementsRequest, MakeStatementRequest, StatementChange,
    StatementKind, StatementState, WithdrawStatementRequest,
    intent_service_client::IntentServiceClient,
};

use super::*;
use crate::{answer::metrics::fixture::Kept, intent::REASON_LIMIT, view::fixture::at};

type Client = IntentServiceClient<Channel>;

/// A coordinator that knows the cluster `lab`.
struct World {
    backend: Backend,
    directory: TempDir,
}

impl World {
    fn new(store: Option<Arc<Store>>) -> Self {
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        if let Some(store) = store {
            coordinator.keep_in(store, at()).unwrap();
        }
        let world = Self {
            backend: Backend {
                coordinator,
                log: Log::of_tests(Level::Info, |_| ()),
                clock: Arc::new(at),
                started_at: at(),
                trust: None,
            },
            directory: TempDir::new().unwrap(),
        };
        world.know_lab();
        world
    }

    /// What is stated is judged at once, and this coordinator follows no agent.
    fn know_lab(&self) {
        let coordinator = &self.backend.coordinator;
        coordinator.publish(Current {
            intent: Arc::new(coordinator.intents().all()),
            ..lab()
        });
    }

    async fn client(&self, role: Role) -> Client {
        let path = self.directory.path().join(role.socket());
        let listener = UnixListener::bind(&path).unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(self.backend.clone(), role, listener, shutdown));
        let stream = UnixStream::connect(&path).await.unwrap();
        Client::new(link::channel(link::endpoint(), stream).await.unwrap())
    }
}

fn suppress() -> MakeStatementRequest {
    MakeStatementRequest {
        kind: StatementKind::Suppressed.into(),
        check_id: "storage.pool.space".to_owned(),
        objects: vec!["storage/nas".to_owned()],
        reason: "it is emptied on Monday".to_owned(),
        length_seconds: 7 * 86_400,
        ..MakeStatementRequest::default()
    }
}

#[tokio::test]
async fn an_operator_states_and_a_reader_reads() {
    let kept = Kept::new();
    let world = World::new(Some(Arc::clone(&kept.store)));
    let mut reader = world.client(Role::Reader).await;
    let refused = reader.make_statement(suppress()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "ROLE_TOO_LOW");
    assert!(
        refused.message().contains("needs the role operator"),
        "{refused}"
    );

    let mut operator = world.client(Role::Operator).await;
    let hostile = MakeStatementRequest {
        reason: format!("a\nb\u{1b}[31m{}", "x".repeat(REASON_LIMIT)),
        on_behalf_of: "ticket 7\r".to_owned(),
        ..suppress()
    };
    let made = operator.make_statement(hostile).await.unwrap().into_inner();
    let made = made.statement.unwrap();
    assert_eq!(made.cluster, "c0ffee");
    assert!(made.reason.starts_with("a\u{fffd}b\u{fffd}[31mx"));
    assert_eq!(made.reason.chars().count(), REASON_LIMIT);
    // Whom the kernel saw, not what the client says.
    let uid = rustix::process::getuid().as_raw();
    assert!(
        made.author.contains(&format!("uid {uid}")),
        "{}",
        made.author
    );
    assert_eq!(made.on_behalf_of, "ticket 7");
    assert_eq!(made.state(), StatementState::InEffect);

    // Another coordinator goes on with it.
    world.know_lab();
    let again = World::new(Some(Arc::clone(&kept.store)));
    let mut client = again.client(Role::Operator).await;
    let listed = client
        .list_statements(ListStatementsRequest::default())
        .await;
    let listed = listed.unwrap().into_inner();
    assert_eq!(listed.statements[0].id, made.id);
    assert!(listed.coverage.is_some());
    let withdraw = WithdrawStatementRequest {
        id: made.id.clone(),
        reason: "emptied".to_owned(),
        render: Some(RenderOptions::default()),
    };
    let withdrawn = client.withdraw_statement(withdraw.clone()).await;
    let rendered = withdrawn.unwrap().into_inner().rendered;
    assert!(rendered.contains("holds no more"), "{rendered}");
    let missing = client.withdraw_statement(withdraw).await.unwrap_err();
    assert_eq!(reason(&missing), "NOT_FOUND_STATEMENT");
    let events = client.list_statement_events(ListStatementEventsRequest::default());
    let events = events.await.unwrap().into_inner().events;
    let changes: Vec<_> = events.iter().map(|event| event.change()).collect();
    assert_eq!(changes, [StatementChange::Withdrawn, StatementChange::Made]);
    assert_eq!(events[0].why, "emptied");
}

#[tokio::test]
async fn what_means_nothing_is_refused_with_a_reason() {
    let kept = Kept::new();
    let world = World::new(Some(Arc::clone(&kept.store)));
    let mut client = world.client(Role::Operator).await;
    let with = |change: fn(&mut MakeStatementRequest)| {
        let mut request = suppress();
        change(&mut request);
        request
    };
    for (request, name) in [
        (with(|r| r.kind = 0), "INVALID_ARGUMENT"),
        (with(|r| r.reason = " ".to_owned()), "INVALID_ARGUMENT"),
        (with(|r| r.length_seconds = 0), "INVALID_ARGUMENT"),
        (with(|r| r.objects.clear()), "INVALID_ARGUMENT"),
        (
            with(|r| r.objects = vec!["nas".to_owned()]),
            "INVALID_ARGUMENT",
        ),
        (with(|r| r.check_id.clear()), "INVALID_ARGUMENT"),
        (with(|r| r.check_id.push('x')), "NOT_FOUND_CHECK"),
        (
            with(|r| r.objects = vec!["storage/nsa".to_owned()]),
            "NOT_FOUND_SUBJECT",
        ),
        (
            with(|r| r.cluster = "other".to_owned()),
            "NOT_FOUND_CLUSTER",
        ),
        (
            with(|r| r.fingerprint = "abcdef".to_owned()),
            "INVALID_ARGUMENT",
        ),
        (
            with(|r| r.check_id = "guest.state.io_error".to_owned()),
            "NOT_SUPPRESSIBLE",
        ),
        (
            with(|r| {
                r.check_id = "ct.privileged".to_owned();
                r.objects = vec!["*".to_owned()];
                r.length_seconds = 366 * 86_400;
            }),
            "NOT_SUPPRESSIBLE",
        ),
        (
            with(|r| {
                r.kind = StatementKind::Maintenance.into();
                r.objects = vec!["guest/100".to_owned()];
            }),
            "INVALID_ARGUMENT",
        ),
        (
            MakeStatementRequest {
                fingerprint: "ffff".to_owned(),
                check_id: String::new(),
                objects: Vec::new(),
                ..suppress()
            },
            "NOT_FOUND_FINDING",
        ),
    ] {
        let status = client.make_statement(request).await.unwrap_err();
        assert_eq!(reason(&status), name, "{status}");
    }
    // By the begin of a fingerprint.
    let by_finding = MakeStatementRequest {
        fingerprint: "stor".to_owned(),
        check_id: String::new(),
        objects: Vec::new(),
        ..suppress()
    };
    let made = client.make_statement(by_finding).await.unwrap();
    let made = made.into_inner().statement.unwrap();
    assert_eq!(made.fingerprint, "storage.pool.space:storage/nas");
    assert_eq!(made.objects, ["storage/nas"]);
}

#[tokio::test]
async fn without_a_store_only_the_file_states_something() {
    let world = World::new(None);
    let mut client = world.client(Role::Operator).await;
    let refused = client.make_statement(suppress()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NO_STORE");
    let events = client.list_statement_events(ListStatementEventsRequest::default());
    assert_eq!(reason(&events.await.unwrap_err()), "NO_STORE");
    let listed = client
        .list_statements(ListStatementsRequest::default())
        .await;
    assert!(listed.unwrap().into_inner().statements.is_empty());
}
