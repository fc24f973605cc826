//! Commands that pass every rule: what is asked, in which order it is written down,
//! and what comes of answers that are not as wished.

use std::{collections::BTreeMap, sync::Arc};

use pvelens_proto::agent::v1::{GuestCommandOutcome as Outcome, run_guest_command_response::Event};
use serde_json::{Value, json};

use super::{
    agent::YesAgent,
    world::{World, argument, request},
};
use crate::{
    audit,
    guest::{PATHS, rule::Rules},
    host::fits,
};

fn answered(world: &mut World, vmid: u32) -> YesAgent {
    YesAgent::answer(world.sockets.remove(&vmid).unwrap())
}

fn asked(agent: &YesAgent) -> Vec<Value> {
    agent.heard.lock().unwrap().clone()
}

fn events(world: &World) -> Vec<audit::Event> {
    let records = world.guests.audit.after(0, 100).unwrap();
    records.into_iter().map(|record| record.event).collect()
}

#[tokio::test]
async fn a_program_is_started_and_its_output_fetched_once() {
    let mut world = World::new(Rules::default());
    let agent = answered(&mut world, 101);
    let (result, told) = world.heard(request("program-0001", 101, "memory")).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    assert_eq!((result.exit_code, result.succeeded), (Some(0), Some(true)));
    assert_eq!(result.output.unwrap().text, "hi");
    assert_eq!(result.operating_system, "debian");
    let asked = asked(&agent);
    let names: Vec<_> = asked
        .iter()
        .map(|one| one["execute"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["guest-fsfreeze-status", "guest-exec", "guest-exec-status"]
    );
    let exec = &asked[1]["arguments"];
    let mut argv = vec![exec["path"].as_str().unwrap().to_owned()];
    argv.extend(
        exec["arg"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a.as_str().unwrap().to_owned()),
    );
    assert_eq!(argv, result.argv);
    assert_eq!(exec["env"][0], "LC_ALL=C");
    assert_eq!(asked[2]["arguments"], json!({"pid": 4711}));
    let [Event::Begun(begun)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(begun.argv, result.argv);
    assert!(begun.audit_head.as_ref().unwrap().sequence < result.audit_head.unwrap().sequence);
}

#[tokio::test]
async fn windows_keeps_the_environment_of_its_agent() {
    let mut world = World::new(Rules::default());
    let agent = answered(&mut world, 102);
    let catalogue = &world.guests.catalogue;
    let windows = catalogue.commands().iter().find(|command| {
        command.rpc().is_none() && command.parameters.is_empty() && command.id.contains("windows")
    });
    let id = windows.unwrap().id.clone();
    let result = world.run(request("windows-0001", 102, &id)).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    let exec = &asked(&agent)[1]["arguments"];
    assert!(exec["env"].is_null() && exec["path"].as_str().unwrap().starts_with("C:\\Windows"));
}

#[tokio::test]
async fn it_is_written_down_before_and_after_and_refusals_too() {
    let mut world = World::new(Rules::default());
    let _agent = answered(&mut world, 101);
    let mut one = request("written-0001", 101, "ping");
    one.on_behalf_of = "ticket 7\u{1b}[31m".to_owned();
    world.run(one).await;
    let mut two = request("written-0002", 101, "shell");
    two.arguments.push(argument("text", "rm -rf /"));
    world.run(two).await;
    let [
        audit::Event::Begun(begun),
        audit::Event::Ended(ended),
        audit::Event::Refused(refused),
    ] = &events(&world)[..]
    else {
        panic!("{:?}", events(&world));
    };
    assert_eq!(
        (begun.request_id.as_str(), begun.vmid),
        ("written-0001", 101)
    );
    assert_eq!(begun.argv, ["guest-ping"]);
    assert!(begun.on_behalf_of.starts_with("ticket 7") && !begun.on_behalf_of.contains('\u{1b}'));
    assert_eq!(ended.outcome, "completed");
    assert_eq!(
        (refused.rule.as_str(), refused.command.as_str()),
        ("unknown_command", "shell")
    );
}

#[tokio::test]
async fn a_request_of_before_a_restart_is_not_run_again() {
    let mut world = World::new(Rules::default());
    let agent = answered(&mut world, 101);
    world.run(request("restart-0001", 101, "ping")).await;
    let before = asked(&agent).len();
    world.guests.remember();
    let restarted = crate::guest::traffic::Traffic::default();
    Arc::get_mut(&mut world.guests).unwrap().traffic = restarted;
    world.guests.remember();
    let result = world.run(request("restart-0001", 101, "ping")).await;
    assert_eq!(result.refusal.unwrap().rule, "replayed");
    assert_eq!(asked(&agent).len(), before);
}

#[tokio::test]
async fn a_system_that_is_not_known_is_asked_for_first() {
    let systems = BTreeMap::from([("101".to_owned(), String::new())]);
    let mut world = World::with(Rules::default(), &BTreeMap::new(), &systems);
    let agent = answered(&mut world, 101);
    // This agent does not tell.
    let result = world.run(request("system-0001", 101, "memory")).await;
    assert_eq!(result.refusal.unwrap().rule, "wrong_system");
    let names: Vec<_> = asked(&agent)
        .iter()
        .map(|one| one["execute"].clone())
        .collect();
    assert_eq!(names, ["guest-get-osinfo"]);
}

#[tokio::test]
async fn what_is_read_is_listed() {
    let mut world = World::new(Rules::default());
    let _agent = answered(&mut world, 101);
    let _other = answered(&mut world, 104);
    world.run(request("paths-0001", 101, "memory")).await;
    world.run(request("paths-0002", 104, "ping")).await;
    world.run(request("paths-0003", 110, "ping")).await;
    drop(world.guests.list(Some(103)));
    let read = world.guests.host.take_witness().paths;
    assert!(read.len() > 20, "{read:?}");
    for path in read {
        let is_listed = PATHS.iter().any(|pattern| fits(pattern, &path));
        assert!(is_listed, "{path}");
    }
}

#[tokio::test]
async fn nobody_listening_changes_nothing() {
    let mut world = World::new(Rules::default());
    let _agent = answered(&mut world, 101);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let guests = Arc::clone(&world.guests);
    let asked = request("unheard-0001", 101, "memory");
    let result = guests.run(asked, "test".to_owned(), sender).await;
    assert_eq!(result.outcome(), Outcome::Completed);
    assert_eq!(events(&world).len(), 2);
}

#[test]
fn the_list_says_what_would_run_and_why_not() {
    let world = World::new(Rules::default());
    world.write("etc/pvelens/guest-policy.toml", "profile = \"hosting\"\n");
    let list = world.guests.list(Some(101));
    assert_eq!(list.policy_profile, "hosting");
    assert!(list.refusal.is_none() && list.policy_problem.is_empty());
    let allowed: Vec<_> = list
        .commands
        .iter()
        .filter(|command| command.allowed == Some(true))
        .map(|command| command.id.as_str())
        .collect();
    assert_eq!(allowed, ["ping"]);
    let memory = list
        .commands
        .iter()
        .find(|command| command.id == "memory")
        .unwrap();
    assert_eq!(memory.refusal.as_ref().unwrap().rule, "policy_denies");
    let stopped = world.guests.list(Some(103));
    assert_eq!(stopped.refusal.unwrap().rule, "not_running");
    assert!(
        stopped
            .commands
            .iter()
            .all(|command| command.allowed == Some(false))
    );
    let all = world.guests.list(None);
    assert!(all.commands.iter().all(|command| command.allowed.is_none()));
    assert!(world.is_untouched());
}
