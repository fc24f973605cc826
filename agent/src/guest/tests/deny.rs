//! The cases of `agent/tests/deny/*.toml`: what other tools let through, and what an
//! attacker would try here. Each names the rule that refuses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use pvelens_proto::{
    agent::v1::{GuestCommandOutcome as Outcome, GuestCommandResult, RunGuestCommandRequest},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{
    agent::YesAgent,
    world::{NOW, World, argument, request},
};
use crate::guest::{
    rule::{Rule, Rules},
    traffic::Left,
};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deny");
/// How many there are at least.
const ENOUGH: usize = 300;

/// One request that is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is tried.
    name: String,
    /// The rule that refuses it.
    rule: Rule,
    #[serde(default = "web1")]
    vmid: u32,
    command: String,
    /// Name and value; several with one name, too.
    #[serde(default)]
    arguments: Vec<(String, String)>,
    #[serde(default)]
    request: Request,
    #[serde(default)]
    world: Conditions,
}

/// What is unusual about the request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    id: Option<String>,
    /// Seconds after now.
    made_seconds: i64,
    without_time: bool,
    without_guest: bool,
    cluster: String,
    node: Option<String>,
    name: String,
    uuid: String,
    created: Option<i64>,
    on_behalf_of: String,
}

/// What is unusual about the node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Conditions {
    /// Content of files by path; an empty one is none.
    files: BTreeMap<String, String>,
    /// Permissions of files.
    modes: BTreeMap<String, u32>,
    policy: Option<String>,
    /// `id` of a guest's system by VMID; empty: not told.
    systems: BTreeMap<String, String>,
    /// Good requests before this one, with other ids.
    before: usize,
    /// The same request came this many seconds before.
    repeated: Option<i64>,
    /// Programs that were left running.
    left_running: u64,
    /// Another command runs.
    busy: bool,
    /// The record cannot be written.
    audit_broken: bool,
}

fn web1() -> u32 {
    101
}

#[derive(Debug, Deserialize)]
struct File {
    case: Vec<Case>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        cases.extend(of_file(&path));
    }
    cases
}

fn of_file(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let file: Result<File, _> = toml::from_str(&text);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .case
}

impl Case {
    fn request(&self) -> RunGuestCommandRequest {
        let id = self.request.id.as_deref().unwrap_or("0123456789abcdef");
        let mut asked = request(id, self.vmid, &self.command);
        let made = NOW + self.request.made_seconds * 1000;
        asked.made_at = (!self.request.without_time).then(|| timestamp_from_millis(made));
        asked.on_behalf_of.clone_from(&self.request.on_behalf_of);
        for (name, value) in &self.arguments {
            asked.arguments.push(argument(name, value));
        }
        let mut mark = asked.guest.take().unwrap();
        mark.cluster_id.clone_from(&self.request.cluster);
        if let Some(node) = &self.request.node {
            mark.node.clone_from(node);
        }
        mark.name.clone_from(&self.request.name);
        mark.smbios_uuid.clone_from(&self.request.uuid);
        mark.created_seconds = self.request.created;
        asked.guest = (!self.request.without_guest).then_some(mark);
        asked
    }

    fn world(&self, rules: Rules) -> World {
        let mut files = self.world.files.clone();
        if let Some(policy) = &self.world.policy {
            files.insert("etc/pvelens/guest-policy.toml".to_owned(), policy.clone());
        }
        let world = World::with(rules, &files, &self.world.systems);
        for (path, mode) in &self.world.modes {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(*mode);
            fs::set_permissions(world.path(path), mode).unwrap();
        }
        for guest_pid in 0..self.world.left_running {
            world.guests.traffic.leave(Left {
                vmid: self.vmid,
                process: (u64::from(self.vmid), 9),
                guest_pid,
                request_id: String::new(),
                since: world.guests.host.now(),
            });
        }
        if self.world.audit_broken {
            world.guests.audit.fail_from_now_on();
        }
        world
    }

    /// Runs it, after what comes before it.
    async fn run(&self, world: &World) -> GuestCommandResult {
        let _running = match self.world.busy {
            true => {
                let traffic = &world.guests.traffic;
                traffic.place(self.vmid, Rules::default()).await.unwrap()
            }
            false => None,
        };
        for number in 0..self.world.before {
            let mut before = self.request();
            before.request_id = format!("before-{number:08}");
            world.run(before).await;
        }
        if let Some(seconds) = self.world.repeated {
            world.run(self.request()).await;
            world.pass(seconds);
        }
        world.run(self.request()).await
    }

