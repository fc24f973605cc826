//! Commands from a request to what came of them, through a connection to an agent.

use std::sync::{Arc, atomic::Ordering};

use pvelens_proto::agent::v1::{AuditHead, GuestCommandOutcome, GuestCommandResult};
use tokio::sync::mpsc;

use super::{
    call::{self, Asked, Request, Step},
    catalogue::{self, Argument, Filter},
    fixture::{World, lab},
    heads::Place,
    outcome::{Outcome, Word},
    target::{self, TargetError},
};
use crate::grpc::Role;
use crate::link::fixture::{FakeAgent, at, printed};

const ASKED: Asked = Asked {
    role: Role::Operator,
    by: super::call::By::Uid(1000),
};

fn request(command: &str) -> Request {
    Request {
        guest: "web".to_owned(),
        command: command.to_owned(),
        arguments: vec![Argument {
            name: "lines".to_owned(),
            value: "5".to_owned(),
        }],
        on_behalf_of: "alice".to_owned(),
        ..Request::default()
    }
}

async fn run(world: &World, command: &str) -> (Result<Outcome, TargetError>, Vec<Step>) {
    let (send, mut receive) = mpsc::channel(8);
    let outcome = call::run(&world.coordinator, request(command), &ASKED, send).await;
    let mut steps = Vec::new();
    while let Some(step) = receive.recv().await {
        steps.push(step);
    }
    (outcome, steps)
}

