//! Commands in guests, as clients of two sockets ask for them.

use pvelens_proto::v1::{
    GetWorkflowStepRequest, GuestCommandArgument, GuestCommandResult, ListGuestCommandsRequest,
    RunGuestCommandRequest, SuggestGuestCommandsRequest,
    guest_command_service_client::GuestCommandServiceClient,
    run_guest_command_response::Event as Step,
};

use super::*;
use crate::{
    guest_command::fixture::World,
    link::fixture::{FakeAgent, printed},
};

type Client = GuestCommandServiceClient<Channel>;

/// A client of the socket of a role.
async fn client(world: &World, role: Role) -> (Client, TempDir) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(role.socket());
    let listener = UnixListener::bind(&path).unwrap();
    let backend = Backend {
        trust: None,
        coordinator: Arc::clone(&world.coordinator),
        log: Log::of_tests(Level::Info, |_| ()),
        clock: Arc::new(crate::view::fixture::at),
        started_at: crate::view::fixture::at(),
        trust: None,
    };
    tokio::spawn(serve(backend, role, listener, CancellationToken::new()));
    let stream = UnixStream::connect(&path).await.unwrap();
    let channel = link::channel(link::endpoint(), stream).await.unwrap();
    (Client::new(channel), directory)
}

fn run(guest: &str, command: &str) -> RunGuestCommandRequest {
    RunGuestCommandRequest {
        guest: guest.to_owned(),
        command: command.to_owned(),
        arguments: vec![GuestCommandArgument {
            name: "unit".to_owned(),
            value: "nginx.service".to_owned(),
        }],
        on_behalf_of: "ticket 7".to_owned(),
        ..RunGuestCommandRequest::default()
    }
}

/// Everything that is told of a run.
async fn told(
    client: &mut Client,
    request: RunGuestCommandRequest,
) -> Result<(Vec<Step>, GuestCommandResult), Status> {
    let mut events = client.run_guest_command(request).await?.into_inner();
    let mut steps = Vec::new();
    while let Some(response) = events.message().await? {
        steps.push(response.event.unwrap());
    }
    match steps.pop() {
        Some(Step::Result(result)) => Ok((steps, result)),
        last => panic!("{last:?} instead of a result"),
    }
}

#[tokio::test]
async fn an_operator_runs_a_command_and_hears_how_it_goes() {
    let world = World::new().await;
    world
        .agent
        .answer("unit-status", printed("text", "Id=nginx.service\n"));
    let (mut client, _directory) = client(&world, Role::Operator).await;
    let (steps, result) = told(&mut client, run("web", "unit-status")).await.unwrap();
    assert!(matches!(&steps[0], Step::Begun(begun) if begun.target.as_ref().unwrap().vmid == 100));
    assert!(matches!(steps[1], Step::Progress(_)));
    assert_eq!(
        (&*result.outcome, result.succeeded),
        ("completed", Some(true))
    );
    assert_eq!(result.output.unwrap().text, "Id=nginx.service\n");
    assert!(result.rendered.is_empty());
    // The kernel says who it was, beside what was said.
    let asked = world.agent.ran.lock().unwrap()[0].on_behalf_of.clone();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(asked, format!("uid {uid}: ticket 7"));
}