    /// Cases about what came before need guests that answer to that.
    fn needs_answers(&self) -> bool {
        self.world.before > 0 || self.world.repeated.is_some()
    }
}

fn refused_by(result: &GuestCommandResult) -> Option<String> {
    (result.outcome() == Outcome::Refused).then(|| result.refusal.clone().unwrap_or_default().rule)
}

#[test]
fn there_are_cases_for_every_rule_and_none_twice() {
    let cases = cases();
    assert!(cases.len() >= ENOUGH, "{} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "names are used twice");
    let rules: BTreeSet<_> = cases.iter().map(|case| case.rule).collect();
    for rule in Rule::ALL {
        assert!(rules.contains(rule), "no case for {}", rule.name());
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_is_refused_by_its_rule_and_touches_no_guest() {
    for case in cases() {
        let mut world = case.world(Rules::default());
        if case.needs_answers() {
            answered_case_is_refused(&case, &mut world).await;
            continue;
        }
        let result = case.run(&world).await;
        assert_eq!(
            refused_by(&result).as_deref(),
            Some(case.rule.name()),
            "{}: {result:?}",
            case.name
        );
        assert!(world.is_untouched(), "{} touched a guest", case.name);
        let hint = result.refusal.unwrap().hint;
        assert!(!hint.is_empty());
    }
}

/// The guests answer to what comes before; after that nothing is asked.
async fn answered_case_is_refused(case: &Case, world: &mut World) {
    let agents = answering(world);
    let heard = |agents: &[YesAgent]| -> usize {
        agents
            .iter()
            .map(|agent| agent.heard.lock().unwrap().len())
            .sum()
    };
    let before = Case {
        world: Conditions {
            repeated: None,
            ..case.world.clone()
        },
        ..case.clone()
    };
    for number in 0..before.world.before {
        let mut request = before.request();
        request.request_id = format!("before-{number:08}");
        world.run(request).await;
    }
    if let Some(seconds) = case.world.repeated {
        world.run(case.request()).await;
        world.pass(seconds);
    }
    let asked = heard(&agents);
    let result = world.run(case.request()).await;
    assert_eq!(
        refused_by(&result).as_deref(),
        Some(case.rule.name()),
        "{}: {result:?}",
        case.name
    );
    assert_eq!(heard(&agents), asked, "{} touched a guest", case.name);
}

fn answering(world: &mut World) -> Vec<YesAgent> {
    let sockets = std::mem::take(&mut world.sockets);
    sockets.into_values().map(YesAgent::answer).collect()
}

/// Rules that others stand behind: without them their cases still reach no guest, and
/// what they are for is the right word, or an early end.
const BACKED: [Rule; 4] = [
    // There is nothing to be run.
    Rule::UnknownCommand,
    // Without a configuration there is no guest agent.
    Rule::NoSuchGuest,
    Rule::NotAVm,
    Rule::MalformedRequest,
];

#[tokio::test(start_paused = true)]
async fn without_its_rule_a_case_fails() {
    let cases = cases();
    for rule in Rule::ALL {
        let rules = Rules {
            without: Some(*rule),
        };
        let mut passed = Vec::new();
        let mut others = BTreeSet::new();
        for case in cases.iter().filter(|case| case.rule == *rule) {
            let mut world = case.world(rules);
            let agents = answering(&mut world);
            let result = case.run(&world).await;
            let refused = refused_by(&result);
            assert_ne!(refused.as_deref(), Some(rule.name()), "{}", case.name);
            let asked = agents
                .iter()
                .any(|agent| !agent.heard.lock().unwrap().is_empty());
            match refused {
                None if asked => passed.push(&case.name),
                None => {}
                Some(other) => {
                    others.insert(other);
                }
            }
        }
        assert!(
            !passed.is_empty() || BACKED.contains(rule),
            "{} is not needed by any case: {others:?} refuse them",
            rule.name()
        );
        assert!(
            passed.is_empty() || !BACKED.contains(rule) || *rule == Rule::MalformedRequest,
            "{} is not backed: {passed:?}",
            rule.name()
        );
    }
}

#[tokio::test]
async fn the_engine_is_one_and_shared() {
    // What the other tests lean on: a good request reaches the guest.
    let mut world = World::new(Rules::default());
    let agents = answering(&mut world);
    let result = world.run(request("0123456789", 101, "ping")).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    assert!(Arc::strong_count(&world.guests) == 1);
    drop(agents);
}