#[tokio::test]
async fn a_command_is_run_and_everything_about_it_is_told() {
    let world = World::new().await;
    world
        .agent
        .answer("load", printed("loadavg", "0.10 0.20 0.30 1/200 4242\n"));
    let head = AuditHead {
        sequence: 12,
        hash: "a".repeat(64),
    };
    *world.agent.head.lock().unwrap() = Some(head);
    let (outcome, steps) = run(&world, "load").await;
    let outcome = outcome.unwrap();
    assert!(outcome.is_success());
    assert_eq!(outcome.guest.vmid, 100);
    assert_eq!(
        outcome.guest.operating_system,
        "Debian GNU/Linux 12 (bookworm)"
    );
    assert_eq!(outcome.argv[1], "load");
    assert_eq!(outcome.audit_sequence, Some(12));
    assert!(outcome.output.as_ref().unwrap().text.starts_with("0.10"));
    assert!(
        matches!(&steps[0], Step::Begun { target, argv } if target.vmid == 100 && argv.len() == 2)
    );
    assert!(matches!(steps[1], Step::Progress { .. }));

    let asked = world.agent.ran.lock().unwrap()[0].clone();
    assert_eq!(asked.request_id.len(), 32);
    assert_eq!(asked.made_at.unwrap().seconds, at().as_second());
    assert_eq!(asked.on_behalf_of, "uid 1000: alice");
    assert_eq!(
        (&*asked.arguments[0].name, &*asked.arguments[0].value),
        ("lines", "5")
    );
    let guest = asked.guest.unwrap();
    assert_eq!(
        (&*guest.cluster_id, &*guest.node, guest.vmid),
        ("c0ffee", "pve1", 100)
    );

    let commands = world.coordinator.guest_commands();
    let place = Place {
        cluster: "c0ffee".to_owned(),
        node: "pve1".to_owned(),
    };
    assert_eq!(commands.heads().of(&place).unwrap().sequence, 12);
    let recent = commands.recent().of(&outcome.guest.identity(), at());
    assert_eq!((recent.len(), &*recent[0].command), (1, "load"));
    assert_eq!(recent[0].facts, outcome.facts);
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own_and_the_list_is_asked_for_once() {
    let world = World::new().await;
    run(&world, "load").await.0.unwrap();
    run(&world, "load").await.0.unwrap();
    let ran = world.agent.ran.lock().unwrap();
    assert_ne!(ran[0].request_id, ran[1].request_id);
    assert_eq!(world.agent.listed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_the_coordinator_takes_away_never_reaches_the_node() {
    let world = World::with(FakeAgent::silent("pve1"), &["group:memory", "load"]).await;
    for command in ["load", "memory"] {
        let outcome = run(&world, command).await.0.unwrap();
        assert_eq!(outcome.outcome, Word::Refused);
        assert_eq!(outcome.refusal.unwrap().rule, "coordinator_narrowed");
    }
    assert!(world.agent.ran.lock().unwrap().is_empty());
    assert_eq!(world.agent.listed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_will_be_refused_again_is_remembered_and_what_did_not_work_once_is_not() {
    let world = World::with(FakeAgent::silent("pve1"), &["memory"]).await;
    let refused = |rule: &str| GuestCommandResult {
        outcome: GuestCommandOutcome::Refused.into(),
        refusal: Some(pvelens_proto::agent::v1::GuestCommandRefusal {
            rule: rule.to_owned(),
            ..Default::default()
        }),
        ..GuestCommandResult::default()
    };
    world.agent.answer("load", refused("policy_denies"));
    world.agent.answer("uptime", refused("busy"));
    for command in ["load", "uptime", "memory"] {
        run(&world, command).await.0.unwrap();
    }
    let guest = target::find(&lab(), "", "100").unwrap().identity();
    let recent = world.coordinator.guest_commands().recent().of(&guest, at());
    let kept: Vec<&str> = recent.iter().map(|result| &*result.command).collect();
    assert_eq!(kept, ["load", "memory"]);
}

#[tokio::test]
async fn a_line_for_a_shell_is_answered_with_what_fits_and_nothing_is_run() {
    let world = World::new().await;
    for (line, fits) in [
        (
            "systemctl status nginx",
            "use one of these: `unit-status unit=nginx.service`",
        ),
        ("rm -rf /", "list the guest commands"),
    ] {
        let outcome = run(&world, line).await.0.unwrap();
        let refusal = outcome.refusal.unwrap();
        assert_eq!(refusal.rule, "unknown_command");
        assert!(refusal.hint.starts_with(fits), "{}", refusal.hint);
    }
    assert!(world.agent.ran.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_node_is_a_result() {
    let world = World::new().await;
    let mut refused = GuestCommandResult {
        outcome: GuestCommandOutcome::Refused.into(),
        ..GuestCommandResult::default()
    };
    refused.refusal = Some(pvelens_proto::agent::v1::GuestCommandRefusal {
        rule: "locked".to_owned(),
        detail: "100 is locked: backup\u{1b}[2J".to_owned(),
        hint: "wait".to_owned(),
    });
    world.agent.answer("load", refused);
    let outcome = run(&world, "load").await.0.unwrap();
    assert!(!outcome.is_success());
    let refusal = outcome.refusal.unwrap();
    assert_eq!(refusal.words(), "100 is locked: backup\u{fffd}[2J; wait");
}

#[tokio::test]
async fn a_node_that_does_not_answer_to_the_end_is_a_result() {
    let broken = FakeAgent {
        breaks_off: true,
        ..FakeAgent::silent("pve1")
    };
    let world = World::with(broken, &[]).await;
    let outcome = run(&world, "load").await.0.unwrap();
    assert_eq!(outcome.outcome, Word::NodeUnreachable);
    assert!(
        outcome.detail.contains("pve1: the connection ended"),
        "{}",
        outcome.detail
    );

    // The agent of another node is connected.
    let world = World::with(FakeAgent::silent("pve2"), &[]).await;
    let outcome = run(&world, "load").await.0.unwrap();
    assert_eq!(outcome.outcome, Word::NodeUnreachable);
    assert!(
        outcome.detail.ends_with("connected: pve2"),
        "{}",
        outcome.detail
    );
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_behind() {
    let world = World::new().await;
    let (send, receive) = mpsc::channel(1);
    drop(receive);
    let outcome = call::run(&world.coordinator, request("load"), &ASKED, send)
        .await
        .unwrap();
    assert!(outcome.is_success());
    let (send, _receive) = mpsc::channel(1);
    drop(call::run(&world.coordinator, request("load"), &ASKED, send));
    let free = world.coordinator.guest_commands().slots.available_permits();
    assert_eq!(free, call::SIDE_BY_SIDE);
}

#[tokio::test]
async fn a_list_says_what_would_run_and_why_not() {
    let world = World::with(FakeAgent::silent("pve1"), &["load"]).await;
    let current = lab();
    let target = target::find(&current, "", "100").unwrap();
    let listed = catalogue::listed(&world.coordinator, &target)
        .await
        .unwrap();
    let all = catalogue::listing(&current, &target, &listed, &Filter::default()).unwrap();
    assert_eq!(all.commands.len(), all.total as usize);
    assert!(all.allowed < all.total && all.allowed > 50);
    let of = |id: &str| {
        listed
            .find(id)
            .unwrap()
            .refusal
            .as_ref()
            .map(|refusal| &*refusal.rule)
    };
    assert_eq!(of("load"), Some("coordinator_narrowed"));
    assert_eq!(of("journal"), Some("policy_denies"));
    assert_eq!(of("memory"), None);
    assert_eq!(all.guest.operating_system, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(all.coverage.nodes.len(), 1);

    let filter = Filter {
        group: "logs".to_owned(),
        only_allowed: true,
    };
    let none = catalogue::listing(&current, &target, &listed, &filter).unwrap();
    assert!(none.commands.is_empty());
    let filter = Filter {
        group: "lgos".to_owned(),
        ..Filter::default()
    };
    let error = catalogue::listing(&current, &target, &listed, &filter).unwrap_err();
    assert!(error.to_string().contains("logs"), "{error}");
}

#[tokio::test]
async fn requests_may_share_a_coordinator() {
    let world = Arc::new(World::new().await);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        running.spawn(async move { run(&world, "load").await.0.unwrap().is_success() });
    }
    assert!(running.join_all().await.into_iter().all(|success| success));
}