#[tokio::test]
async fn a_reader_lists_but_runs_nothing_and_learns_where_to() {
    let world = World::new().await;
    let (mut client, _directory) = client(&world, Role::Reader).await;
    let status = told(&mut client, run("web", "load")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "ROLE_TOO_LOW");
    let details = status.get_error_details();
    assert!(details.error_info().unwrap().metadata["hint"].contains("operate.sock"));
    assert!(world.agent.ran.lock().unwrap().is_empty());

    let list = ListGuestCommandsRequest {
        guest: "100".to_owned(),
        group: "disk".to_owned(),
        only_allowed: true,
        ..ListGuestCommandsRequest::default()
    };
    let listed = client
        .list_guest_commands(list.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(
        listed
            .commands
            .iter()
            .all(|command| command.allowed && command.group == "disk")
    );
    assert!(listed.total > listed.allowed && !listed.commands.is_empty());
    let rendered = ListGuestCommandsRequest {
        render: as_json(),
        ..list.clone()
    };
    let rendered = client
        .list_guest_commands(rendered)
        .await
        .unwrap()
        .into_inner();
    let shown: serde_json::Value = serde_json::from_str(&rendered.rendered).unwrap();
    assert_eq!(shown["guest"]["vmid"], 100);
    let unknown = ListGuestCommandsRequest {
        group: "weather".to_owned(),
        ..list
    };
    let status = client.list_guest_commands(unknown).await.unwrap_err();
    assert!(status.message().contains("memory"), "{status}");
}

#[tokio::test]
async fn a_refusal_is_a_result_and_a_wrong_guest_an_error() {
    let world = World::with(FakeAgent::silent("pve1"), &["load"]).await;
    let (mut client, _directory) = client(&world, Role::Operator).await;
    let request = RunGuestCommandRequest {
        render: as_json(),
        ..run("100", "load")
    };
    let (steps, result) = told(&mut client, request).await.unwrap();
    assert!(steps.is_empty());
    assert_eq!(result.outcome, "refused");
    let shown: serde_json::Value = serde_json::from_str(&result.rendered).unwrap();
    assert_eq!(shown["refusal"]["rule"], "coordinator_narrowed");
    for (guest, expected) in [("dns", "NOT_A_VM"), ("999", "NOT_FOUND_GUEST")] {
        let status = told(&mut client, run(guest, "load")).await.unwrap_err();
        assert_eq!(reason(&status), expected);
    }
}

#[tokio::test]
async fn a_node_without_an_agent_lists_nothing_and_says_so() {
    let world = World::with(FakeAgent::silent("pve2"), &[]).await;
    let (mut client, _directory) = client(&world, Role::Operator).await;
    let list = ListGuestCommandsRequest {
        guest: "100".to_owned(),
        ..ListGuestCommandsRequest::default()
    };
    let status = client.list_guest_commands(list).await.unwrap_err();
    assert_eq!(reason(&status), "NODE_UNREACHABLE");
    assert!(status.message().contains("connected: pve2"), "{status}");
    let (_, result) = told(&mut client, run("100", "load")).await.unwrap();
    assert_eq!(result.outcome, "node_unreachable");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_what_it_began() {
    let world = World::new().await;
    let (mut client, directory) = client(&world, Role::Operator).await;
    let events = client.run_guest_command(run("web", "load")).await.unwrap();
    drop((events, client, directory));
    let guest = crate::guest_command::target::find(&world.coordinator.current(), "", "web");
    let guest = guest.unwrap().identity();
    let recent = world.coordinator.guest_commands().recent();
    while recent.of(&guest, crate::view::fixture::at()).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_trouble_is_answered_with_commands_and_workflows_and_nothing_runs() {
    let world = World::new().await;
    let (mut client, _directory) = client(&world, Role::Reader).await;
    let request = SuggestGuestCommandsRequest {
        guest: "web".to_owned(),
        issue: "nginx.service crashes, see its log\u{1b}[31m; rm -rf /".to_owned(),
        ..SuggestGuestCommandsRequest::default()
    };
    let answer = client
        .suggest_guest_commands(request)
        .await
        .unwrap()
        .into_inner();
    let unit = answer
        .suggestions
        .iter()
        .find(|one| one.command == "unit-status")
        .unwrap();
    assert!(unit.allowed && !unit.title.is_empty() && !unit.reasons.is_empty());
    assert_eq!(unit.arguments[0].value, "nginx.service");
    let log = answer
        .suggestions
        .iter()
        .find(|one| one.command == "unit-journal")
        .unwrap();
    assert_eq!(log.refusal.as_ref().unwrap().rule, "policy_denies");
    assert!(
        answer
            .workflows
            .iter()
            .any(|one| one.workflow == "service-down")
    );
    assert!(!format!("{answer:?}").contains("rm -rf"));
    assert!(world.agent.ran.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_found_decides_the_next_step() {
    let world = World::new().await;
    let full = "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n\
        /dev/sda1 ext4 20000000 19800000 200000 99% /\n";
    world.agent.answer("fsinfo", printed("df", full));
    let (mut client, _directory) = client(&world, Role::Operator).await;
    let request = GetWorkflowStepRequest {
        guest: "web".to_owned(),
        workflow: "disk-full".to_owned(),
        ..GetWorkflowStepRequest::default()
    };
    let step = client
        .get_workflow_step(request.clone())
        .await
        .unwrap()
        .into_inner();
    let next = step.next.unwrap();
    assert_eq!((&*next.command, next.allowed), ("fsinfo", true));
    assert!(step.lessons.is_empty() && step.conclusions.is_empty());

    let mut asked = run("web", "fsinfo");
    asked.arguments.clear();
    told(&mut client, asked).await.unwrap();
    let step = client
        .get_workflow_step(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(step.lessons[0].command, "fsinfo");
    assert!(step.conclusions[0].starts_with("/ is full"), "{step:?}");
    let next = step.next.unwrap();
    assert_eq!(next.command, "directory-usage");
    assert_eq!(next.arguments[0].value, "root");
}

#[tokio::test]
async fn a_workflow_and_a_service_that_are_none_are_refused() {
    let world = World::new().await;
    let (mut client, _directory) = client(&world, Role::Reader).await;
    let request = |workflow: &str, service: &str| GetWorkflowStepRequest {
        guest: "web".to_owned(),
        workflow: workflow.to_owned(),
        service: service.to_owned(),
        ..GetWorkflowStepRequest::default()
    };
    let status = client
        .get_workflow_step(request("disk full", ""))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::NotFound, "NOT_FOUND_WORKFLOW")
    );
    assert!(status.message().contains("will-not-boot"), "{status}");
    for service in ["--all", "a b.service", "a\u{1b}", &"x".repeat(200)] {
        let status = client
            .get_workflow_step(request("service-down", service))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{service}");
    }
}
