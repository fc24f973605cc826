//! What comes of guest agents that do not answer as wished: each outcome is told apart,
//! and what was started is said to be.

use std::sync::{Arc, Mutex};

use pvelens_proto::agent::v1::{GuestCommandOutcome as Outcome, GuestCommandResult};
use serde_json::{Value, json};

use super::{
    agent::{YesAgent, yes},
    world::{World, request},
};
use crate::guest::rule::Rules;

/// Runs `memory` in a guest that answers to `question` with `said`, each in turn, and
/// says yes to everything else. Closes the connection when `said` is null.
async fn with(question: &'static str, said: Vec<Value>) -> GuestCommandResult {
    let mut world = World::new(Rules::default());
    let said = Arc::new(Mutex::new(said.into_iter()));
    let _agent = YesAgent::with(world.sockets.remove(&101).unwrap(), move |asked| {
        if asked["execute"] != question {
            return Some(yes(asked));
        }
        match said.lock().unwrap().next() {
            Some(Value::Null) => None,
            Some(said) => Some(said),
            None => Some(yes(asked)),
        }
    });
    world.run(request("outcome-0001", 101, "memory")).await
}

fn complaint(class: &str, words: &str) -> Value {
    json!({"error": {"class": class, "desc": words}})
}

fn status(fields: Value) -> Value {
    let mut said = json!({"exited": true, "exitcode": 0});
    said.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!({ "return": said })
}

#[tokio::test]
async fn a_frozen_guest_is_not_asked_further() {
    let result = with("guest-fsfreeze-status", vec![json!({"return": "frozen"})]).await;
    assert_eq!(result.outcome(), Outcome::Frozen, "{result:?}");
    assert!(result.guest_pid.is_none() && result.detail.is_empty());
    // Who does not know that question is asked all the same.
    let unknown = complaint("CommandNotFound", "The command is not found");
    let result = with("guest-fsfreeze-status", vec![unknown]).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_looked_for_elsewhere() {
    let missing = complaint(
        "GenericError",
        "Guest agent command failed, error was 'Failed to execute child process “/usr/bin/free” (No such file or directory)'",
    );
    let result = with("guest-exec", vec![missing.clone()]).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
    assert_eq!(result.argv, ["/bin/free", "-b"]);
    let result = with("guest-exec", vec![missing.clone(), missing]).await;
    assert_eq!(result.outcome(), Outcome::ProgramMissing);
    let denied = complaint(
        "GenericError",
        "Failed to execute child process (Permission denied)",
    );
    let result = with("guest-exec", vec![denied]).await;
    assert_eq!(result.outcome(), Outcome::Failed, "{result:?}");
}

#[tokio::test]
async fn a_guest_that_forbids_programs_and_one_that_is_too_old_differ() {
    let disabled = complaint("CommandNotFound", "Command guest-exec has been disabled");
    assert_eq!(
        with("guest-exec", vec![disabled]).await.outcome(),
        Outcome::BlockedInGuest
    );
    let unknown = complaint(
        "CommandNotFound",
        "The command guest-exec has not been found",
    );
    assert_eq!(
        with("guest-exec", vec![unknown]).await.outcome(),
        Outcome::Unsupported
    );
}

#[tokio::test]
async fn what_was_started_and_cannot_be_followed_is_said() {
    let lost = complaint("GenericError", "PID 4711 does not exist");
    let result = with("guest-exec-status", vec![lost]).await;
    assert_eq!(result.outcome(), Outcome::Lost, "{result:?}");
    let frozen = complaint(
        "CommandNotFound",
        "Command guest-exec-status has been disabled",
    );
    let result = with("guest-exec-status", vec![frozen]).await;
    assert_eq!(
        (result.outcome(), result.guest_pid),
        (Outcome::Frozen, Some(4711))
    );
    let result = with("guest-exec", vec![Value::Null]).await;
    assert_eq!(result.outcome(), Outcome::Unreachable, "{result:?}");
    assert!(result.detail.contains("may have been started"));
    // A connection that breaks between two looks is one look less.
    let result = with("guest-exec-status", vec![Value::Null, Value::Null]).await;
    assert_eq!(result.outcome(), Outcome::Completed, "{result:?}");
}

#[tokio::test]
async fn answers_beside_the_protocol_are_told_as_such() {
    for said in [
        status(json!({"out-data": "%%%"})),
        status(json!({"err-data": "a"})),
        status(json!({"exitcode": "0"})),
        json!({"return": {"exited": "yes"}}),
        json!({"return": []}),
        json!([1]),
        json!(7),
    ] {
        let result = with("guest-exec-status", vec![said.clone()]).await;
        assert_eq!(result.outcome(), Outcome::Malformed, "{said}: {result:?}");
    }
    for said in [
        json!({"return": {}}),
        json!({"return": {"pid": -1}}),
        json!({"return": "4711"}),
    ] {
        let result = with("guest-exec", vec![said.clone()]).await;
        assert_eq!(result.outcome(), Outcome::Malformed, "{said}: {result:?}");
    }
}

#[tokio::test]
async fn how_a_program_ended_is_given_on() {
    let killed = status(json!({"exitcode": null, "signal": 9}));
    let result = with("guest-exec-status", vec![killed]).await;
    assert_eq!(
        (result.exit_code, result.signal, result.succeeded),
        (None, Some(9), None)
    );
    let failed = status(json!({"exitcode": 7, "err-data": "bm8K", "err-truncated": true}));
    let result = with("guest-exec-status", vec![failed]).await;
    assert_eq!((result.exit_code, result.succeeded), (Some(7), Some(false)));
    let errors = result.errors.unwrap();
    assert_eq!((errors.text.as_str(), errors.truncated), ("no\n", true));
    // It takes some looks.
    let running = json!({"return": {"exited": false}});
    let result = with("guest-exec-status", vec![running; 5]).await;
    assert_eq!(result.output.unwrap().text, "hi");
}

#[tokio::test]
async fn words_of_the_guest_do_not_reach_a_terminal() {
    let words = complaint(
        "GenericError",
        "\u{1b}[2J\u{202e}oops\r\npassword=hunter2 x",
    );
    let result = with("guest-exec", vec![words]).await;
    assert_eq!(result.outcome(), Outcome::Failed);
    let told = &result.detail;
    assert!(
        told.chars().all(|c| !c.is_control() && c != '\u{202e}'),
        "{told:?}"
    );
    assert!(!told.contains("hunter2"), "{told:?}");
    let output = status(json!({"out-data": "G1szMW1yZWQbWzBtCg=="}));
    let result = with("guest-exec-status", vec![output]).await;
    assert_eq!(result.output.unwrap().text, "red\n");
}
